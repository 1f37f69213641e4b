//! The peers' commands, each set so that it keeps and writes all flows, and how its flows are counted. Owns their
//! settings and their packages. Knows neither captures nor goals.

use crate::bench::series::MeasuredCommand;
use crate::bench::{Bench, candidate, count, machine, words};
use std::ffi::OsString;
use std::path::Path;

/// A peer is ended after so long.
pub const LIMIT_S: &str = "900";
/// Each peer and its Debian package.
pub const PACKAGES: &[(&str, &str)] = &[
    ("nfpcapd", "nfdump"),
    ("softflowd", "softflowd"),
    ("argus", "argus-server"),
    ("suricata", "suricata"),
    ("ndpiReader", "libndpi-bin"),
    ("tshark", "tshark"),
];

/// How suricata is set.
#[derive(Clone, Copy)]
pub struct SuricataRun {
    /// What a reader calls it.
    pub name: &'static str,
    /// Name of its settings and of its directory of logs.
    pub file: &'static str,
    pub settings: &'static str,
}

pub const FLOW_LOG: SuricataRun =
    SuricataRun { name: "suricata, flow log", file: "suricata", settings: include_str!("../suricata.yaml") };
pub const APPLICATION_LOG: SuricataRun = SuricataRun {
    name: "suricata, flow and application log",
    file: "suricata-applications",
    settings: include_str!("../suricata-applications.yaml"),
};

/// The version of the Debian package, as not all of these programs tell theirs.
pub fn version(package: &str) -> String {
    let said = machine::said("dpkg-query", &["--show", package]);
    match said.split_once(char::is_whitespace) {
        Some((name, version)) if name == package => format!("Debian package {package} {version}"),
        _ => format!("Debian package {package} is not installed"),
    }
}

fn limited(rest: &[&str]) -> Vec<OsString> {
    words(&[&["timeout", LIMIT_S], rest].concat())
}

fn text(bench: &Bench, name: &str) -> String {
    bench.output(name).to_string_lossy().into_owned()
}

pub fn nfpcapd(bench: &Bench, capture: &str) -> MeasuredCommand {
    let directory = text(bench, "nfpcapd");
    MeasuredCommand {
        directories: vec![bench.output("nfpcapd")],
        ..candidate("nfpcapd", limited(&["nfpcapd", "-r", capture, "-w", &directory]), {
            let directory = directory.clone();
            move || Ok(count::told("nfdump", &["-R", &directory, "-I"], "Flows:")? / 2)
        })
    }
}

/// Its records go to this port; its own statistics go to standard output.
pub fn softflowd(bench: &Bench, capture: &str, port: u16) -> MeasuredCommand {
    let (said, pid, sink) = (bench.output("softflowd.txt"), text(bench, "softflowd.pid"), format!("127.0.0.1:{port}"));
    let command = ["softflowd", "-r", capture, "-m", "20000000", "-n", &sink, "-v", "9", "-d", "-c", "none", "-p", &pid];
    MeasuredCommand {
        stdout: Some(said.clone()),
        ..candidate("softflowd", limited(&command), move || count::named(&said, "Flows expired:"))
    }
}

pub fn argus(bench: &Bench, capture: &str) -> MeasuredCommand {
    let records = text(bench, "argus.records");
    MeasuredCommand {
        outputs: vec![bench.output("argus.records")],
        ..candidate("argus", limited(&["argus", "-F", "/dev/null", "-r", capture, "-w", &records]), move || {
            count::told("racount", &["-r", &records], "sum")
        })
    }
}

/// # Errors
/// When its settings cannot be written.
pub fn suricata(bench: &Bench, capture: &str, run: SuricataRun) -> Result<MeasuredCommand, String> {
    let settings = bench.output(&format!("{}.yaml", run.file));
    std::fs::write(&settings, run.settings).map_err(|error| format!("{}: {error}", settings.display()))?;
    let settings = settings.to_string_lossy();
    let (directory, log) = (text(bench, run.file), bench.output(run.file).join("eve.json"));
    let command = ["suricata", "-c", &settings, "-r", capture, "-l", &directory, "-k", "none", "--runmode", "single"];
    Ok(MeasuredCommand {
        directories: vec![bench.output(run.file)],
        ..candidate(run.name, limited(&command), move || events(&log, "flow"))
    })
}

/// Lines of suricata's log about this.
pub fn events(log: &Path, kind: &str) -> Result<u64, String> {
    count::marked(log, &format!("\"event_type\":\"{kind}\""))
}

pub fn ndpi_reader(bench: &Bench, capture: &str) -> MeasuredCommand {
    let said = bench.output(NDPI_SAID);
    let flows = text(bench, "ndpireader.flows");
    MeasuredCommand {
        stdout: Some(said.clone()),
        outputs: vec![bench.output("ndpireader.flows")],
        ..candidate(NDPI_READER, limited(&["ndpiReader", "-i", capture, "-v", "2", "-w", &flows]), move || {
            count::named(&said, "Unique flows:")
        })
    }
}

pub const NDPI_READER: &str = "ndpiReader";
/// The file with what it says.
pub const NDPI_SAID: &str = "ndpireader.txt";

pub fn tshark(bench: &Bench, capture: &str) -> MeasuredCommand {
    let said = bench.output("tshark.txt");
    MeasuredCommand {
        stdout: Some(said.clone()),
        ..candidate("tshark, conversations", limited(&["tshark", "-n", "-q", "-r", capture, "-z", "conv,tcp"]), move || {
            count::marked(&said, " <-> ")
        })
    }
}
