//! What two runs wrote, compared. Owns which parts may differ and how a difference is shown; starts nothing.
//!
//! Files, packet lines and messages have to be the same byte for byte. The summary may gain lines and
//! fields: each one of the old summary has to be in the new one with the same value, except times and memory,
//! which no two runs share.

use super::settings::{CONFIG, SUMMARY};
use std::collections::BTreeMap;
use std::fmt;

/// The file that takes standard output.
pub const STDOUT: &str = "stdout";
/// The file that takes standard error.
pub const STDERR: &str = "stderr";

/// Files by name.
pub type ProgramOutputs = BTreeMap<String, Vec<u8>>;

/// Line with which the summary begins; those behind it are indented.
const SUMMARY_LINE: &str = "Summary";
/// Parts of names of what is measured, or falls to one of several workers, and so differs from run to run.
const MEASURED: [&str; 4] = ["batch", "memory", "elapsed", "queues"];
/// Characters of a line that are shown in front of the first difference and behind it.
const SHOWN: usize = 100;

/// One place where the outputs differ.
#[derive(Debug, PartialEq)]
pub struct Difference {
    place: String,
    old: String,
    new: String,
}

impl Difference {
    /// Two texts that differ in this line of a file.
    pub fn of_text(file: &str, line: usize, old: &str, new: &str) -> Self {
        let shared = old.chars().zip(new.chars()).take_while(|(x, y)| x == y).count();
        let part = |text: &str| {
            let start = shared.saturating_sub(SHOWN);
            let part: String = text.chars().skip(start).take(2 * SHOWN).collect();
            let before = if start > 0 { "..." } else { "" };
            let after = if text.chars().count() > start + 2 * SHOWN { "..." } else { "" };
            format!("{before}{part}{after}")
        };
        Self { place: format!("{file}, line {line}"), old: part(old), new: part(new) }
    }

    fn of(place: String, old: &str, new: &str) -> Self {
        Self { place, old: old.to_owned(), new: new.to_owned() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n  old: {}\n  new: {}", self.place, self.old, self.new)
    }
}

/// The first difference of each file.
pub fn compare(old: &ProgramOutputs, new: &ProgramOutputs) -> Vec<Difference> {
    let mut differences = Vec::new();
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).filter(|name| *name != CONFIG).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => differences.extend(compare_file(name, old, new)),
            (old, _) => {
                let said = |is_there| if is_there { "written" } else { "not written" };
                differences.push(Difference::of(name.clone(), said(old.is_some()), said(old.is_none())));
            }
        }
    }
    differences
}

fn compare_file(name: &str, old: &[u8], new: &[u8]) -> Option<Difference> {
    if old == new {
        return None;
    }
    let (old_text, new_text) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    match name {
        SUMMARY => compare_fields(name, &fields(&old_text), &fields(&new_text)),
        STDOUT | STDERR => {
            let (old_lines, old_summary) = split_summary(&old_text);
            let (new_lines, new_summary) = split_summary(&new_text);
            first_line(name, &old_lines, &new_lines)
                .or_else(|| compare_fields(name, &summary_lines(&old_summary), &summary_lines(&new_summary)))
        }
        // Bytes that are no UTF-8 may look the same as text.
        _ => first_line(name, &old_text, &new_text)
            .or_else(|| Some(Difference::of(name.to_owned(), &format!("{} bytes", old.len()), &format!("{} bytes", new.len())))),
    }
}

/// The first line that differs, or is there in one of the two only.
fn first_line(name: &str, old: &str, new: &str) -> Option<Difference> {
    let (mut old, mut new) = (old.split('\n'), new.split('\n'));
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => return None,
            (old, new) if old == new => {}
            (old, new) => {
                let line = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return Some(Difference::of_text(name, number, &line(old), &line(new)));
            }
        }
    }
    None
}

/// Packet lines or messages, and the summary among them.
fn split_summary(text: &str) -> (String, String) {
    let (mut others, mut summary, mut is_summary) = (String::new(), String::new(), false);
    for line in text.split_inclusive('\n') {
        is_summary = line.trim_end() == SUMMARY_LINE || (is_summary && line.starts_with("  "));
        if is_summary { &mut summary } else { &mut others }.push_str(line);
    }
    (others, summary)
}

/// The summary's lines, their text up to the colon as the name. Names that come twice are numbered.
fn summary_lines(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for line in text.lines() {
        // "packets in no flow: arp: 6" is called all but its last part.
        let (name, value) = line.rsplit_once(": ").unwrap_or((line, ""));
        insert(&mut fields, name.to_owned(), value.to_owned());
    }
    fields
}

fn insert(fields: &mut BTreeMap<String, String>, name: String, value: String) {
    let mut unique = name.clone();
    let mut number = 2;
    while fields.contains_key(&unique) {
        unique = format!("{name} ({number})");
        number += 1;
    }
    fields.insert(unique, value);
}

/// Every value of an indented JSON text by its path. Each line of such a text opens, closes or is one value.
fn fields(json: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    for line in json.lines() {
        let line = line.trim().trim_end_matches(',');
        if line == "}" || line == "]" {
            path.pop();
            continue;
        }
        let (name, value) = match line.strip_prefix('"').and_then(|rest| rest.split_once("\": ")) {
            Some((name, value)) => (name, value),
            None => ("", line),
        };
        path.push(name.to_owned());
        if value == "{" || value == "[" {
            continue;
        }
        insert(&mut fields, path.join("/"), value.to_owned());
        path.pop();
    }
    fields
}

/// The first field of the old summary that is not in the new one with the same value.
fn compare_fields(file: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<Difference> {
    old.iter().filter(|(name, _)| !MEASURED.iter().any(|measured| name.contains(measured))).find_map(|(name, value)| {
        let now = new.get(name).map_or("(not there)", String::as_str);
        (now != value).then(|| Difference::of(format!("{file}, {}", name.trim()), value, now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(files: &[(&str, &str)]) -> ProgramOutputs {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn shown(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        compare(&outputs(old), &outputs(new)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let old = [("flows.csv", "a\nb\nc\n"), ("stderr", "")];
        assert!(shown(&old, &old).is_empty());
        let new = [("flows.csv", "a\nx\ny\n"), ("stderr", "warning\n")];
        assert_eq!(shown(&old, &new), ["flows.csv, line 2:\n  old: b\n  new: x", "stderr, line 1:\n  old: \n  new: warning"]);
        let shorter = [("flows.csv", "a\nb\n"), ("stderr", "")];
        assert_eq!(shown(&old, &shorter), ["flows.csv, line 3:\n  old: c\n  new: "]);
    }

    #[test]
    fn a_file_that_only_one_writes_and_bytes_that_are_no_text_are_differences() {
        assert_eq!(shown(&[("a", "")], &[]), ["a:\n  old: written\n  new: not written"]);
        assert_eq!(shown(&[], &[("a", "")]), ["a:\n  old: not written\n  new: written"]);
        let [old, new] = [[0xff_u8], [0xfe]].map(|bytes| ProgramOutputs::from([("a".to_owned(), bytes.to_vec())]));
        assert_eq!(compare(&old, &new).len(), 1);
    }

    #[test]
    fn a_long_line_is_cut_around_the_difference() {
        let [old, new] = ["x", "y"].map(|letter| format!("{}{letter}{}", "a".repeat(500), "b".repeat(500)));
        let difference = Difference::of_text("f", 1, &old, &new);
        let cut = |letter: &str| format!("...{}{letter}{}...", "a".repeat(SHOWN), "b".repeat(SHOWN - 1));
        assert_eq!((difference.old, difference.new), (cut("x"), cut("y")));
    }

    #[test]
    fn the_summary_may_gain_fields_and_lose_or_change_none() {
        let old = "{\n  \"batch_ns\": {\n    \"max\": 5\n  },\n  \"faults\": [\n    {\n      \"name\": \"a\",\n      \"n\": 1\n    },\n    \
                   {\n      \"name\": \"b\",\n      \"n\": 2\n    }\n  ],\n  \"packets\": 7\n}\n";
        let same = |new: &str| shown(&[(SUMMARY, old)], &[(SUMMARY, new)]);
        assert!(same(&old.replace("\"max\": 5", "\"max\": 6")).is_empty());
        assert!(same(&old.replace("\"packets\": 7", "\"packets\": 7,\n  \"queues\": 1")).is_empty());
        assert_eq!(same(&old.replace("7", "8")), ["summary.json, /packets:\n  old: 7\n  new: 8"]);
        assert_eq!(same(&old.replace("\"n\": 2", "\"n\": 3"))[0], "summary.json, /faults//n (2):\n  old: 2\n  new: 3");
        assert_eq!(same(&old.replace("packets", "frames")), ["summary.json, /packets:\n  old: 7\n  new: (not there)"]);
    }

    #[test]
    fn packet_lines_have_to_be_the_same_and_the_summary_behind_them_may_gain_lines() {
        let old = "#1 a\nSummary\n  packets: 1\n  packets in no flow: arp: 6\n  batch time: 5\n";
        let same = |new: &str| shown(&[(STDOUT, old)], &[(STDOUT, new)]);
        assert!(same("#1 a\nSummary\n  packets: 1\n  new: 3\n  packets in no flow: arp: 6\n  batch time: 6\n").is_empty());
        assert_eq!(same(&old.replace("#1 a", "#1 b")), ["stdout, line 1:\n  old: #1 a\n  new: #1 b"]);
        assert_eq!(same(&old.replace('6', "7")), ["stdout, packets in no flow: arp:\n  old: 6\n  new: 7"]);
        assert_eq!(same("#1 a\n"), ["stdout, packets:\n  old: 1\n  new: (not there)"]);
        let same = |new: &str| shown(&[(STDERR, "Summary\n  packets: 1\nnetscope: b\n")], &[(STDERR, new)]);
        assert!(same("Summary\n  packets: 1\n  new: 3\nnetscope: b\n").is_empty());
        assert_eq!(same("Summary\n  packets: 1\nnetscope: c\n").len(), 1);
    }
}
