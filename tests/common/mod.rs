//! What the whole-program tests share: running the real binary with a time limit, finding captures, namespaces.
//!
//! Owns no expectations. Its one invariant: whatever a test starts or makes (process, namespace, directory) is gone when its guard
//! is dropped, also after a panic.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod alerts;
pub mod certificate;
pub mod detection;
pub mod engine;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(target_os = "linux")]
pub mod netns;
#[cfg(target_os = "linux")]
pub mod receivers;
pub mod written;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No run of a test takes longer on purpose; one that does has hung.
pub const RUN_LIMIT: Duration = Duration::from_secs(120);

/// The real program.
pub fn netscope() -> Command {
    Command::new(env!("CARGO_BIN_EXE_netscope"))
}

/// A recording of this repository.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// True when CI=true: then nothing is skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Tells why a test does nothing here; in CI that is a failure.
pub fn skip(reason: &str) {
    assert!(!in_ci(), "CI=true, and this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}

/// The capture corpus: NETSCOPE_CORPUS, else `../shared/corpus` beside the workspace; `None` (told, or a panic in CI) without.
pub fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let directory = std::env::var_os("NETSCOPE_CORPUS").map_or_else(beside, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    skip(&format!("no capture corpus at {} (NETSCOPE_CORPUS names another place)", directory.display()));
    None
}

/// Captures to try things on: our own recordings, and those of the corpus where it is there.
pub fn captures() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["demo.pcapng", "fragments.pcap", "loss.pcap"].into_iter().map(fixture).collect();
    if let Some(corpus) = corpus() {
        let entries = std::fs::read_dir(corpus.join("captures")).expect("the corpus has captures");
        found.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()));
    }
    found.sort();
    found
}

/// A directory for one test.
pub fn temp_dir(name: &str) -> tempfile::TempDir {
    tempfile::TempDir::with_prefix(format!("netscope-{name}-")).expect("a temporary directory")
}

/// What a finished program left.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Panics with everything the program said unless it ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Finished {
    RunningProgram::start(command).finish(RUN_LIMIT)
}

/// A started program; killed when dropped before its end.
pub struct RunningProgram {
    child: Child,
    stdout: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    seen: String,
}

impl RunningProgram {
    /// Starts a program whose output is read as it comes.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut err = child.stderr.take().expect("stderr is piped");
        let (sender, stdout) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).expect("stderr can be read");
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, stdout, stderr: Some(stderr), seen: String::new() }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of stdout has `text` in it; the line. Panics when the program ends or the limit passes before.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + RUN_LIMIT;
        loop {
            match self.stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no line with {text:?} came; stdout so far:\n{}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    let stderr = self.take_stderr();
                    panic!("ended before a line with {text:?} came; stdout:\n{}stderr:\n{stderr}", self.seen)
                }
            }
        }
    }

    /// Leaves out the lines of stdout that came so far.
    pub fn skip_lines(&mut self) {
        while let Ok(line) = self.stdout.try_recv() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
    }

    /// Waits for the end; panics when it does not come within `limit`.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Finished {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}; stdout so far:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.stdout.recv() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        Finished { status, stdout: std::mem::take(&mut self.seen), stderr: self.take_stderr() }
    }

    /// Sends a signal.
    #[cfg(target_os = "linux")]
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().expect("process ids fit"));
        nix::sys::signal::kill(pid, signal).expect("our own child can be signalled");
    }

    fn take_stderr(&mut self) -> String {
        self.stderr.take().map_or_else(String::new, |thread| thread.join().unwrap_or_else(|_| "(not UTF-8)".to_owned()))
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself between the two calls, and then there is nothing to kill.
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}
