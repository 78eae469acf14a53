//! Two nodes that run are paired, both people saying yes.

use serde_json::Value;

use super::Node;

/// Two nodes that were paired.
pub struct Paired {
    /// What the inviter calls the other.
    pub scanner: String,
    /// What the other calls the inviter.
    pub inviter: String,
    /// The invitation's text.
    pub invitation: String,
}

/// Pairs two nodes by the text of an invitation.
///
/// # Panics
/// When they do not pair, or their words differ.
pub fn pair(inviter: &Node, scanner: &Node) -> Paired {
    let mut waiting = inviter.begins("invite --yes --json");
    let invitation = waiting.next_json()["invitation"].as_str().expect("an invitation").to_owned();
    let accepted = scanner.does(&format!("accept {invitation} --yes"));
    let shown = waiting.next_json();
    assert_eq!(waiting.end().0, 0);
    for side in [&accepted, &shown] {
        assert_eq!(side["words"].as_array().map(Vec::len), Some(6), "{side}");
        assert_eq!(side["emoji"].as_array().map(Vec::len), Some(7), "{side}");
        assert_eq!(side["confirmed"], true, "{side}");
    }
    assert_eq!((&accepted["words"], &accepted["emoji"]), (&shown["words"], &shown["emoji"]));
    let peer = |side: &Value| side["peer"].as_str().expect("a name").to_owned();
    Paired { scanner: peer(&shown), inviter: peer(&accepted), invitation }
}
