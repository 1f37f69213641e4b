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

/// Ethernet, IPv4, UDP from port 53 to port 1000.
pub fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0, 53, 3, 0xe8, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame.resize(64, 0);
    frame
}
