//! Runs a program to its end: without a shell, with nothing of our standard output, in a process group of its own.
//!
//! Owns the child while it runs. Knows nothing of why it is run. Invariant: whoever calls has it back within the limit, and a child that is not waited for
//! any more is killed with its group.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The child is looked at so often, at first and later.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(20);

/// How a child came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildEnd {
    /// By itself.
    Exited(ExitStatus),
    /// It took too long and was killed.
    TimedOut,
    /// It was killed because nobody waits for it any more.
    Stopped,
}

/// A command that is about to be run. Standard output may be somebody's data, and Ctrl-C is not for the command.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    command
}

/// What is wrong with how it ended: `None` when nothing is.
pub(super) fn fault(done: &io::Result<ExitStatus>) -> Option<String> {
    match done {
        Ok(status) if status.success() => None,
        Ok(status) => Some(status.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Runs it with `input` on its standard input, for `limit` at most and while `is_over` is false.
///
/// # Errors
/// When it cannot be started.
pub(super) fn run(mut command: Command, input: &[u8], limit: Duration, is_over: &dyn Fn() -> bool) -> io::Result<ChildEnd> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let mut writing = child.stdin.take().map(|pipe| (pipe, input));
    if let Some((pipe, _)) = &writing
        && let Err(error) = fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
    {
        kill(&mut child)?;
        return Err(error.into());
    }
    let mut look = LOOK_MIN;
    loop {
        writing = writing.and_then(write_some);
        if let Some(status) = child.try_wait()? {
            return Ok(ChildEnd::Exited(status));
        }
        let end = if start.elapsed() >= limit {
            ChildEnd::TimedOut
        } else if is_over() {
            ChildEnd::Stopped
        } else {
            thread::sleep(look);
            look = (look * 2).min(LOOK_MAX);
            continue;
        };
        kill(&mut child)?;
        return Ok(end);
    }
}

/// Writes what the pipe takes now. `None`, and the pipe is closed, when all is written or nobody reads it: a program need not read its input.
fn write_some((mut pipe, mut left): (ChildStdin, &[u8])) -> Option<(ChildStdin, &[u8])> {
    while !left.is_empty() {
        match pipe.write(left) {
            Ok(0) => return None,
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some((pipe, left)),
            Err(_) => return None,
        }
    }
    None
}

/// Kills the child and what it started, and waits for the child.
fn kill(child: &mut Child) -> io::Result<()> {
    // It is not waited for yet, so its number is still its own. A group that is gone already needs no signal.
    if let Ok(id) = i32::try_from(child.id()) {
        let _gone = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    child.wait().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new("sh"));
        command.args(["-c", script]);
        command
    }

    const NEVER: &dyn Fn() -> bool = &|| false;
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_child_gets_its_input_and_its_code_is_known() {
        let input = vec![b'x'; 300_000];
        let done = run(shell("test $(wc -c) -eq 300000"), &input, LONG, NEVER).unwrap();
        assert!(matches!(done, ChildEnd::Exited(status) if status.success()), "more than a pipe holds");
        let done = run(shell("exec <&-; exit 3"), &input, LONG, NEVER).unwrap();
        assert!(matches!(done, ChildEnd::Exited(status) if status.code() == Some(3)), "it need not read");
        assert!(run(command(Path::new("/nonexistent/program")), b"", LONG, NEVER).is_err());
    }

    #[test]
    fn a_child_that_hangs_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 60", mark.display());
        let start = Instant::now();
        assert_eq!(run(shell(&script), b"", Duration::from_millis(100), NEVER).unwrap(), ChildEnd::TimedOut);
        assert_eq!(run(shell("sleep 60"), &[0; 1_000_000], LONG, &|| true).unwrap(), ChildEnd::Stopped);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        thread::sleep(Duration::from_millis(2500).saturating_sub(start.elapsed()));
        assert!(!mark.exists(), "the child's child is gone, too");
    }
}
