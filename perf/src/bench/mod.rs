//! The benchmarks: ours against the floor, the cases that must not be worse than others, and peers. Owns what
//! is run against what; everything below it knows one step each.

mod capture;
mod cliffs;
mod count;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod live_programs;
mod machine;
pub mod measure;
mod ours;
mod peers;
mod report;
mod series;
mod wrong_time;

use capture::Capture;
use clap::ValueEnum;
use series::{MeasuredCommand, Repeats};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Runs benchmarks and writes a page of results.
#[derive(clap::Args)]
pub struct Bench {
    /// What is measured.
    #[arg(value_enum)]
    what: What,
    /// A tenth of the packets and flows, three runs, results beside the captures: to see that everything
    /// works.
    #[arg(long)]
    quick: bool,
    /// Runs of each program on each capture [default: 5, with --quick 3, live 1].
    #[arg(long)]
    runs: Option<u32>,
    /// Directory for captures and outputs.
    #[arg(long, default_value = "target/bench")]
    captures: PathBuf,
    /// Directory for the page of results [default: perf/results, with --quick the captures'].
    #[arg(long)]
    results: Option<PathBuf>,
    /// Of the cliffs, those whose names contain this, and what they are compared with; of the peers' captures
    /// likewise; results beside the captures.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The program that is measured.
    #[arg(long, default_value = "target/release/netscope")]
    netscope: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Ours against the floor, one worker and two, and memory for 1 M and 10 M flows.
    Ours,
    /// 10 M flows, a flood, one flow, fragments, malformed packets, colliding tuples, configurations, long
    /// recordings.
    Cliffs,
    /// Other programs on the same captures.
    Peers,
    /// Bare rings, ours and other programs on a live wire; Linux and root.
    #[cfg(target_os = "linux")]
    Live,
}

/// Whether applications are looked for. Always said, so that no figure depends on which is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PayloadFlag {
    Ignored,
    Inspected,
}

impl PayloadFlag {
    const fn word(self) -> &'static str {
        match self {
            Self::Ignored => "--no-dpi",
            Self::Inspected => "--dpi",
        }
    }
}

impl Bench {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// When a capture or the page cannot be written; a program that fails has its reason in the table
    /// instead.
    pub fn run(&self) -> Result<(), String> {
        std::fs::create_dir_all(&self.captures).map_err(|error| format!("{}: {error}", self.captures.display()))?;
        if self.only.is_some() && ![What::Cliffs, What::Peers].contains(&self.what) {
            return Err("--only chooses among the cases of `bench cliffs` and the captures of `bench peers`".to_owned());
        }
        let report = match self.what {
            What::Ours => ours::run(self)?,
            What::Cliffs => cliffs::run(self)?,
            What::Peers => peers::run(self)?,
            #[cfg(target_os = "linux")]
            What::Live => live::run(self)?,
        };
        let beside = if self.quick || self.only.is_some() { self.captures.clone() } else { PathBuf::from("perf/results") };
        report.write(self.results.as_ref().unwrap_or(&beside)).map(|_path| ())
    }

    fn repeats(&self, once_above_s: f64) -> Repeats {
        let usual = if self.quick { 3 } else { 5 };
        Repeats { runs: self.runs.unwrap_or(usual).max(1), once_above_s, retries: 2 }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.captures.join(name)
    }

    /// NetScope with all its TCP analyses (they are on by default), without a look at payload, and the CSV of all
    /// flows.
    fn netscope(&self, name: &str, workers: u32, path: &Path, capture: &Capture) -> MeasuredCommand {
        let csv = self.output("netscope.csv");
        let words = self.exporting(path, PayloadFlag::Ignored, workers, &csv);
        let packets = capture.packets;
        MeasuredCommand { outputs: vec![csv.clone()], ..candidate(name, words, move || count::csv(&csv, packets)) }
    }

    /// The words of a run that writes all flows as CSV.
    fn exporting(&self, path: &Path, payload: PayloadFlag, workers: u32, csv: &Path) -> Vec<OsString> {
        let workers = workers.to_string();
        let mut words = self.netscope_words(path, payload, &["--workers", &workers, "--max-flows", "0", "--export-csv"]);
        words.push(csv.into());
        words
    }

    fn netscope_words(&self, path: &Path, payload: PayloadFlag, rest: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.netscope.clone().into(), "--read-pcap".into(), path.into(), "--quiet".into()];
        words.push(payload.word().into());
        words.extend(rest.iter().map(OsString::from));
        words
    }
}

fn candidate(name: &str, words: Vec<OsString>, count: impl Fn() -> Result<u64, String> + 'static) -> MeasuredCommand {
    MeasuredCommand {
        name: name.to_owned(),
        words,
        stdin: None,
        stdout: None,
        outputs: Vec::new(),
        directories: Vec::new(),
        count: Box::new(count),
    }
}

/// Words of text as words of a command.
fn words(text: &[&str]) -> Vec<OsString> {
    text.iter().map(OsString::from).collect()
}
