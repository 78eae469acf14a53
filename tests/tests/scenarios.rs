//! Whole stories, in whole sentences, against whole nodes.

mod scenarios {
    mod alike;
    mod asking;
    mod corpus;
    mod crashing;
    mod going_on;
    mod hostile;
    mod keeping;
    mod lending;
    mod lines;
    mod lives;
    mod lying;
    mod overstepping;
    mod pairing;
    mod promises;
    mod put_back;
    mod reading;
    mod removing;
    mod restoring;
    mod revoking;
    mod sizes;
}
