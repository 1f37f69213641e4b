//! The netscope program.
#![forbid(unsafe_code)]

fn main() {}
