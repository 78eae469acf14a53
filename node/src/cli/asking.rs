//! Asking a person: yes or no, a line, a passphrase. Where nobody can be asked, it says so at once and never waits.
//!
//! Questions go to stderr and answers come from the terminal, so that pipes stay free for data. A question is asked on a thread of its
//! own: Ctrl-C ends the command while it waits.

use std::{
    fs::File,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use allod_protocol::refusal::Code;
use zeroize::Zeroizing;

use super::{
    Session,
    ending::{Done, Ending},
};
use crate::{
    daemon::{
        hygiene,
        passphrase::{CREDENTIAL, Prompt, read_file},
    },
    messages::{Facts, Messages},
};

/// 24 words and a line end, with room. Bytes.
const PHRASE_MAX_BYTES: u64 = 4_096;

/// Whether a yes can be taken for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`.
    Given,
    /// There is a person to ask.
    Asked,
}

/// A person at a terminal who can answer questions.
#[must_use]
pub fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A terminal that shows a question and takes an answer, whatever stdin is.
fn has_keyboard() -> bool {
    io::stderr().is_terminal() && File::open("/dev/tty").is_ok()
}

/// Asks for the passphrase when the daemon needs it, if there is someone to ask.
#[must_use]
pub fn prompt(question: String) -> Option<Prompt> {
    has_keyboard().then(|| -> Prompt {
        Box::new(move || hygiene::interrupted_after(|| rpassword::prompt_password(question)).map(Zeroizing::new))
    })
}

/// Whether `--yes` was given or a person can be asked.
///
/// # Errors
/// Wrong usage when neither: before anything was done.
pub fn consent(yes: bool) -> Done<Consent> {
    match (yes, has_terminal()) {
        (true, _) => Ok(Consent::Given),
        (false, true) => Ok(Consent::Asked),
        (false, false) => Err(Ending::usage("cli-needs-yes", Facts::none())),
    }
}

/// Asks yes or no; an empty answer is no.
///
/// # Errors
/// The terminal went away.
pub async fn confirm(session: &Session, id: &str, facts: &Facts) -> Done<bool> {
    let screen = &session.screen;
    let question = format!("{} {} ", screen.text(id, facts), screen.word("ask-yes-no"));
    loop {
        let answer = line(question.clone()).await?.trim().to_lowercase();
        match answer.as_str() {
            "" | "n" | "no" | "non" => return Ok(false),
            "y" | "yes" | "o" | "oui" => return Ok(true),
            _ => screen.note(&screen.word("ask-again")),
        }
    }
}

/// As [`confirm`], or `Given`; a no ends the command.
///
/// # Errors
/// The person said no: nothing was done.
pub async fn confirm_or_end(session: &Session, consent: Consent, id: &str, facts: &Facts) -> Done {
    if consent == Consent::Given || confirm(session, id, facts).await? {
        return Ok(());
    }
    Err(Ending::failed(Code::Declined, "cli-not-confirmed", Facts::none()))
}

/// Asks for a line that may be seen.
///
/// # Errors
/// The terminal went away.
pub async fn line(question: String) -> Done<String> {
    blocking(move || {
        // Not held while waiting: Ctrl-C has something to say too.
        write!(io::stderr(), "{question}")?;
        io::stderr().flush()?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
    })
    .await
}

/// Where a passphrase comes from.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    Terminal,
}

impl Source {
    /// The file that was named, else systemd's credential, else the terminal.
    ///
    /// # Errors
    /// There is none of the three.
    pub fn find(file: Option<&Path>) -> Done<Self> {
        if let Some(file) = file {
            return Ok(Self::File(file.to_owned()));
        }
        let credential =
            std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(CREDENTIAL));
        if let Some(credential) = credential.filter(|path| path.exists()) {
            return Ok(Self::File(credential));
        }
        if has_keyboard() {
            return Ok(Self::Terminal);
        }
        Err(Ending::failed(Code::Locked, "cli-no-terminal", Facts::none()))
    }

    /// The passphrase of a vault that exists.
    ///
    /// # Errors
    /// The file does not read, or the terminal went away.
    pub async fn read(&self, question: String) -> Done<Zeroizing<String>> {
        match self {
            Self::File(path) => Ok(read_file(path)?),
            Self::Terminal => hidden(question).await,
        }
    }

    /// A new passphrase: typed twice where it is typed.
    ///
    /// # Errors
    /// As [`Source::read`], and when both are not the same.
    pub async fn read_new(&self, messages: &'static Messages) -> Done<Zeroizing<String>> {
        match self {
            Self::File(path) => Ok(read_file(path)?),
            Self::Terminal => {
                let first = hidden(messages.word("ask-new-passphrase")).await?;
                let second = hidden(messages.word("ask-passphrase-again")).await?;
                if first == second {
                    Ok(first)
                } else {
                    Err(Ending::failed(Code::Locked, "cli-passphrases-differ", Facts::none()))
                }
            }
        }
    }
}

/// Asks for what must not be seen.
///
/// # Errors
/// The terminal went away.
pub async fn hidden(question: String) -> Done<Zeroizing<String>> {
    blocking(move || rpassword::prompt_password(question).map(Zeroizing::new)).await
}

/// The 24 words: from this file, or the terminal, or stdin where it is a pipe.
///
/// # Errors
/// File or stdin do not read.
pub async fn phrase(session: &Session, file: Option<&Path>) -> Done<Zeroizing<String>> {
    // Room for all of it: growing would leave pieces of it behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(PHRASE_MAX_BYTES as usize + 1));
    if let Some(path) = file {
        let read = File::open(path).and_then(|file| file.take(PHRASE_MAX_BYTES).read_to_string(&mut text));
        read.map_err(|error| Ending::file(path, &error))?;
        return Ok(text);
    }
    if io::stdin().is_terminal() {
        if !io::stderr().is_terminal() {
            return Err(Ending::failed(Code::Locked, "cli-no-terminal", Facts::none()));
        }
        return hidden(session.screen.word("ask-phrase")).await;
    }
    io::stdin().lock().take(PHRASE_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> io::Result<T> + Send + 'static) -> Done<T> {
    let asked = tokio::task::spawn_blocking(ask).await;
    Ok(asked.map_err(|_| Ending::Interrupted)??)
}
