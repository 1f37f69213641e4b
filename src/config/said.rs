//! How texts of the configuration file are read: an empty one is none, and one stands for a list of one.
//!
//! Owns these two rules. Knows no key.

use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// A text, unless it is empty.
pub(super) fn unset_when_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?).filter(|text| !text.is_empty()))
}

/// A path, unless it is empty.
pub(super) fn path_unset_when_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(unset_when_empty(deserializer)?.map(PathBuf::from))
}

/// One name or a list of them; empty ones are none.
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    /// As it is written.
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts")]
    enum OneOrMore {
        One(String),
        Several(Vec<String>),
    }
    let names = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(name) => vec![name],
        OneOrMore::Several(names) => names,
    };
    Ok(Some(names.into_iter().filter(|name| !name.is_empty()).collect()).filter(|names: &Vec<_>| !names.is_empty()))
}

/// The same as paths.
pub(super) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    Ok(names(deserializer)?.map(|names| names.into_iter().map(PathBuf::from).collect()))
}
