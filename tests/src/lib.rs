//! Allod from outside: the real binary under faults.

pub mod real;
