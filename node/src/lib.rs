//! placeholder

pub mod qr;
