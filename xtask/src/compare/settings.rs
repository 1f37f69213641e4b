//! The settings under which two programs are compared. Owns the flags and the names of the outputs; runs
//! nothing.

use std::ffi::OsString;
use std::path::Path;

/// The configuration file of a run, where it has one.
pub const CONFIG: &str = "netscope.toml";
/// The summary, which may gain fields.
pub const SUMMARY: &str = "summary.json";

/// Everything that is written into files.
const EXPORTS: [(&str, &str); 5] = [
    ("--export-csv", "flows.csv"),
    ("--export-json", "flows.json"),
    ("--expired-flows-jsonl", "ended.jsonl"),
    ("--expired-flows-csv", "ended.csv"),
    ("--summary-json", SUMMARY),
];

const WORKERS: [u32; 3] = [1, 2, 4];

const QUIET: &str = "--quiet";
const SHORT_TIMEOUTS: &[&str] = &[QUIET, "--flow-timeout-s", "1", "--closed-timeout-s", "1"];
const FULL_TABLE: &[&str] = &[QUIET, "--max-flows", "8"];

/// One way to run the program.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What it is called in the report; unique.
    pub name: String,
    /// The configuration file's text.
    pub config: Option<&'static str>,
    /// The capture comes by standard input.
    pub by_stdin: bool,
    words: Vec<String>,
}

impl Setting {
    fn new(what: &str, workers: u32, flags: &[&str]) -> Self {
        let mut words = vec!["--workers".to_owned(), workers.to_string()];
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.extend(EXPORTS.iter().flat_map(|(flag, name)| [(*flag).to_owned(), (*name).to_owned()]));
        Self { name: format!("{what}, workers {workers}"), config: None, by_stdin: false, words }
    }

    /// The program's arguments for this capture.
    pub fn words(&self, capture: &Path) -> Vec<OsString> {
        let path = if self.by_stdin { OsString::from("-") } else { capture.into() };
        let mut words = vec!["--read-pcap".into(), path];
        if self.config.is_some() {
            words.extend(["--config".into(), CONFIG.into()]);
        }
        words.extend(self.words.iter().map(OsString::from));
        words
    }
}

/// Every setting: numbers of workers times tables, packet lines, standard input, and each analysis off.
pub fn all() -> Vec<Setting> {
    let mut settings = Vec::new();
    for workers in WORKERS {
        settings.push(Setting::new("default", workers, &[QUIET]));
        settings.push(Setting::new("short timeouts", workers, SHORT_TIMEOUTS));
        settings.push(Setting::new("full table", workers, FULL_TABLE));
        settings.push(Setting::new("packet lines", workers, &[]));
    }
    settings.push(Setting::new("packets in detail", 1, &["--hex-dump"]));
    for workers in [1, 2] {
        settings.push(Setting::new("active timeout", workers, &[QUIET, "--active-timeout-s", "1"]));
        settings.push(Setting { by_stdin: true, ..Setting::new("standard input", workers, &[QUIET]) });
    }
    let analyses = [
        ("rtt off", "[analysis]\nrtt = false\n"),
        ("retrans off", "[analysis]\nretrans = false\n"),
        ("out_of_order off", "[analysis]\nout_of_order = false\n"),
        ("no analysis", "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n"),
    ];
    for (what, config) in analyses {
        settings.push(Setting { config: Some(config), ..Setting::new(what, 1, &[QUIET]) });
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_output_is_asked_for() {
        let settings = all();
        let names: BTreeSet<_> = settings.iter().map(|setting| &setting.name).collect();
        assert_eq!(names.len(), settings.len());
        for setting in &settings {
            let words = setting.words(Path::new("x.pcap"));
            assert_eq!(setting.by_stdin, words[1] == "-", "{}", setting.name);
            assert!(EXPORTS.iter().all(|(flag, _)| words.iter().any(|word| word == flag)), "{}", setting.name);
        }
    }
}
