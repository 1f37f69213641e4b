//! What is said on standard error: one line per message, the cause chain in it, the progress bar out of the way.

use netscope::aggregate::OutputFailure;
use netscope::config::Verbosity;
use netscope::engine::{Progress, Stop};
use netscope::output::{self, is_broken_pipe};
use netscope::session::Watcher;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Speaks while a run goes on.
pub struct Reporter {
    verbosity: Verbosity,
    stop: Stop,
    bar: Mutex<Option<output::ProgressDisplay>>,
}

impl Reporter {
    /// A reporter; with a progress bar if `is_file` and standard error is a terminal.
    pub fn new(is_file: bool, verbosity: Verbosity, stop: Stop) -> Self {
        let bar = if is_file { output::show_progress() } else { None };
        Self { verbosity, stop, bar: Mutex::new(bar) }
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
