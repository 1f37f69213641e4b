//! What is said on standard error: one line per message, the cause chain in it, the progress bar out of the way.
//!
//! Owns the bar and the watch over silence. Its one invariant: nothing but the bar is ever drawn over.

use netscope::aggregate::OutputFailure;
use netscope::config::Verbosity;
use netscope::engine::{Progress, Stop};
use netscope::output::{self, is_broken_pipe};
use netscope::session::Watcher;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Speaks while a run goes on.
pub struct Reporter {
    verbosity: Verbosity,
    stop: Stop,
    bar: Mutex<Option<output::ProgressDisplay>>,
    silence: Option<Mutex<SilenceWatch>>,
}

/// What a run reads.
pub enum Watched {
    /// Files, with a progress bar if standard error is a terminal and nothing else is in its way.
    File {
        /// Nothing is.
        bar: bool,
    },
    /// A wire.
    Wire {
        /// Silence of this length is told; `None` = none is.
        silence: Option<Duration>,
    },
}

/// Tells of a wire on which nothing arrives: after the time that was set, and each time when that has doubled.
struct SilenceWatch {
    first: Duration,
    packets: u64,
    /// When the last packet was seen, or the capture began.
    since: Instant,
    /// Silence that is told next.
    next: Duration,
}

impl SilenceWatch {
    fn new(first: Duration) -> Self {
        Self { first, packets: 0, since: Instant::now(), next: first }
    }

    /// `packets` have arrived by `now`; what is to be told.
    fn look(&mut self, packets: u64, now: Instant) -> Option<String> {
        let silence = now.saturating_duration_since(self.since);
        if packets != self.packets {
            let was_told = self.next > self.first;
            (self.packets, self.since, self.next) = (packets, now, self.first);
            return was_told.then(|| format!("packets arrive again, after {} s without any", silence.as_secs()));
        }
        if silence < self.next {
            return None;
        }
        self.next = self.next.saturating_mul(2);
        let whole = if packets == 0 { "no packet has arrived yet" } else { "no packet has arrived" };
        Some(format!("{whole} for {} s; the capture goes on", silence.as_secs()))
    }
}

impl Reporter {
    /// A reporter of a run.
    pub fn new(watched: Watched, verbosity: Verbosity, stop: Stop) -> Self {
        let (bar, silence) = match watched {
            Watched::File { bar } => (if bar { output::show_progress() } else { None }, None),
            Watched::Wire { silence } => (None, silence.map(|first| Mutex::new(SilenceWatch::new(first)))),
        };
        Self { verbosity, stop, bar: Mutex::new(bar), silence }
    }

    /// True when messages of this kind are wanted.
    pub fn is_at_least(&self, verbosity: Verbosity) -> bool {
        self.verbosity >= verbosity
    }

    /// Something the user should know.
    pub fn warn(&self, text: &str) {
        self.say(&format!("netscope: {text}"));
    }

    /// Something for `-v`.
    pub fn info(&self, text: &str) {
        if self.is_at_least(Verbosity::Info) {
            self.say(&format!("netscope: {text}"));
        }
    }

    /// Takes the progress bar away.
    pub fn clear_progress(&self) {
        if let Some(bar) = self.bar().take() {
            bar.clear();
        }
    }

    fn say(&self, line: &str) {
        match self.bar().as_ref() {
            Some(bar) => bar.print(line),
            None => write_line(line),
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<output::ProgressDisplay>> {
        // A thread that panicked while drawing leaves a bar that is at worst half drawn.
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Reporter {
    fn notice(&self, text: &str) {
        self.warn(text);
    }

    fn failed(&self, failure: &OutputFailure) {
        if is_broken_pipe(&failure.source) && !failure.goes_on {
            // The reader is gone: end without a message.
            self.stop.request();
        } else {
            self.warn(&chain(failure));
        }
    }

    fn progress(&self, progress: &Progress) {
        if let Some(bar) = self.bar().as_mut() {
            bar.update(progress.position(), progress.packets());
        }
        let silence = self.silence.as_ref().map(|silence| silence.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(text) = silence.and_then(|mut silence| silence.look(progress.packets(), Instant::now())) {
            self.warn(&text);
        }
    }

    fn ending(&self) {
        self.clear_progress();
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

/// A line on standard error. Where that is closed or full nobody can be told, and the run is not to suffer from it.
pub fn write_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text on standard error as it is; as [`write_line`].
pub fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Tells an error and gives the exit code for it.
pub fn failed(error: &dyn Error) -> ExitCode {
    write_line(&format!("netscope: {}", chain(error)));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_less_and_less_often_and_its_end_once() {
        let mut watch = SilenceWatch::new(Duration::from_secs(60));
        let times = [0, 59, 60, 119, 120, 239, 240].map(|seconds| at_later(&watch, seconds));
        let told = times.map(|now| watch.look(0, now));
        assert_eq!(told.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false, true, false, true]);
        assert!(told[2].as_deref().is_some_and(|text| text.contains("yet for 60 s")), "{told:?}");
        let again = watch.look(1, at_later(&watch, 300));
        assert!(again.as_deref().is_some_and(|text| text.contains("after 300 s")), "{again:?}");
        // Packets now and then are no silence.
        for packets in 2..5 {
            assert_eq!(watch.look(packets, at_later(&watch, 59)), None);
        }
        let told = watch.look(4, at_later(&watch, 60));
        assert!(told.as_deref().is_some_and(|text| !text.contains("yet")), "{told:?}");
    }

    fn at_later(watch: &SilenceWatch, seconds: u64) -> Instant {
        watch.since.checked_add(Duration::from_secs(seconds)).expect("a near time")
    }
}
