//! `cargo xtask fuzz`: every fuzz target for some seconds.
//!
//! Owns the compiler flags, which are those of cargo-fuzz, and where finds are kept. Must not know what a
//! target is fed to. Its one invariant: every file of `fuzz/fuzz_targets` is run, and the one that finds
//! something is named.

use crate::install;
use crate::needs::Need;
use crate::run;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

const TARGETS: &str = "fuzz/fuzz_targets";
const BUILD: &str = "fuzz/target";
/// Inputs that were found to reach new code; kept from run to run.
const CORPUS: &str = "fuzz/corpus";
/// Inputs that made a target fail.
const ARTIFACTS: &str = "fuzz/artifacts";
/// Recordings, as first inputs of the targets that read capture files.
const FIXTURES: &str = "tests/fixtures";
const FILE_READERS: [&str; 2] = ["pcap_file", "pcapng_file"];
/// How long each target runs unless `--seconds` says otherwise.
const SECONDS: u32 = 20;
/// Lines of a failed target's log that are shown.
const LOG_LINES: usize = 40;

/// As cargo-fuzz sets them: counters at every edge, comparisons traced, AddressSanitizer, overflow and
/// assertions checked.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Zsanitizer=address -Ccodegen-units=1 -Cdebug-assertions";

/// Builds all targets and runs them, one per CPU at a time.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let seconds = seconds(arguments)?;
    install::ensure(&[Need::Linker, Need::CppCompiler, Need::Libpcap])?;
    let targets = targets(root)?;
    let host = host(&run::line_of(Command::new("rustc").arg("-vV"))?)?;
    // The flags of sanitizers are nightly's; the stable compiler takes them when told so. With a target
    // named, build scripts go without them.
    let mut build = run::cargo(root);
    build.args(["build", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", BUILD, "--release", "--locked", "--bins"]);
    run::show_and_run(build.args(["--target", &host]).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", RUSTFLAGS))?;
    let waiting = Mutex::new(targets.iter());
    let poisoned = || "another thread has failed".to_owned();
    let work = || -> Result<Vec<String>, String> {
        let mut failures = Vec::new();
        loop {
            let Some(target) = waiting.lock().map_err(|_| poisoned())?.next() else { return Ok(failures) };
            match run_target(root, &format!("{BUILD}/{host}/release/{target}"), target, seconds) {
                Ok(said) => println!("{target}: {said}"),
                Err(reason) => failures.push(format!("{target}: {reason}")),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join().map_err(|_| poisoned())?).collect::<Result<Vec<_>, String>>()
    })?
    .concat();
    println!("{} fuzz targets, {} failed", targets.len(), failures.len());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// An error when `fuzz/Cargo.lock`, which no build of the workspace looks at, does not fit the manifests any more.
pub fn lock_file_is_current(root: &Path) -> Result<(), String> {
    let mut metadata = run::cargo(root);
    metadata.args(["metadata", "--manifest-path", "fuzz/Cargo.toml", "--format-version", "1", "--locked"]);
    let output = metadata.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Crates that only the fuzz targets need may not be at hand where there is no network: that says nothing of the file.
    if output.status.success() || !said.contains("--locked") {
        return Ok(());
    }
    Err(format!(
        "fuzz/Cargo.lock does not fit the manifests: run `cargo metadata --manifest-path fuzz/Cargo.toml` and commit it\n{said}"
    ))
}

fn seconds(arguments: &[&str]) -> Result<u32, String> {
    match arguments {
        [] => Ok(SECONDS),
        ["--seconds", seconds] => seconds.parse().map_err(|_| format!("--seconds takes a number, not `{seconds}`")),
        other => Err(format!("fuzz takes only --seconds N, not `{}`", other.join(" "))),
    }
}

/// The names of all targets.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| format!("{TARGETS}: {error}");
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(TARGETS)).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    if names.is_empty() { Err(format!("{TARGETS} has no targets")) } else { Ok(names) }
}

/// The host's name in what `rustc -vV` prints.
fn host(version: &str) -> Result<String, String> {
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

/// Runs one target; the line in which it says how often it ran.
fn run_target(root: &Path, program: &str, target: &str, seconds: u32) -> Result<String, String> {
    let (corpus, artifacts) = (format!("{CORPUS}/{target}"), format!("{ARTIFACTS}/{target}/"));
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(root.join(directory)).map_err(|error| format!("{directory}: {error}"))?;
    }
    let log = root.join(BUILD).join(format!("{target}.log"));
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut command = Command::new(program);
    command.args([&format!("-max_total_time={seconds}"), "-timeout=10", &format!("-artifact_prefix={artifacts}"), &corpus]);
    if FILE_READERS.contains(&target) {
        command.arg(FIXTURES);
    }
    println!("$ {}", run::shown(&command));
    let outcome = run::run(command.current_dir(root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file));
    let said = fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    outcome.map_err(|reason| format!("{reason}\n{}", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")))?;
    done(&lines).ok_or_else(|| format!("it did not say how often it ran; see {}", log.display()))
}

/// libFuzzer's last line: "Done 3915144 runs in 21 second(s)".
fn done(lines: &[&str]) -> Option<String> {
    lines.iter().rev().find(|line| line.starts_with("Done ")).map(|line| (*line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_found_and_declared() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let targets = targets(&root).unwrap();
        assert!(FILE_READERS.iter().all(|reader| targets.iter().any(|target| target == reader)));
        for target in targets {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in fuzz/Cargo.toml");
        }
    }

    #[test]
    fn what_programs_say_is_read() {
        assert_eq!(host("rustc 1.0\nhost: x86_64-unknown-linux-gnu\n").unwrap(), "x86_64-unknown-linux-gnu");
        assert!(host("rustc 1.0\n").is_err());
        assert_eq!(done(&["INFO", "Done 7 runs in 2 second(s)", "stat::x"]).as_deref(), Some("Done 7 runs in 2 second(s)"));
        assert_eq!(done(&["INFO"]), None);
        assert_eq!((seconds(&[]), seconds(&["--seconds", "3"])), (Ok(20), Ok(3)));
        assert!(seconds(&["--seconds", "x"]).is_err() && seconds(&["x"]).is_err());
    }
}
