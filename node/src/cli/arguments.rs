//! What can be typed: verbs, their options, and nothing about what they do.
//!
//! Help texts are not here: they stand in the message catalogues, one for each verb and option, and `help` puts them in.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::store::EngineName;

#[derive(Parser, Debug)]
#[command(name = "allod", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Args, Debug, Clone)]
pub struct Global {
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    #[arg(long, global = true)]
    pub json: bool,
    #[arg(long, global = true, value_name = "LANG")]
    pub lang: Option<Language>,
}

/// A language of sentences and tables.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    En,
    Fr,
}

/// Which part of a listing.
#[derive(Args, Debug, Clone, Default)]
pub struct Page {
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    // The node.
    Init(Init),
    Run(Run),
    Status,
    Stop,
    Lock,
    Unlock(Unlock),
    Demo(Demo),
    Doctor(Doctor),
    // Records.
    Set(Set),
    Get(Get),
    List(List),
    History(History),
    Remove(Remove),
    Import(Import),
    Export(Export),
    // Pairing.
    Invite(Invite),
    Accept(Accept),
    Invitations(Invitations),
    Peers(Peers),
    Sync(Sync),
    Forget(Forget),
    Resume(Resume),
    // Lending.
    Ask(Ask),
    Asks(Asks),
    Answer(Answer),
    Decline(Decline),
    Grant(Grant),
    Grants(Grants),
    Used(Used),
    Revoke(Revoke),
    Access(Access),
    Log(Log),
    Watch(Watch),
    // The rest.
    Backup(Backup),
    Restore(Restore),
    Passphrase(Passphrase),
    Completions(Completions),
    Man(Man),
}

#[derive(Args, Debug)]
pub struct Init {
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[arg(long, value_name = "KIND", default_value = "person")]
    pub kind: Kind,
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Person,
    Vendor,
}

#[derive(Args, Debug)]
pub struct Run {
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Unlock {
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    #[arg(long, conflicts_with = "passphrase_file")]
    pub from_phrase: bool,
}

#[derive(Args, Debug)]
pub struct Demo {
    #[arg(long)]
    pub keep: bool,
}

#[derive(Args, Debug)]
pub struct Doctor {
    #[arg(long)]
    pub strict: bool,
}

#[derive(Args, Debug)]
pub struct Set {
    #[arg(required = true, value_name = "PATH[:TYPE][=VALUE]")]
    pub fields: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Get {
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    #[arg(long, value_name = "PEER")]
    pub from: Option<String>,
}

#[derive(Args, Debug)]
pub struct List {
    #[arg(value_name = "PREFIX")]
    pub prefix: Option<String>,
    #[arg(long, value_name = "PEER")]
    pub from: Option<String>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Args, Debug)]
pub struct History {
    #[arg(value_name = "PATH")]
    pub path: String,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Args, Debug)]
pub struct Remove {
    #[arg(value_name = "PATH")]
    pub path: String,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Import {
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long)]
    pub strict: bool,
}

#[derive(Args, Debug)]
pub struct Export {
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
}

#[derive(Args, Debug)]
pub struct Invite {
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[arg(long, value_name = "DURATION")]
    pub expires: Option<String>,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Accept {
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub image: Option<PathBuf>,
    #[arg(long, value_name = "PETNAME")]
    pub name: Option<String>,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Invitations {
    #[command(subcommand)]
    pub action: Option<InvitationsAction>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Subcommand, Debug)]
pub enum InvitationsAction {
    Cancel,
}

#[derive(Args, Debug)]
pub struct Peers {
    #[command(subcommand)]
    pub action: Option<PeersAction>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Subcommand, Debug)]
pub enum PeersAction {
    Show {
        #[arg(value_name = "PEER")]
        peer: String,
    },
    Rename {
        #[arg(value_name = "OLD")]
        old: String,
        #[arg(value_name = "NEW")]
        new: String,
    },
}

#[derive(Args, Debug)]
pub struct Sync {
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
}

#[derive(Args, Debug)]
pub struct Resume {
    #[arg(value_name = "PEER")]
    pub peer: String,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Forget {
    #[arg(value_name = "PEER")]
    pub peer: String,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Ask {
    #[command(subcommand)]
    pub action: Option<AskAction>,
    #[command(flatten)]
    pub request: Option<AskRequest>,
}

#[derive(Subcommand, Debug)]
pub enum AskAction {
    Withdraw {
        #[arg(value_name = "ASK")]
        ask: String,
    },
}

#[derive(Args, Debug)]
pub struct AskRequest {
    #[arg(value_name = "PEER", required = true)]
    pub peer: String,
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    #[arg(long, value_name = "PATH")]
    pub optional: Vec<String>,
    #[arg(long, value_name = "PURPOSE", required = true)]
    pub purpose: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub benefit: Option<String>,
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, value_name = "MODE")]
    pub mode: Option<ModeWord>,
    #[arg(long, value_name = "REF")]
    pub terms: Option<String>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeWord {
    Follow,
    Once,
    Reference,
}

#[derive(Args, Debug)]
pub struct Asks {
    #[command(subcommand)]
    pub action: Option<AsksAction>,
    #[arg(long = "in", conflicts_with = "outgoing")]
    pub incoming: bool,
    #[arg(long = "out")]
    pub outgoing: bool,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Subcommand, Debug)]
pub enum AsksAction {
    Show {
        #[arg(value_name = "ASK")]
        ask: String,
    },
}

#[derive(Args, Debug)]
pub struct Answer {
    #[arg(value_name = "ASK")]
    pub ask: String,
    #[arg(long, value_name = "PATH")]
    pub only: Vec<String>,
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Decline {
    #[arg(value_name = "ASK")]
    pub ask: String,
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Args, Debug)]
pub struct Grant {
    #[arg(value_name = "PEER")]
    pub peer: String,
    #[arg(required = true, value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: String,
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, value_name = "MODE")]
    pub mode: Option<ModeWord>,
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,
    #[arg(long, value_name = "REF")]
    pub terms: Option<String>,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Grants {
    #[command(subcommand)]
    pub action: Option<GrantsAction>,
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
    #[arg(long, conflicts_with = "held")]
    pub given: bool,
    #[arg(long)]
    pub held: bool,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Subcommand, Debug)]
pub enum GrantsAction {
    Show {
        #[arg(value_name = "GRANT")]
        grant: String,
    },
}

#[derive(Args, Debug)]
pub struct Used {
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Args, Debug)]
pub struct Revoke {
    #[arg(value_name = "GRANT|PEER")]
    pub target: String,
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct Access {
    #[arg(value_name = "PATH|PEER")]
    pub target: String,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Args, Debug)]
pub struct Log {
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    #[arg(long, conflicts_with = "verify")]
    pub follow: bool,
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Args, Debug)]
pub struct Watch {
    #[arg(long, value_name = "EVENT")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct Backup {
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct Restore {
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[arg(long, value_name = "FILE")]
    pub phrase_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<EngineWord>,
}

/// What keeps a store.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineWord {
    Sled,
    Redb,
}

impl EngineWord {
    /// The engine.
    #[must_use]
    pub const fn into_name(self) -> EngineName {
        match self {
            Self::Sled => EngineName::Sled,
            Self::Redb => EngineName::Redb,
        }
    }
}

#[derive(Args, Debug)]
pub struct Passphrase {
    #[arg(long)]
    pub from_phrase: bool,
    #[arg(long, value_name = "FILE", conflicts_with = "from_phrase")]
    pub passphrase_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    #[arg(long, conflicts_with = "new_passphrase_file")]
    pub no_passphrase: bool,
}

#[derive(Args, Debug)]
pub struct Completions {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub struct Man {
    #[arg(value_name = "VERB")]
    pub verb: Option<String>,
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub to: Option<PathBuf>,
}
