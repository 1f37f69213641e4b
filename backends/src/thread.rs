//! The one thing about threads that std cannot do: lowering the priority of the current one.

/// Nice value of cold threads (0 is normal, 19 the lowest).
const COLD_NICE: i32 = 10;

/// Lowers the scheduling priority of the calling thread, so that on a busy machine the cold side yields to the workers.
/// On Linux a nice value belongs to a thread (sched(7), "the nice value is per-thread"); elsewhere nothing happens, as it
/// would lower the whole process.
pub fn lower_thread_priority() {
    #[cfg(target_os = "linux")]
    {
        // JUSTIFICATION: std and safe crates in use have no per-thread priority.
        // SAFETY: setpriority(2) takes three integers and touches no memory of ours; `who` 0 is the calling thread.
        // A refusal leaves the priority as it was, which is only slower, so the result is not needed.
        let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, COLD_NICE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = COLD_NICE;
}
