//! Whole random lives: the runs of `simulate`, a few of them in every run of the tests.

use allod_tests::life::Life;

#[test]
fn a_seed_lives_the_same_life_twice_to_the_last_byte() {
    // One seed of each weather.
    for seed in 0..8 {
        let [one, other] = [(); 2].map(|()| Life::of(seed).live());
        assert!(one.steps > 100 && one.digest != [0; 32], "seed {seed} lives");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn two_seeds_live_two_lives() {
    assert_ne!(Life::of(1).live().digest, Life::of(9).live().digest);
}

/// Each found a fault once: of the engine, or of what was expected of it.
#[test]
fn lives_that_failed_once_do_not_fail_again() {
    for seed in [44, 83, 160, 167, 837, 1_823, 1_911, 2_623, 101_175] {
        Life::of(seed).live();
    }
}
