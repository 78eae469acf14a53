//! One test and more for each claim of the design, each of which fails when the defence is taken out (`tests/planted`).

mod claims {
    mod c01_granted_and_no_more;
    mod c04_nothing_after_a_revocation;
    mod c06_acknowledged_revocations_stay;
    mod c07_never_back;
    mod c14_removed_and_rotated;
}
