//! The record of instructions per packet, `perf/instructions.toml`, and what is within its limits.
//!
//! Owns the file's format and the rules; counts nothing. Its one invariant: a figure above a limit is an
//! error that names it.

use std::fmt::Write as _;

/// Where the figures are kept.
pub const RECORD: &str = "perf/instructions.toml";
/// What to type when a figure has changed on purpose.
pub const HOW: &str = "`cargo xtask bench instructions --record` writes it, to be committed with the change that explains it";
/// A change by more than this share has to be recorded.
const TOLERANCE: f64 = 0.05;
/// The limit of a configuration that the record does not know yet, in times the default's instructions.
const RATIO_MAX: f64 = 1.05;

/// What is kept between runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// `rustc --version`: another compiler gives other instructions.
    pub rustc: String,
    /// The processor's architecture.
    pub architecture: String,
    /// Instructions per packet without start and exit: the difference of the two captures.
    pub per_packet: f64,
    /// Instructions of the whole run over the larger capture, per packet.
    pub whole_run: f64,
    /// Configurations besides the default.
    pub cases: Vec<CaseFigures>,
}

/// A configuration besides the default.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseFigures {
    /// Its name, which is its table in the record.
    pub name: String,
    /// Instructions per packet without start and exit.
    pub instructions: f64,
    /// At most so many times the default's instructions of the same run.
    pub ratio_max: f64,
}

impl CaseFigures {
    /// A figure that was just counted.
    pub fn new(name: &str, instructions: f64) -> Self {
        Self { name: name.to_owned(), instructions, ratio_max: RATIO_MAX }
    }
}

impl Figures {
    /// The same with the limits of `known`, which are set by hand.
    pub fn with_limits(mut self, known: &[CaseFigures]) -> Self {
        for case in &mut self.cases {
            if let Some(known) = known.iter().find(|known| known.name == case.name) {
                case.ratio_max = known.ratio_max;
            }
        }
        self
    }
}

/// Every case against the default of the same run; and the names of those above their limits.
pub fn ratios(figures: &Figures) -> (String, Vec<String>) {
    let (mut text, mut missed) =
        (String::from("| configuration | instructions per packet | x default | at most | |\n|---|---|---|---|---|"), Vec::new());
    for CaseFigures { name, instructions, ratio_max } in &figures.cases {
        let ratio = instructions / figures.per_packet;
        let verdict = if ratio > *ratio_max { "**missed**" } else { "met" };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n| {name} | {instructions:.1} | {ratio:.3} | {ratio_max} | {verdict} |");
        if ratio > *ratio_max {
            missed.push(format!("{name} is {ratio:.3} x the default, at most {ratio_max}"));
        }
    }
    (text, missed)
}

/// A sentence for figures within the limits, or for some that went down; an error for one that went up.
pub fn judge(before: &Figures, now: &Figures) -> Result<String, String> {
    let now = &now.clone().with_limits(&before.cases);
    // Ratios are of one run, so they hold whatever machine and compiler it was.
    let (table, missed) = ratios(now);
    println!("\n{table}\n");
    let told = judge_changes(before, now);
    if missed.is_empty() {
        return told;
    }
    let told = told.unwrap_or_else(|error| error);
    Err(format!("{told}\nAgainst the default of this run: {}", missed.join("; ")))
}

fn judge_changes(before: &Figures, now: &Figures) -> Result<String, String> {
    if before.architecture != now.architecture {
        return Ok(format!("Not compared with {RECORD}: recorded on {}, this is {}", before.architecture, now.architecture));
    }
    let mut pairs =
        vec![("per packet", before.per_packet, now.per_packet), ("of the whole run", before.whole_run, now.whole_run)];
    for case in &now.cases {
        match before.cases.iter().find(|known| known.name == case.name) {
            Some(known) => pairs.push((&case.name, known.instructions, case.instructions)),
            None => return Err(format!("{RECORD} has no [{}]; {HOW}", case.name)),
        }
    }
    let change = |(_, old, new): &(&str, f64, f64)| new / old - 1.0;
    let told: Vec<String> =
        pairs.iter().map(|pair| format!("{} {:.1} -> {:.1} ({:+.1} %)", pair.0, pair.1, pair.2, 100.0 * change(pair))).collect();
    let told = format!("Instructions against {RECORD}: {}", told.join(", "));
    let compiler = match before.rustc == now.rustc {
        true => String::new(),
        false => format!("; recorded with {}, this is {}, which may be the reason", before.rustc, now.rustc),
    };
    if pairs.iter().any(|pair| change(pair) > TOLERANCE) {
        return Err(format!("{told}: more than {:.0} % up{compiler}; {HOW}", 100.0 * TOLERANCE));
    }
    if pairs.iter().any(|pair| change(pair) < -TOLERANCE) {
        return Ok(format!("{told}: better; please record it, so that it stays so: {HOW}{compiler}"));
    }
    Ok(format!("{told}: as recorded{compiler}"))
}

/// The record's text.
pub fn write(figures: &Figures) -> String {
    let Figures { rustc, architecture, per_packet, whole_run, cases } = figures;
    let mut text = format!(
        "# Instructions per 64-byte packet: written by `cargo xtask bench instructions --record`, checked by the command without\n\
         # --record and in CI, which fails above {:.0} % more. docs/measuring.md says what is counted. `ratio_max`, set by hand, is\n\
         # the most that a configuration may cost in times the default's instructions of the same run.\n\
         rustc = \"{rustc}\"\narchitecture = \"{architecture}\"\nper_packet = {per_packet:.1}\nwhole_run = {whole_run:.1}\n",
        100.0 * TOLERANCE
    );
    for CaseFigures { name, instructions, ratio_max } in cases {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[{name}]\ninstructions = {instructions:.1}\nratio_max = {ratio_max:?}\n");
    }
    text
}

/// The record's figures.
pub fn read(text: &str) -> Result<Figures, String> {
    let mut parts = text.split("\n[");
    let top = parts.next().unwrap_or_default();
    let mut cases = Vec::new();
    for part in parts {
        let (name, body) = part.split_once(']').ok_or_else(|| format!("{RECORD}: no `]` behind `[{part}`; {HOW}"))?;
        let (instructions, ratio_max) = (figure(body, "instructions")?, figure(body, "ratio_max")?);
        cases.push(CaseFigures { name: name.to_owned(), instructions, ratio_max });
    }
    Ok(Figures {
        rustc: value(top, "rustc")?,
        architecture: value(top, "architecture")?,
        per_packet: figure(top, "per_packet")?,
        whole_run: figure(top, "whole_run")?,
        cases,
    })
}

/// The value of a key in one table's text.
fn value(text: &str, name: &str) -> Result<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let mut found = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned());
    found.next().ok_or_else(|| format!("{RECORD} has no `{name}`; {HOW}"))
}

fn figure(text: &str, name: &str) -> Result<f64, String> {
    let text = value(text, name)?;
    let figure = text.parse::<f64>().ok().filter(|figure| figure.is_finite() && *figure > 0.0);
    figure.ok_or_else(|| format!("{RECORD}: `{name}` is no positive number: `{text}`; {HOW}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(per_packet: f64, whole_run: f64) -> Figures {
        let (rustc, architecture) = ("rustc 1.0".to_owned(), "x86_64".to_owned());
        Figures { rustc, architecture, per_packet, whole_run, cases: Vec::new() }
    }

    fn with_case(instructions: f64, ratio_max: f64) -> Figures {
        let case = CaseFigures { ratio_max, ..CaseFigures::new("stats", instructions) };
        Figures { cases: vec![case], ..figures(1000.0, 1100.0) }
    }

    #[test]
    fn only_a_rise_beyond_the_limit_fails() {
        let before = figures(1000.0, 1100.0);
        assert!(judge(&before, &figures(1049.0, 1150.0)).unwrap().contains("as recorded"));
        assert!(judge(&before, &figures(1051.0, 1100.0)).unwrap_err().contains("--record"));
        assert!(judge(&before, &figures(1000.0, 1160.0)).unwrap_err().contains("of the whole run"));
        assert!(judge(&before, &figures(940.0, 1100.0)).unwrap().contains("please record"));
        assert!(judge(&before, &figures(940.0, 1200.0)).is_err(), "a fall does not hide a rise");
    }

    #[test]
    fn another_compiler_is_said_and_another_architecture_not_compared() {
        let before = figures(1000.0, 1100.0);
        let newer = Figures { rustc: "rustc 2.0".to_owned(), ..figures(1200.0, 1300.0) };
        let error = judge(&before, &newer).unwrap_err();
        assert!(error.contains("rustc 1.0") && error.contains("rustc 2.0"), "{error}");
        let other = Figures { architecture: "aarch64".to_owned(), ..newer };
        assert!(judge(&before, &other).unwrap().contains("Not compared"));
    }

    #[test]
    fn a_case_is_held_against_the_default_of_the_same_run_and_against_its_record() {
        let before = with_case(1040.0, 1.05);
        assert!(judge(&before, &with_case(1049.0, 9.0)).is_ok(), "the limit is the record's");
        let error = judge(&before, &with_case(1060.0, 9.0)).unwrap_err();
        assert!(error.contains("stats is 1.060 x the default, at most 1.05"), "{error}");
        let error = judge(&with_case(900.0, 1.05), &with_case(950.0, 1.05)).unwrap_err();
        assert!(error.contains("stats 900.0 -> 950.0"), "{error}");
        assert!(judge(&figures(1000.0, 1100.0), &with_case(900.0, 1.05)).unwrap_err().contains("has no [stats]"));
        let other = Figures { architecture: "aarch64".to_owned(), ..with_case(1060.0, 1.05) };
        assert!(judge(&before, &other).is_err(), "ratios hold on every architecture");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = with_case(1034.5, 1.0);
        assert_eq!(read(&write(&written)), Ok(written));
        assert!(read("rustc = \"x\"\n").unwrap_err().contains("architecture"));
        let broken = write(&figures(1.0, 2.0)).replace("= 2.0", "= many");
        assert!(read(&broken).unwrap_err().contains("whole_run"));
        assert!(read(&write(&with_case(1.0, 2.0)).replace("ratio_max =", "limit =")).unwrap_err().contains("ratio_max"));
    }
}
