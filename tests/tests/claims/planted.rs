//! The planted bugs of `tests/planted` are patches of the tree as it is. Whether the suites notice them takes longer: `--bin planted`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn every_planted_bug_fits_the_tree() {
    let root: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project").to_owned();
    if Command::new("git").arg("--version").output().is_err() {
        println!("skipped: git is not installed");
        return;
    }
    // A copy, since `git apply` looks at the repository that it stands in, if it stands in one.
    let copy = tempfile::tempdir().expect("a directory");
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests/planted")).expect("there are patches").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a patch reads");
        for line in ["Claim: ", "Takes out: ", "Suite: "] {
            assert!(text.lines().any(|has| has.starts_with(line)), "{}: no line \"{line}\"", path.display());
        }
        for name in text.lines().filter_map(|line| line.strip_prefix("+++ b/")) {
            let to = copy.path().join(name);
            fs::create_dir_all(to.parent().expect("a file has a parent")).expect("a directory can be made");
            fs::copy(root.join(name), to).expect("the patch names files of the tree");
        }
        let check = Command::new("git").args(["apply", "--check"]).arg(&path).current_dir(copy.path()).output();
        let check = check.expect("git runs");
        assert!(check.status.success(), "{} is stale: {}", path.display(), String::from_utf8_lossy(&check.stderr));
        count += 1;
    }
    println!("{count} planted bugs fit");
    assert!(count >= 40, "{count}");
}
