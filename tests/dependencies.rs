//! What this package is built from: licences that its own allows, and no crate twice without a reason.
//!
//! Asks `cargo metadata` about this system's crates and goes to no network. Crates of other systems are seen
//! there.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Licences under which a crate may be used. Each allows use in a program of another licence as long as it is
/// named.
const LICENCES: &[&str] = &["MIT", "MIT-0", "Apache-2.0", "BSD-3-Clause", "ISC", "Zlib", "Unicode-3.0"];

/// Crates that are there in more than one version, and why. One that is no longer there twice has to go from
/// the list.
const TWICE: &[(&str, &str)] = &[
    ("bit-set", "jsonschema's fancy-regex and proptest, both for tests alone, ask for different versions"),
    ("bit-vec", "comes with bit-set"),
    ("bitflags", "pcap 2 still asks for version 1, all others for version 2"),
    ("block-buffer", "comes with digest"),
    ("cpufeatures", "tungstenite's sha1 0.10 asks for 0.2; argon2's blake2 and proptest's rand, for tests alone, ask for 0.3"),
    ("crypto-common", "comes with digest"),
    ("digest", "tungstenite's sha1 0.10 asks for 0.10; argon2's blake2 asks for 0.11"),
    ("errno", "pcap 2 still asks for 0.2, rustix and signal-hook for 0.3"),
    (
        "getrandom",
        "ring asks for 0.2; tungstenite's rand and jsonschema's ahash, for tests alone, for 0.3; proptest's rand and tempfile, for tests alone, for 0.4",
    ),
    ("rand", "tungstenite asks for 0.9; proptest, for tests alone, for 0.10"),
    ("rand_core", "comes with rand"),
    ("syn", "jsonschema's strum and zerocopy, for tests alone, ask for 2; clap, serde and thiserror ask for 3"),
];

/// Packages that are built on this system.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc can be started");
    let version = String::from_utf8(rustc.stdout).expect("rustc prints UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let mut command = Command::new(cargo);
    command.args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let built: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().filter(|package| package["id"].as_str().is_some_and(|id| built.contains(id))).cloned().collect()
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// True where one of the choices of an SPDX expression needs nothing but licences of the list. Those are
/// added to `used`.
fn is_allowed(expression: &str, used: &mut BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&words, &mut at, used);
    allowed && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, used: &mut BTreeSet<String>) -> bool {
    let mut allowed = all_of(words, at, used);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(words, at, used);
    }
    allowed
}

fn all_of(words: &[&str], at: &mut usize, used: &mut BTreeSet<String>) -> bool {
    let mut allowed = one_of(words, at, used);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one_of(words, at, used);
    }
    allowed
}

fn one_of(words: &[&str], at: &mut usize, used: &mut BTreeSet<String>) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let allowed = any_of(words, at, used);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return allowed && closed;
    }
    let allowed = LICENCES.contains(&word);
    if allowed {
        used.insert(word.to_owned());
    }
    allowed
}

#[test]
fn every_licence_is_on_the_list() {
    let mut used = BTreeSet::new();
    let refused = |package: &Value, used: &mut BTreeSet<String>| {
        let licence = text(package, "license");
        (!is_allowed(licence, used)).then(|| format!("{} {}: {licence:?}", text(package, "name"), text(package, "version")))
    };
    let refused: Vec<String> = packages().iter().filter_map(|package| refused(package, &mut used)).collect();
    assert!(refused.is_empty(), "not allowed:\n{}", refused.join("\n"));
    if cfg!(target_os = "linux") {
        let unused: Vec<_> = LICENCES.iter().filter(|licence| !used.contains(**licence)).collect();
        assert!(unused.is_empty(), "on the list, and no crate has it: {unused:?}");
    }
}

#[test]
fn no_crate_is_there_twice_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(&package, "name").to_owned()).or_default().insert(text(&package, "version").to_owned());
    }
    let is_listed = |name: &str| TWICE.iter().any(|(listed, _)| *listed == name);
    let twice: Vec<_> = versions.iter().filter(|(name, versions)| versions.len() > 1 && !is_listed(name)).collect();
    assert!(twice.is_empty(), "in several versions, and no reason is listed: {twice:?}");
    if cfg!(target_os = "linux") {
        let once = |name: &str| versions.get(name).is_none_or(|versions| versions.len() < 2);
        let stale: Vec<_> = TWICE.iter().filter(|(name, _)| once(name)).collect();
        assert!(stale.is_empty(), "listed, and not there twice: {stale:?}");
    }
}

#[test]
fn expressions_are_judged_by_their_choices() {
    let allowed = |expression: &str| is_allowed(expression, &mut BTreeSet::new());
    for expression in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "(MIT OR GPL-3.0) AND Unicode-3.0", "(MIT AND (ISC OR GPL-3.0))"] {
        assert!(allowed(expression), "{expression}");
    }
    for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0 WITH X", "(MIT", "MIT)", "MIT OR", "AND", "MIT ISC"] {
        assert!(!allowed(expression), "{expression}");
    }
}
