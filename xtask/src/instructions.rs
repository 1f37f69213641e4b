//! `cargo xtask bench instructions`: how many instructions a packet costs, against the figures on record.
//!
//! Owns the captures and the configurations that are counted. Must not know the limits, which [`record`]
//! judges. Its one invariant: the figures do not depend on how busy the machine is, only on the code, the
//! compiler and the C library.

mod record;

use crate::callgrind::{self, InstructionProfile};
use crate::install;
use crate::needs::Need;
use crate::run;
use record::{Figures, RECORD};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

const OUTPUT: &str = "target/instructions";
/// Packets per flow, as in the capture of 10 million small packets.
const PACKETS_PER_FLOW: u64 = 100;
/// Packets of the two captures. What is the same for both (start, loader, exit) is not in their difference.
const PACKETS: [u64; 2] = [200_000, 1_000_000];

/// A configuration whose packets are counted.
struct Configuration {
    /// Its name in the record and in file names.
    name: &'static str,
    flags: &'static [&'static str],
    /// Whether payload is inspected: always said, so that no figure depends on which is the default.
    dpi: &'static str,
    /// The configuration file's text, where it takes one.
    config: &'static str,
}

/// What everything is compared with: one worker, all TCP analyses, no look at payload, CSV of all flows.
const DEFAULT: Configuration = Configuration { name: "default", flags: &[], dpi: "--no-dpi", config: "" };

/// Configurations that may not cost much more than the default: flags, text of the configuration file.
const CONFIGURATIONS: &[Configuration] = &[
    DEFAULT,
    Configuration { name: "active_timeout", flags: &["--active-timeout-s", "60"], ..DEFAULT },
    Configuration { name: "rtt_off", config: "[analysis]\nrtt = false\n", ..DEFAULT },
    Configuration { name: "retrans_off", config: "[analysis]\nretrans = false\n", ..DEFAULT },
    Configuration { name: "out_of_order_off", config: "[analysis]\nout_of_order = false\n", ..DEFAULT },
    Configuration { name: "analysis_off", config: "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n", ..DEFAULT },
    Configuration { name: "stats", flags: &["--stats", "--top-flows", "10"], ..DEFAULT },
    Configuration { name: "dpi", dpi: "--dpi", ..DEFAULT },
];

/// Builds, counts, shows the layers, and compares; with `--record` the figures are written instead.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let is_record = match arguments {
        [] => false,
        ["--record"] => true,
        other => return Err(format!("bench instructions takes only --record, not `{}`", other.join(" "))),
    };
    install::ensure(&[Need::Linker, Need::Libpcap, Need::Valgrind])?;
    let build = ["build", "--release", "--locked", "--package", "netscope", "--package", "netscope-perf", "--bins"];
    run::show_and_run(run::cargo(root).args(build))?;
    std::fs::create_dir_all(root.join(OUTPUT)).map_err(|error| format!("cannot create {OUTPUT}: {error}"))?;
    for packets in PACKETS {
        generate(root, packets)?;
    }
    let counted = count_all(root)?;
    let [small, large] = &counted[0];
    print!("\n{}", table(small, large));
    let cases = CONFIGURATIONS.iter().zip(&counted).skip(1);
    let now = Figures {
        rustc: run::line_of(Command::new("rustc").arg("--version").current_dir(root))?,
        architecture: std::env::consts::ARCH.to_owned(),
        per_packet: difference(small.total, large.total),
        whole_run: large.total as f64 / PACKETS[1] as f64,
        cases: cases
            .map(|(case, [small, large])| record::CaseFigures::new(case.name, difference(small.total, large.total)))
            .collect(),
    };
    println!("\n{:.1} instructions per packet, {:.1} with start and exit ({})", now.per_packet, now.whole_run, now.rustc);
    let path = root.join(RECORD);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {RECORD}: {error}; {}", record::HOW));
    if is_record {
        // A record that is not there or cannot be read has no limits to keep.
        let limits = text.and_then(|text| record::read(&text)).map(|before| before.cases).unwrap_or_default();
        let now = now.with_limits(&limits);
        std::fs::write(&path, record::write(&now)).map_err(|error| format!("cannot write {RECORD}: {error}"))?;
        println!("{}\nRecorded in {RECORD}", record::ratios(&now).0);
        return Ok(());
    }
    let before = record::read(&text?)?;
    println!("{}", record::judge(&before, &now)?);
    Ok(())
}

fn file(packets: u64, ending: &str) -> String {
    format!("{OUTPUT}/{packets}{ending}")
}

/// Writes a capture of 64-byte packets.
fn generate(root: &Path, packets: u64) -> Result<(), String> {
    let (flows, packets_text) = ((packets / PACKETS_PER_FLOW).to_string(), packets.to_string());
    let mut generate = Command::new("target/release/netscope-perf");
    generate.args(["generate", "--profile", "small-packets", "--seed", "1", "--flows", &flows]);
    generate.args(["--packets", &packets_text, "--out", &file(packets, ".pcap")]);
    run::show_and_run(generate.current_dir(root))
}

/// Both captures' profiles for each configuration, in their order. One run per CPU at a time: they do not
/// change each other's figures.
fn count_all(root: &Path) -> Result<Vec<[InstructionProfile; 2]>, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // The long runs first, so that no CPU ends with one alone.
    let runs = (0..CONFIGURATIONS.len()).flat_map(|number| [(number, 1), (number, 0)]);
    let (waiting, done) = (Mutex::new(runs), Mutex::new(Vec::new()));
    let poisoned = |_| "another thread has failed".to_owned();
    let work = || -> Result<(), String> {
        loop {
            let Some((number, capture)) = waiting.lock().map_err(|_| poisoned(()))?.next() else { return Ok(()) };
            let profile = count(root, &CONFIGURATIONS[number], PACKETS[capture])?;
            done.lock().map_err(|_| poisoned(()))?.push((number, capture, profile));
        }
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().try_for_each(|handle| handle.join().map_err(|_| poisoned(()))?)
    })?;
    let mut all: Vec<[InstructionProfile; 2]> = CONFIGURATIONS.iter().map(|_| Default::default()).collect();
    for (number, capture, profile) in done.into_inner().map_err(|_| poisoned(()))? {
        all[number][capture] = profile;
    }
    Ok(all)
}

/// Counts the instructions of reading a capture into a CSV of all flows.
fn count(root: &Path, configuration: &Configuration, packets: u64) -> Result<InstructionProfile, String> {
    let own = |ending: &str| file(packets, &format!("-{}.{ending}", configuration.name));
    let (csv, out) = (own("csv"), own("callgrind"));
    let mut counted = Command::new("valgrind");
    counted.args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={out}"), "target/release/netscope"]);
    counted.args(["--read-pcap", &file(packets, ".pcap"), "--quiet", "--workers", "1", "--max-flows", "0", "--export-csv", &csv]);
    counted.arg(configuration.dpi).args(configuration.flags);
    if !configuration.config.is_empty() {
        let path = own("toml");
        std::fs::write(root.join(&path), configuration.config).map_err(|error| format!("cannot write {path}: {error}"))?;
        counted.args(["--config", &path]);
    }
    // Several run at a time: their summaries would mix, and nobody reads them.
    run::show_and_run(counted.current_dir(root).stdout(Stdio::null()))?;
    let rows = std::fs::read_to_string(root.join(&csv)).map_err(|error| format!("no export: {error}"))?.lines().count();
    let flows = packets / PACKETS_PER_FLOW;
    if rows as u64 != flows + 1 {
        return Err(format!("{csv} has {rows} lines, not a header and {flows} flows: nothing to compare"));
    }
    let text = std::fs::read_to_string(root.join(&out)).map_err(|error| format!("cannot read {out}: {error}"))?;
    callgrind::parse(&text, &root.to_string_lossy()).map_err(|error| format!("{out}: {error}"))
}

/// Instructions for one packet more.
fn difference(small: u64, large: u64) -> f64 {
    (large as f64 - small as f64) / (PACKETS[1] - PACKETS[0]) as f64
}

/// Layers, most first, as a table of the kind that stands in `perf/tuning-diary.md`.
fn table(small: &InstructionProfile, large: &InstructionProfile) -> String {
    let names: BTreeSet<_> = small.layers.keys().chain(large.layers.keys()).collect();
    let of = |profile: &InstructionProfile, name: &str| profile.layers.get(name).copied().unwrap_or(0);
    let mut rows: Vec<(f64, &str)> =
        names.into_iter().map(|name| (difference(of(small, name), of(large, name)), *name)).collect();
    rows.sort_by(|x, y| y.0.total_cmp(&x.0));
    let sum = difference(small.total, large.total);
    let line = |name: &str, value: f64| format!("| {name} | {value:.1} | {:.1} % |\n", 100.0 * value / sum);
    let body: String = rows.iter().map(|(value, name)| line(name, *value)).collect();
    format!("| layer | instructions per packet | share |\n|---|---|---|\n{body}{}", line("all", sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_runs_have_is_not_in_the_difference() {
        let profile =
            |total| InstructionProfile { total, layers: [("reading", total - 7), ("start, exit and the rest", 7)].into() };
        let table = table(&profile(1_000_000), &profile(9_000_000));
        assert!(
            table.contains("| reading | 10.0 | 100.0 % |\n| start, exit and the rest | 0.0 | 0.0 % |\n| all | 10.0 |"),
            "{table}"
        );
    }

    #[test]
    fn every_configuration_has_a_name_and_a_limit_of_its_own() {
        let names: BTreeSet<_> = CONFIGURATIONS.iter().map(|configuration| configuration.name).collect();
        assert_eq!(names.len(), CONFIGURATIONS.len());
        let recorded = include_str!("../../perf/instructions.toml");
        let recorded = record::read(recorded).unwrap();
        let recorded: BTreeSet<_> = recorded.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(recorded, names.into_iter().filter(|name| *name != DEFAULT.name).collect());
    }
}
