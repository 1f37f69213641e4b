//! The rules that a machine can check: who may use whom, sizes, openings, leftovers.
//!
//! Looks at source text only. A rule that is broken is named with file and line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 550;
const FUNCTION_LINES_MAX: usize = 80;

/// Files that are still longer. One that no longer is has to go from the list.
const LONG_FILES: &[&str] = &[];

/// Type names that still stand for several types. One that no longer does has to go from the list; none is added.
const AMBIGUOUS_NAMES: &[&str] = &["Failure", "Outcome", "PacketView", "Places", "XdpOptions"];

/// Modules of the package, lowest first; modules of equal height do not know each other.
const MODULES: &[(&str, u8)] = &[
    ("wire", 1),
    ("app", 2),
    ("flow", 3),
    ("detect", 4),
    ("engine", 5),
    ("record", 6),
    ("flight", 6),
    ("query", 7),
    ("aggregate", 8),
    ("host", 9),
    ("output", 9),
    ("dashboard", 9),
    ("terminal", 9),
    ("doctor", 9),
    ("config", 10), // builds the settings of all others; used by main alone
];

/// A source file, its path relative to the workspace.
struct SourceFile {
    path: String,
    text: String,
}

impl SourceFile {
    /// The module of `src/` it belongs to.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?;
        Some(name.strip_suffix(".rs").unwrap_or(name))
    }

    /// Lines that are not comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number, line.split(" // ").next().unwrap_or(line)))
    }

    /// Code in front of the tests that stand beside it.
    fn code_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_file = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        self.code().take_while(move |(_, line)| !is_test_file && *line != "#[cfg(test)]")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files of the workspace, build output left out.
fn sources() -> Vec<SourceFile> {
    let mut files = Vec::new();
    for directory in ["src", "backends", "bpf", "perf", "xtask", "benches", "tests", "fuzz/fuzz_targets"] {
        collect(&root().join(directory), &mut files);
    }
    files.sort();
    assert!(files.len() > 10, "the source files were not found");
    let relative = |path: &Path| path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/");
    files
        .iter()
        .map(|path| SourceFile { path: relative(path), text: fs::read_to_string(path).expect("source files are UTF-8") })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return }; // a module that is not built yet
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Collects what is wrong and tells all of it at once.
#[derive(Default)]
struct BrokenRules(String);

impl BrokenRules {
    fn add(&mut self, path: &str, line: usize, what: &str) {
        writeln!(self.0, "{path}:{line}: {what}").expect("a String takes any text");
    }

    fn check(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn height(module: &str) -> Option<u8> {
    MODULES.iter().find(|(name, _)| *name == module).map(|(_, height)| *height)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Names of modules that a line of code refers to by `crate::module`, `netscope::module` or `crate::{module,
/// ...}`.
fn modules_used(line: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for start in ["crate::", "netscope::"] {
        for (at, _) in line.match_indices(start) {
            if line[..at].chars().next_back().is_some_and(is_word) {
                continue;
            }
            let rest = &line[at + start.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                modules.extend(first_names(group));
            } else {
                modules.extend(rest.split(|c| !is_word(c)).next());
            }
        }
    }
    modules.retain(|module| height(module).is_some());
    modules
}

/// The first path segment of each member of a braced group, nested groups left out.
fn first_names(group: &str) -> Vec<&str> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0, Some(0));
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = Some(at + 1),
            _ if !c.is_whitespace() && start.is_some_and(|from| from <= at) => {
                names.extend(group[at..].split(|c| !is_word(c)).next());
                start = None;
            }
            _ => {}
        }
    }
    names
}

/// `super` taken once more than a file is deep leaves its module.
fn leaves_module_by_super(source: &SourceFile, line: &str) -> bool {
    let inside = source.path.trim_start_matches("src/");
    let is_root = inside.ends_with("/mod.rs") || !inside.contains('/');
    let depth = inside.matches('/').count() - usize::from(is_root && inside.contains('/'));
    line.contains(&"super::".repeat(depth + 1))
}

#[test]
fn modules_use_only_lower_modules() {
    let mut findings = BrokenRules::default();
    for source in sources() {
        let Some(own) = source.module().and_then(height) else { continue };
        let module = source.module().unwrap_or_default().to_owned();
        for (number, line) in statements(&source) {
            for used in modules_used(&line) {
                if used != module && height(used).is_some_and(|height| height >= own) {
                    findings.add(&source.path, number, &format!("`{module}` must not use `{used}`"));
                }
            }
        }
        for (number, line) in source.code_without_tests() {
            if leaves_module_by_super(&source, line) {
                findings.add(&source.path, number, "leaves its module by `super`; say `crate::`");
            }
        }
    }
    findings.check();
}

/// Code outside tests with `use` statements joined to one line each.
fn statements(source: &SourceFile) -> Vec<(usize, String)> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in source.code_without_tests() {
        match statements.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => statements.push((number, line.to_owned())),
        }
        let start = line.trim_start();
        open = (open || start.starts_with("use ") || start.starts_with("pub use ")) && !line.contains(';');
    }
    statements
}

#[test]
fn backends_and_bpf_know_no_module_of_the_package() {
    let mut findings = BrokenRules::default();
    for source in sources() {
        let below = ["backends/src/", "bpf/src/", "xtask/src/", "perf/src/"];
        if !below.iter().any(|directory| source.path.starts_with(directory)) {
            continue;
        }
        for (number, line) in source.code() {
            if source.path.starts_with("backends/") || source.path.starts_with("bpf/") {
                if line.contains("netscope::") {
                    findings.add(&source.path, number, "lower crates do not know the package netscope");
                }
                if source.path.starts_with("bpf/") && line.contains("netscope_backends") {
                    findings.add(&source.path, number, "`bpf` stands below `backends`");
                }
            }
        }
    }
    findings.check();
}

#[test]
fn wire_and_app_know_no_clock_and_the_cold_side_no_flow_table() {
    let mut findings = BrokenRules::default();
    let forbidden: &[(&[&str], &[&str])] = &[
        (&["wire", "app"], &["Instant", "SystemTime", "Timestamp", "std::time"]),
        (&["record", "output", "dashboard", "terminal"], &["FlowTable"]),
    ];
    for source in sources() {
        let module = source.module().unwrap_or_default().to_owned();
        for (modules, words) in forbidden {
            for (number, line) in source.code_without_tests().filter(|_| modules.contains(&module.as_str())) {
                for word in words.iter().filter(|word| has_word(line, word)) {
                    findings.add(&source.path, number, &format!("`{module}` must not know `{word}`"));
                }
            }
        }
    }
    findings.check();
}

/// True where `word` stands in `line` and is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn unsafe_code_lives_in_backends_alone() {
    let mut findings = BrokenRules::default();
    for source in sources() {
        let is_test = source.path.starts_with("tests/") || source.path.starts_with("benches/");
        let forbids = source.text.contains("#![forbid(unsafe_code)]");
        let is_crate_root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
        if source.path.starts_with("backends/") {
            continue;
        }
        if is_crate_root && !forbids {
            findings.add(&source.path, 1, "a crate says `#![forbid(unsafe_code)]`");
        }
        for (number, line) in source.code() {
            let keyword = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
            if !is_test && keyword.iter().any(|keyword| line.contains(keyword)) {
                findings.add(&source.path, number, "unsafe code lives in `backends` alone");
            }
        }
    }
    findings.check();
}

#[test]
fn files_have_an_opening_an_end_and_a_limit() {
    let mut findings = BrokenRules::default();
    for source in sources() {
        if !source.text.starts_with("//!") {
            findings.add(&source.path, 1, "begins with `//!`: what it owns, must not know, its invariant");
        }
        if !source.text.ends_with('\n') || source.text.ends_with("\n\n") {
            findings.add(&source.path, source.text.lines().count(), "ends with one newline");
        }
        let lines = source.text.lines().count();
        let is_listed = LONG_FILES.contains(&source.path.as_str());
        if is_listed && lines <= FILE_LINES_MAX {
            findings.add(&source.path, lines, "is no longer too long; take it from LONG_FILES");
        }
        if lines > FILE_LINES_MAX && !is_listed {
            findings.add(&source.path, lines, &format!("{lines} lines, at most {FILE_LINES_MAX}"));
        }
        let stem = Path::new(&source.path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let vague = ["util", "utils", "helper", "helpers", "manager", "common", "misc", "info"];
        if source.path.contains("src/") && vague.contains(&stem.as_str()) {
            findings.add(&source.path, 1, "a file is named for what it owns");
        }
    }
    findings.check();
}

/// Types that code outside tests declares, with their lines; associated types are left out.
fn declared_types(source: &SourceFile) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    // The column of the `impl` or `trait` that is open: rustfmt puts its closing brace there.
    let mut block: Option<usize> = None;
    for (number, line) in source.code_without_tests() {
        let start = line.trim_start();
        let column = line.len() - start.len();
        let words: Vec<&str> = start.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
        let unmarked: Vec<&str> =
            words.iter().copied().skip_while(|word| ["pub", "crate", "super", "in", "unsafe", "const"].contains(word)).collect();
        match unmarked[..] {
            ["struct" | "enum" | "union" | "trait", name, ..] => names.push((name.to_owned(), number)),
            ["type", name, ..] if block.is_none() => names.push((name.to_owned(), number)),
            _ => {}
        }
        let opens = matches!(unmarked.first(), Some(&("impl" | "trait"))) && !start.ends_with('}');
        if block.is_none() && opens {
            block = Some(column);
        } else if block == Some(column) && start == "}" {
            block = None;
        }
    }
    names
}

#[test]
fn a_type_name_means_one_thing() {
    let mut declared: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.path.starts_with("tests/")) {
        for (name, line) in declared_types(source) {
            declared.entry(name).or_default().push((source.path.clone(), line));
        }
    }
    let mut findings = BrokenRules::default();
    for (name, places) in declared.iter().filter(|(name, places)| places.len() > 1 && !AMBIGUOUS_NAMES.contains(&name.as_str())) {
        for (path, line) in places {
            findings.add(path, *line, &format!("`{name}` is the name of {} types", places.len()));
        }
    }
    for name in AMBIGUOUS_NAMES.iter().filter(|name| declared.get(**name).is_none_or(|places| places.len() < 2)) {
        findings.add("tests/tidy.rs", 1, &format!("`{name}` means one thing now; take it from AMBIGUOUS_NAMES"));
    }
    findings.check();
}

#[test]
fn functions_have_a_limit() {
    let mut findings = BrokenRules::default();
    for source in sources() {
        // rustfmt puts a function's closing brace into the column of its first word.
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in source.text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let start = line.trim_start();
            let indent = line.len() - start.len();
            let is_function = has_word(start, "fn") && !start.starts_with("//") && !start.ends_with(';') && !start.ends_with('}');
            match &open {
                None if is_function => open = Some((indent, number, start.to_owned())),
                Some((column, first, name)) if start == "}" && indent == *column => {
                    if number - first + 1 > FUNCTION_LINES_MAX {
                        findings.add(&source.path, *first, &format!("{} lines in `{name}`", number - first + 1));
                    }
                    open = None;
                }
                _ => {}
            }
        }
    }
    findings.check();
}

#[test]
fn nothing_is_left_over() {
    // Put together so that this file does not find itself.
    let marks: Vec<String> = [
        ("to", "do!("),
        ("unimple", "mented!("),
        ("db", "g!("),
        ("FIX", "ME"),
        ("XX", "X"),
        ("TO", "DO"),
        ("#[ig", "nore"),
        ("/wo", "rk/"),
        ("/ho", "me/"),
    ]
    .map(|(first, second)| format!("{first}{second}"))
    .into();
    let mut findings = BrokenRules::default();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(mark.as_str())) {
                findings.add(&source.path, number + 1, &format!("`{mark}`"));
            }
        }
    }
    findings.check();
}

#[test]
fn the_readme_has_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let first_screen: String = readme.lines().take(60).collect::<Vec<_>>().join("\n");
    for command in ["cargo xtask demo", "cargo xtask test"] {
        assert!(first_screen.contains(command), "`{command}` on the first screen of README.md");
    }
}

#[test]
fn the_rules_themselves_see_what_they_should() {
    assert_eq!(modules_used("use crate::{flow::{FlowKey, table}, wire::dissect, Other};"), ["flow", "wire"]);
    assert_eq!(modules_used("let x = crate::engine::Worker::new(netscope::output::Json);"), ["engine", "output"]);
    assert_eq!(modules_used("use netscope_backends::Timestamp; use mycrate::flow::X;"), Vec::<&str>::new());
    assert!(has_word("a: Timestamp,", "Timestamp") && !has_word("Timestamps { }", "Timestamp"));
    let source = |path: &str| SourceFile { path: path.to_owned(), text: String::new() };
    assert!(leaves_module_by_super(&source("src/flow/mod.rs"), "use super::wire::X;"));
    assert!(!leaves_module_by_super(&source("src/flow/key.rs"), "use super::wheel::X;"));
    assert!(leaves_module_by_super(&source("src/flow/key.rs"), "use super::super::wire::X;"));
    assert!(!leaves_module_by_super(&source("src/flow/tcp/state.rs"), "use super::super::key::X;"));
    assert!(leaves_module_by_super(&source("src/main.rs"), "use super::X;"));
    let text = "pub(crate) struct A<T>(T);\nimpl A<u8> {\n    type B = u8;\n}\ntype C = u8;\n// struct D;\npub unsafe trait E {\n    type F;\n}\n\
                mod m {\n    enum G {}\n}\n#[cfg(test)]\nmod tests {\n    struct H;\n}\n";
    let source = SourceFile { path: "src/x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(declared_types(&source), [("A", 1), ("C", 5), ("E", 7), ("G", 11)].map(|(name, line)| (name.to_owned(), line)));
}
