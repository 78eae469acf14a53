//! Breaks the real binary on purpose: `faults [--soak] [--strict] [--seed N] [--rounds N] [--engine NAME]… [--attack NAME] FAMILY…`,
//! all families if none is named; `--attack` leaves `hostile` with that one.
//!
//! Prints what was done, with its numbers, then each finding in a sentence; ends with 1 if there is one. Homes are kept then. What can't be
//! done on this machine is said and counted apart; with `--strict` that ends with 1 too.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use allod_tests::real::{
    ENGINES, Extent, Findings, Form, LeftOut, Plan, clock, damage, disk, hints, hostile, kill, network, power, relay,
    scanners,
};

type Family = (&'static str, fn(&Plan) -> Findings);

const FAMILIES: &[Family] = &[
    ("kill", kill::run),
    ("disk", disk::run),
    ("power", power::run),
    ("damage", damage::run),
    ("clock", clock::run),
    ("hostile", hostile::run),
    ("network", network::run),
    ("relay", relay::run),
    ("scanners", scanners::run),
    ("hints", hints::run),
];

fn main() -> ExitCode {
    let mut plan = Plan {
        form: Form::Short,
        seed: 1,
        exe: beside_us("allod"),
        dir: std::env::temp_dir().join(format!("allod-faults-{}", std::process::id())),
        engines: Vec::new(),
        rounds: None,
        attack: None,
        left_out: LeftOut::default(),
    };
    let mut strict = false;
    let mut chosen = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "--soak" => plan.form = Form::Soak,
            "--strict" => strict = true,
            "--seed" => plan.seed = number(&value()),
            "--rounds" => plan.rounds = usize::try_from(number(&value())).ok(),
            "--attack" => plan.attack = Some(value()),
            "--engine" => plan.engines.push(value()),
            "--exe" => plan.exe = PathBuf::from(value()),
            "--dir" => plan.dir = PathBuf::from(value()),
            name => match FAMILIES.iter().find(|(known, _)| *known == name) {
                Some(family) => chosen.push(*family),
                None => return usage(name),
            },
        }
    }
    if plan.engines.is_empty() {
        plan.engines = ENGINES.map(str::to_owned).to_vec();
    }
    if chosen.is_empty() {
        chosen = FAMILIES.to_vec();
    }
    println!("seed {}, {:?} form, {}", plan.seed, plan.form, plan.exe.display());
    let (mut found, mut ran, mut not_run, mut parts) = (0, 0, 0, 0);
    for (name, run) in chosen {
        let began = std::time::Instant::now();
        let findings = run(&plan);
        let left_out = plan.left_out.take();
        left_out.iter().for_each(|(_, why)| println!("{name}: left out: {why}"));
        parts += left_out.iter().filter(|(extent, _)| *extent == Extent::Part).count();
        if left_out.iter().any(|(extent, _)| *extent == Extent::Whole) {
            not_run += 1;
        } else {
            ran += 1;
            println!("{name}: {} findings in {:.1} s", findings.len(), began.elapsed().as_secs_f64());
        }
        findings.iter().for_each(|finding| println!("FOUND {finding}"));
        found += findings.len();
    }
    println!("{ran} families run, {not_run} left out and {parts} parts of others; {found} findings");
    if found > 0 {
        println!("the homes are kept in {}", plan.dir.display());
        return ExitCode::FAILURE;
    }
    let _ = std::fs::remove_dir_all(&plan.dir);
    if strict && not_run + parts > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The release binary lies in the same directory.
fn beside_us(name: &str) -> PathBuf {
    let us = std::env::current_exe().unwrap_or_default();
    us.parent().unwrap_or(Path::new(".")).join(name)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| {
        eprintln!("\"{text}\" is no number");
        std::process::exit(2);
    })
}

fn usage(word: &str) -> ExitCode {
    let names: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
    eprintln!(
        "\"{word}\" is no family of faults\ntry: faults [--soak] [--strict] [--seed N] [--rounds N] [--engine sled|redb] [{}]",
        names.join("|")
    );
    ExitCode::from(2)
}
