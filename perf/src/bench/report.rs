//! The result of a run as a page of Markdown: one table, and above it the day, the machine, the versions and
//! the commands. Owns the form; judges nothing but figures against their stated goals. Its one invariant: an
//! older result is never overwritten.

use super::machine;
use super::series::{Series, Spread};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: &str = "\
| capture | program | CPU s: median (least to most) | user s | system s | wall s | peak MiB | ns CPU per packet | flows | runs | compared |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// A page in the making.
pub struct BenchReport {
    what: &'static str,
    head: String,
    rows: String,
    commands: Vec<String>,
    notes: Vec<String>,
    columns: &'static str,
    /// How the commands were run.
    how: &'static str,
}

impl BenchReport {
    /// Begins with the machine as it is now, before the first run.
    pub fn new(what: &'static str, title: &str) -> Self {
        let mut head = format!("# {}: {title}\n\n", machine::today());
        for (name, value) in
            [("Machine", machine::machine()), ("Load at the start", machine::load()), ("Commit", machine::commit())]
        {
            let _ = writeln!(head, "- {name}: {value}"); // a String takes any text
        }
        let how = "each run under `netscope-perf measure`, the page cache warm";
        Self { what, head, rows: String::new(), commands: Vec::new(), notes: Vec::new(), columns: COLUMNS, how }
    }

    /// Another table than that of CPU time, filled by [`BenchReport::line`], and how its commands were run.
    #[cfg(target_os = "linux")]
    pub fn with_columns(self, columns: &'static str, how: &'static str) -> Self {
        Self { columns, how, ..self }
    }

    /// A finished row of the table.
    #[cfg(target_os = "linux")]
    pub fn line(&mut self, row: String) {
        self.rows.push_str(&row);
        self.rows.push('\n');
    }

    /// A command below the table.
    #[cfg(target_os = "linux")]
    pub fn command(&mut self, command: String) {
        self.commands.push(command);
    }

    /// A program's version, above the table.
    pub fn version(&mut self, name: &str, version: &str) {
        let _ = writeln!(self.head, "- {name}: {version}"); // a String takes any text
    }

    /// A sentence below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A row of the table; `packets` is 0 where none are read.
    pub fn row(&mut self, capture: &str, packets: u64, series: &Series, compared: &str) {
        let command = format!("{capture}, {}: `{}`", series.name, series.command);
        self.commands.push(command);
        let [cpu, user, system, wall, peak] = [
            series.cpu(),
            series.spread(|r| r.user_s),
            series.spread(|r| r.system_s),
            series.spread(|r| r.wall_s),
            series.spread(|r| r.peak_mib),
        ];
        let name = &series.name;
        let (Some(cpu), Some(user), Some(system), Some(wall), Some(peak), None) =
            (cpu, user, system, wall, peak, &series.failure)
        else {
            let reason = series.failure.as_deref().unwrap_or("not run");
            let _ = writeln!(self.rows, "| {capture} | {name} | no figure: {} | | | | | | | | |", reason.replace('|', "/"));
            return;
        };
        let per_packet = if packets == 0 { String::new() } else { format!("{:.1}", cpu.median * 1e9 / packets as f64) };
        let runs = match series.disturbed {
            0 => series.runs.len().to_string(),
            disturbed => format!("{}, {disturbed} disturbed", series.runs.len()),
        };
        let _ = writeln!(
            self.rows,
            "| {capture} | {name} | {:.3} ({:.3} to {:.3}) | {:.3} | {:.3} | {:.3} | {:.1} | {per_packet} | {} | {runs} | {compared} |",
            cpu.median, cpu.least, cpu.most, user.median, system.median, wall.median, peak.most, series.flows
        );
    }

    /// Writes the page into `directory`, under a name that is free.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, directory: &Path) -> Result<PathBuf, String> {
        let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(directory).map_err(|error| fail(directory, error))?;
        let mut text = self.head;
        let _ = writeln!(text, "- Load at the end: {}\n\n{}{}", machine::load(), self.columns, self.rows); // a String takes any text
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(text, "\nCommands, {}:\n", self.how);
        for command in &self.commands {
            let _ = writeln!(text, "- {command}");
        }
        let name = |number: u32| match number {
            1 => format!("{}-{}.md", machine::today(), self.what),
            _ => format!("{}-{}-{number}.md", machine::today(), self.what),
        };
        let free = (1..).map(|number| directory.join(name(number))).find(|path| !path.exists());
        let path = free.ok_or("no name is free")?;
        fs::write(&path, &text).map_err(|error| fail(&path, error))?;
        println!("\n{text}\nWritten to {}", path.display());
        Ok(path)
    }
}

/// What both results say about their figures.
pub const SPREAD_NOTE: &str = "Candidates ran in turn; figures are medians, with the least and the greatest of all kept runs. A run \
    during which others used more than 15 % of a core (from /proc/stat) was made again, at most twice; one that was still disturbed is \
    kept and counted under `runs`. Outputs of the run before were removed first. Peak memory contains pages of a mapped file.";

/// "1.93 x what (rounds 1.85 to 2.02; goal at most 2: met)": medians against each other, and beside it the
/// spread of the ratios of runs that followed each other.
pub fn at_most(own: &Series, other: &Series, goal: Option<f64>) -> String {
    let verdict = |ratio| goal.map(|goal| format!("goal at most {goal}: {}", verdict(ratio <= goal)));
    compared(own, other, verdict)
}

/// The same of a peer that is to cost at least `goal` times as much as `own`.
pub fn at_least(peer: &Series, own: &Series, goal: f64) -> String {
    compared(peer, own, |ratio| Some(format!("goal at least {goal}: {}", verdict(ratio >= goal))))
}

fn compared(one: &Series, other: &Series, verdict: impl Fn(f64) -> Option<String>) -> String {
    let (Some(mine), Some(theirs)) = (one.cpu(), other.cpu()) else { return String::new() };
    let ratio = mine.median / theirs.median;
    let rounds = Spread::of(one.runs.iter().zip(&other.runs).map(|(a, b)| a.cpu_s() / b.cpu_s()));
    let rounds = rounds.map_or_else(String::new, |spread| format!("rounds {:.2} to {:.2}", spread.least, spread.most));
    let goal = verdict(ratio).map_or_else(String::new, |goal| format!("; {goal}"));
    format!("{ratio:.2} x {} ({rounds}{goal})", other.name)
}

/// "met" or "missed".
pub const fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Usage;
    use super::*;

    fn series(name: &str, cpu: &[f64]) -> Series {
        let usage = |user_s: &f64| Usage { user_s: *user_s, system_s: 0.0, wall_s: 1.0, peak_mib: 1.0, foreign_cores: None };
        Series {
            name: name.to_owned(),
            command: format!("run {name}"),
            runs: cpu.iter().map(usage).collect(),
            disturbed: 0,
            flows: 7,
            failure: None,
        }
    }

    #[test]
    fn ratios_are_of_medians_and_judged() {
        let (own, floor) = (series("own", &[3.0, 2.0, 4.0]), series("floor", &[1.0, 2.0, 1.0]));
        assert_eq!(at_most(&own, &floor, Some(2.0)), "3.00 x floor (rounds 1.00 to 4.00; goal at most 2: **missed**)");
        assert_eq!(at_most(&own, &floor, None), "3.00 x floor (rounds 1.00 to 4.00)");
        assert_eq!(at_most(&series("none", &[]), &floor, None), "");
        assert_eq!(at_least(&own, &floor, 3.0), "3.00 x floor (rounds 1.00 to 4.00; goal at least 3: met)");
        assert_eq!(at_least(&own, &floor, 3.1), "3.00 x floor (rounds 1.00 to 4.00; goal at least 3.1: **missed**)");
    }

    #[test]
    fn a_page_is_never_overwritten_and_failures_have_their_reason() {
        let directory = std::env::temp_dir().join(format!("netscope-perf-report-{}", std::process::id()));
        let write = || {
            let mut report = BenchReport::new("test", "a test");
            report.row("capture", 1_000_000_000, &series("own", &[3.0]), "");
            report.row("capture", 10, &Series { failure: Some("not there".to_owned()), ..series("other", &[]) }, "");
            report.write(&directory).unwrap()
        };
        let (first, second) = (write(), write());
        let text = fs::read_to_string(&first).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_ne!(first, second);
        assert!(
            text.contains("| capture | own | 3.000 (3.000 to 3.000) | 3.000 | 0.000 | 1.000 | 1.0 | 3.0 | 7 | 1 |  |"),
            "{text}"
        );
        assert!(text.contains("| capture | other | no figure: not there |"), "{text}");
        assert!(text.contains("- capture, own: `run own`"), "{text}");
    }
}
