//! How far a file was read: a bar on a terminal after a second, else a line every five seconds; with `--json` a `{"progress":…}` line on
//! stderr.

use std::{
    io::{self, IsTerminal},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::time::interval;

use super::{ending::Done, screen::Screen};
use crate::messages::Facts;

/// How progress is shown.
enum Progress {
    Bar(indicatif::ProgressBar),
    Lines,
    Json,
}

/// Waits for `call` and shows meanwhile how much of the file it has read.
pub(super) async fn with_progress<T>(
    screen: &Screen,
    call: impl Future<Output = Done<T>>,
    read: &AtomicU64,
    size_bytes: u64,
) -> Done<T> {
    tokio::pin!(call);
    tokio::select! {
        answer = &mut call => return answer,
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    let progress = if screen.is_json() {
        Progress::Json
    } else if io::stderr().is_terminal() && !screen.is_accessible() {
        Progress::Bar(indicatif::ProgressBar::new(size_bytes))
    } else {
        Progress::Lines
    };
    let mut ticks = interval(match progress {
        Progress::Bar(_) => Duration::from_millis(200),
        Progress::Lines | Progress::Json => Duration::from_secs(5),
    });
    let answer = loop {
        tokio::select! {
            answer = &mut call => break answer,
            _ = ticks.tick() => {
                let done = read.load(Ordering::Relaxed);
                let percent = (done * 100).checked_div(size_bytes).unwrap_or(100);
                match &progress {
                    Progress::Bar(bar) => bar.set_position(done),
                    Progress::Lines => screen.note(&screen.text("import-progress", &Facts::none().number("percent", percent))),
                    Progress::Json => screen.note(&json!({ "progress": { "bytes": done, "of": size_bytes } }).to_string()),
                }
            }
        }
    };
    if let Progress::Bar(bar) = progress {
        bar.finish_and_clear();
    }
    answer
}
