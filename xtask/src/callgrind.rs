//! Reading what callgrind wrote, and which layer of NetScope each instruction belongs to.
//!
//! Owns the file format (the manual of valgrind, chapter "Callgrind Format Specification") and the map from
//! source files to layers. Knows no limits. Its one invariant: the layers add up to the total.

use std::collections::{BTreeMap, HashMap};

/// Instructions of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct InstructionProfile {
    /// All of them.
    pub total: u64,
    /// The same by layer.
    pub layers: BTreeMap<&'static str, u64>,
}

/// Names that are written once, with a number, and stand as that number from then on.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    /// The name of `(7) name` or `(7)`; a name without a number stands for itself.
    fn resolve(&mut self, text: &str) -> String {
        let Some((id, name)) = text.strip_prefix('(').and_then(|rest| rest.split_once(')')) else { return text.to_owned() };
        if !name.trim().is_empty() {
            self.0.insert(id.to_owned(), name.trim().to_owned());
        }
        self.0.get(id).cloned().unwrap_or_default()
    }
}

/// Adds up each function's own instructions, what it calls left out. `root`: where the workspace lies.
pub fn parse(text: &str, root: &str) -> Result<InstructionProfile, String> {
    let (mut files, mut functions) = (Names::default(), Names::default());
    let (mut file, mut function) = (String::new(), String::new());
    let mut profile = InstructionProfile::default();
    let mut is_call = false;
    for line in text.lines() {
        match line.split_once('=') {
            Some(("fl" | "fi" | "fe", name)) => file = files.resolve(name),
            Some(("fn", name)) => function = functions.resolve(name),
            Some(("cfi" | "cfl", name)) => drop(files.resolve(name)),
            Some(("cfn", name)) => drop(functions.resolve(name)),
            Some(("calls", _)) => is_call = true,
            _ if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok());
                let cost = cost.ok_or_else(|| format!("no cost in callgrind's line `{line}`"))?;
                // The line behind `calls=` holds the cost of the called function, which has lines of its own.
                if !std::mem::take(&mut is_call) {
                    profile.total += cost;
                    *profile.layers.entry(layer(&file, &function, root)).or_default() += cost;
                }
            }
            _ => {}
        }
    }
    if profile.total == 0 {
        return Err("callgrind counted no instructions".to_owned());
    }
    Ok(profile)
}

/// The layer of a source file, or, where that is a library's, of the function it was inlined into.
fn layer(file: &str, function: &str, root: &str) -> &'static str {
    let ours = file.strip_prefix(root).map(|path| path.trim_start_matches('/'));
    let by_file = ours.and_then(|path| FILES.iter().find(|(start, _)| path.starts_with(start)));
    by_file
        .or_else(|| FUNCTIONS.iter().find(|(part, _)| function.contains(part)))
        .map_or("start, exit and the rest", |found| found.1)
}

/// Beginnings of paths; the first that fits counts.
const FILES: &[(&str, &str)] = &[
    ("backends/src/prefetch.rs", "flow table"),
    ("backends/", "reading"),
    ("src/wire/", "dissecting"),
    ("src/flow/key.rs", "keys and hashes"),
    ("src/flow/ports.rs", "keys and hashes"),
    ("src/flow/index.rs", "index"),
    ("src/flow/tcp/", "TCP analysis"),
    ("src/flow/wheel.rs", "expiry"),
    ("src/flow/community_id.rs", "export"),
    ("src/flow/", "flow table"),
    ("src/engine/", "worker"),
    ("src/aggregate/", "aggregator, sorting"),
    ("src/output/", "export"),
];

/// Parts of function names; the first that fits counts.
const FUNCTIONS: &[(&str, &str)] = &[
    ("flow::tcp", "TCP analysis"),
    ("FlowTable::track", "TCP analysis"),
    ("flow::index", "index"),
    ("community_id", "export"),
    ("netscope::output", "export"),
    ("csv", "export"),
    ("itoa", "export"),
    ("sha1", "export"),
    ("sort", "aggregator, sorting"),
    ("netscope::aggregate", "aggregator, sorting"),
    ("netscope::flow", "flow table"),
    ("netscope::wire", "dissecting"),
    // Numbers, slices and iterators of the standard library; whose they were is lost where everything is
    // inlined into one loop.
    ("netscope::engine", "library code inlined into the worker"),
    ("netscope_backends", "reading"),
    ("mem", "copies and memory (C library)"),
    ("alloc", "copies and memory (C library)"),
    ("free", "copies and memory (C library)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As callgrind writes it: names once, a call's cost behind `calls=`, code of other files inlined.
    const SAMPLE: &str = "\
positions: line
events: Ir
fl=(1) /here/src/flow/tcp/tracker.rs
fn=(1) netscope::flow::table::FlowTable::track
10 5
+3 7
fi=(2) /rustc/x/core/num.rs
20 11
fe=(1)
cfi=(3) /here/src/wire/tcp.rs
cfn=(2) netscope::wire::parse
calls=2 +4
* 1000
-2 1

fl=(3)
fn=(2)
1 100
fl=(4) ./string/memmove.S
fn=(3) __memcpy_avx
0 13
fl=(5) ???
fn=(4) _start
0 2
";

    #[test]
    fn own_instructions_are_counted_once_and_by_layer() {
        let profile = parse(SAMPLE, "/here").unwrap();
        assert_eq!(profile.total, 5 + 7 + 11 + 1 + 100 + 13 + 2);
        assert_eq!(profile.layers["TCP analysis"], 5 + 7 + 11 + 1);
        assert_eq!(profile.layers["dissecting"], 100);
        assert_eq!(profile.layers["copies and memory (C library)"], 13);
        assert_eq!(profile.layers["start, exit and the rest"], 2);
        assert_eq!(profile.layers.values().sum::<u64>(), profile.total);
    }

    #[test]
    fn a_file_without_costs_is_an_error() {
        assert!(parse("events: Ir\n", "/here").is_err());
        assert!(parse("fn=(1) f\n10 x\n", "/here").unwrap_err().contains("10 x"));
    }
}
