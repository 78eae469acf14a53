//! The command line: from what was typed to an exit code.
//!
//! A verb is a function: arguments and a `Session` in, `Done` out. It reads and writes nothing but through the session: the node
//! through `Client`, the person through `Screen`. Whatever ends a command early, wrong usage and faults included, goes through one
//! printer. All but `init`, `restore`, `run`, `demo` and the offline half of `passphrase` and `doctor` talk to the running node.

mod access;
mod arguments;
mod asking;
mod asks;
mod backup;
mod ending;
mod export;
mod forms;
mod get;
mod grants;
mod help;
mod import;
mod invite;
mod listing;
mod log;
mod new_file;
mod node;
mod passphrase;
mod peers;
mod progress;
mod remove;
mod restore;
mod revoke;
mod screen;
mod set;
mod usage;
mod watch;

use std::{cell::RefCell, ffi::OsString, io::Write, path::PathBuf, process::ExitCode, time::Duration};

use allod_protocol::refusal::Code;
use clap::FromArgMatches;
use serde_json::Value;

use self::{
    arguments::{Arguments, Global, Language, Verb},
    ending::{Done, Ending, Failure},
    screen::{Form, Screen},
};
use crate::{
    client::{Body, Client, ClientError, Url},
    daemon::{
        self, Farewell,
        signals::{Signals, Told},
    },
    demo,
    messages::{Facts, Lang, Messages},
};

/// How long a cancelled command may take to tell the node so.
const CLEANUP_DEADLINE: Duration = Duration::from_secs(1);

/// What a verb works with.
pub(crate) struct Session {
    home: PathBuf,
    screen: Screen,
    client: Client,
    /// What the node is told when the person gives up waiting.
    on_interrupt: RefCell<Option<(Url, Value)>>,
}

impl Session {
    async fn get(&self, url: &Url) -> Done<Value> {
        self.client.get(url).await.map_err(|error| self.explain(error))
    }

    async fn post(&self, url: &Url, body: Value) -> Done<Value> {
        self.client.post(url, body).await.map_err(|error| self.explain(error))
    }

    async fn call(&self, method: hyper::Method, url: &Url, body: Body, deadline: Duration) -> Done<Value> {
        self.client.call(method, url, body, deadline).await.map_err(|error| self.explain(error))
    }

    /// The two lines for a request without an answer.
    fn explain(&self, error: ClientError) -> Ending {
        let home = Facts::none().text("home", self.home.display().to_string());
        match error {
            ClientError::Answered(error) => Failure::from_json(&error).into(),
            // Any of them is a node's, damaged or not: `init` is no advice for it.
            ClientError::NotRunning
                if ["vault", "config.toml", "store"].iter().any(|part| self.home.join(part).exists()) =>
            {
                Ending::failed(Code::NotRunning, "cli-not-running", home)
            }
            ClientError::NotRunning => Ending::failed(Code::NotRunning, "cli-no-node-here", home),
            ClientError::Refused(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Ending::failed(Code::Declined, "cli-not-yours", home)
            }
            ClientError::Refused(error) => {
                Ending::failed(Code::NotRunning, "cli-socket-failed", home.text("why", error.to_string()))
            }
            ClientError::Silent(waited) => {
                Ending::failed(Code::Failed, "cli-node-silent", home.number("seconds", waited.as_secs()))
            }
            ClientError::Broken(why) => Ending::failed(Code::Failed, "cli-node-broke-off", home.text("why", why)),
        }
    }
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    daemon::hygiene::survive_file_limits();
    let typed: Vec<OsString> = std::env::args_os().collect();
    let form = if usage::names_json(&typed) { Form::Json } else { Form::Text };
    let lang = usage::names_lang(&typed).unwrap_or_else(|| Lang::of_environment(|name| std::env::var(name).ok()));
    // The fault is printed once, in the form that was asked for, by what catches it.
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = std::panic::catch_unwind(|| start(typed, form, lang)).unwrap_or_else(|fault| {
        Err(Ending::failed(Code::Failed, "cli-fault", Facts::none().text("why", words(&fault))))
    });
    match outcome {
        Ok(exit) => ExitCode::from(exit),
        Err(ending) => {
            print_ending(&ending, form, lang);
            ExitCode::from(ending.exit())
        }
    }
}

fn words(fault: &Box<dyn std::any::Any + Send>) -> String {
    let text = fault.downcast_ref::<String>().cloned();
    text.or_else(|| fault.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Two lines, or one JSON object, on stderr.
fn print_ending(ending: &Ending, form: Form, lang: Lang) {
    let mut err = std::io::stderr().lock();
    // Nothing is left to tell anyone if stderr is closed.
    let _ = match (ending, form) {
        (Ending::PipeClosed, _) => Ok(()),
        (Ending::Interrupted | Ending::Terminated(_), Form::Json) => Ok(()),
        (Ending::Interrupted | Ending::Terminated(_), Form::Text) => {
            writeln!(err, "\n{}", crate::messages::Messages::of(lang).word("interrupted"))
        }
        (Ending::Failed(failure), Form::Json) => writeln!(err, "{}", failure.json()),
        (Ending::Failed(failure), Form::Text) => {
            let (what, attempt) = failure.two_lines(lang);
            writeln!(err, "{what}\n{}{attempt}", crate::messages::Messages::of(lang).word("label-try"))
        }
    };
}

/// Reads what was typed, and does it. The number is the exit code of what went well.
fn start(typed: Vec<OsString>, form: Form, lang: Lang) -> Done<u8> {
    let mut command = help::command(lang);
    let parsed = command.try_get_matches_from_mut(&typed).and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return usage::refuse(&error, &typed, &command, form, lang),
    };
    let home = home(&arguments.global)?;
    let session = Session {
        client: Client::new(&home),
        home,
        screen: Screen::of_environment(form, lang),
        on_interrupt: RefCell::new(None),
    };
    match arguments.verb {
        // The daemon watches for signals itself.
        Verb::Run(args) => match threads()?.block_on(daemon::run(node::run_options(&session, args)))? {
            Farewell::Interrupted => Err(Ending::Interrupted),
            Farewell::Asked | Farewell::Terminated => Ok(0),
        },
        Verb::Demo(args) => {
            let afterwards = if args.keep { demo::Afterwards::Keep } else { demo::Afterwards::Stop };
            let shown = demo::run(afterwards, Messages::of(lang), &mut std::io::stdout());
            shown.map(|()| 0).map_err(|failed| {
                let facts = Facts::none().text("step", failed.step).text("why", failed.why);
                Ending::failed(Code::Failed, "demo-failed", facts)
            })
        }
        verb => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(async {
                tokio::select! {
                    outcome = act(&session, verb) => outcome,
                    told = told_to_end() => {
                        give_up(&session).await;
                        Err(told)
                    }
                }
            });
            // A thread that waits for a line from the terminal is not waited for.
            runtime.shutdown_background();
            outcome
        }
    }
}

/// Returns when a signal ends the command.
async fn told_to_end() -> Ending {
    let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
    match signals.next().await {
        Told::Interrupt => Ending::Interrupted,
        Told::Terminate => Ending::Terminated(143),
        Told::HangUp => Ending::Terminated(129),
    }
}

/// Tells the node what is not wanted any more.
async fn give_up(session: &Session) {
    let told = session.on_interrupt.take();
    if let Some((url, body)) = told {
        // The command ends whatever the node says.
        let _ = session.client.call(hyper::Method::POST, &url, Body::Json(body), CLEANUP_DEADLINE).await;
    }
}

/// Also where there is one processor a caller's answer does not wait until the network has done all its work.
fn threads() -> Done<tokio::runtime::Runtime> {
    const THREADS_MIN: usize = 2;
    let threads = std::thread::available_parallelism().map_or(THREADS_MIN, |all| all.get().max(THREADS_MIN));
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

/// `--home`, else `ALLOD_HOME`, else the platform's data directory.
fn home(global: &Global) -> Done<PathBuf> {
    let named = global.home.clone().or_else(|| std::env::var_os("ALLOD_HOME").map(PathBuf::from));
    if let Some(home) = named.filter(|home| !home.as_os_str().is_empty()) {
        return Ok(std::path::absolute(&home).unwrap_or(home));
    }
    use etcetera::BaseStrategy;
    etcetera::choose_base_strategy()
        .map(|strategy| strategy.data_dir().join("allod"))
        .map_err(|_| Ending::usage("cli-no-home-directory", Facts::none()))
}

async fn act(session: &Session, verb: Verb) -> Done<u8> {
    match verb {
        Verb::Run(_) | Verb::Demo(_) => unreachable!("both are started on threads of their own"),
        Verb::Init(args) => node::init(session, args).await,
        Verb::Status => node::status(session).await,
        Verb::Stop => node::stop(session).await,
        Verb::Lock => node::lock(session).await,
        Verb::Unlock(args) => node::unlock(session, args).await,
        Verb::Doctor(args) => return node::doctor(session, args).await,
        Verb::Set(args) => set::set(session, args).await,
        Verb::Get(args) => get::get(session, args).await,
        Verb::List(args) => get::list(session, args).await,
        Verb::History(args) => get::history(session, args).await,
        Verb::Remove(args) => remove::remove(session, args).await,
        Verb::Import(args) => return import::import(session, args).await,
        Verb::Export(args) => export::export(session, args).await,
        Verb::Invite(args) => invite::invite(session, args).await,
        Verb::Accept(args) => invite::accept(session, args).await,
        Verb::Invitations(args) => invite::invitations(session, args).await,
        Verb::Peers(args) => peers::peers(session, args).await,
        Verb::Sync(args) => peers::sync(session, args).await,
        Verb::Forget(args) => peers::forget(session, args).await,
        Verb::Resume(args) => peers::resume(session, args).await,
        Verb::Ask(args) => asks::ask(session, args).await,
        Verb::Asks(args) => asks::asks(session, args).await,
        Verb::Answer(args) => asks::answer(session, args).await,
        Verb::Decline(args) => asks::decline(session, args).await,
        Verb::Grant(args) => grants::grant(session, args).await,
        Verb::Grants(args) => grants::grants(session, args).await,
        Verb::Used(args) => grants::used(session, args).await,
        Verb::Revoke(args) => revoke::revoke(session, args).await,
        Verb::Access(args) => access::access(session, args).await,
        Verb::Log(args) => return log::log(session, args).await,
        Verb::Watch(args) => watch::watch(session, args).await,
        Verb::Backup(args) => backup::backup(session, args).await,
        Verb::Restore(args) => restore::restore(session, args).await,
        Verb::Passphrase(args) => passphrase::passphrase(session, args).await,
        Verb::Completions(args) => help::completions(session, args),
        Verb::Man(args) => help::man(session, args),
    }
    .map(|()| 0)
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::English,
            Language::Fr => Self::French,
        }
    }
}
