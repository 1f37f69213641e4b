//! What std cannot do about threads: lowering the priority of the current one, and keeping it off some CPUs.

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

/// Keeps the calling thread, and those it starts from now on, off these CPUs. Where it may run on no other, or cannot be told where to
/// run, nothing changes.
pub fn keep_off_cpus(cpus: &[usize]) {
    #[cfg(target_os = "linux")]
    {
        // JUSTIFICATION: std has no affinity, and the safe crate in use sets one CPU only.
        // SAFETY: a cpu_set_t is an array of bits, for which 0 is a value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // JUSTIFICATION: as above.
        // SAFETY: the set is live and of the size given; the kernel writes no more. Thread 0 is the calling one.
        if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
            return;
        }
        for &cpu in cpus.iter().filter(|&&cpu| cpu < 8 * size_of::<libc::cpu_set_t>()) {
            // JUSTIFICATION: as above.
            // SAFETY: the bit lies within the set.
            unsafe { libc::CPU_CLR(cpu, &mut set) };
        }
        // JUSTIFICATION: as above.
        // SAFETY: the set is only read. An empty one is refused, and then the thread runs where it did, which is as documented.
        let _ = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cpus;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// CPUs the calling thread may run on, as the kernel lists them.
    fn allowed() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned()
    }

    #[test]
    fn a_thread_is_kept_off_some_cpus_but_never_off_all() {
        let before = allowed();
        keep_off_cpus(&[100_000]);
        assert_eq!(allowed(), before);
        keep_off_cpus(&(0..1024).collect::<Vec<_>>());
        assert_eq!(allowed(), before, "there is no other CPU");
        if std::thread::available_parallelism().unwrap().get() > 1 && before.starts_with('0') {
            keep_off_cpus(&[0]);
            assert!(!allowed().starts_with('0'), "{}", allowed());
        }
    }
}
