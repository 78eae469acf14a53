//! `tests/vectors/check.py`: the same vectors, computed by another program from the document alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the checker over folders of vectors: whether it agreed, and what it said. None where there is no Python, or where the other tests
/// are writing the files.
fn run(folders: &[PathBuf], only: Option<&str>) -> Option<(bool, String)> {
    if std::env::var_os("ALLOD_WRITE_VECTORS").is_some() {
        println!("skipped: the vectors are being written");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/vectors/check.py"));
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    match command.args(folders).output() {
        Ok(output) => {
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            Some((output.status.success(), said))
        }
        Err(error) => {
            println!("skipped: python3 cannot be run ({error})");
            None
        }
    }
}

fn folders() -> Vec<PathBuf> {
    ["crypto/vectors", "protocol/vectors"].map(|folder| repository().join(folder)).to_vec()
}

#[test]
fn another_program_computes_every_vector_from_the_document() {
    let Some((agrees, said)) = run(&folders(), None) else { return };
    println!("{said}");
    assert!(agrees, "{said}");
}

/// A digit in the first longer run of hexadecimal, which is never part of what is broken on purpose: that comes last in each file.
fn with_one_digit_changed(text: &str) -> String {
    let is_long =
        |part: &&str| part.len() >= 64 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let run = text.split('"').find(is_long).unwrap();
    let place = text.find(run).unwrap() + run.len() / 2;
    let digit = if &text[place..=place] == "0" { "1" } else { "0" };
    [&text[..place], digit, &text[place + 1..]].concat()
}

#[test]
fn another_program_sees_one_changed_digit_in_any_file() {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("changed-vectors-{}", std::process::id()));
    let mut files = 0;
    for folder in folders() {
        let copy = copies.join(folder.strip_prefix(repository()).unwrap());
        fs::create_dir_all(&copy).unwrap();
        let is_vector = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "json");
        let all = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).filter(is_vector);
        let all: Vec<(String, String)> = all
            .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&file).unwrap()))
            .collect();
        for (name, text) in &all {
            fs::write(copy.join(name), text).unwrap();
        }
        for (name, text) in &all {
            fs::write(copy.join(name), with_one_digit_changed(text)).unwrap();
            let Some((agrees, said)) = run(std::slice::from_ref(&copy), Some(name)) else { return };
            fs::write(copy.join(name), text).unwrap();
            assert!(!agrees && said.contains(&format!("{name}: DIFFERS")), "{name}: not seen\n{said}");
            files += 1;
        }
        let Some((agrees, said)) = run(std::slice::from_ref(&copy), None) else { return };
        assert!(agrees, "put back, they agree again\n{said}");
    }
    fs::remove_dir_all(&copies).unwrap();
    assert!(files >= 16, "{files} files");
}
