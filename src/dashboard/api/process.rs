//! What this process takes: memory and processor time.
//!
//! Owns the reading. Knows no page. `None` where the system does not say it.

use std::time::{Duration, Instant};

/// Bytes of memory that are resident: from `/proc/self/statm` (proc_pid_statm(5)) on Linux.
#[cfg(target_os = "linux")]
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(page).ok()?)
}

/// The same where there is no such file.
#[cfg(not(target_os = "linux"))]
pub fn resident_bytes() -> Option<u64> {
    None
}

/// Processor time of all threads since the start (getrusage(2)).
pub fn processor_time() -> Option<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(us).ok().map(Duration::from_micros)
}

/// Tells shares of one core between two moments.
#[derive(Debug)]
pub struct ProcessorShare {
    time: Instant,
    used: Option<Duration>,
}

impl ProcessorShare {
    /// From now on.
    pub fn new() -> Self {
        Self { time: Instant::now(), used: processor_time() }
    }

    /// Of one core, since the call before; above 1 where several cores were used.
    pub fn next(&mut self) -> Option<f64> {
        let (before, now) = (std::mem::replace(&mut self.time, Instant::now()), processor_time());
        let used = now?.checked_sub(std::mem::replace(&mut self.used, now)?)?;
        let past = self.time.duration_since(before).as_secs_f64();
        (past > 0.0).then(|| (used.as_secs_f64() / past * 1e3).round() / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_something() {
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
        }
        let mut share = ProcessorShare::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(20) {}
        assert!(share.next().is_some_and(|share| share > 0.0));
    }
}
