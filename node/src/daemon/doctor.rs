//! What `doctor` looks at: one check each for what most often is wrong, each with what to do about it.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use allod_protocol::{
    command::{Answer, Command, PeerState, PeerView},
    refusal::{Code, Fact},
    store::StoreFault,
};

use super::{hygiene, node::Node, room::Space, vault_file};
use crate::{
    config,
    store::home::{HomeError, confirm_private},
};

/// A clock that is earlier than the files of the home by more than this was set back, or stands.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(120);
/// No clock that goes right shows an earlier time than that of this program: 2026-11-01.
const BORN: Duration = Duration::from_secs(1_793_491_200);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    /// The key of its detail, and of what to try, in the message catalogues.
    pub id: &'static str,
    pub facts: Vec<(&'static str, Fact)>,
}

impl Check {
    fn ok(name: &'static str, id: &'static str) -> Self {
        Self { name, ok: true, id, facts: Vec::new() }
    }

    fn bad(name: &'static str, id: &'static str) -> Self {
        Self { name, ok: false, id, facts: Vec::new() }
    }

    fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.facts.push((name, Fact::Text(text.into())));
        self
    }

    fn number(mut self, name: &'static str, number: u64) -> Self {
        self.facts.push((name, Fact::Number(number)));
        self
    }
}

/// The ids of all details: what the catalogues must cover, with the facts of each.
pub const DETAILS: &[(&str, &[&str])] = &[
    ("doctor-home-ok", &[]),
    ("doctor-home-open", &["path", "mode"]),
    ("doctor-home-odd", &["detail"]),
    ("doctor-vault-ok", &[]),
    ("doctor-vault-unprotected", &[]),
    ("doctor-vault-bad", &["detail"]),
    ("doctor-store-ok", &["engine", "bytes"]),
    ("doctor-store-damaged", &["detail"]),
    ("doctor-store-unreadable", &["detail"]),
    ("doctor-disk-ok", &["free"]),
    ("doctor-disk-short", &["free", "kept"]),
    ("doctor-disk-unknown", &[]),
    ("doctor-logs-ok", &["entries"]),
    ("doctor-logs-gaps", &["entries", "gaps"]),
    ("doctor-logs-locked", &[]),
    ("doctor-logs-failed", &["detail"]),
    ("doctor-clock-ok", &[]),
    ("doctor-clock-early", &[]),
    ("doctor-clock-back", &["seconds"]),
    ("doctor-clock-peers", &["peers"]),
    ("doctor-listen-ok", &["addresses"]),
    ("doctor-listen-local", &[]),
    ("doctor-listen-none", &[]),
    ("doctor-peers-ok", &["peers", "online"]),
    ("doctor-peers-waiting", &["peers"]),
    ("doctor-peers-frozen", &["peers"]),
    ("doctor-peers-restored", &["peers"]),
    ("doctor-peers-locked", &[]),
    ("doctor-memory-ok", &[]),
    ("doctor-memory-swappable", &[]),
    ("doctor-not-running", &[]),
];

/// Looks at everything.
pub async fn examine(node: &Node) -> Vec<Check> {
    let peers = match node.door().ask(Command::Peers).await {
        Ok(Answer::Peers(peers)) => Some(peers),
        _ => None,
    };
    vec![
        home(node.home()),
        vault(node),
        store(node).await,
        disk(Space::under(node.home())),
        logs(node).await,
        clock(node.home(), peers.as_deref().unwrap_or_default()),
        listening(&node.listening()),
        reached(peers.as_deref()),
        memory(),
    ]
}

/// Looks at what can be seen of a home in which no node runs.
#[must_use]
pub fn examine_offline(dir: &Path) -> Vec<Check> {
    vec![
        home(dir),
        vault_at(&vault_file::VaultFile::of(dir)),
        disk(Space::under(dir)),
        clock(dir, &[]),
        Check::bad("node", "doctor-not-running"),
    ]
}

fn home(home: &Path) -> Check {
    const NAME: &str = "home";
    match confirm_private(home) {
        Ok(()) => {}
        Err(HomeError::OpenToOthers { path, mode }) => return open_to_others(NAME, &path, mode),
        Err(other) => return Check::bad(NAME, "doctor-home-odd").text("detail", other.to_string()),
    }
    for file in [vault_file::FILE, config::FILE, super::SOCKET] {
        let path = home.join(file);
        let Ok(metadata) = path.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return open_to_others(NAME, &path, mode);
        }
    }
    Check::ok(NAME, "doctor-home-ok")
}

fn open_to_others(name: &'static str, path: &Path, mode: u32) -> Check {
    Check::bad(name, "doctor-home-open").text("path", path.display().to_string()).text("mode", format!("{mode:o}"))
}

fn vault(node: &Node) -> Check {
    vault_at(node.vault_file())
}

fn vault_at(file: &vault_file::VaultFile) -> Check {
    const NAME: &str = "vault";
    match file.read() {
        Ok(vault) if vault.protection() == allod_crypto::ProtectionKind::None => {
            // The owner chose it: worth saying, and nothing that is wrong.
            Check::ok(NAME, "doctor-vault-unprotected")
        }
        Ok(_) => Check::ok(NAME, "doctor-vault-ok"),
        Err(failure) => Check::bad(NAME, "doctor-vault-bad").text("detail", failure.id),
    }
}

async fn store(node: &Node) -> Check {
    const NAME: &str = "store";
    let state = node.door().store().await;
    match (node.door().check_store().await, state) {
        (Some(Ok(())), Some(state)) => {
            Check::ok(NAME, "doctor-store-ok").text("engine", state.engine).number("bytes", state.size_bytes)
        }
        (Some(Err(StoreFault::Damaged { detail })), _) => {
            Check::bad(NAME, "doctor-store-damaged").text("detail", detail)
        }
        (Some(Err(fault)), _) => Check::bad(NAME, "doctor-store-unreadable").text("detail", fault.to_string()),
        _ => Check::bad(NAME, "doctor-store-unreadable").text("detail", "the node is stopping"),
    }
}

fn disk(space: Option<Space>) -> Check {
    const NAME: &str = "disk";
    const MIB: u64 = 1 << 20;
    let Some(space) = space else { return Check::ok(NAME, "doctor-disk-unknown") };
    let free = space.free_bytes / MIB;
    if space.is_short() {
        return Check::bad(NAME, "doctor-disk-short").number("free", free).number("kept", space.kept_bytes() / MIB);
    }
    Check::ok(NAME, "doctor-disk-ok").number("free", free)
}

async fn logs(node: &Node) -> Check {
    const NAME: &str = "logs";
    match node.door().ask(Command::Verify { peer: None }).await {
        Ok(Answer::Verified(verified)) if verified.ok => {
            Check::ok(NAME, "doctor-logs-ok").number("entries", verified.entries)
        }
        Ok(Answer::Verified(verified)) => Check::bad(NAME, "doctor-logs-gaps")
            .number("entries", verified.entries)
            .number("gaps", verified.gaps.len() as u64),
        Err(failure) if failure.code == Code::Locked => Check::bad(NAME, "doctor-logs-locked"),
        Err(failure) => Check::bad(NAME, "doctor-logs-failed").text("detail", failure.id),
        Ok(_) => Check::bad(NAME, "doctor-logs-failed").text("detail", "node-internal"),
    }
}

fn clock(home: &Path, peers: &[PeerView]) -> Check {
    const NAME: &str = "clock";
    let newest = [vault_file::FILE, config::FILE]
        .iter()
        .filter_map(|file| home.join(file).metadata().ok()?.modified().ok())
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let strange = peers.iter().filter(|peer| peer.last_problem.is_some_and(|(id, _)| id.contains("clock")));
    let strange: Vec<_> = strange.map(|peer| peer.peer.as_str()).collect();
    match clock_problem(SystemTime::now(), newest) {
        Some(problem) => problem,
        None if strange.is_empty() => Check::ok(NAME, "doctor-clock-ok"),
        None => Check::bad(NAME, "doctor-clock-peers").text("peers", strange.join(", ")),
    }
}

/// What is wrong with a clock that shows `now`, in a home whose newest file is from `newest`.
fn clock_problem(now: SystemTime, newest: SystemTime) -> Option<Check> {
    const NAME: &str = "clock";
    if now < SystemTime::UNIX_EPOCH + BORN {
        return Some(Check::bad(NAME, "doctor-clock-early"));
    }
    let back = newest.duration_since(now).unwrap_or_default();
    (back > CLOCK_BACK_MAX).then(|| Check::bad(NAME, "doctor-clock-back").number("seconds", back.as_secs()))
}

fn listening(addresses: &[String]) -> Check {
    const NAME: &str = "reachability";
    if addresses.is_empty() {
        return Check::bad(NAME, "doctor-listen-none");
    }
    let local = |address: &String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
    if addresses.iter().all(local) {
        return Check::bad(NAME, "doctor-listen-local");
    }
    Check::ok(NAME, "doctor-listen-ok").number("addresses", addresses.len() as u64)
}

fn reached(peers: Option<&[PeerView]>) -> Check {
    const NAME: &str = "peers";
    let Some(peers) = peers else { return Check::bad(NAME, "doctor-peers-locked") };
    let named = |wanted: &dyn Fn(&PeerView) -> bool| {
        peers.iter().filter(|peer| wanted(peer)).map(|peer| peer.peer.as_str()).collect::<Vec<_>>().join(", ")
    };
    let frozen = named(&|peer| peer.state == PeerState::Frozen);
    if !frozen.is_empty() {
        return Check::bad(NAME, "doctor-peers-frozen").text("peers", frozen);
    }
    let restored = named(&|peer| peer.state == PeerState::Restored);
    if !restored.is_empty() {
        return Check::bad(NAME, "doctor-peers-restored").text("peers", restored);
    }
    let waiting = named(&|peer| peer.state == PeerState::Paired && !peer.online && peer.last_problem.is_some());
    if !waiting.is_empty() {
        return Check::bad(NAME, "doctor-peers-waiting").text("peers", waiting);
    }
    let online = peers.iter().filter(|peer| peer.online).count();
    Check::ok(NAME, "doctor-peers-ok").number("peers", peers.len() as u64).number("online", online as u64)
}

fn memory() -> Check {
    // A limit of the system, and a small risk: said, and not called wrong.
    let id = if hygiene::memory_is_locked() { "doctor-memory-ok" } else { "doctor-memory-swappable" };
    Check::ok("memory", id)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_named() {
        let outside = tempfile::tempdir().unwrap();
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(home(outside.path()).ok);
        let path = outside.path().join(vault_file::FILE);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let check = home(outside.path());
        assert_eq!((check.ok, check.id), (false, "doctor-home-open"));
        assert_eq!(check.facts[1].1, Fact::Text("640".to_owned()));
    }

    #[test]
    fn a_clock_before_this_program_or_behind_its_own_files_is_wrong() {
        let now = SystemTime::UNIX_EPOCH + BORN + Duration::from_secs(1_000_000);
        assert_eq!(clock_problem(now, now + Duration::from_secs(60)), None);
        assert_eq!(clock_problem(now, now + Duration::from_secs(600)).unwrap().id, "doctor-clock-back");
        assert_eq!(clock_problem(SystemTime::UNIX_EPOCH, now).unwrap().id, "doctor-clock-early");
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_named() {
        let space = |free_mib: u64| Some(Space { free_bytes: free_mib << 20, whole_bytes: 1 << 40 });
        assert_eq!(disk(space(255)).facts, [("free", Fact::Number(255)), ("kept", Fact::Number(256))]);
        assert_eq!((disk(space(255)).ok, disk(space(256)).ok, disk(None).ok), (false, true, true));
    }

    #[test]
    fn a_node_that_only_this_machine_reaches_is_told() {
        let addresses = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(listening(&[]).id, "doctor-listen-none");
        assert_eq!(listening(&addresses(&["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"])).id, "doctor-listen-local");
        assert!(listening(&addresses(&["/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1"])).ok);
    }
}
