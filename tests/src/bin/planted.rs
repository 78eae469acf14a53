//! `planted [NAME…]`: takes out one defence after the other, in a copy of the tree, and tells which suite noticed.
//!
//! ```text
//! planted                 all patches of tests/planted
//! planted c04 forgotten   those whose names begin or contain so
//! planted --check         only whether each patch fits the tree
//! planted --baseline      also that each suite passes with nothing taken out, first
//! ```
//! Each patch begins with lines `Claim: …`, `Takes out: …` and `Suite: …`, the words that follow `cargo test --release`. The copy shares
//! the target directory, so that what no patch touches is not built again, and is put back after each patch; build nothing else there
//! meanwhile, or a suite may run without its patch. A patch counts as caught when
//! its suite was built and a test failed, or did not end in time. A patch that does not fit or build is an error, and so is one that
//! nobody noticed: then it ends with 1.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Longer than any suite runs, several times over.
const SUITE_WITHIN: Duration = Duration::from_secs(900);

struct Patch {
    name: String,
    path: PathBuf,
    claim: String,
    takes_out: String,
    suite: Vec<String>,
    files: Vec<PathBuf>,
}

impl Patch {
    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let line = |name: &str| {
            let found =
                text.lines().take_while(|line| !line.starts_with("--- ")).find_map(|line| line.strip_prefix(name));
            found.map(|rest| rest.trim().to_owned()).ok_or_else(|| format!("{}: no line \"{name}\"", path.display()))
        };
        let files = text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
        Ok(Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_owned(),
            claim: line("Claim:")?,
            takes_out: line("Takes out:")?,
            suite: line("Suite:")?.split_whitespace().map(str::to_owned).collect(),
            files,
        })
    }
}

/// What came of one suite.
enum Came {
    Passed,
    Failed(Vec<String>),
    Hung,
    NotBuilt(String),
}

struct Ground {
    root: PathBuf,
    tree: PathBuf,
}

impl Ground {
    /// A copy of what belongs to the project, outside of it: `git apply` looks for the repository that it stands in.
    fn prepare() -> Result<Self, String> {
        let root = Command::new("git").args(["rev-parse", "--show-toplevel"]).output();
        let root = root.map_err(|error| format!("git: {error}"))?;
        if !root.status.success() {
            return Err("this is no repository: go into the project's directory".to_owned());
        }
        let root = PathBuf::from(String::from_utf8_lossy(&root.stdout).trim_end());
        let mark = root.to_string_lossy().bytes().fold(5_381u32, |mark, byte| mark.wrapping_mul(33) ^ u32::from(byte));
        let tree = std::env::temp_dir().join(format!("allod-planted-{mark:08x}"));
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(&root)
            .output()
            .map_err(|error| format!("git: {error}"))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names: BTreeSet<&str> = listed.split('\0').filter(|name| !name.is_empty()).collect();
        let ground = Self { root, tree };
        for name in &names {
            ground.put_back(Path::new(name))?;
        }
        for stale in ground.files_of(&ground.tree)?.iter().filter(|path| !names.contains(path.to_str().unwrap_or(""))) {
            fs::remove_file(ground.tree.join(stale)).map_err(|error| error.to_string())?;
        }
        Ok(ground)
    }

    /// Paths relative to the tree.
    fn files_of(&self, directory: &Path) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| error.to_string())?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                files.extend(self.files_of(&path)?);
            } else if let Ok(path) = path.strip_prefix(&self.tree) {
                files.push(path.to_owned());
            }
        }
        Ok(files)
    }

    /// One file as it is in the project. What is the same is not touched, so that it is not built again.
    fn put_back(&self, name: &Path) -> Result<(), String> {
        let (from, to) = (self.root.join(name), self.tree.join(name));
        let Ok(bytes) = fs::read(&from) else { return Ok(()) };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().unwrap_or(&self.tree))
            .and_then(|()| fs::write(&to, bytes))
            .map_err(|error| format!("{}: {error}", to.display()))
    }

    fn apply(&self, patch: &Patch, check_only: bool) -> Result<(), String> {
        let mut command = Command::new("git");
        command.args(["apply", "--whitespace=nowarn"]).args(check_only.then_some("--check")).arg(&patch.path);
        let done = command.current_dir(&self.tree).output().map_err(|error| format!("git: {error}"))?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
    }

    fn run(&self, suite: &[String]) -> Result<Came, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        let cargo = |words: &[&str]| {
            let mut command = allod_tests::process::cargo();
            command.args(["test", "--release"]).args(words).args(suite).current_dir(&self.tree);
            command.env("CARGO_TARGET_DIR", &target).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
            command
        };
        let built = cargo(&["--no-run", "--quiet"]).output().map_err(|error| format!("cargo: {error}"))?;
        if !built.status.success() {
            let said = String::from_utf8_lossy(&built.stderr);
            let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).take(3).collect();
            return Ok(Came::NotBuilt(errors.join("; ")));
        }
        let mut child = cargo(&["--no-fail-fast"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cargo: {error}"))?;
        let mut out = child.stdout.take().expect("its output is piped");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        let end = Instant::now() + SUITE_WITHIN;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Came::Hung);
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let text = reader.join().unwrap_or_default();
        let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        let failed: Vec<String> = failed.map(str::to_owned).collect();
        match (status.success(), failed.is_empty()) {
            (true, _) if !text.contains("test result: ok") => Err("the suite ran no test".to_owned()),
            (true, _) if !text.lines().any(|line| line.starts_with("test ") && line.ends_with("... ok")) => {
                Err("the suite ran no test".to_owned())
            }
            (true, _) => Ok(Came::Passed),
            (false, false) => Ok(Came::Failed(failed)),
            (false, true) => Ok(Came::Failed(vec!["the suite itself ended".to_owned()])),
        }
    }
}

/// The last part of a test's name says it.
fn short(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn all_patches(ground: &Ground, wanted: &[String]) -> Result<Vec<Patch>, String> {
    let directory = ground.root.join("tests/planted");
    let mut paths: Vec<PathBuf> = fs::read_dir(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    paths.sort();
    let patches = paths.iter().map(|path| Patch::read(path)).collect::<Result<Vec<_>, _>>()?;
    let is_wanted = |patch: &Patch| wanted.is_empty() || wanted.iter().any(|word| patch.name.contains(word.as_str()));
    Ok(patches.into_iter().filter(is_wanted).collect())
}

fn work() -> Result<bool, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (flags, names): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.starts_with("--"));
    if let Some(flag) = flags.iter().find(|flag| !["--check", "--baseline"].contains(&flag.as_str())) {
        return Err(format!("{flag} is none of its flags: --check, --baseline"));
    }
    let ground = Ground::prepare()?;
    let patches = all_patches(&ground, &names)?;
    for patch in &patches {
        ground.apply(patch, true).map_err(|why| format!("{} does not fit: {why}", patch.name))?;
    }
    println!("{} patches, all fit", patches.len());
    if flags.iter().any(|flag| flag == "--check") {
        return Ok(true);
    }
    if flags.iter().any(|flag| flag == "--baseline") {
        let suites: BTreeSet<&Vec<String>> = patches.iter().map(|patch| &patch.suite).collect();
        for suite in suites {
            match ground.run(suite)? {
                Came::Passed => println!("passes with nothing taken out: {}", suite.join(" ")),
                Came::Failed(tests) => return Err(format!("{} fails by itself: {tests:?}", suite.join(" "))),
                Came::Hung => return Err(format!("{} does not end", suite.join(" "))),
                Came::NotBuilt(why) => return Err(format!("{} is not built: {why}", suite.join(" "))),
            }
        }
    }
    let (mut caught, began) = (0, Instant::now());
    for patch in &patches {
        ground.apply(patch, false)?;
        let came = ground.run(&patch.suite);
        for file in &patch.files {
            ground.put_back(file)?;
        }
        let outcome = match came.map_err(|why| format!("{}: {why}", patch.name))? {
            Came::Passed => "NOT CAUGHT".to_owned(),
            Came::NotBuilt(why) => format!("DOES NOT BUILD: {why}"),
            Came::Hung => {
                caught += 1;
                "caught: the suite does not end".to_owned()
            }
            Came::Failed(tests) => {
                caught += 1;
                let more = if tests.len() > 3 { format!(" and {} more", tests.len() - 3) } else { String::new() };
                let tests: Vec<&str> = tests.iter().take(3).map(|test| short(test)).collect();
                format!("caught by {}{more}", tests.join(", "))
            }
        };
        println!("{:<44} {}: {}\n{:>46}{outcome}", patch.name, patch.claim, patch.takes_out, "");
    }
    println!("{caught} of {} caught, in {} s", patches.len(), began.elapsed().as_secs());
    // The binary that the copy may have built stands where the project's own belongs.
    let _ = allod_tests::process::cargo()
        .args(["build", "--release", "--bin", "allod", "--quiet"])
        .current_dir(&ground.root)
        .status();
    Ok(caught == patches.len())
}

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("planted: {why}");
            ExitCode::from(2)
        }
    }
}
