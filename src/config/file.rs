//! The configuration file: TOML in, [`Options`] out. A mistake is told with its line, its key and, where there is one, the key
//! that was probably meant.

use super::error::ConfigError;
use super::options::Options;
use serde_json::{Map, Value};
use std::fs;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Most edits between a wrong key and one that is suggested.
const EDITS_MAX: usize = 3;

/// Reads a file.
///
/// # Errors
/// When it cannot be read, is no TOML, has an unknown key or a value of the wrong type.
pub fn read_file(path: &Path) -> Result<Options, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|(at, what)| {
        let line = text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1;
        ConfigError::File { path: path.to_owned(), line, what }
    })
}

/// Options from TOML, or the offset of a mistake and what it is.
fn parse(text: &str) -> Result<Options, (usize, String)> {
    let mistake = |error: &toml::de::Error| (error.span().map_or(0, |span| span.start), one_line(error.message()));
    let table = DeTable::parse(text).map_err(|error| mistake(&error))?;
    let known = serde_json::to_value(Options::default()).unwrap_or_default();
    check_keys(table.get_ref(), known.as_object().unwrap_or(&Map::new()), "")?;
    toml::from_str(text).map_err(|error| {
        let (at, what) = mistake(&error);
        match key_at(table.get_ref(), at, "") {
            Some(key) => (at, format!("{key}: {what}")),
            None => (at, what),
        }
    })
}

/// Refuses the first unknown key.
fn check_keys(table: &DeTable<'_>, known: &Map<String, Value>, path: &str) -> Result<(), (usize, String)> {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let full = join(path, name);
        match (known.get(name), value.get_ref()) {
            (Some(Value::Object(section)), DeValue::Table(table)) => check_keys(table, section, &full)?,
            (Some(_), _) => {}
            (None, _) => {
                let hint = nearest(name, known).map_or_else(
                    || format!("known are {}", known.keys().map(|key| join(path, key)).collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean {}?", join(path, near)),
                );
                return Err((key.span().start, format!("unknown key {}; {hint}", one_line(&full))));
            }
        }
    }
    Ok(())
}

fn nearest<'a>(name: &str, known: &'a Map<String, Value>) -> Option<&'a str> {
    known
        .keys()
        .map(|key| (strsim::damerau_levenshtein(name, key), key.as_str()))
        .min()
        .filter(|&(edits, key)| edits <= EDITS_MAX && edits < key.len())
        .map(|(_, key)| key)
}

/// The full name of the key whose value is at this offset.
fn key_at(table: &DeTable<'_>, at: usize, path: &str) -> Option<String> {
    let inside = |span: Range<usize>| span.contains(&at);
    table.iter().find_map(|(key, value)| {
        let full = join(path, key.get_ref().as_ref());
        match value.get_ref() {
            DeValue::Table(table) => key_at(table, at, &full).or_else(|| inside(key.span()).then(|| full.clone())),
            // Tables under one name, such as mute rules.
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().as_table().is_some()) => {
                let mut tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.find_map(|table| key_at(table, at, &full)).or_else(|| inside(key.span()).then(|| full.clone()))
            }
            _ => (inside(value.span()) || inside(key.span())).then(|| full.clone()),
        }
    })
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A message on one line, without anything a terminal would obey.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
