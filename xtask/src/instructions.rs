//! `cargo xtask bench instructions`: how many instructions a packet costs, against the figure on record.
//!
//! Owns the captures, the limit and the record `perf/instructions.toml`. Its one invariant: the figure does not depend on how busy
//! the machine is, only on the code, the compiler and the C library.

use crate::callgrind::{self, Profile};
use crate::install;
use crate::needs::Need;
use crate::run;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const RECORD: &str = "perf/instructions.toml";
const OUTPUT: &str = "target/instructions";
/// Packets per flow, as in the capture of 10 million small packets.
const PACKETS_PER_FLOW: u64 = 100;
/// Packets of the two captures. What is the same for both (start, loader, exit) is not in their difference.
const PACKETS: [u64; 2] = [200_000, 1_000_000];
/// A change by more than this share has to be recorded.
const TOLERANCE: f64 = 0.05;

/// What is kept between runs.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    /// `rustc --version`: another compiler gives other instructions.
    rustc: String,
    /// The processor's architecture.
    architecture: String,
    /// Instructions per packet without start and exit: the difference of the two captures.
    per_packet: f64,
    /// Instructions of the whole run over the larger capture, per packet.
    whole_run: f64,
}

/// Builds, counts, shows the layers, and compares; with `--record` the figure is written instead.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let record = match arguments {
        [] => false,
        ["--record"] => true,
        other => return Err(format!("bench instructions takes only --record, not `{}`", other.join(" "))),
    };
    install::ensure(&[Need::Linker, Need::Libpcap, Need::Valgrind])?;
    let build = ["build", "--release", "--locked", "--package", "netscope", "--package", "netscope-perf", "--bins"];
    run::show_and_run(run::cargo(root).args(build))?;
    std::fs::create_dir_all(root.join(OUTPUT)).map_err(|error| format!("cannot create {OUTPUT}: {error}"))?;
    let [small, large] = [count(root, PACKETS[0])?, count(root, PACKETS[1])?];
    print!("\n{}", table(&small, &large));
    let now = Figures {
        rustc: run::line_of(Command::new("rustc").arg("--version").current_dir(root))?,
        architecture: std::env::consts::ARCH.to_owned(),
        per_packet: difference(small.total, large.total),
        whole_run: large.total as f64 / PACKETS[1] as f64,
    };
    println!("\n{:.1} instructions per packet, {:.1} with start and exit ({})", now.per_packet, now.whole_run, now.rustc);
    let path = root.join(RECORD);
    if record {
        std::fs::write(&path, write(&now)).map_err(|error| format!("cannot write {RECORD}: {error}"))?;
        println!("Recorded in {RECORD}");
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {RECORD}: {error}; {HOW}"))?;
    let verdict = judge(&read(&text)?, &now)?;
    println!("{verdict}");
    Ok(())
}

/// What to type when the figure has changed on purpose.
const HOW: &str = "`cargo xtask bench instructions --record` writes it, to be committed with the change that explains it";

/// Generates a capture of 64-byte packets and counts the instructions of reading it into a CSV of all flows.
fn count(root: &Path, packets: u64) -> Result<Profile, String> {
    let file = |ending: &str| format!("{OUTPUT}/{packets}.{ending}");
    let (capture, out) = (file("pcap"), file("callgrind"));
    let flows = (packets / PACKETS_PER_FLOW).to_string();
    let options = ["generate", "--profile", "small-packets", "--seed", "1", "--flows", &flows];
    let mut generate = Command::new("target/release/netscope-perf");
    run::show_and_run(generate.args(options).args(["--packets", &packets.to_string(), "--out", &capture]).current_dir(root))?;
    let mut counted = Command::new("valgrind");
    counted.args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={out}"), "target/release/netscope"]);
    counted.args(["--read-pcap", &capture, "--quiet", "--workers", "1", "--max-flows", "0", "--export-csv", &file("csv")]);
    run::show_and_run(counted.current_dir(root))?;
    let rows = std::fs::read_to_string(root.join(file("csv"))).map_err(|error| format!("no export: {error}"))?.lines().count();
    if rows as u64 != packets / PACKETS_PER_FLOW + 1 {
        return Err(format!("{} has {rows} lines, not a header and {flows} flows: nothing to compare", file("csv")));
    }
    let text = std::fs::read_to_string(root.join(&out)).map_err(|error| format!("cannot read {out}: {error}"))?;
    callgrind::parse(&text, &root.to_string_lossy()).map_err(|error| format!("{out}: {error}"))
}

/// Instructions for one packet more.
fn difference(small: u64, large: u64) -> f64 {
    (large as f64 - small as f64) / (PACKETS[1] - PACKETS[0]) as f64
}

/// Layers, most first, as a table of the kind that stands in `docs/measuring.md`.
fn table(small: &Profile, large: &Profile) -> String {
    let names: BTreeSet<_> = small.layers.keys().chain(large.layers.keys()).collect();
    let of = |profile: &Profile, name: &str| profile.layers.get(name).copied().unwrap_or(0);
    let mut rows: Vec<(f64, &str)> =
        names.into_iter().map(|name| (difference(of(small, name), of(large, name)), *name)).collect();
    rows.sort_by(|x, y| y.0.total_cmp(&x.0));
    let sum = difference(small.total, large.total);
    let line = |name: &str, value: f64| format!("| {name} | {value:.1} | {:.1} % |\n", 100.0 * value / sum);
    let body: String = rows.iter().map(|(value, name)| line(name, *value)).collect();
    format!("| layer | instructions per packet | share |\n|---|---|---|\n{body}{}", line("all", sum))
}

/// A sentence for a figure within the limit, or one that went down; an error for one that went up or cannot be compared.
fn judge(before: &Figures, now: &Figures) -> Result<String, String> {
    if before.architecture != now.architecture {
        return Ok(format!("Not compared: recorded on {}, this is {}", before.architecture, now.architecture));
    }
    let pairs = [("per packet", before.per_packet, now.per_packet), ("of the whole run", before.whole_run, now.whole_run)];
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

fn write(figures: &Figures) -> String {
    let Figures { rustc, architecture, per_packet, whole_run } = figures;
    format!(
        "# Instructions per 64-byte packet: written by `cargo xtask bench instructions --record`, checked by the command without\n\
         # --record and in CI, which fails above {:.0} % more. docs/measuring.md says what is counted.\n\
         rustc = \"{rustc}\"\narchitecture = \"{architecture}\"\nper_packet = {per_packet:.1}\nwhole_run = {whole_run:.1}\n",
        100.0 * TOLERANCE
    )
}

fn read(text: &str) -> Result<Figures, String> {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let mut found = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned());
        found.next().ok_or_else(|| format!("{RECORD} has no `{name}`; {HOW}"))
    };
    let figure = |name: &str| {
        let text = value(name)?;
        let figure = text.parse::<f64>().ok().filter(|figure| figure.is_finite() && *figure > 0.0);
        figure.ok_or_else(|| format!("{RECORD}: `{name}` is no count of instructions: `{text}`; {HOW}"))
    };
    Ok(Figures {
        rustc: value("rustc")?,
        architecture: value("architecture")?,
        per_packet: figure("per_packet")?,
        whole_run: figure("whole_run")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(per_packet: f64, whole_run: f64) -> Figures {
        Figures { rustc: "rustc 1.0".to_owned(), architecture: "x86_64".to_owned(), per_packet, whole_run }
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
    fn what_is_written_is_read_again() {
        let written = figures(1234.5, 1300.1);
        assert_eq!(read(&write(&written)), Ok(written));
        assert!(read("rustc = \"x\"\n").unwrap_err().contains("architecture"));
        let broken = write(&figures(1.0, 2.0)).replace("= 2.0", "= many");
        assert!(read(&broken).unwrap_err().contains("whole_run"));
    }

    #[test]
    fn what_both_runs_have_is_not_in_the_difference() {
        let profile = |total| Profile { total, layers: [("reading", total - 7), ("start, exit and the rest", 7)].into() };
        let table = table(&profile(1_000_000), &profile(9_000_000));
        assert!(
            table.contains("| reading | 10.0 | 100.0 % |\n| start, exit and the rest | 0.0 | 0.0 % |\n| all | 10.0 |"),
            "{table}"
        );
    }
}
