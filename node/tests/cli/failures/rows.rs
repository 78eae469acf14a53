//! The rows: what is typed, what is there, and how it must end.

use allod_node::daemon::failure::{Failure, NodeRefusal};
use allod_protocol::{refusal::Refusal, time::Timestamp};

/// What is there when the command runs.
pub enum Setting {
    /// A home in which no node runs.
    Alone,
    /// A node that refuses this request, whatever is in it.
    Refused(&'static str, &'static str, Failure),
    /// As `Refused`, and so does a node with nothing in it.
    Fresh(&'static str, &'static str, Failure),
}

use Setting::{Alone, Fresh, Refused};

pub struct Row {
    pub run: &'static str,
    pub stdin: Vec<u8>,
    pub setting: Setting,
    pub exit: i32,
    pub code: &'static str,
    pub what: &'static str,
    pub attempt: &'static str,
}

fn row(
    run: &'static str,
    setting: Setting,
    exit: i32,
    code: &'static str,
    what: &'static str,
    attempt: &'static str,
) -> Row {
    Row { run, stdin: Vec::new(), setting, exit, code, what, attempt }
}

fn with_stdin(stdin: &[u8], row: Row) -> Row {
    Row { stdin: stdin.to_vec(), ..row }
}

fn engine(refusal: Refusal) -> Failure {
    refusal.into()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// 2026-11-24, 09:10 UTC.
const MORNING: u64 = 1_795_511_400_000;

pub fn usage_rows() -> Vec<Row> {
    vec![
        row("frobnicate", Alone, 2, "usage", "There is no command \"frobnicate\".", "allod --help"),
        row("stauts", Alone, 2, "usage", "There is no command \"stauts\". Near it: status.", "allod --help"),
        row("get", Alone, 2, "usage", "Something is missing: <PATH>.", "allod get --help"),
        row(
            "get a/b/c --form x",
            Alone,
            2,
            "usage",
            "\"--form\" is not expected here. Near it: --from.",
            "allod get --help",
        ),
        row("status extra", Alone, 2, "usage", "\"extra\" is not expected here.", "allod status --help"),
        row("list --limit 0", Alone, 2, "usage", "\"0\" is not a value for --limit <N>.", "allod list --help"),
        row("list --limit", Alone, 2, "usage", "--limit <N> needs a value.", "allod list --help"),
        row(
            "status --lang de",
            Alone,
            2,
            "usage",
            "\"de\" is not a value for --lang <LANG>. There are: en, fr.",
            "allod status --help",
        ),
        row(
            "init --passphrase-file f --no-passphrase",
            Alone,
            2,
            "usage",
            "--passphrase-file <FILE> and --no-passphrase do not go together.",
            "allod init --help",
        ),
        row("get a/b/c --from x --from y", Alone, 2, "usage", "--from <PEER> is given twice.", "allod get --help"),
        row(
            "set contact/me=x",
            Alone,
            2,
            "usage",
            "contact/me is a record, and a field is needed here.",
            "allod list contact/me",
        ),
        row(
            "set contact/me/age:number=7",
            Alone,
            2,
            "usage",
            "\"number\" is not a type of value.",
            "text, integer, decimal, boolean, date, instant, bytes, list or map",
        ),
        row(
            "set Contact/me/x=1",
            Alone,
            2,
            "usage",
            "\"Contact/me/x\" is not a path: kind and field are made of a to z, 0 to 9, _ . and -, and an id has no / * = and no spaces.",
            "kind/id/field, for example contact/me/email",
        ),
        row(
            "set contact/me/city",
            Alone,
            2,
            "usage",
            "There is no value for contact/me/city.",
            "contact/me/city=VALUE, or the value on stdin",
        ),
        with_stdin(
            b"one\n",
            row(
                "set contact/me/city contact/me/street",
                Alone,
                2,
                "usage",
                "2 paths wait for a value, and stdin has 1 line.",
                "one line for each path",
            ),
        ),
        row(
            "grant acme contact/me/email --purpose delivery --until soon --yes",
            Alone,
            2,
            "usage",
            "\"soon\" is not a time for --until.",
            "30d, 2026-12-31 or 2026-12-31T18:00:00Z",
        ),
        row(
            "grant acme contact/me/email --purpose adverts --yes",
            Alone,
            2,
            "usage",
            "\"adverts\" is not a purpose that this node knows. Near it: TargetedAdvertising, AgeVerification, DeliveryOfGoods.",
            "--purpose with one of these",
        ),
        row(
            "grant acme contact/me/email --purpose delivery --lease 1w --yes",
            Alone,
            2,
            "usage",
            "\"1w\" is not a duration for --lease.",
            "10s, 10m, 24h, 30d or 1y",
        ),
        row("grant acme contact/me/email --purpose delivery", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("remove contact/me", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("forget acme", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("resume acme", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("revoke acme", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("invite", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("accept ALLOD:AAAA", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row("answer a-1", Alone, 2, "usage", NEEDS_YES, "the same with --yes"),
        row(
            "revoke g-1 contact/me/email",
            Alone,
            2,
            "usage",
            "g-1 is a grant, and is taken back whole.",
            "allod revoke PEER SELECTOR",
        ),
        row(
            "ask ana --purpose delivery",
            Alone,
            2,
            "usage",
            "An ask names at least one field.",
            "allod ask PEER contact/me/email --purpose PURPOSE",
        ),
        row(
            "ask ana contact/me/email",
            Alone,
            2,
            "usage",
            "Something is missing: --purpose <PURPOSE>.",
            "allod ask --help",
        ),
        row(
            "watch --until nothing",
            Alone,
            2,
            "usage",
            "\"nothing\" is not an event. There are: field_changed, granted, revoked, asked, answered, declined, withdrawn, purged, used, peer_online, peer_offline, paired, closed, forked, peer_restored, resumed, pairing.",
            "--until with one of these",
        ),
        row(
            "log --since yesterday",
            Alone,
            2,
            "usage",
            "\"yesterday\" is not a time for --since.",
            "30d, 2026-12-31 or 2026-12-31T18:00:00Z",
        ),
        row(
            "invite --expires soon --yes",
            Alone,
            2,
            "usage",
            "\"soon\" is not a duration for --expires.",
            "10s, 10m, 24h, 30d or 1y",
        ),
        row(
            "completions tcsh",
            Alone,
            2,
            "usage",
            "\"tcsh\" is not a value for <SHELL>. There are: bash, elvish, fish, powershell, zsh.",
            "allod completions --help",
        ),
        row("man frobnicate", Alone, 2, "usage", "There is no command \"frobnicate\".", "allod --help"),
    ]
}

const NEEDS_YES: &str = "This asks for a yes, and there is no terminal to ask at.";

pub fn lonely_rows() -> Vec<Row> {
    vec![
        row("status", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("get contact/me/email", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("log --follow", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("watch", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("stop", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("export --to out.json", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row("revoke g-1", Alone, 3, "not_running", "No node is running for HOME.", "allod run"),
        row(
            "init --no-passphrase",
            Alone,
            1,
            "already_exists",
            "There is already a node in HOME.",
            "the same with another --home",
        ),
        row(
            "--home other init",
            Alone,
            6,
            "locked",
            "The vault is locked, and there is no terminal to ask for its passphrase.",
            "the same with --passphrase-file FILE",
        ),
        row(
            "passphrase",
            Alone,
            6,
            "locked",
            "The vault is locked, and there is no terminal to ask for its passphrase.",
            "the same with --passphrase-file FILE",
        ),
        row(
            "unlock --passphrase-file missing",
            Alone,
            6,
            "locked",
            "The passphrase file missing does not read: No such file or directory (os error 2).",
            "--passphrase-file with a file that you may read",
        ),
        row(
            "set contact/me/photo=@missing.jpg",
            Alone,
            4,
            "not_found",
            "There is no file missing.jpg.",
            "another path",
        ),
        row("import missing.vcf", Alone, 4, "not_found", "There is no file missing.vcf.", "another path"),
        row("import .", Alone, 1, "failed", ". could not be read or written: is a directory.", "another path"),
        row("accept --image missing.png --yes", Alone, 4, "not_found", "There is no file missing.png.", "another path"),
        row(
            "accept --image home/vault --yes",
            Alone,
            1,
            "invalid",
            "home/vault is not a PNG or JPEG picture.",
            "a photo or a screenshot, or paste the text",
        ),
        row(
            "export --to home/vault",
            Alone,
            1,
            "already_exists",
            "home/vault is there already, and is not overwritten.",
            "another name",
        ),
        row(
            "export --to missing/x",
            Alone,
            4,
            "not_found",
            "There is no directory missing; nothing was written.",
            "mkdir missing, or another path",
        ),
        with_stdin(
            &[b'x'; 300_000],
            row(
                "set contact/me/note",
                Alone,
                1,
                "too_large",
                "The value for contact/me/note has 262,147 bytes or more, and 262,144 are the most.",
                "several fields, or a smaller file",
            ),
        ),
    ]
}

pub fn refused_rows() -> Vec<Row> {
    let no_peer = || engine(Refusal::NoPeer { name: "acme".into() });
    let get = "/v1/fields?path=contact%2Fme%2Femail&from=ana";
    let read = "get contact/me/email --from ana";
    let path = || "contact/me/email".to_owned();
    let ana = || "ana".to_owned();
    vec![
        row(
            "get contact/me/emial",
            Refused(
                "GET",
                "/v1/fields?path=contact%2Fme%2Femial",
                engine(Refusal::NoField {
                    record: "contact/me".into(),
                    field: "emial".into(),
                    nearest: "email".into(),
                }),
            ),
            4,
            "not_found",
            "contact/me has no field \"emial\".",
            "allod get contact/me/email",
        ),
        row(
            "get contact/me/email",
            Fresh(
                "GET",
                "/v1/fields?path=contact%2Fme%2Femail",
                engine(Refusal::NoRecord { record: "contact/me".into() }),
            ),
            4,
            "not_found",
            "There is no record contact/me.",
            "allod list",
        ),
        row(
            "peers show acme",
            Fresh("GET", "/v1/peers/acme", no_peer()),
            4,
            "not_found",
            "No peer is called \"acme\".",
            "allod peers",
        ),
        row(
            "forget acme --yes",
            Fresh("POST", "/v1/peers/acme/forget", no_peer()),
            4,
            "not_found",
            "No peer is called \"acme\".",
            "allod peers",
        ),
        row(
            "resume acme --yes",
            Fresh("POST", "/v1/peers/acme/resume", no_peer()),
            4,
            "not_found",
            "No peer is called \"acme\".",
            "allod peers",
        ),
        row(
            "sync acme",
            Fresh("POST", "/v1/sync", no_peer()),
            4,
            "not_found",
            "No peer is called \"acme\".",
            "allod peers",
        ),
        row(
            "ask acme contact/me/email --purpose delivery",
            Fresh("POST", "/v1/asks", no_peer()),
            4,
            "not_found",
            "No peer is called \"acme\".",
            "allod peers",
        ),
        row(
            "grants show g-1",
            Fresh("GET", "/v1/grants/g-1", engine(Refusal::NoSuchGrant { id: "g-1".into() })),
            4,
            "not_found",
            "No grant has the id g-1.",
            "allod grants",
        ),
        row(
            "revoke g-1",
            Fresh("POST", "/v1/grants/g-1/revoke", engine(Refusal::NoSuchGrant { id: "g-1".into() })),
            4,
            "not_found",
            "No grant has the id g-1.",
            "allod grants",
        ),
        row(
            "decline a-1",
            Fresh("POST", "/v1/asks/a-1/decline", engine(Refusal::NoSuchAsk { id: "a-1".into() })),
            4,
            "not_found",
            "No ask has the id a-1.",
            "allod asks",
        ),
        row(
            "revoke g-7",
            Refused(
                "POST",
                "/v1/grants/g-7/revoke",
                engine(Refusal::Ambiguous { beginning: "g-7".into(), fits: "g-7f1, g-7a0".into() }),
            ),
            2,
            "usage",
            "\"g-7\" fits several: g-7f1, g-7a0.",
            "type one more character",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::NoGrantFrom { peer: ana(), path: path() })),
            5,
            "no_grant",
            "ana lends you nothing at contact/me/email.",
            "allod ask ana contact/me/email --purpose PURPOSE",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::TakenBack { peer: ana(), path: path(), at: at(MORNING) })),
            5,
            "revoked",
            "ana took back contact/me/email on 2026-11-24 09:10 UTC.",
            "allod grants --held ana",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::GrantExpired { peer: ana(), path: path(), at: at(MORNING) })),
            5,
            "expired",
            "What ana lent at contact/me/email ended on 2026-11-24 09:10 UTC, as agreed.",
            "allod ask ana contact/me/email --purpose PURPOSE, if you still need it",
        ),
        row(
            read,
            Refused(
                "GET",
                get,
                engine(Refusal::LeaseOver { peer: ana(), heard: at(MORNING), ended: at(MORNING + 3_600_000) }),
            ),
            5,
            "lease_over",
            "Nothing was heard from ana since 2026-11-24 09:10 UTC, and the lease ended on 2026-11-24 10:10 UTC.",
            "allod peers show ana",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::NotArrived { peer: ana(), path: path() })),
            4,
            "not_found",
            "ana lends you contact/me/email, and its value has not come yet.",
            "allod sync ana",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::NoLiveAnswer { peer: ana() })),
            8,
            "unreachable",
            "This is read live, and ana did not answer.",
            "allod peers show ana",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::TooManyReads { peer: ana(), path: path(), most: 60 })),
            5,
            "declined",
            "contact/me/email of ana was read 60 times within the hour, which is the most.",
            "the same again in an hour",
        ),
        row(
            read,
            Refused("GET", get, engine(Refusal::Forked { peer: ana() })),
            7,
            "forked",
            "ana showed two different histories; both are kept, and nothing more is exchanged with it.",
            "allod log ana --verify",
        ),
        row(
            "list",
            Refused("GET", "/v1/records?limit=500", engine(Refusal::Locked {})),
            6,
            "locked",
            "The vault is locked.",
            "allod unlock",
        ),
        row(
            "list",
            Refused("GET", "/v1/records?limit=500", engine(Refusal::Damaged {})),
            7,
            "damaged",
            "The store is damaged.",
            "allod restore FILE with a new --home, or a copy of this home made earlier, put in its place",
        ),
        row(
            "set contact/me/city=Paris",
            Refused("POST", "/v1/set", engine(Refusal::DiskFull {})),
            1,
            "failed",
            "The disk is full; nothing of this change was kept.",
            "free some space, then again",
        ),
        row(
            "set contact/me/age:integer=seven",
            Fresh(
                "POST",
                "/v1/set",
                engine(Refusal::BadValue { path: "contact/me/age".into(), expected: "integer".into() }),
            ),
            1,
            "invalid",
            "What was given for contact/me/age does not read as a whole number.",
            "digits alone, for example 42",
        ),
        row(
            "accept https:example --yes",
            Fresh("POST", "/v1/accept", engine(Refusal::NotAnInvitation { begins: "https:exampl".into() })),
            1,
            "invalid",
            "This is not an invitation: it begins with \"https:exampl\", and an invitation begins with \"ALLOD:\".",
            "the text that allod invite shows",
        ),
        row(
            "accept ALLOD:AAAA --yes",
            Refused("POST", "/v1/accept", engine(Refusal::InvitationCut {})),
            1,
            "invalid",
            "This is the beginning of an invitation; its end is missing.",
            "copy it whole, or use --image",
        ),
        row(
            "accept ALLOD:AAAA --yes",
            Refused("POST", "/v1/accept", engine(Refusal::InvitationUsed {})),
            1,
            "conflict",
            "This invitation was used already. If that was not you, someone else tried.",
            "ask for a new one, on another channel",
        ),
        row(
            "accept ALLOD:AAAA --yes",
            Refused("POST", "/v1/accept", engine(Refusal::InvitationExpired { seconds: 40 })),
            5,
            "expired",
            "This invitation ended 40 seconds ago.",
            "ask the other side to run allod invite again",
        ),
        row(
            "accept ALLOD:AAAA --yes",
            Refused("POST", "/v1/accept", engine(Refusal::InviterSilent {})),
            8,
            "unreachable",
            "Nobody answered at the addresses in this invitation.",
            "allod invite running on the other side, and both on a network that joins them",
        ),
        row(
            "peers rename acme ana",
            Refused("POST", "/v1/peers/acme/rename", engine(Refusal::PetnameTaken { name: "ana".into() })),
            1,
            "already_exists",
            "Another peer is called \"ana\" already.",
            "allod peers",
        ),
        row(
            "unlock --passphrase-file home/vault",
            Refused("POST", "/v1/unlock", NodeRefusal::WrongPassphrase {}.into()),
            6,
            "locked",
            "That passphrase does not open this vault.",
            "again, or allod passphrase --from-phrase with the 24 words",
        ),
        row(
            "status",
            Refused("GET", "/v1/status", NodeRefusal::OtherUser {}.into()),
            5,
            "declined",
            "Only the user who runs this node may command it.",
            "the same as that user",
        ),
        row(
            "status",
            Refused("GET", "/v1/status", NodeRefusal::Stopping {}.into()),
            1,
            "failed",
            "The node is stopping.",
            "allod run",
        ),
    ]
}
