//! `cargo xtask compare OLD NEW`: two builds of the program over the same captures, output for output.
//!
//! Owns the list of captures and settings and the running of both programs. Must not know what an output
//! means beyond [`output`]. Its one invariant: both programs get the same arguments, the same input and an
//! empty directory of their own.

mod output;
mod settings;

use crate::test::corpus;
use output::Difference;
use settings::Setting;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where both programs write.
const OUTPUT: &str = "target/compare";
/// A run that takes longer has hung.
const RUN_LIMIT: Duration = Duration::from_secs(60);
/// Differences that are shown in full; the rest are counted.
const SHOWN_MAX: usize = 10;
const FIXTURES: &str = "tests/fixtures";
/// What captures are called.
const ENDINGS: [&str; 3] = ["pcap", "pcapng", "cap"];
/// The names of the two programs' directories.
const SIDES: [&str; 2] = ["old", "new"];

const USAGE: &str = "usage: cargo xtask compare OLD NEW [--captures DIR]";

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Request<'a> {
    programs: [&'a str; 2],
    captures: Option<&'a str>,
}

/// One difference and the run that shows it.
struct FoundDifference {
    command: String,
    difference: Difference,
}

/// Runs both programs over every capture with every setting and tells the differences; an error when there is
/// one.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let request = parse(arguments)?;
    let programs = request.programs.map(|program| absolute(root, program));
    for program in &programs {
        if !program.is_file() {
            return Err(format!("there is no program {}", program.display()));
        }
    }
    let captures = captures(root, request.captures)?;
    let settings = settings::all();
    let directory = root.join(OUTPUT);
    let started = Instant::now();
    let findings = compare_all(&programs, &captures, &settings, &directory)?;
    remove(&directory)?;
    let runs = captures.len() * settings.len();
    let words = format!("{runs} runs of each program ({} captures, {} settings)", captures.len(), settings.len());
    println!("{words} in {:.0} s", started.elapsed().as_secs_f64());
    if findings.is_empty() {
        println!("No difference");
        return Ok(());
    }
    for finding in findings.iter().take(SHOWN_MAX) {
        println!("\n{}\n{}", finding.command, finding.difference);
    }
    for (name, count) in per_setting(&findings, &settings) {
        println!("{count} differences with {name}");
    }
    Err(format!("{} differences, {} of them shown above", findings.len(), findings.len().min(SHOWN_MAX)))
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Request<'a>, String> {
    match *arguments {
        [old, new] if !old.starts_with('-') && !new.starts_with('-') => Ok(Request { programs: [old, new], captures: None }),
        [old, new, "--captures", captures] if !old.starts_with('-') && !new.starts_with('-') => {
            Ok(Request { programs: [old, new], captures: Some(captures) })
        }
        _ => Err(USAGE.to_owned()),
    }
}

/// Relative paths are meant from where the command was typed, which cargo makes the workspace's root or below
/// it.
fn absolute(root: &Path, path: &str) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_gone| root.to_owned());
    here.join(path)
}

/// Captures below the named directory, or below the fixtures and the corpus where it is there.
fn captures(root: &Path, named: Option<&str>) -> Result<Vec<PathBuf>, String> {
    let directories = match named {
        Some(named) => vec![absolute(root, named)],
        None => [root.join(FIXTURES), corpus(root).join("captures")].into_iter().filter(|path| path.is_dir()).collect(),
    };
    let mut found = Vec::new();
    for directory in &directories {
        collect(directory, &mut found)?;
    }
    found.sort();
    if found.is_empty() { Err(format!("no captures ({}) below {directories:?}", ENDINGS.join(", "))) } else { Ok(found) }
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            found.push(path.canonicalize().map_err(fail)?);
        }
    }
    Ok(())
}

/// Shares the runs among as many threads as there are CPUs. Findings come in the order of the captures and
/// settings.
fn compare_all(
    programs: &[PathBuf; 2],
    captures: &[PathBuf],
    settings: &[Setting],
    directory: &Path,
) -> Result<Vec<FoundDifference>, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let findings: Mutex<Vec<(usize, FoundDifference)>> = Mutex::new(Vec::new());
    let work = |thread: usize| -> Result<(), String> {
        let own = directory.join(thread.to_string());
        loop {
            // Only hands out numbers; what the threads find is behind the mutex.
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(capture) = captures.get(number / settings.len()) else { return Ok(()) };
            let setting = &settings[number % settings.len()];
            let differences = compare_one(programs, capture, setting, &own)?;
            if !differences.is_empty() {
                let command = shown(&programs[1], capture, setting);
                let mut findings = findings.lock().map_err(|_poisoned| "another thread has failed".to_owned())?;
                findings.extend(
                    differences.into_iter().map(|difference| (number, FoundDifference { command: command.clone(), difference })),
                );
            }
        }
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let joined = handles.into_iter().map(|handle| handle.join().unwrap_or_else(|_| Err("a thread has failed".to_owned())));
        joined.collect::<Result<Vec<()>, String>>()
    })?;
    let mut findings = findings.into_inner().map_err(|_poisoned| "a thread has failed".to_owned())?;
    findings.sort_by_key(|(number, _)| *number);
    Ok(findings.into_iter().map(|(_, finding)| finding).collect())
}

/// Runs both programs once and compares everything they wrote.
fn compare_one(programs: &[PathBuf; 2], capture: &Path, setting: &Setting, directory: &Path) -> Result<Vec<Difference>, String> {
    let mut outputs = Vec::new();
    for (program, side) in programs.iter().zip(SIDES) {
        let own = directory.join(side);
        remove(&own)?;
        fs::create_dir_all(&own).map_err(|error| format!("{}: {error}", own.display()))?;
        let ending = run_one(program, capture, setting, &own)?;
        outputs.push((ending, read_all(&own)?));
    }
    let [old, new] = &outputs[..] else { return Err("two programs have two outputs".to_owned()) };
    let mut differences = output::compare(&old.1, &new.1);
    if old.0 != new.0 {
        differences.insert(0, Difference::of_text("exit", 1, &old.0, &new.0));
    }
    Ok(differences)
}

/// Runs one program in its directory. File names are relative, so that both programs' messages name the same
/// files.
fn run_one(program: &Path, capture: &Path, setting: &Setting, directory: &Path) -> Result<String, String> {
    let create = |name: &str| {
        let path = directory.join(name);
        File::create(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(config) = setting.config {
        let path = directory.join(settings::CONFIG);
        fs::write(&path, config).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let stdin = if setting.by_stdin {
        Stdio::from(File::open(capture).map_err(|error| format!("{}: {error}", capture.display()))?)
    } else {
        Stdio::null()
    };
    let mut command = Command::new(program);
    command.args(setting.words(capture)).current_dir(directory).stdin(stdin);
    command.stdout(create(output::STDOUT)?).stderr(create(output::STDERR)?);
    let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let deadline = Instant::now() + RUN_LIMIT;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("cannot wait for {}: {error}", program.display()))? {
            return Ok(ending(status));
        }
        if Instant::now() > deadline {
            let killed = child.kill().and_then(|()| child.wait());
            killed.map_err(|error| format!("{} hangs and cannot be killed: {error}", program.display()))?;
            return Ok(format!("still running after {} s", RUN_LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// Every file of a directory with its name.
fn read_all(directory: &Path) -> Result<output::ProgramOutputs, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut outputs = output::ProgramOutputs::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        outputs.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).map_err(fail)?);
    }
    Ok(outputs)
}

fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", directory.display())),
        _ => Ok(()),
    }
}

/// The run as one would type it.
fn shown(program: &Path, capture: &Path, setting: &Setting) -> String {
    let mut command = Command::new(program);
    command.args(setting.words(capture));
    let redirected = if setting.by_stdin { format!(" < {}", capture.display()) } else { String::new() };
    format!("{}: {}{redirected}", setting.name, crate::run::shown(&command))
}

/// How many findings each setting has, those without left out.
fn per_setting<'a>(findings: &[FoundDifference], settings: &'a [Setting]) -> Vec<(&'a str, usize)> {
    let count = |setting: &Setting| {
        let start = format!("{}: ", setting.name);
        findings.iter().filter(|finding| finding.command.starts_with(&start)).count()
    };
    settings.iter().map(|setting| (setting.name.as_str(), count(setting))).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_programs_are_needed_and_a_directory_may_be_named() {
        assert_eq!(parse(&["a", "b"]), Ok(Request { programs: ["a", "b"], captures: None }));
        assert_eq!(parse(&["a", "b", "--captures", "c"]), Ok(Request { programs: ["a", "b"], captures: Some("c") }));
        for wrong in [&["a"][..], &["a", "b", "c"], &["a", "--captures"], &["--captures", "a"], &[]] {
            assert_eq!(parse(wrong), Err(USAGE.to_owned()), "{wrong:?}");
        }
    }

    /// Two scripts stand for the programs: whatever differs between them has to be found.
    #[cfg(unix)]
    #[test]
    fn a_program_that_writes_something_else_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("netscope-xtask-compare-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let script = |name: &str, body: &str| {
            let path = directory.join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let base = script("base", "echo one > flows.csv; echo line");
        let other = script("other", "echo two > flows.csv; echo line");
        let failing = script("failing", "echo one > flows.csv; echo line; exit 3");
        let (captures, settings) = ([directory.join("base")], [settings::all().remove(0)]);
        let findings = |new: &PathBuf| {
            let found = compare_all(&[base.clone(), new.clone()], &captures, &settings, &directory.join("out")).unwrap();
            found.iter().map(|finding| finding.difference.to_string()).collect::<Vec<_>>()
        };
        let (same, text, code) = (findings(&base), findings(&other), findings(&failing));
        fs::remove_dir_all(&directory).unwrap();
        assert!(same.is_empty(), "{same:?}");
        assert_eq!(text, ["flows.csv, line 1:\n  old: one\n  new: two"]);
        assert_eq!(code, ["exit, line 1:\n  old: exit code 0\n  new: exit code 3"]);
    }
}
