//! Events and effects for the log at its finest: what kind they are, and their numbers. Nothing else of them may stand there.

use std::fmt;

use allod_protocol::{command::Command, effect, event};

/// An event, as a line of the log shows it.
pub struct Event<'a>(pub &'a event::Event);

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use event::Event;
        match self.0 {
            Event::Command { ticket, command } => write!(f, "command {} {}", ticket.0, name(command)),
            Event::Tick => f.write_str("tick"),
            Event::Listening { addresses } => write!(f, "listening at {} addresses", addresses.len()),
            Event::LinkUp { link, errand } => write!(f, "link {link} up {errand:?}"),
            Event::LinkDown { link } => write!(f, "link {link} down"),
            Event::DialFailed { errand } => write!(f, "errand {errand}: dial failed"),
            Event::Request { link, exchange, channel, bytes } => {
                write!(f, "link {link} exchange {exchange}: {channel:?} request of {} bytes", bytes.len())
            }
            Event::Answered { errand, bytes } => write!(f, "errand {errand}: answer of {} bytes", bytes.len()),
            Event::Failed { errand } => write!(f, "errand {errand}: failed"),
            Event::Hint { topic, .. } => write!(f, "hint in topic {topic}"),
            Event::Room { is_short } => write!(f, "room: short {is_short}"),
            Event::VaultReplaced => f.write_str("vault replaced"),
            Event::Closing => f.write_str("closing"),
        }
    }
}

/// An effect, as a line of the log shows it.
pub struct Effect<'a>(pub &'a effect::Effect);

impl fmt::Display for Effect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use effect::Effect;
        match self.0 {
            Effect::Reply { ticket, outcome: Ok(_) } => write!(f, "reply {}", ticket.0),
            Effect::Reply { ticket, outcome: Err(refusal) } => write!(f, "reply {}: {}", ticket.0, refusal.id()),
            Effect::Happened(happening) => write!(f, "happened {}", happening.event),
            Effect::Dial { errand, addresses } => write!(f, "errand {errand}: dial {} addresses", addresses.len()),
            Effect::Close { link } => write!(f, "link {link}: close"),
            Effect::Protect { link } => write!(f, "link {link}: protect"),
            Effect::Send { errand, link, channel, .. } => write!(f, "errand {errand} link {link}: {channel:?} request"),
            Effect::Answer { exchange, .. } => write!(f, "exchange {exchange}: answer"),
            Effect::Refuse { exchange } => write!(f, "exchange {exchange}: refuse"),
            Effect::Publish { topic, .. } => write!(f, "publish in topic {topic}"),
            Effect::Subscribe { topics } => write!(f, "subscribe to {} topics", topics.len()),
            Effect::ReplaceVault => f.write_str("replace the vault"),
        }
    }
}

/// The word for a command: the first of its debug form, and nothing that follows it.
fn name(command: &Command) -> String {
    let shown = format!("{command:?}");
    shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
