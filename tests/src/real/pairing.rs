//! Two running nodes become a pair, through their control sockets.

use serde_json::{Value, json};

use super::{
    api::{Api, Fault},
    process::Node,
};

/// What each calls the other.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What the inviter calls the other.
    pub inviters: String,
    /// What the other calls the inviter.
    pub acceptors: String,
    /// The used invitation.
    pub invitation: String,
}

/// Pairs them.
///
/// # Errors
/// What refused.
pub fn pair(inviter: &Node, acceptor: &Node) -> Result<Pair, Fault> {
    let (inviter, acceptor) = (inviter.api(), acceptor.api());
    let invited = inviter.post("/v1/invitations", &json!({}))?;
    let invitation = text(&invited, "invitation");
    let accepted = acceptor.post("/v1/accept", &json!({ "text": invitation }))?;
    let id = text(&invited, "id");
    let seen = inviter.get(&format!("/v1/pairings/{id}"), &[("seen", "open")])?;
    if seen["words"] != accepted["words"] {
        return Err(Fault::Gone("the words differ".to_owned()));
    }
    inviter.post(&format!("/v1/pairings/{id}/confirm"), &json!({ "same": true }))?;
    let theirs = text(&accepted, "id");
    acceptor.post(&format!("/v1/pairings/{theirs}/confirm"), &json!({ "same": true }))?;
    let inviters = paired(&inviter, &id)?;
    let acceptors = paired(&acceptor, &theirs)?;
    Ok(Pair { inviters, acceptors, invitation })
}

/// The peer's name once both sides said yes.
fn paired(api: &Api, id: &str) -> Result<String, Fault> {
    for stage in ["comparing", "waiting"] {
        let seen = api.get(&format!("/v1/pairings/{id}"), &[("seen", stage)])?;
        if seen["stage"] == "paired" {
            return Ok(text(&seen, "peer"));
        }
        if seen["stage"] == "ended" {
            return Err(Fault::Gone(format!("the pairing ended: {}", seen["error"])));
        }
    }
    Err(Fault::Gone("the pairing waits".to_owned()))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
