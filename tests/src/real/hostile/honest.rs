//! The honest pair at work while a node is attacked, the times that it takes, and the memory of the node.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    super::{
        Findings, Form,
        api::{Api, Fault},
        oracle::read,
        process::rss_bytes,
    },
    PATH, RECOVERED_WITHIN, SLOWER_MAX,
};

/// A slow machine is no finding; one that answers nobody is.
const HONEST_DEADLINE: Duration = Duration::from_secs(20);
/// How often an honest caller calls for one answer.
const TRIES_MAX: u32 = 3;

/// The honest pair at work.
pub(in super::super) struct Honest {
    seen: Arc<Mutex<Times>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Findings>>,
}

/// Times of one phase.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Times {
    calls: Vec<Duration>,
    deliveries: Vec<Duration>,
}

impl Times {
    pub(super) fn calls_to(&self, calm: &Self) -> f64 {
        at(&self.calls, 99) / at(&calm.calls, 99)
    }

    pub(super) fn deliveries_to(&self, calm: &Self) -> f64 {
        at(&self.deliveries, 99) / at(&calm.deliveries, 99)
    }

    /// Whether nothing was done.
    pub(in super::super) const fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Whether these are the times of calm again: the median within half as much more, the slowest hundredth within twice as much, and a
    /// little that any machine takes now and then. In the short form, beside builds, three times and half a second.
    fn is_near(&self, calm: &Self, form: Form) -> bool {
        let near = |now: &[Duration], calm: &[Duration]| {
            let (half, most, little) = if form == Form::Soak { (1.5, SLOWER_MAX, 5.0) } else { (3.0, 3.0, 500.0) };
            !now.is_empty()
                && at(now, 50) <= at(calm, 50) * half + little
                && at(now, 99) <= at(calm, 99) * most + little
        };
        near(&self.calls, &calm.calls) && near(&self.deliveries, &calm.deliveries)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |times: &[Duration]| format!("{} p50 {:.1} p99 {:.1} ms", times.len(), at(times, 50), at(times, 99));
        write!(f, "calls {}, deliveries {}", of(&self.calls), of(&self.deliveries))
    }
}

/// A percentile in milliseconds.
fn at(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

impl Honest {
    pub(in super::super) fn begin(alice: &Api, shop: &Api, alice_at_shop: &str) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Times::default())), Arc::new(AtomicBool::new(false)));
        let calls = {
            let (shop, seen, stop) = (shop.clone(), Arc::clone(&seen), Arc::clone(&stop));
            thread::spawn(move || {
                let mut findings = Findings::new();
                while !stop.load(Relaxed) {
                    let began = Instant::now();
                    // Where thousands wait, the node gives the place of whoever waits longest to the next: a caller whose connection
                    // is closed before it was answered tries again, and the time of all tries is its time.
                    let mut tries = 1;
                    while let Err(fault) = shop.get("/v1/status", &[]) {
                        if tries == TRIES_MAX || !matches!(fault, Fault::Gone(_)) {
                            findings.push(format!("an honest call failed {tries} times: {fault:?}"));
                            break;
                        }
                        tries += 1;
                    }
                    seen.lock().unwrap_or_else(PoisonError::into_inner).calls.push(began.elapsed());
                    thread::sleep(Duration::from_millis(15));
                }
                findings
            })
        };
        let deliveries = {
            let (alice, shop, name) = (alice.clone(), shop.clone(), alice_at_shop.to_owned());
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            thread::spawn(move || deliver(&alice, &shop, &name, &seen, &stop))
        };
        Self { seen, stop, threads: vec![calls, deliveries] }
    }

    /// The times since the last look.
    pub(in super::super) fn take(&self) -> Times {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until what was seen since is as quick as in calm, by its median and by its slowest hundredth, within the room of `form`.
    pub(super) fn recovers(&self, calm: &Times, form: Form) -> Result<(), Times> {
        let until = Instant::now() + RECOVERED_WITHIN;
        loop {
            self.take();
            // A hundredth of fewer would be nothing; deliveries are the slower ones.
            thread::sleep(if form == Form::Soak { Duration::from_millis(2_500) } else { Duration::from_secs(1) });
            let now = self.take();
            if now.is_near(calm, form) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(now);
            }
        }
    }

    pub(in super::super) fn end(self) -> Findings {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("an honest thread does not panic")).collect()
    }
}

fn deliver(alice: &Api, shop: &Api, name: &str, seen: &Mutex<Times>, stop: &AtomicBool) -> Findings {
    let mut findings = Findings::new();
    for number in 1u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let text = format!("city {number}");
        let began = Instant::now();
        if let Err(fault) = alice.post("/v1/set", &json!({ "items": [{ "path": PATH, "text": text }] })) {
            findings.push(format!("an honest write failed: {fault:?}"));
            thread::sleep(Duration::from_millis(200));
            continue;
        }
        while read(shop, PATH, Some(name)).ok().flatten().as_ref() != Some(&text) {
            if began.elapsed() > HONEST_DEADLINE {
                findings.push(format!("an honest change was not delivered in {HONEST_DEADLINE:?}"));
                break;
            }
            thread::sleep(Duration::from_millis(3));
        }
        seen.lock().unwrap_or_else(PoisonError::into_inner).deliveries.push(began.elapsed());
        thread::sleep(Duration::from_millis(40));
    }
    findings
}

/// Looks at a process's memory all the time.
pub(in super::super) struct Watch {
    process: u32,
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    pub(in super::super) fn begin(process: u32) -> Self {
        let (most, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (highest, stopped) = (Arc::clone(&most), Arc::clone(&stop));
        thread::spawn(move || {
            while !stopped.load(Relaxed) {
                highest.fetch_max(rss_bytes(process), Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { process, most, stop }
    }

    pub(in super::super) fn now(&self) -> u64 {
        rss_bytes(self.process)
    }

    pub(in super::super) fn reset(&self) {
        self.most.store(0, Relaxed);
    }

    pub(in super::super) fn most(&self) -> u64 {
        self.most.load(Relaxed).max(self.now())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(median: u64, slowest: u64) -> Times {
        let mut all = vec![Duration::from_millis(median); 98];
        all.extend([Duration::from_millis(slowest); 2]);
        Times { calls: all.clone(), deliveries: all }
    }

    #[test]
    fn calm_again_means_the_median_and_the_slowest_hundredth() {
        let calm = times(10, 40);
        assert!(times(12, 60).is_near(&calm, Form::Soak));
        assert!(!times(30, 60).is_near(&calm, Form::Soak), "the median");
        assert!(!times(12, 120).is_near(&calm, Form::Soak), "the slowest hundredth");
        assert!(times(30, 120).is_near(&calm, Form::Short));
        assert!(!times(10, 700).is_near(&calm, Form::Short));
        assert!(!Times::default().is_near(&calm, Form::Short), "nobody was served");
    }
}
