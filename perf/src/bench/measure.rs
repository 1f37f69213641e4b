//! What one run of a program costs: CPU time, wall time, peak memory, as the kernel counts them.
//!
//! A program runs under a small process of its own (`netscope-perf measure`), whose only child it is, so that
//! the peak memory of "all children" is the peak of this one. Owns that process and what it says. Its one
//! invariant: a run that fails gives no figure.

use nix::sys::resource::{Usage as Resources, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Runs one program and prints user time, system time and wall time in µs and its peak memory in KiB.
#[derive(clap::Args)]
pub struct Measure {
    /// File that takes the program's standard output; without it the output is thrown away.
    #[arg(long)]
    stdout: Option<PathBuf>,
    /// File that is the program's standard input; without it there is none.
    #[arg(long)]
    stdin: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The process around one run.
pub fn run(options: &Measure) -> Result<ExitCode, String> {
    let (program, arguments) = options.command.split_first().ok_or("no program is named")?;
    let stdout = match &options.stdout {
        Some(path) => Stdio::from(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Stdio::null(),
    };
    let stdin = match &options.stdin {
        Some(path) => Stdio::from(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Stdio::null(),
    };
    let start = Instant::now();
    let status = Command::new(program).args(arguments).stdin(stdin).stdout(stdout).status();
    let status = status.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let wall_us = start.elapsed().as_micros();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    println!("{} {} {wall_us} {}", micros(used.user_time()), micros(used.system_time()), peak_kib(&used));
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn micros(time: TimeVal) -> i64 {
    time.num_microseconds()
}

/// getrusage(2) counts KiB, bytes on macOS.
fn peak_kib(used: &Resources) -> i64 {
    if cfg!(target_os = "macos") { used.max_rss() / 1024 } else { used.max_rss() }
}

/// What a run cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub user_s: f64,
    pub system_s: f64,
    pub wall_s: f64,
    pub peak_mib: f64,
    /// Mean number of cores that others used meanwhile, where the system tells.
    pub foreign_cores: Option<f64>,
}

impl Usage {
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }

    /// Others took more than 15 % of a core. 30 ms are allowed for the clock, which ticks every 10 ms.
    pub fn is_disturbed(&self) -> bool {
        self.foreign_cores.is_some_and(|cores| cores * self.wall_s > 0.15 * self.wall_s + 0.03)
    }
}

/// Runs the program once under `netscope-perf measure`.
///
/// # Errors
/// When it cannot be started or fails; with the end of what it said.
pub fn once(words: &[OsString], stdin: Option<&Path>, stdout: Option<&Path>) -> Result<Usage, String> {
    let own = std::env::current_exe().map_err(|error| format!("our own program is not found: {error}"))?;
    let mut command = Command::new(own);
    command.arg("measure");
    if let Some(path) = stdin {
        command.arg("--stdin").arg(path);
    }
    if let Some(path) = stdout {
        command.arg("--stdout").arg(path);
    }
    command.arg("--").args(words).stdin(Stdio::null());
    let busy_before = busy_s();
    let output = command.output().map_err(|error| format!("cannot start ourselves: {error}"))?;
    let busy_after = busy_s();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = said.lines().rev().take(3).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(format!("failed ({}): {}", output.status, end.join(" / ")));
    }
    let line = String::from_utf8_lossy(&output.stdout);
    let mut usage = parse(&line).ok_or_else(|| format!("`measure` said {line:?}"))?;
    if let (Some(before), Some(after)) = (busy_before, busy_after) {
        usage.foreign_cores = Some((after - before - usage.cpu_s()).max(0.0) / usage.wall_s.max(1e-6));
    }
    Ok(usage)
}

fn parse(line: &str) -> Option<Usage> {
    let numbers: Vec<f64> = line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [user, system, wall, peak] = numbers.try_into().ok()?;
    Some(Usage { user_s: user / 1e6, system_s: system / 1e6, wall_s: wall / 1e6, peak_mib: peak / 1024.0, foreign_cores: None })
}

/// CPU time that all cores together have spent on anything, in seconds; Linux only (proc(5), ticks of 10 ms).
fn busy_s() -> Option<f64> {
    busy_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn busy_of(stat: &str) -> Option<f64> {
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user.
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    Some((user + nice + system + irq + softirq + steal) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_nonsense_is_not() {
        let usage = parse("1500000 500000 2100000 2048\n").unwrap();
        assert_eq!((usage.cpu_s(), usage.wall_s, usage.peak_mib), (2.0, 2.1, 2.0));
        assert_eq!(parse("1 2 3"), None);
        assert_eq!(parse("1 2 3 x"), None);
    }

    #[test]
    fn others_are_seen() {
        assert_eq!(busy_of("cpu  100 0 50 1000 7 1 2 3 9 0\ncpu0 1\n"), Some(1.56));
        assert_eq!(busy_of("nothing"), None);
        let usage = |foreign| Usage { foreign_cores: foreign, ..parse("0 0 1000000 1").unwrap() };
        assert!(usage(Some(0.2)).is_disturbed());
        assert!(!usage(Some(0.17)).is_disturbed());
        assert!(!usage(None).is_disturbed());
    }
}
