//! Processor time of threads in nanoseconds, and how long they waited for a processor: proc(5)'s `schedstat`.
//!
//! Owns the reading of it. Knows no program. Its one invariant: values only grow as long as the threads live.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Time on a processor and time ready to run without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTime {
    /// On a processor.
    pub ran: Duration,
    /// Waiting for one.
    pub waited: Duration,
}

impl RunTime {
    /// Of the calling thread.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn of_this_thread() -> Result<Self, String> {
        Self::read(Path::new("/proc/thread-self/schedstat"))
    }

    /// Of all living threads of a process together; `waited` is that of the thread that ran most, as the
    /// others may wait for each other.
    ///
    /// # Errors
    /// When the process is gone, or the kernel does not tell.
    pub fn of_process(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/task");
        let tasks = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        let mut all = Self::default();
        let mut busiest = Self::default();
        for task in tasks.flatten() {
            // A thread may end between listing and reading; its time is lost to the sum.
            let Ok(time) = Self::read(&task.path().join("schedstat")) else { continue };
            all.ran += time.ran;
            if time.ran >= busiest.ran {
                busiest = time;
            }
        }
        Ok(Self { waited: busiest.waited, ..all })
    }

    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).ok_or_else(|| format!("{} says {text:?}", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos).ok());
        Some(Self { ran: words.next()??, waited: words.next()?? })
    }

    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self { ran: self.ran.saturating_sub(earlier.ran), waited: self.waited.saturating_sub(earlier.waited) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        let time = RunTime { ran: Duration::from_nanos(5), waited: Duration::from_nanos(7) };
        assert_eq!(RunTime::parse("5 7 9\n"), Some(time));
        assert_eq!(RunTime::parse("5"), None);
        assert!(RunTime::of_process(std::process::id()).unwrap().ran >= RunTime::of_this_thread().unwrap().ran / 2);
    }
}
