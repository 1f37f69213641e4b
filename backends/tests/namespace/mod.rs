//! A network namespace of a thread's own, gone with the thread.

use std::process::Command;

/// Runs `work` on a thread inside a new namespace with the pair veth0 - veth1, both up, without addresses and
/// without IPv6.
#[track_caller]
pub fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let in_namespace = move || {
        // JUSTIFICATION: neither std nor a command can move this thread.
        // SAFETY: unshare takes no pointer; a new network namespace changes what this thread's later calls
        // see, nothing in memory.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
        sh("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
        sh("ip link set dev lo up && ip link add veth0 numrxqueues 2 type veth peer name veth1 numtxqueues 2");
        sh("ip link set dev veth0 up && ip link set dev veth1 up");
        work()
    };
    std::thread::scope(|scope| scope.spawn(in_namespace).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Runs a command in the thread's namespace; panics when it fails.
#[track_caller]
pub fn sh(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().expect("there is a shell");
    assert!(status.success(), "{command}: {status}");
}

/// The kernel's number of an interface of the thread's namespace.
pub fn ifindex(interface: &str) -> u32 {
    let name = std::ffi::CString::new(interface).expect("no zero in it");
    // JUSTIFICATION: std does not know interfaces, and sysfs shows those of the namespace it was mounted in.
    // SAFETY: the name is a valid string that outlives the call.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}
