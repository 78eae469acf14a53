//! Power cuts of the whole file system: what reached the device is all that is left.
//!
//! The owner's home lies on a file system of its own, in an image that is mounted through a loop device. While three programs write
//! values of every size up to the largest, the node is killed and the file system shut down without a flush of its journal: what it had
//! not written to its device is gone. That is what the node finds after the cut, and it goes on from there. The holder lives elsewhere and
//! has seen everything that was sent: a node that forgot what it had sent would sign the same numbers again, and be found out.
//!
//! A control shows that this sees a missing sync: there, `fsync` does nothing and says that it did.

use std::{
    fs, io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{
    Extent, Findings, Plan,
    dice::Dice,
    has_program, is_root,
    kill::{LEVEL_WITHIN, begin, dishonest, spoke_of_a_panic, verified},
    oracle::Oracle,
    pairing::pair,
    process::Node,
    workload::{self, Sizes},
};

/// The file system's size. Bytes.
const DISK_BYTES: u64 = 384 << 20;
/// Cuts of one life: then a new home begins, so that failures in one life count once.
const CUTS_PER_LIFE: usize = 10;

/// Cuts on every engine, and the control.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    if !is_root() || !has_program("mkfs.ext4") {
        plan.left_out.note(Extent::Whole, "it takes root and mkfs.ext4");
        return Findings::new();
    }
    let rounds = plan.rounds(6, 60);
    let mut findings: Findings = plan.engines.iter().flat_map(|engine| cuts(plan, engine, rounds)).collect();
    if has_program("strace") {
        findings.extend(control(plan));
    } else {
        plan.left_out.note(Extent::Part, "the control takes strace");
    }
    findings
}

fn cuts(plan: &Plan, engine: &str, rounds: usize) -> Findings {
    let mut findings = Findings::new();
    let (mut done, mut acknowledged, mut revocations, mut lives) = (0, 0, 0, 0u64);
    while done < rounds && findings.len() <= 20 {
        let dir = plan.dir.join(format!("power-{engine}-{lives}"));
        let Some(mut life) = Life::begin(plan, engine, &dir, &[]) else {
            plan.left_out.note(Extent::Whole, "an image can't be mounted");
            return findings;
        };
        let dice = Dice::seeded(plan.seed).split(1_000 + lives);
        for cut in 0..CUTS_PER_LIFE.min(rounds - done) {
            let sizes = [Sizes::Steps, Sizes::Large, Sizes::Usual][cut % 3];
            let last = cut + 1 == CUTS_PER_LIFE.min(rounds - done);
            let found = life.cut(&dice.split(cut as u64), sizes, last);
            let broken = !found.is_empty();
            findings.extend(found.into_iter().map(|what| format!("power {engine}, life {lives}, cut {cut}: {what}")));
            done += 1;
            if broken {
                break;
            }
        }
        let oracle = life.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged += oracle.acknowledged;
        revocations += oracle.revocations;
        lives += 1;
    }
    println!(
        "power {engine}: {done} cuts in {lives} lives, {acknowledged} acknowledged, {revocations} of them revocations; findings: {}",
        findings.len()
    );
    findings
}

/// With an `fsync` that lies, cuts must lose something.
fn control(plan: &Plan) -> Findings {
    let lies = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=fsync,fdatasync"];
    let lies: Vec<String> =
        lies.into_iter().chain(["-e", "inject=fsync,fdatasync:retval=0"]).map(str::to_owned).collect();
    for engine in &plan.engines {
        let most = plan.rounds(6, 12).max(6);
        let mut tries = 0;
        let caught = (0..most).find_map(|number| {
            tries += 1;
            let dir = plan.dir.join(format!("power-control-{engine}-{number}"));
            let mut life = Life::begin(plan, engine, &dir, &lies)?;
            life.cut(&Dice::seeded(plan.seed).split(5_000 + number as u64), Sizes::Steps, false).into_iter().next()
        });
        match caught {
            Some(what) => println!("power {engine}, control: a lying fsync is seen after {tries} cuts: {what}"),
            None => {
                return vec![format!(
                    "power {engine}: {tries} cuts did not see an fsync that lies: the test tests nothing"
                )];
            }
        }
    }
    Findings::new()
}

/// One home from its first start on.
struct Life {
    disk: Disk,
    alice: Node,
    under: Vec<String>,
    shop: Node,
    inviters: String,
    acceptors: String,
    oracle: Mutex<Oracle>,
}

impl Life {
    /// `None` if no image can be mounted.
    fn begin(plan: &Plan, engine: &str, dir: &Path, under: &[String]) -> Option<Self> {
        let disk = Disk::made(dir)?;
        let mut alice = Node::made(&plan.exe, &disk.mount.join("alice"), "alice", engine);
        alice.log = dir.join("alice.stderr");
        let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
        alice.must_start();
        shop.must_start();
        let names = pair(&shop, &alice).expect("two running nodes pair");
        alice.stop().expect("a sound node stops");
        Some(Self {
            disk,
            alice,
            under: under.to_vec(),
            shop,
            inviters: names.inviters,
            acceptors: names.acceptors,
            oracle: Mutex::new(Oracle::default()),
        })
    }

    /// Works for a random time, cuts the power, and looks at what is left.
    fn cut(&mut self, dice: &Dice, sizes: Sizes, wait_until_level: bool) -> Findings {
        let mut findings = Findings::new();
        self.alice.under.clone_from(&self.under);
        if let Err(what) = begin(&mut self.alice) {
            return vec![what];
        }
        let pause = Duration::from_millis(30 + dice.split(7).below(700));
        let stop = AtomicBool::new(false);
        let api = self.alice.api();
        thread::scope(|scope| {
            let calls = scope.spawn(|| workload::run(&api, &self.acceptors, sizes, dice, &self.oracle, &stop));
            thread::sleep(pause);
            self.alice.kill();
            self.disk.cut();
            let faults = calls.join().expect("the workload does not panic");
            findings.extend(faults.iter().filter_map(dishonest));
        });
        findings.extend(spoke_of_a_panic(&self.alice));
        self.alice.under.clear();
        if let Err(what) = begin(&mut self.alice) {
            self.disk.keep();
            findings.push(what);
            return findings;
        }
        let mut oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        findings.extend(oracle.compare(&self.alice.api(), true));
        findings.extend(verified(&self.alice.api()).err());
        if wait_until_level {
            findings.extend(oracle.compare_holder(&self.shop.api(), &self.inviters, LEVEL_WITHIN));
            findings.extend(verified(&self.shop.api()).err());
        }
        drop(oracle);
        findings.extend(self.alice.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
        findings
    }
}

/// A file system in an image.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn made(dir: &Path) -> Option<Self> {
        let disk = Self { image: dir.join("disk.img"), mount: dir.join("disk") };
        fs::create_dir_all(&disk.mount).ok()?;
        fs::File::create(&disk.image).and_then(|file| file.set_len(DISK_BYTES)).ok()?;
        (run_program("mkfs.ext4", &["-q", "-F"], &[&disk.image]) && disk.mounted()).then_some(disk)
    }

    fn mounted(&self) -> bool {
        run_program("mount", &["-o", "loop"], &[&self.image, &self.mount])
    }

    /// Nothing reaches the device from this moment on, and nothing is there but what had reached it.
    ///
    /// # Panics
    /// If that can't be done: a test that goes on would say that nothing was lost.
    fn cut(&self) {
        shut_down(&self.mount).expect("a file system can be shut down");
        let until = Instant::now() + Duration::from_secs(20);
        // A tracer that was killed leaves its node to end a moment later.
        while !run_program("umount", &["-q"], &[&self.mount]) {
            assert!(Instant::now() < until, "a file system that nobody uses can be unmounted");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(self.mounted(), "a file system can be mounted after a cut");
    }

    /// The image as it is, beside what was found in it.
    fn keep(&self) {
        run_program("cp", &["--sparse=always"], &[&self.image, &self.image.with_extension("found")]);
    }
}

/// Ends an ext4 file system as a power cut does: its journal is not flushed, and all that is in memory stays there.
fn shut_down(mount: &Path) -> io::Result<()> {
    // From the kernel's ext4.h: _IOR('X', 125, __u32), and the way that flushes nothing.
    const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
    let no_log_flush = 2_u32;
    let directory = fs::File::open(mount)?;
    #[expect(unsafe_code, reason = "the standard library knows nothing of file systems")]
    // SAFETY: the descriptor is open, and the call reads four bytes that outlive it.
    let done = unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const no_log_flush) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run_program("umount", &["-l"], &[&self.mount]);
        let _ = fs::remove_file(&self.image);
    }
}

fn run_program(name: &str, words: &[&str], paths: &[&Path]) -> bool {
    Command::new(name).args(words).args(paths).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
