//! One program on a rig under one load: started, waited for, offered the load, asked to end.
//!
//! Owns the process. Knows programs by their command alone. Its one invariant: the program has ended when a
//! trial has, however it went.

use super::generator::{LoadGenerator, Offered, Via};
use super::load::Load;
use super::pace::Pace;
use super::pin_to;
use super::rig::{Rig, RigSettings};
use super::schedstat::RunTime;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest time until a program says that it captures.
const READY_MAX: Duration = Duration::from_secs(60);
/// Longest time until it has ended after being asked to.
const END_MAX: Duration = Duration::from_secs(30);
/// From its word that it captures to the load.
const PAUSE: Duration = Duration::from_millis(300);
/// From the end of the load to the reading of its time: until every buffer was read.
const SETTLE: Duration = Duration::from_millis(700);
/// A thread that waited longer than this part of the time for a processor was disturbed.
const WAIT_SHARE_MAX: f64 = 0.06;

/// What is tried.
pub struct LiveTrial<'a> {
    /// The program and its arguments.
    pub words: &'a [OsString],
    /// What stands in its output once it captures.
    pub ready: &'a str,
    /// File that takes both of its output streams.
    pub output: PathBuf,
    /// What is offered, and how.
    pub load: Load,
    /// The way the load takes.
    pub via: Via,
    /// How fast.
    pub pace: Pace,
    /// Time before the load during which nothing arrives and the program's time is read.
    pub idle: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What was sent.
    pub offered: Offered,
    /// The program's time from the beginning of the load until all was read.
    pub run_time: RunTime,
    /// Its time while nothing arrived.
    pub idle: RunTime,
    /// What it said.
    pub said: String,
}

impl Tried {
    /// The generator or the program waited for a processor more than 6 % of the time, or the rate was not
    /// kept.
    pub fn is_disturbed(&self) -> bool {
        let allowed = self.offered.elapsed.mul_f64(WAIT_SHARE_MAX);
        self.offered.is_late || self.offered.run_time.waited > allowed || self.run_time.waited > allowed
    }
}

impl LiveTrial<'_> {
    /// Runs it on a rig of its own: the generator on the first processor, the program on the second where
    /// there is one.
    ///
    /// # Errors
    /// When the program cannot be started, does not get ready or fails; with the end of what it said.
    pub fn run(&self) -> Result<Tried, String> {
        let rig = Rig::new(&RigSettings::default())?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut program = rig.inside(|| pin_to(cores.min(2) - 1).and_then(|()| self.start(&rig)))??;
        program.wait_for(self.ready)?;
        sleep(PAUSE);
        let before_idle = program.run_time()?;
        sleep(self.idle);
        let idle = program.run_time()?.since(&before_idle);
        let before = program.run_time()?;
        let offered = rig.inside(|| {
            pin_to(0)?;
            LoadGenerator::new(&self.load, self.via)?.run(&self.pace)
        })??;
        sleep(SETTLE);
        let run_time = program.run_time()?.since(&before);
        let said = program.end()?;
        Ok(Tried { offered, run_time, idle, said })
    }

    fn start(&self, rig: &Rig) -> Result<RunningPeer, String> {
        let fail = |error: std::io::Error| format!("{}: {error}", self.output.display());
        let file = File::create(&self.output).map_err(fail)?;
        let both = file.try_clone().map_err(fail)?;
        let (program, arguments) = self.words.split_first().ok_or("no program is named")?;
        let mut command = rig.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(both);
        let child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(RunningPeer { child, output: self.output.clone() })
    }
}

/// A program under way; killed when dropped.
struct RunningPeer {
    child: Child,
    output: PathBuf,
}

impl RunningPeer {
    fn said(&self) -> String {
        fs::read(&self.output).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn wait_for(&mut self, mark: &str) -> Result<(), String> {
        let start = Instant::now();
        while !self.said().contains(mark) {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("ended before it captured ({status}): {}", last_lines(&self.said())));
            }
            if start.elapsed() > READY_MAX {
                return Err(format!("never said {mark:?}: {}", last_lines(&self.said())));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn run_time(&self) -> Result<RunTime, String> {
        RunTime::of_process(self.child.id()).map_err(|error| format!("it ended early ({error}): {}", last_lines(&self.said())))
    }

    /// Asks it to end, and waits.
    fn end(mut self) -> Result<String, String> {
        let pid = i32::try_from(self.child.id()).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGINT).map_err(|error| format!("asking it to end: {error}"))?;
        let start = Instant::now();
        while start.elapsed() < END_MAX {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                let said = self.said();
                let ended = status.success().then_some(()).ok_or_else(|| format!("failed ({status}): {}", last_lines(&said)));
                return ended.map(|()| said);
            }
            sleep(Duration::from_millis(10));
        }
        Err(format!("did not end within {} s of being asked to", END_MAX.as_secs()))
    }
}

impl Drop for RunningPeer {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and has been waited for; either error says just that.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}
