//! Candidates, run in turn so that the drift of the machine hits all of them, and what their runs come to.
//! Its one invariant: a candidate that fails, or whose flows cannot be counted, has no figures, only a
//! reason.

use super::measure::{Usage, once};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// Runs longer than this are not made again.
const RETRY_WALL_S_MAX: f64 = 10.0;

/// How to count the flows that a run wrote.
pub type CountFlows = Box<dyn Fn() -> Result<u64, String>>;

/// A program with its arguments.
pub struct MeasuredCommand {
    /// What a reader calls it.
    pub name: String,
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// File for its standard input.
    pub stdin: Option<PathBuf>,
    /// File for its standard output.
    pub stdout: Option<PathBuf>,
    /// What it writes: removed before each run, because cutting off an old file costs time, too.
    pub outputs: Vec<PathBuf>,
    /// Directories that must be there, and empty.
    pub directories: Vec<PathBuf>,
    /// Counts the flows after the first run.
    pub count: CountFlows,
}

impl MeasuredCommand {
    /// The command as one would type it.
    pub fn shown(&self) -> String {
        // A path below the working directory is shown as one would type it there.
        let here = std::env::current_dir().map_or_else(|_| String::new(), |here| format!("{}/", here.display()));
        let typed = |word: &OsString| word.to_string_lossy().replace(&here, "");
        let mut words: Vec<String> = self.words.iter().map(typed).collect();
        if let Some(path) = &self.stdin {
            words.push(format!("< {}", path.display()));
        }
        if let Some(path) = &self.stdout {
            words.push(format!("> {}", path.display()));
        }
        words.join(" ")
    }

    fn clear(&self) -> Result<(), String> {
        for path in self.outputs.iter().chain(&self.stdout) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {error}", path.display())),
                _ => {}
            }
        }
        for path in &self.directories {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {error}", path.display())),
                _ => {}
            }
            fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

/// What a candidate's runs came to.
pub struct Series {
    pub name: String,
    pub command: String,
    pub runs: Vec<Usage>,
    /// Of these, how many were disturbed and kept nevertheless.
    pub disturbed: usize,
    pub flows: u64,
    /// Why there are no figures.
    pub failure: Option<String>,
}

/// Least, median and greatest of some runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { least, median, most })
    }
}

impl Series {
    pub fn spread(&self, of: impl Fn(&Usage) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(of))
    }

    pub fn cpu(&self) -> Option<Spread> {
        self.spread(Usage::cpu_s)
    }
}

/// How often, and what is too slow to repeat.
#[derive(Clone, Copy)]
pub struct Repeats {
    pub runs: u32,
    /// A candidate whose first run takes longer than this runs once.
    pub once_above_s: f64,
    /// A disturbed run is made again at most so often.
    pub retries: u32,
}

/// Runs all candidates in turn, each `repeats.runs` times, with a line of progress for each run.
pub fn alternate(what: &str, candidates: &[MeasuredCommand], repeats: Repeats) -> Vec<Series> {
    let start = |candidate: &MeasuredCommand| Series {
        name: candidate.name.clone(),
        command: candidate.shown(),
        runs: Vec::new(),
        disturbed: 0,
        flows: 0,
        failure: None,
    };
    let mut all: Vec<Series> = candidates.iter().map(start).collect();
    for number in 1..=repeats.runs {
        for (candidate, series) in candidates.iter().zip(&mut all) {
            let is_slow = series.runs.first().is_some_and(|usage| usage.wall_s > repeats.once_above_s);
            if series.failure.is_some() || is_slow {
                continue;
            }
            let label = format!("{what}: {}, run {number} of {}", candidate.name, repeats.runs);
            if let Err(reason) = add_run(candidate, series, &label, repeats.retries) {
                println!("{label}: {reason}");
                series.failure = Some(reason);
            }
        }
    }
    all
}

fn add_run(candidate: &MeasuredCommand, series: &mut Series, label: &str, retries: u32) -> Result<(), String> {
    let mut usage = run_once(candidate, label)?;
    for _ in 0..retries {
        if !usage.is_disturbed() || usage.wall_s > RETRY_WALL_S_MAX {
            break;
        }
        usage = run_once(candidate, label)?;
    }
    if series.runs.is_empty() {
        series.flows = (candidate.count)().map_err(|reason| format!("its flows cannot be counted: {reason}"))?;
    }
    series.disturbed += usize::from(usage.is_disturbed());
    series.runs.push(usage);
    Ok(())
}

fn run_once(candidate: &MeasuredCommand, label: &str) -> Result<Usage, String> {
    candidate.clear()?;
    let usage = once(&candidate.words, candidate.stdin.as_deref(), candidate.stdout.as_deref())?;
    let disturbed = if usage.is_disturbed() { ", disturbed" } else { "" };
    println!("{label}: {:.3} s CPU, {:.3} s wall, {:.0} MiB{disturbed}", usage.cpu_s(), usage.wall_s, usage.peak_mib);
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn medians() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
    }
}
