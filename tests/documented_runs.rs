//! Pages whose commands are run as they stand: every `console` block of them, in order, in one directory.
//!
//! A line that begins with `$ ` is a command; what follows is what it prints, standard output and standard error together as a
//! terminal has them. A line of `...` stands for any lines. With NETSCOPE_BLESS=1 what a command prints takes the place of what is
//! written, except where that has a `...`.
#![cfg(target_os = "linux")]

mod common;

use common::{fixture, temp_dir};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command and what it prints by the page.
struct Step {
    command: String,
    expected: Vec<String>,
}

/// Text between blocks, and the steps of each block.
enum Part {
    Text(Vec<String>),
    Block(Vec<Step>),
}

fn parse(page: &str) -> Vec<Part> {
    let (mut parts, mut text) = (Vec::new(), Vec::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text.push(line.to_owned());
        if line != "```console" {
            continue;
        }
        parts.push(Part::Text(std::mem::take(&mut text)));
        let mut steps: Vec<Step> = Vec::new();
        for line in lines.by_ref() {
            if line == "```" {
                text.push(line.to_owned());
                break;
            }
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                (None, Some(step)) => step.expected.push(line.to_owned()),
                (None, None) => panic!("a block begins with a command: {line}"),
            }
        }
        parts.push(Part::Block(steps));
    }
    parts.push(Part::Text(text));
    parts
}

/// What the command prints, run by a shell where `netscope` is ours and `sudo` is not needed.
fn run(command: &str, directory: &Path, programs: &Path) -> Vec<String> {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; {}", command.replace("sudo ", ""))])
        .env("PATH", path)
        .env("TZ", "UTC")
        .env_remove("NETSCOPE_BLESS")
        .current_dir(directory)
        .output()
        .expect("there is bash");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// True when the lines are as expected, where `...` stands for any number of lines.
fn matches(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "..." => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        Some((line, rest)) => printed.first().is_some_and(|first| first == line.trim_end()) && matches(rest, &printed[1..]),
    }
}

fn check(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(&path).expect("the page is there");
    let directory = temp_dir("documented");
    fs::copy(fixture("demo.pcapng"), directory.path().join("demo.pcapng")).expect("it can be copied");
    let programs = directory.path().join("bin");
    fs::create_dir(&programs).expect("it can be made");
    std::os::unix::fs::symlink(PathBuf::from(env!("CARGO_BIN_EXE_netscope")), programs.join("netscope"))
        .expect("it can be linked");
    let blesses = std::env::var_os("NETSCOPE_BLESS").is_some();
    let (mut made, mut commands) = (Vec::new(), 0);
    for part in parse(&text) {
        match part {
            Part::Text(lines) => made.extend(lines),
            Part::Block(steps) => {
                for Step { command, expected } in steps {
                    let printed = run(&command, directory.path(), &programs);
                    commands += 1;
                    made.push(format!("$ {command}"));
                    if blesses && !expected.iter().any(|line| line == "...") {
                        made.extend(printed);
                        continue;
                    }
                    assert!(
                        matches(&expected, &printed),
                        "docs/{page}: {command}\nprints:\n{}\nand the page says:\n{}",
                        printed.join("\n"),
                        expected.join("\n")
                    );
                    made.extend(expected);
                }
            }
        }
    }
    assert!(commands > 3, "docs/{page} has commands");
    if blesses {
        fs::write(&path, made.join("\n") + "\n").expect("the page can be written");
    }
}

#[test]
fn getting_started_runs_as_it_is_written() {
    check("getting-started.md");
}

#[test]
fn recipes_run_as_they_are_written() {
    check("recipes.md");
}

#[test]
fn dots_stand_for_any_lines() {
    let lines = |text: &str| text.split(' ').filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a ... c"), &lines("a b b c")) && matches(&lines("a ... c"), &lines("a c")));
    assert!(!matches(&lines("a ... c"), &lines("a b")) && !matches(&lines("a"), &lines("a b")) && matches(&[], &[]));
}
