//! The binary against a second implementation that was written from `docs/PROTOCOL.md` alone: it pairs, is granted, reads, and is revoked.

use std::{path::Path, process::Command};

#[test]
fn a_second_implementation_pairs_reads_and_is_revoked() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/vectors/second.py");
    match Command::new("python3").arg(script).arg(env!("CARGO_BIN_EXE_allod")).output() {
        Ok(output) => {
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            println!("{said}");
            assert!(output.status.success(), "{said}");
        }
        Err(error) => println!("skipped: python3 cannot be run ({error})"),
    }
}
