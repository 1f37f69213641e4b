//! The programs of the live benchmark: how each is started, when it captures, how it counts.
//!
//! Owns their commands. Its one invariant: each has the same memory between the kernel and itself.

use super::{Bench, PayloadFlag, machine, words};
use netscope_perf::live::{BUFFER_BYTES, RECEIVER, RingKind, Via};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// As for files; the sections for capturing stand behind it.
const SURICATA_SETTINGS: &str = include_str!("suricata.yaml");
const SURICATA_CAPTURE: &str = include_str!("suricata-live.yaml");

/// What a program says of its packets.
pub struct CountedRun {
    /// Those it worked on.
    pub received: u64,
    /// Those it names as lost, with its names.
    pub lost: Vec<(&'static str, u64)>,
}

type CountOutput = Box<dyn Fn(&str) -> Result<CountedRun, String>>;

/// A program that captures on the rig.
pub struct LiveProgram {
    pub name: String,
    pub version: String,
    pub words: Vec<OsString>,
    /// What stands in its output once it captures.
    pub ready: &'static str,
    pub via: Via,
    /// Removed before each run.
    outputs: Vec<PathBuf>,
    /// Counts by what it said.
    pub count: CountOutput,
}

impl LiveProgram {
    /// Its command as one would type it.
    pub fn shown(&self) -> String {
        let here = std::env::current_dir().map_or_else(|_| String::new(), |here| format!("{}/", here.display()));
        self.words.iter().map(|word| word.to_string_lossy().replace(&here, "")).collect::<Vec<_>>().join(" ")
    }

    /// Removes what the run before wrote.
    pub fn clear(&self) -> Result<(), String> {
        for path in &self.outputs {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {error}", path.display())),
                _ => {}
            }
        }
        Ok(())
    }
}

/// All of them, in the order of their runs.
pub fn all(bench: &Bench) -> Result<Vec<LiveProgram>, String> {
    let own = std::env::current_exe().map_err(|error| format!("our own program is not found: {error}"))?;
    let mut all = Vec::new();
    for ring in RingKind::ALL {
        all.push(bare(&own, *ring));
        all.push(ours(bench, *ring));
    }
    all.push(tcpdump());
    all.push(dumpcap());
    let settings = bench.output("suricata-live.yaml");
    fs::write(&settings, format!("{SURICATA_SETTINGS}{SURICATA_CAPTURE}"))
        .map_err(|error| format!("{}: {error}", settings.display()))?;
    all.push(suricata(bench, &settings, "af-packet", Via::Stack));
    all.push(suricata(bench, &settings, "af-xdp", Via::Wire));
    Ok(all)
}

fn bare(own: &Path, ring: RingKind) -> LiveProgram {
    let mut words = words(&["live", "receive", "--interface", RECEIVER, "--backend", ring.name()]);
    words.insert(0, own.into());
    LiveProgram {
        name: format!("bare {}", ring.name()),
        version: format!("netscope-perf {}", env!("CARGO_PKG_VERSION")),
        words,
        ready: "capturing on",
        via: ring.via(),
        outputs: Vec::new(),
        count: Box::new(|said| {
            Ok(CountedRun {
                received: number_after(said, "received ")?,
                lost: vec![("kernel", number_after(said, " lost ")?), ("damaged", number_after(said, "damaged ")?)],
            })
        }),
    }
}

/// All analyses are on by default; flows that end are written, too.
fn ours(bench: &Bench, ring: RingKind) -> LiveProgram {
    let summary = bench.output("netscope-live-summary.json");
    let backend: &[&str] = match ring {
        RingKind::Libpcap => &["libpcap"],
        RingKind::Tpacket => &["tpacket"],
        RingKind::XdpNative => &["xdp", "--xdp-mode", "native"],
        RingKind::XdpGeneric => &["xdp", "--xdp-mode", "generic"],
    };
    let buffer = (BUFFER_BYTES >> 20).to_string();
    let mut line = vec![OsString::from(&bench.netscope)];
    line.extend(words(&[
        PayloadFlag::Ignored.word(),
        "--interface",
        RECEIVER,
        "--quiet",
        "--workers",
        "1",
        "--stats",
        "--stats-interval-ms",
        "1000",
    ]));
    if !matches!(ring, RingKind::XdpNative | RingKind::XdpGeneric) {
        line.extend(words(&["--buffer-size-mb", &buffer])); // AF_XDP has its 64 MiB by default
    }
    line.push("--backend".into());
    line.extend(words(backend));
    line.extend(words(&["--expired-flows-csv", "/dev/null", "--summary-json"]));
    line.push(summary.clone().into());
    let netscope = bench.netscope.to_string_lossy().into_owned();
    LiveProgram {
        name: format!("netscope, {}", ring.name()),
        version: machine::said(&netscope, &["--version"]),
        words: line,
        ready: "[stats]",
        via: ring.via(),
        outputs: vec![summary.clone()],
        count: Box::new(move |_said| {
            let text = fs::read_to_string(&summary).map_err(|error| format!("{}: {error}", summary.display()))?;
            summed(&text)
        }),
    }
}

/// Packets and losses out of NetScope's summary; `ring_full_drops` and `fill_empty_drops` are parts of
/// `kernel_drops`.
fn summed(text: &str) -> Result<CountedRun, String> {
    let summary: Value = serde_json::from_str(text).map_err(|error| format!("the summary: {error}"))?;
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    let source = summary.get("source").ok_or("the summary has no `source`")?;
    let lost = ["kernel_drops", "filtered", "damaged", "skipped"];
    Ok(CountedRun {
        received: number(&summary, "packets").ok_or("the summary has no `packets`")?,
        lost: lost.iter().map(|name| (*name, number(source, name).unwrap_or(0))).collect(),
    })
}

fn tcpdump() -> LiveProgram {
    let buffer_kib = (BUFFER_BYTES >> 10).to_string();
    LiveProgram {
        name: "tcpdump".to_owned(),
        version: machine::said("tcpdump", &["--version"]),
        words: words(&["tcpdump", "-i", RECEIVER, "-n", "-B", &buffer_kib, "-w", "/dev/null"]),
        ready: "listening on",
        via: Via::Stack,
        outputs: Vec::new(),
        count: Box::new(|said| {
            Ok(CountedRun {
                received: number_before(said, " packets captured")?,
                lost: vec![("kernel", number_before(said, " packets dropped by kernel")?)],
            })
        }),
    }
}

fn dumpcap() -> LiveProgram {
    let buffer_mib = (BUFFER_BYTES >> 20).to_string();
    LiveProgram {
        name: "dumpcap".to_owned(),
        version: machine::said("dumpcap", &["--version"]),
        words: words(&["dumpcap", "-q", "-i", RECEIVER, "-B", &buffer_mib, "-w", "/dev/null"]),
        ready: "File:",
        via: Via::Stack,
        outputs: Vec::new(),
        count: Box::new(|said| {
            // "Packets received/dropped on interface 'veth0': 10/2 (pcap:2/dumpcap:0/flushed:0/ps_ifdrop:0)
            // (83.3%)"
            let line = said.lines().find(|line| line.contains("received/dropped on interface"));
            let line = line.ok_or("it did not say how many packets it received")?;
            let dropped = line.split_once("': ").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, dropped)| dropped);
            Ok(CountedRun { received: number_after(line, "': ")?, lost: vec![("kernel", leading_number(dropped)?)] })
        }),
    }
}

fn suricata(bench: &Bench, settings: &Path, capture: &str, via: Via) -> LiveProgram {
    let mut line = words(&["suricata", "-c"]);
    line.push(settings.into());
    line.push("-l".into());
    line.push(bench.captures.clone().into());
    line.extend(words(&["-k", "none", "--runmode", "single", &format!("--{capture}={RECEIVER}")]));
    LiveProgram {
        name: format!("suricata, {capture}"),
        version: machine::said("suricata", &["-V"]),
        words: line,
        ready: "Engine started",
        via,
        outputs: vec![bench.output("eve.json")],
        count: Box::new(|said| {
            // "Notice: device: veth0: packets: 12, drops: 3 (25.00%), invalid chksum: 0"
            let (seen, drops) = (number_after(said, "packets: ")?, number_after(said, "drops: ")?);
            Ok(CountedRun { received: seen.saturating_sub(drops), lost: vec![("kernel", drops)] })
        }),
    }
}

fn number_after(said: &str, mark: &str) -> Result<u64, String> {
    let (_, rest) = said.split_once(mark).ok_or_else(|| format!("it did not say {mark:?}"))?;
    leading_number(rest)
}

fn leading_number(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| format!("no number at {:?}", text.chars().take(20).collect::<String>()))
}

fn number_before(said: &str, mark: &str) -> Result<u64, String> {
    let (before, _) = said.split_once(mark).ok_or_else(|| format!("it did not say {mark:?}"))?;
    let word = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    word.parse().map_err(|_| format!("no number in front of {mark:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(program: &LiveProgram, said: &str) -> (u64, Vec<u64>) {
        let counted = (program.count)(said).unwrap();
        (counted.received, counted.lost.iter().map(|(_, lost)| *lost).collect())
    }

    #[test]
    fn what_programs_say_is_understood() {
        let said =
            "tcpdump: listening on veth0\n12 packets captured\n15 packets received by filter\n3 packets dropped by kernel\n";
        assert_eq!(counted(&tcpdump(), said), (12, vec![3]));
        let said = "File: /dev/null\nPackets received/dropped on interface 'veth0': 10/2 (pcap:2/dumpcap:0) (83.3%)\n";
        assert_eq!(counted(&dumpcap(), said), (10, vec![2]));
        let said = "capturing on veth0 by tpacket\nreceived 7 lost 3 damaged 0\n";
        assert_eq!(counted(&bare(Path::new("x"), RingKind::Tpacket), said), (7, vec![3, 0]));
        assert!((tcpdump().count)("nothing").is_err());
    }

    #[test]
    fn a_summary_is_added_up() {
        let text = r#"{"packets": 5, "source": {"received": 9, "kernel_drops": 4, "ring_full_drops": 4, "filtered": 0}}"#;
        let counted = summed(text).unwrap();
        assert_eq!((counted.received, counted.lost[0]), (5, ("kernel_drops", 4)));
        assert!(summed("{}").is_err());
    }
}
