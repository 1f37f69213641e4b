//! Running programs. Owns how commands are shown and how their failure is told; knows nothing of what they
//! are for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program's arguments as one would type them.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Shows the command, runs it, and turns a failure into a message.
pub fn show_and_run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", shown(command));
    run(command)
}

/// Runs the command; its output goes where ours goes.
pub fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start `{}`: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

/// True when the command can be started and succeeds; its output is not shown.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs the command for the one line it prints.
pub fn line_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot start `{}`: {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed ({})", shown(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The cargo that started us.
pub fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// True when CI=true: then nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Where a program of this name lies: in PATH or in the directories of system programs, which a user's PATH
/// often lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|directory| directory.join(program)).find(|file| file.is_file())
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let mut command = Command::new("netscope");
        command.args(["--read-pcap", "a b.pcap", "", "it's", "--top=3"]);
        assert_eq!(shown(&command), r"netscope --read-pcap 'a b.pcap' '' 'it'\''s' --top=3");
    }

    #[test]
    fn a_failing_program_is_named() {
        let message = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(message.contains("sh -c 'exit 3'"), "{message}");
        assert!(message.contains('3'), "{message}");
        assert!(run(&mut Command::new("netscope-no-such-program")).unwrap_err().contains("cannot start"));
    }
}
