//! The daemon's log: lines on stderr, of this project's own code alone.
//!
//! What libraries log names addresses and peers, hence none of it is let through at any level. Our own lines hold no value, path,
//! address or name; `ALLOD_LOG` chooses how much they say: `error`, `warn`, `info` (unless told otherwise), `debug` or `trace`.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The variable that chooses the level.
const LEVEL: &str = "ALLOD_LOG";
/// The crates whose lines are let through.
const OURS: [&str; 4] = ["allod", "allod_node", "allod_protocol", "allod_crypto"];

/// Starts to log. A process that logs already goes on as it does.
pub fn start() {
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = layer(io::stderr, level(env::var(LEVEL).ok().as_deref()), colours);
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

fn level(word: Option<&str>) -> LevelFilter {
    match word.map(str::to_ascii_lowercase).as_deref() {
        Some("off") => LevelFilter::OFF,
        Some("error") => LevelFilter::ERROR,
        Some("warn") => LevelFilter::WARN,
        Some("debug") => LevelFilter::DEBUG,
        Some("trace") => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}

fn layer<W>(writer: W, level: LevelFilter, colours: bool) -> impl Layer<Registry>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours = Targets::new().with_targets(OURS.map(|target| (target, level)));
    fmt::layer().with_writer(writer).with_ansi(colours).with_filter(ours)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_libraries_are_not_let_through_at_any_level() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(layer(move || writer.clone(), LevelFilter::TRACE, false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "libp2p_swarm", "dialled /ip4/192.0.2.1/tcp/1");
            tracing::error!(target: "quinn", "an address");
            tracing::trace!(target: "allod_node::daemon", "ours");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!((text.lines().count(), text.contains("ours")), (1, true), "{text}");
    }

    #[test]
    fn a_level_that_is_none_is_the_usual_one() {
        assert_eq!(level(Some("DEBUG")), LevelFilter::DEBUG);
        assert_eq!((level(Some("libp2p=trace")), level(None)), (LevelFilter::INFO, LevelFilter::INFO));
    }
}
