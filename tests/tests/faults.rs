//! The short forms of all faults, as every check of a change runs them.
//!
//! Each is done by the program `faults` on the release binary; what it prints stands in the test's output. What takes root, a tracer or a
//! false clock says so and is left out where that is missing; with `ALLOD_FAULTS_STRICT` set that fails.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// Runs one family in a directory of its own.
fn faults(family: &str) -> Output {
    let dir = tempfile::Builder::new().prefix("allod-f-").tempdir().expect("a directory can be made");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_faults"));
    let output = Command::new(&program)
        .args(std::env::var_os("ALLOD_FAULTS_STRICT").map(|_| "--strict"))
        .arg("--dir")
        .arg(dir.path())
        .arg("--exe")
        .arg(allod_tests::process::binary())
        .arg(family)
        .output()
        .expect("the program runs");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        println!("the homes are kept in {}", dir.keep().display());
    }
    output
}

fn finds_nothing(family: &str) {
    let output = faults(family);
    assert!(output.status.success(), "{family}: see what was found above");
    let said = String::from_utf8_lossy(&output.stdout);
    let ran = said.contains(&format!("{family}: 0 findings"));
    assert!(ran || said.contains(&format!("{family}: left out: ")), "{family} was not run, and nothing is said of it");
}

#[test]
fn a_node_killed_at_any_moment_has_whatever_it_acknowledged() {
    finds_nothing("kill");
}

#[test]
fn a_node_whose_disk_fails_says_so_ends_and_has_lost_nothing() {
    finds_nothing("disk");
}

#[test]
fn after_a_power_cut_a_node_has_whatever_it_acknowledged() {
    finds_nothing("power");
}

#[test]
fn damage_is_said_in_plain_words_or_did_no_harm() {
    finds_nothing("damage");
}

#[test]
fn a_clock_that_jumps_by_years_brings_nothing_back() {
    finds_nothing("clock");
}

#[test]
fn an_honest_pair_goes_on_while_a_node_is_attacked() {
    finds_nothing("hostile");
}

#[test]
fn bad_networks_deliver_everything_once() {
    finds_nothing("network");
}

#[test]
fn what_a_relay_changes_and_says_again_is_never_taken_in() {
    finds_nothing("relay");
}

#[test]
fn of_a_crowd_with_one_invitation_one_begins() {
    finds_nothing("scanners");
}

#[test]
fn a_flood_of_hints_costs_no_memory_and_leads_to_nothing() {
    finds_nothing("hints");
}

#[test]
fn an_unknown_family_is_a_usage_error() {
    assert_eq!(faults("earthquake").status.code(), Some(2));
}
