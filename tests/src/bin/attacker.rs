//! `attacker HOME`: opens what can be opened of a whole home directory, old bytes in the store's files included.
//!
//! ```text
//! attacker HOME [--passphrase-file FILE | --phrase-file FILE] [--older HOME]… [--traffic FILE]… [--name kind/id/field]… [--find TEXT]…
//! ```
//! It has the vault opened, every file, the homes and so all keys that the node ever held (`--older`), and recorded traffic; it calls none
//! of the node's policy. It prints what opened: kinds of rows, values with their places, and what old bytes still hold. With `--find` it
//! ends with 1 if one of the texts is found, so that a script can ask. The homes must not be in use.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use allod_protocol::{codec::Coded, wire::body::CellContent};
use allod_tests::attacker::{Loot, Way, carve, holds, loot_home};

struct Wanted {
    home: PathBuf,
    way: Way,
    older: Vec<PathBuf>,
    traffic: Vec<PathBuf>,
    names: Vec<String>,
    find: Vec<String>,
}

fn wanted() -> Result<Wanted, String> {
    let mut wanted = Wanted {
        home: PathBuf::new(),
        way: Way::Nothing,
        older: Vec::new(),
        traffic: Vec::new(),
        names: Vec::new(),
        find: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let secret =
            |path: String| fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|e| e.to_string());
        match word.as_str() {
            "--passphrase-file" => wanted.way = Way::Passphrase(secret(value()?)?),
            "--phrase-file" => wanted.way = Way::Phrase(secret(value()?)?),
            "--older" => wanted.older.push(value()?.into()),
            "--traffic" => wanted.traffic.push(value()?.into()),
            "--name" => wanted.names.push(value()?),
            "--find" => wanted.find.push(value()?),
            flag if flag.starts_with("--") => return Err(format!("{flag} is none of its flags")),
            home if wanted.home.as_os_str().is_empty() => wanted.home = home.into(),
            other => return Err(format!("one home at a time; {other} is a second one")),
        }
    }
    if wanted.home.as_os_str().is_empty() { Err("which home?".to_owned()) } else { Ok(wanted) }
}

fn attack(wanted: &Wanted) -> Result<bool, String> {
    let (mut loot, mut files) = loot_home(&wanted.home, &wanted.way).map_err(|error| error.to_string())?;
    for older in &wanted.older {
        let (Loot { rows, vaults, .. }, old_files) =
            loot_home(older, &wanted.way).map_err(|error| format!("{}: {error}", older.display()))?;
        loot.rows.extend(rows);
        loot.vaults.extend(vaults);
        files.extend(old_files);
    }
    for traffic in &wanted.traffic {
        files.push(fs::read(traffic).map_err(|error| format!("{}: {error}", traffic.display()))?);
    }
    let bytes: usize = files.iter().map(Vec::len).sum();
    let mut tables: BTreeMap<char, usize> = BTreeMap::new();
    for (key, _) in &loot.rows {
        *tables.entry(key.first().map_or('?', |byte| char::from(*byte))).or_default() += 1;
    }
    println!("{} files, {bytes} bytes, {} vaults opened", files.len(), loot.vaults.len());
    println!("rows by table: {tables:?}");
    let (carved, spoils) = carve(&mut loot, &files, &wanted.names);
    println!("old bytes: {carved:?}");
    println!(
        "{} plaintexts, {} rows of field keys, {} sealed values, {} of them opened with {} keys in {} tries",
        spoils.plaintexts.len(),
        spoils.key_rows,
        spoils.sealed_values(),
        spoils.cells.len(),
        spoils.keys.len(),
        spoils.tries
    );
    for (cell, plain) in &spoils.cells {
        let value = CellContent::decode(plain).map_or_else(|_| "?".to_owned(), |content| content.value.to_string());
        println!("  {} {} version {}: {value}", cell.grant, cell.selector, cell.version);
    }
    let mut any = false;
    for text in &wanted.find {
        let (opened, plain) = (spoils.knows(text), files.iter().any(|file| holds(file, text.as_bytes())));
        println!(
            "{text}: {}",
            if plain {
                "in the files as it is"
            } else if opened {
                "opened"
            } else {
                "not found"
            }
        );
        any |= opened || plain;
    }
    Ok(any)
}

fn main() -> ExitCode {
    match wanted().and_then(|wanted| attack(&wanted)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(1),
        Err(why) => {
            eprintln!("attacker: {why}");
            ExitCode::from(2)
        }
    }
}
