//! What tests that need a kernel have in common.

/// True for root; says why a test is left out otherwise. In CI nothing is left out.
pub fn has_root() -> bool {
    // JUSTIFICATION: std does not tell who we are.
    // SAFETY: geteuid takes nothing, changes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "tests of BPF in the kernel need root");
        eprintln!("skipped: loading BPF programs needs root");
    }
    is_root
}
