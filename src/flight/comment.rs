//! What a recording says of itself: the alert with its evidence, or the request, and which packets it has.
//!
//! Owns the text. Invariant: it is plain text of one line per fact, without a character that a terminal obeys.

use super::FlightSettings;
use crate::detect::Alert;
use netscope_backends::Timestamp;
use netscope_backends::writing::NamePattern;
use std::fmt::Write as _;

/// Lines of the comment.
pub(super) struct RecordingComment(String);

impl RecordingComment {
    fn new(what: &str) -> Self {
        let mut comment = Self(String::new());
        comment.line("NetScope flight recorder", what);
        comment
    }

    /// Of an alert that began.
    pub(super) fn of_alert(alert: &Alert) -> Self {
        let mut comment = Self::new("the packets that concern an alert");
        let sort =
            alert.technique.map_or_else(|| alert.variant.to_owned(), |technique| format!("{}, {technique}", alert.variant));
        comment.line("alert", &format!("{} ({sort}), severity {}", alert.kind, alert.severity.name()));
        comment.line("description", &alert.description);
        comment.line("key", &alert.key);
        comment.line("first observation", &time_text(alert.began));
        comment.line("alert began", &time_text(alert.time));
        for (name, subject) in [("attacker", &alert.attacker), ("victim", &alert.victim)] {
            if let Some(subject) = subject {
                comment.line(name, &subject.to_string());
            }
        }
        for (name, count) in &alert.counts {
            comment.line("evidence", &format!("{name} {count}"));
        }
        for (name, number) in &alert.distinct {
            let about = if number.is_exact { "" } else { "about " };
            comment.line("evidence", &format!("distinct {name} {about}{}", number.count));
        }
        if let Some(ratio) = alert.completion_ratio {
            comment.line("evidence", &format!("completion ratio {ratio:.4}"));
        }
        for (name, fact) in &alert.details {
            comment.line("evidence", &format!("{name} {fact}"));
        }
        for crossed in &alert.thresholds {
            comment.line("crossed", &format!("{} {}, value {}", crossed.name, crossed.limit, crossed.value));
        }
        if alert.is_at_least {
            comment.line("evidence", "some found no room: numbers are what was seen at least");
        }
        comment
    }

    /// Of a request.
    pub(super) fn on_demand() -> Self {
        Self::new("the packets in memory, on request")
    }

    /// Adds which packets are in the file.
    pub(super) fn packets(&mut self, which: &str, start: Timestamp, end: Option<Timestamp>, settings: &FlightSettings) {
        self.line("packets", which);
        self.line("from", &time_text(start));
        if let Some(end) = end {
            self.line("to", &time_text(end));
        }
        self.line(
            "at most",
            &format!("{} bytes in this file, {} of each packet", settings.recording_bytes_max, settings.snaplen),
        );
    }

    /// Adds that earlier packets are missing.
    pub(super) fn not_in_memory(&mut self, until: Timestamp) {
        self.line("missing", &format!("packets up to {} were not in memory any more", time_text(until)));
    }

    fn line(&mut self, name: &str, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name}: {text}");
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0.trim_end().to_owned()
    }
}

/// UTC, to the nanosecond.
pub(super) fn time_text(time: Timestamp) -> String {
    let second = NamePattern::parse("%FT%T").map(|pattern| pattern.name_at(time)).unwrap_or_default();
    format!("{second}.{:09}Z", time.0 % Timestamp::NS_PER_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_its_line() {
        let mut comment = RecordingComment::on_demand();
        comment.line("key", "a\nfrom: b\u{1b}[31m");
        comment.not_in_memory(Timestamp::from_parts(1_700_000_000, 5));
        let text = comment.into_text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text}");
        assert!(text.ends_with("up to 2023-11-14T22:13:20.000000005Z were not in memory any more"), "{text}");
    }
}
