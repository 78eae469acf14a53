//! The machine that figures come from, in one line, and the costs of parts that explain them.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use allod_crypto::{Domain, Padding, SecretKey, SigningIdentity, open, seal};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::measure::Spread;
use super::node::Dir;

/// Prints the machine and its parts.
pub fn print() {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_mib = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    println!(
        "machine: {cpu}, {cores} cores, {memory_mib} MiB, Linux {}, {}, load {load} at the start",
        kernel.trim(),
        file_system()
    );
    println!("parts:   {}", parts());
    println!("figures: median [p10..p90] of the figure, of its floor, and of their ratio, taken in turn in one loop");
}

/// A field of a file of `/proc`.
pub fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The file system under temporary files, by the longest mount point that is a beginning of their path.
fn file_system() -> String {
    let dir = Dir::new();
    let place = dir.at("");
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
            place.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
        })
        .max_by_key(|(length, _)| *length);
    mount.map_or_else(|| "unknown file system".to_owned(), |(_, name)| name)
}

/// Microseconds of one call, the median of many.
fn micros(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 200;
    let spread = Spread::of((0..31).map(|_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    }));
    spread.median
}

fn parts() -> String {
    let mut dice = UnwrapErr(SysRng);
    let key = SecretKey::random(&mut dice);
    let aad = [7; 200];
    let sealed = |bytes: usize| seal(&key, Domain::Row, &aad, &vec![1; bytes], Padding::None, &mut UnwrapErr(SysRng));
    let (small, large) = (sealed(256), sealed(4_096));
    let seal_small = micros(|| drop(black_box(sealed(256))));
    let opened = |bytes: &[u8]| drop(black_box(open(&key, Domain::Row, &aad, black_box(bytes), Padding::None)));
    let open_small = micros(|| opened(&small));
    let open_large = micros(|| opened(&large));
    let signing = SigningIdentity::from_bytes(&[5; 32]);
    let sign = micros(|| {
        black_box(signing.sign("bench", black_box(&aad)));
    });
    let (signature, public) = (signing.sign("bench", &aad), signing.public());
    let verify = micros(|| {
        black_box(public.verify("bench", black_box(&aad), &signature)).expect("it was just signed");
    });
    format!(
        "seal 256 B {seal_small:.2} us, open 256 B {open_small:.2} us, open 4 KiB {open_large:.2} us, \
         sign {sign:.0} us, verify {verify:.0} us"
    )
}
