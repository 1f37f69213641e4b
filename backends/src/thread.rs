//! What std cannot do about threads: lowering the priority of the current one, keeping it off some CPUs, and
//! where it begins to run.

#[cfg(target_os = "linux")]
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
#[cfg(target_os = "linux")]
use nix::unistd::Pid;

/// Nice value of cold threads (0 is normal, 19 the lowest).
const COLD_NICE: i32 = 10;

/// Lowers the scheduling priority of the calling thread, so that on a busy machine the cold side yields to
/// the workers. On Linux a nice value belongs to a thread (sched(7), "the nice value is per-thread");
/// elsewhere nothing happens, as it would lower the whole process.
pub fn lower_thread_priority() {
    #[cfg(target_os = "linux")]
    {
        // JUSTIFICATION: std and safe crates in use have no per-thread priority.
        // SAFETY: setpriority(2) takes three integers and touches no memory of ours; `who` 0 is the calling
        // thread. A refusal leaves the priority as it was, which is only slower, so the result is not needed.
        let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, COLD_NICE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = COLD_NICE;
}

/// Keeps the calling thread, and those it starts from now on, off these CPUs. Where it may run on no other,
/// or cannot be told where to run, nothing changes.
pub fn keep_off_cpus(cpus: &[usize]) {
    #[cfg(target_os = "linux")]
    if let Ok(mut allowed) = sched_getaffinity(THIS_THREAD) {
        for &cpu in cpus {
            // An error says that there is no such CPU.
            let _ = allowed.unset(cpu);
        }
        // An empty set is refused, and then the thread runs where it did, which is as documented.
        let _ = sched_setaffinity(THIS_THREAD, &allowed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cpus;
}

/// Where a thread is to begin, relative to the one that starts it. A scheduler may put a new thread behind
/// the one that started it and take ten milliseconds to find that another CPU idles, which for a small file
/// is a tenth of the run. For threads that end with a run: one that was moved does not take to CPUs that come
/// later.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    #[cfg(target_os = "linux")]
    origin: Option<usize>,
}

impl Start {
    /// Relative to the calling thread.
    pub fn here() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            origin: sched_getcpu().ok(),
        }
    }

    /// Moves the calling thread to the CPU that is `count` behind the origin among those it may run on. It
    /// may run on all of them as before. Where it cannot be told where to run, nothing changes.
    pub fn move_by(self, count: usize) {
        #[cfg(target_os = "linux")]
        if let (Some(origin), Ok(allowed)) = (self.origin, sched_getaffinity(THIS_THREAD))
            && let Some(only) = behind(&allowed, origin, count)
            && sched_setaffinity(THIS_THREAD, &only).is_ok()
        {
            // Where it was allowed to run a moment ago; if a CPU was taken away meanwhile, the kernel knows
            // better.
            let _ = sched_setaffinity(THIS_THREAD, &allowed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = count;
    }
}

/// The CPU that is `count` behind `origin` in this set, round and round.
#[cfg(target_os = "linux")]
fn behind(allowed: &CpuSet, origin: usize, count: usize) -> Option<CpuSet> {
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
    let at = cpus.iter().position(|&cpu| cpu == origin).unwrap_or(0) + count;
    let mut only = CpuSet::new();
    only.set(*cpus.get(at % cpus.len().max(1))?).ok()?;
    Some(only)
}

#[cfg(target_os = "linux")]
const THIS_THREAD: Pid = Pid::from_raw(0);

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

    #[test]
    fn a_thread_begins_elsewhere_and_stays_free() {
        let before = allowed();
        let start = Start::here();
        start.move_by(1);
        assert_eq!(allowed(), before);
        let cpus = sched_getaffinity(THIS_THREAD).unwrap();
        let count = (0..CpuSet::count()).filter(|&cpu| cpus.is_set(cpu).unwrap()).count();
        start.move_by(count);
        assert_eq!(allowed(), before);
    }

    #[test]
    fn cpus_follow_each_other_round_and_round() {
        let set = |cpus: &[usize]| {
            let mut set = CpuSet::new();
            cpus.iter().for_each(|&cpu| set.set(cpu).unwrap());
            set
        };
        let allowed = set(&[1, 4, 6]);
        for (origin, count, expected) in [(1, 0, 1), (1, 1, 4), (4, 1, 6), (6, 1, 1), (4, 7, 6), (3, 1, 4)] {
            assert_eq!(behind(&allowed, origin, count), Some(set(&[expected])), "{count} behind {origin}");
        }
        assert_eq!(behind(&set(&[]), 0, 1), None);
    }
}
