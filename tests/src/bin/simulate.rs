//! `simulate --seeds N [--from M]`: lives the runs of many seeds and says what they came to.
//! `simulate --seed N [--trace]`: lives one run, and explains it in words.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use allod_tests::life::{Life, Report};

const USAGE: &str = "usage: simulate --seeds N [--from M] | --seed N [--trace]";

enum Wanted {
    One { seed: u64, trace: bool },
    Many { from: u64, count: u64 },
}

fn main() -> ExitCode {
    match wanted() {
        Some(Wanted::One { seed, trace }) => one(seed, trace),
        Some(Wanted::Many { from, count }) => many(from, count),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn wanted() -> Option<Wanted> {
    let mut arguments = std::env::args().skip(1);
    let (mut seed, mut seeds, mut from, mut trace) = (None, None, 0, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => seed = Some(arguments.next()?.parse().ok()?),
            "--seeds" => seeds = Some(arguments.next()?.parse().ok()?),
            "--from" => from = arguments.next()?.parse().ok()?,
            "--trace" => trace = true,
            _ => return None,
        }
    }
    match (seed, seeds) {
        (Some(seed), None) => Some(Wanted::One { seed, trace }),
        (None, Some(count)) if count > 0 && !trace => Some(Wanted::Many { from, count }),
        _ => None,
    }
}

fn one(seed: u64, trace: bool) -> ExitCode {
    let mut life = Life::of(seed);
    if trace {
        life.world.trace.show_lines();
    }
    let began = Instant::now();
    let report = life.live();
    println!("{} nodes", life.world.nodes.len());
    summary(1, &report, began.elapsed());
    println!("digest {}", report.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    ExitCode::SUCCESS
}

fn many(from: u64, count: u64) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let whole = Mutex::new(Report::default());
    let failed = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let seed = from.wrapping_add(number);
                    let mut life = Life::of(seed);
                    match catch_unwind(AssertUnwindSafe(|| life.live())) {
                        Ok(report) => add(&mut whole.lock().expect("nobody panics while adding"), report),
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                            let text = text.unwrap_or_else(|| "it panicked".to_owned());
                            println!("seed {seed} failed: {text}");
                            failed.lock().expect("nobody panics while inserting").insert(seed, text);
                        }
                    }
                }
            });
        }
    });
    summary(count, &whole.lock().expect("all threads are done"), began.elapsed());
    let failed = failed.lock().expect("all threads are done");
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let seeds: Vec<String> = failed.keys().map(ToString::to_string).collect();
    println!("{} of {count} seeds failed: {}", failed.len(), seeds.join(" "));
    println!("try: simulate --seed {} --trace", seeds[0]);
    ExitCode::FAILURE
}

fn add(whole: &mut Report, one: Report) {
    whole.simulated += one.simulated;
    whole.steps += one.steps;
    whole.actions += one.actions;
    for (kind, times) in one.faults {
        *whole.faults.entry(kind).or_default() += times;
    }
    for (kind, times) in one.events {
        *whole.events.entry(kind).or_default() += times;
    }
}

fn summary(seeds: u64, report: &Report, took: Duration) {
    let days = report.simulated.as_secs_f64() / 86_400.0;
    println!("{seeds} seeds, {days:.1} simulated days, {} actions, {} steps", report.actions, report.steps);
    for (title, counts) in [("faults", &report.faults), ("what happened", &report.events)] {
        println!("{title}:");
        for (kind, times) in counts {
            println!("  {times:>8} {kind}");
        }
    }
    let took = took.as_secs_f64();
    println!("took {took:.2} s, {:.3} s a seed, {:.4} s a simulated day", took / seeds.max(1) as f64, took / days);
}
