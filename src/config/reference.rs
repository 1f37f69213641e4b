//! The reference of flags and keys as Markdown, made from the command line's definition and the sections of the configuration file.
//!
//! Owns the page's layout. Its one invariant: every flag and every key is in it, each with the help that the program itself shows.

use super::args::Args;
use super::options::Options;
use clap::{Arg, Command, CommandFactory};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The page `docs/reference.md`.
pub fn reference() -> String {
    let command = Args::command();
    let keys = keys(&command);
    let mut text = String::from(
        "# Flags and keys\n\nMade from the program's own definitions; a test keeps it equal to them. A flag beats the configuration file \
         (`--config PATH`, TOML), the file beats the default. `netscope.example.toml` has every key with its default.\n",
    );
    let mut headings: Vec<&str> = Vec::new();
    for arg in command.get_arguments().filter(|arg| is_shown(arg)) {
        let heading = arg.get_help_heading().unwrap_or("Filter");
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let args = command.get_arguments().filter(|arg| is_shown(arg) && arg.get_help_heading().unwrap_or("Filter") == heading);
        table(&mut text, heading, args, &keys);
    }
    text.push_str("\n## In the configuration file alone\n\n");
    for (key, id) in &keys {
        if id.is_none() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- `{key}`");
        }
    }
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n# netscope {}\n\n{about}.\n", subcommand.get_name());
        table(&mut text, "Flags", subcommand.get_arguments().filter(|arg| is_shown(arg)), &BTreeMap::new());
    }
    text
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}

/// A table of these arguments.
fn table<'a>(text: &mut String, heading: &str, args: impl Iterator<Item = &'a Arg>, keys: &BTreeMap<String, Option<String>>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {heading}\n\n| Flag | Key | What it does |\n|---|---|---|\n");
    for arg in args {
        let key = keys.iter().find(|(_, id)| id.as_deref() == Some(arg.get_id().as_str()));
        let key = key.map_or(String::new(), |(key, _)| format!("`{key}`"));
        let _ = writeln!(text, "| {} | {key} | {} |", flag(arg), help(arg));
    }
}

/// `-i, --interface NAME`, as code.
fn flag(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values()).and_then(|names| names.first());
    let value = value.map_or(String::new(), |name| format!(" {name}"));
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}{value}`"),
        (None, Some(long)) => format!("`--{long}{value}`"),
        (Some(short), None) => format!("`-{short}{value}`"),
        (None, None) => format!("`{}`", value.trim_start()),
    }
}

/// Its help, with the words that its value may be.
fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    if arg.get_id() != "completions" {
        for value in arg.get_possible_values().iter().filter(|_| arg.get_action().takes_values()) {
            let means = value.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = write!(text, "<br>`{}`: {means}", value.get_name());
        }
    }
    text
}

/// Every key as `section.key`, with the argument that says the same, where there is one.
fn keys(command: &Command) -> BTreeMap<String, Option<String>> {
    let sections = serde_json::to_value(Options::default()).unwrap_or_default();
    let mut keys = BTreeMap::new();
    for (section, known) in sections.as_object().into_iter().flatten() {
        add_keys(command, section, known, &mut keys);
    }
    keys
}

/// Those of a section, whose full name is `path`, and of the sections in it.
fn add_keys(command: &Command, path: &str, section: &Value, keys: &mut BTreeMap<String, Option<String>>) {
    let name = path.rsplit('.').next().unwrap_or(path);
    for (key, value) in section.as_object().into_iter().flatten() {
        if value.is_object() {
            add_keys(command, &format!("{path}.{key}"), value, keys);
            continue;
        }
        let ids = [format!("{name}_{key}"), key.clone(), format!("{key}_yes"), format!("{name}_yes")];
        let ids = if key == "enabled" { &ids[3..] } else { &ids[..3] };
        let arg = ids.iter().find(|id| command.get_arguments().any(|arg| arg.get_id() == id.as_str()));
        keys.insert(format!("{path}.{key}"), arg.cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_share_a_flag() {
        let keys = keys(&Args::command());
        let mut flags: Vec<&String> = keys.values().flatten().collect();
        let count = flags.len();
        flags.sort_unstable();
        flags.dedup();
        assert_eq!(flags.len(), count, "{keys:?}");
        for (key, id) in [
            ("stats.enabled", "stats_yes"),
            ("stats.jsonl", "stats_jsonl"),
            ("history.json", "history_json"),
            ("xdp.mode", "mode"),
            ("analysis.anomalies.enabled", "anomalies_yes"),
        ] {
            assert_eq!(keys[key].as_deref(), Some(id));
        }
        assert_eq!(keys["analysis.rtt"], None);
    }
}
