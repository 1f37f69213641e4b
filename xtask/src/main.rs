//! The commands of newcomers and of CI.
fn main() {}
