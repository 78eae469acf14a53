//! One test and more for each claim of the design, each of which fails when the defence is taken out (`tests/planted`).

mod claims {
    mod binary;
    mod c01_granted_and_no_more;
    mod c02_sealed_for_one_key;
    mod c03_never_elsewhere;
    mod c04_nothing_after_a_revocation;
    mod c05_others_untouched;
    mod c06_acknowledged_revocations_stay;
    mod c07_never_back;
    mod c08_once;
    mod c09_no_misbinding;
    mod c11_one_form;
    mod c12_nothing_in_common;
    mod c13_no_plaintext_anywhere;
    mod c14_removed_and_rotated;
    mod c15_junk_hints;
    mod measured;
    mod planted;
}
