//! Every input that a fuzzer kept is read again, in every run of the tests.

use std::{collections::BTreeSet, fs, path::Path};

use allod_tests::fuzz::TARGETS;

#[test]
fn what_fuzzers_found_stays_mended() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let kept: BTreeSet<_> =
        fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let named: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(kept, named, "a corpus for every target, and no other");
    for (name, target) in TARGETS {
        let mut inputs: Vec<_> = fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no input");
        target(&[]);
        for input in inputs {
            println!("{}", input.display());
            target(&fs::read(&input).unwrap());
        }
    }
}
