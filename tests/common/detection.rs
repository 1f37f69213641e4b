//! Detection with everything on, as the program would be told by a file.
//!
//! Owns no list of detectors: it reads the example's sections, so new ones are in it by themselves.

use netscope::config::{Command, DetectSettings, command};
use netscope::detect::{DetectionSettings, EvidenceHash, LocalNetworks};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A configuration that turns every detector of the example on, with these lines besides in the sections that they name.
pub fn all_on(more: &[(&str, &str)]) -> String {
    let example = include_str!("../../netscope.example.toml");
    let headings = example.lines().filter_map(|line| line.trim_start_matches("# ").strip_prefix("[analysis.anomalies"));
    // Some of them need facts.
    headings.fold("[analysis]\ndpi = true\n".to_owned(), |mut text, rest| {
        let name = rest.trim_end_matches(']').trim_start_matches('.');
        writeln!(text, "[analysis.anomalies{rest}\nenabled = true").expect("text grows");
        more.iter().filter(|(section, _)| *section == name).for_each(|(_, line)| text.push_str(&format!("{line}\n")));
        text
    })
}

/// What the program makes of such a configuration, for a file.
pub fn detection_settings(config: &str, directory: &Path) -> DetectionSettings {
    detect_settings(config, directory).with_hash(LocalNetworks::private_and([]), EvidenceHash::fixed())
}

fn detect_settings(config: &str, directory: &Path) -> DetectSettings {
    let path = directory.join("detection.toml");
    fs::write(&path, config).expect("the file is written");
    let words = ["netscope", "--read-pcap", "unread.pcap", "--config"].into_iter().map(OsString::from);
    match command(words.chain([path.into_os_string()])) {
        Ok(Command::Run(settings)) => settings.detection.expect("detection is on"),
        other => panic!("{config}: {other:?}"),
    }
}
