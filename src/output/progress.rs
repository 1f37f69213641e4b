//! How far the reading of a file has come, on a terminal's standard error.
//!
//! Owns the bar. Knows no file and no clock but the bar's own. Invariants: nothing is drawn when standard error is no terminal, and what
//! is drawn is one line, whatever the terminal's width.

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use netscope_backends::Position;
use nix::sys::stat::{SFlag, fstat};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Redraws per second at most.
const REDRAWS_PER_SEC: u8 = 10;
/// Width where the terminal does not tell.
const COLUMNS_DEFAULT: usize = 80;
/// What a bar has besides its message, and some free columns.
const OTHER_COLUMNS: usize = 38;
const SPIN: Duration = Duration::from_millis(200);

/// A bar (bytes done and in all, packets per second, time left), or a spinner when the length is unknown.
#[derive(Debug)]
pub struct ProgressDisplay {
    bar: ProgressBar,
    total: u64,
}

/// A display on standard error, or `None` when that is no terminal of ours, or somebody else may write to it.
pub fn show_progress() -> Option<ProgressDisplay> {
    let is_seen = io::stderr().is_terminal() && is_in_foreground() && !goes_to_a_program();
    is_seen.then(|| ProgressDisplay::on(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SEC)))
}

/// False in the background of a shell, whose lines a bar would draw over. A terminal that does not control us (ENOTTY) has no such shell.
fn is_in_foreground() -> bool {
    nix::unistd::tcgetpgrp(io::stderr()).map_or(true, |foreground| foreground == nix::unistd::getpgrp())
}

/// True when standard output is a pipe: whoever reads it may write to the same terminal.
fn goes_to_a_program() -> bool {
    let kind = fstat(io::stdout()).map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT);
    kind.is_ok_and(|kind| matches!(kind, SFlag::S_IFIFO | SFlag::S_IFSOCK))
}

impl ProgressDisplay {
    fn on(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target).with_style(spinner());
        bar.enable_steady_tick(SPIN);
        Self { bar, total: 0 }
    }

    /// Shows the position and the packets so far. Cheap: it may be called every millisecond.
    pub fn update(&mut self, position: Position, packets: u64) {
        if position.bytes_total != self.total {
            self.total = position.bytes_total;
            if self.total > 0 {
                self.bar.set_length(self.total);
                self.bar.set_style(bar());
            }
        }
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { packets as f64 / seconds } else { 0.0 };
        let bytes = HumanBytes(position.bytes_read);
        let bytes = if self.total > 0 { format!("{bytes}/{}", HumanBytes(self.total)) } else { bytes.to_string() };
        let text = format!("{packets} packets, {rate:.0}/s, {bytes}");
        // Never to the last column: what a terminal echoes there (^C) would begin a new line.
        let room = terminal_size::terminal_size_of(io::stderr()).map_or(COLUMNS_DEFAULT, |(width, _)| usize::from(width.0));
        self.bar.set_message(text.chars().take(room.saturating_sub(OTHER_COLUMNS)).collect::<String>());
        self.bar.set_position(position.bytes_read);
    }

    /// Prints a line above the bar.
    pub fn print(&self, line: &str) {
        self.bar.println(line);
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn bar() -> ProgressStyle {
    style("{percent:>3} % {bar:16} {eta:>4} left, {msg}")
}

fn spinner() -> ProgressStyle {
    style("{spinner} {elapsed:>4}, {msg}")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants and a test reads each; a default bar is better than none.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};

    fn drawn(position: Position) -> String {
        let terminal = InMemoryTerm::new(4, 100);
        let mut progress = ProgressDisplay::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        progress.update(position, 1234);
        progress.bar.force_draw();
        let text = terminal.contents();
        progress.clear();
        assert_eq!(terminal.contents(), "");
        assert!(terminal.width() > 0);
        text
    }

    #[test]
    fn a_known_length_is_a_bar_with_the_time_left() {
        let text = drawn(Position { bytes_read: 512, bytes_total: 2048 });
        assert!(text.contains("25 %") && text.contains("512 B/2.00 KiB") && text.contains("1234 packets"), "{text}");
        assert!(text.contains("left"), "{text}");
    }

    #[test]
    fn an_unknown_length_is_a_spinner() {
        let text = drawn(Position { bytes_read: 512, bytes_total: 0 });
        assert!(text.contains("512 B") && text.contains("1234 packets") && !text.contains("left"), "{text}");
    }
}
