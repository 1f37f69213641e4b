//! NetScope and other programs on the same captures. Owns each peer's command and how its flows are counted.
//! Its one invariant: a peer that is not there or whose flows cannot be counted is named in the table without
//! a figure, and the others go on.

use super::capture::Capture;
use super::report::{BenchReport, SPREAD_NOTE, verdict};
use super::series::{MeasuredCommand, Series, alternate};
use super::{Bench, candidate, count, machine, words};
use std::net::UdpSocket;
use std::path::Path;

/// CPU time of the best peer, in times ours, that is the goal.
const GOALS: &[(Capture, f64)] = &[(Capture::SMALL, 9.0), (Capture::MANY, 4.0), (Capture::HTTP, 1.7)];
/// Peers slower than this run once.
const ONCE_ABOVE_S: f64 = 30.0;
/// A peer is ended after so long.
const LIMIT_S: &str = "900";
const SURICATA_SETTINGS: &str = include_str!("suricata.yaml");
/// Each peer and its Debian package.
const PACKAGES: &[(&str, &str)] = &[
    ("nfpcapd", "nfdump"),
    ("softflowd", "softflowd"),
    ("argus", "argus-server"),
    ("suricata", "suricata"),
    ("ndpiReader", "libndpi-bin"),
    ("tshark", "tshark"),
];

pub fn run(bench: &Bench) -> Result<BenchReport, String> {
    let mut report = BenchReport::new("peers", "NetScope and its peers");
    report.version("netscope", &machine::said(&bench.netscope.to_string_lossy(), &["--version"]));
    for (name, package) in PACKAGES {
        report.version(name, &version(package));
    }
    // softflowd's records go to a socket that nobody reads: the kernel throws away what does not fit, as a
    // collector's would.
    let sink = UdpSocket::bind("127.0.0.1:0").map_err(|error| format!("a UDP socket: {error}"))?;
    let port = sink.local_addr().map_err(|error| format!("a UDP socket: {error}"))?.port();
    for (capture, goal) in GOALS {
        let capture = capture.scaled(bench.quick);
        let path = capture.ready(&bench.captures)?;
        let mut candidates = vec![bench.netscope("netscope", 1, &path, &capture)];
        candidates.extend(peers(bench, &path, port)?);
        let all = alternate(capture.name, &candidates, bench.repeats(ONCE_ABOVE_S));
        add_rows(&mut report, &capture, &all, *goal);
    }
    report.note(SPREAD_NOTE);
    report.note(format!(
        "A peer whose first run takes longer than {ONCE_ABOVE_S} s runs once; one that takes longer than {LIMIT_S} s is ended. All \
         processes and threads of a peer count."
    ));
    report.note(
        "Flows are those the peer wrote: nfpcapd counts each direction (halved here), argus counts records, of which a long flow may \
         have several. softflowd's are those it exported over UDP to a local socket. suricata writes its flow log only.",
    );
    if bench.quick {
        report.note("Quick: a tenth of the packets and flows; start and exit weigh more than in a full run.");
    }
    Ok(report)
}

/// The version of the Debian package, as not all of these programs tell theirs.
fn version(package: &str) -> String {
    let said = machine::said("dpkg-query", &["--show", package]);
    match said.split_once(char::is_whitespace) {
        Some((name, version)) if name == package => format!("Debian package {package} {version}"),
        _ => format!("Debian package {package} is not installed"),
    }
}

fn add_rows(report: &mut BenchReport, capture: &Capture, all: &[Series], goal: f64) {
    let label = format!("{} ({})", capture.name, capture.size());
    let Some((ours, peers)) = all.split_first() else { return };
    let Some(own) = ours.cpu().filter(|_| ours.failure.is_none()) else {
        report.row(&label, capture.packets, ours, "");
        return;
    };
    let costs = peers.iter().filter(|peer| peer.failure.is_none()).filter_map(|peer| Some((peer.cpu()?.median, &peer.name)));
    let best = costs.min_by(|a, b| a.0.total_cmp(&b.0));
    let compared = best.map_or_else(String::new, |(cost, name)| {
        let ratio = cost / own.median;
        format!("best peer {name}: {ratio:.1} x ours (goal at least {goal}: {})", verdict(ratio >= goal))
    });
    report.row(&label, capture.packets, ours, &compared);
    for peer in peers {
        let compared = peer.cpu().map_or_else(String::new, |cpu| format!("{:.1} x ours", cpu.median / own.median));
        report.row(&label, capture.packets, peer, &compared);
    }
}

/// The peers' commands, each set so that it keeps and writes all flows.
fn peers(bench: &Bench, path: &Path, port: u16) -> Result<Vec<MeasuredCommand>, String> {
    let capture = path.to_string_lossy().into_owned();
    let limited = |rest: &[&str]| words(&[&["timeout", LIMIT_S], rest].concat());
    let output = |name: &str| bench.output(name);
    let text = |name: &str| bench.output(name).to_string_lossy().into_owned();

    let directory = text("nfpcapd");
    let mut all = vec![MeasuredCommand {
        directories: vec![output("nfpcapd")],
        ..candidate("nfpcapd", limited(&["nfpcapd", "-r", &capture, "-w", &directory]), {
            let directory = directory.clone();
            move || Ok(count::told("nfdump", &["-R", &directory, "-I"], "Flows:")? / 2)
        })
    }];

    // Its own statistics go to standard output.
    let (said, pid, sink) = (output("softflowd.txt"), text("softflowd.pid"), format!("127.0.0.1:{port}"));
    let command = ["softflowd", "-r", &capture, "-m", "20000000", "-n", &sink, "-v", "9", "-d", "-c", "none", "-p", &pid];
    all.push(MeasuredCommand {
        stdout: Some(said.clone()),
        ..candidate("softflowd", limited(&command), move || count::named(&said, "Flows expired:"))
    });

    let records = text("argus.records");
    all.push(MeasuredCommand {
        outputs: vec![output("argus.records")],
        ..candidate("argus", limited(&["argus", "-F", "/dev/null", "-r", &capture, "-w", &records]), move || {
            count::told("racount", &["-r", &records], "sum")
        })
    });

    let settings = output("suricata.yaml");
    std::fs::write(&settings, SURICATA_SETTINGS).map_err(|error| format!("{}: {error}", settings.display()))?;
    let (settings, directory, log) = (text("suricata.yaml"), text("suricata"), output("suricata").join("eve.json"));
    let command = ["suricata", "-c", &settings, "-r", &capture, "-l", &directory, "-k", "none", "--runmode", "single"];
    all.push(MeasuredCommand {
        directories: vec![output("suricata")],
        ..candidate("suricata, flow log", limited(&command), move || count::marked(&log, "\"event_type\":\"flow\""))
    });

    let said = output("ndpireader.txt");
    let flows = text("ndpireader.flows");
    all.push(MeasuredCommand {
        stdout: Some(said.clone()),
        outputs: vec![output("ndpireader.flows")],
        ..candidate("ndpiReader", limited(&["ndpiReader", "-i", &capture, "-v", "2", "-w", &flows]), move || {
            count::named(&said, "Unique flows:")
        })
    });

    let said = output("tshark.txt");
    all.push(MeasuredCommand {
        stdout: Some(said.clone()),
        ..candidate("tshark, conversations", limited(&["tshark", "-n", "-q", "-r", &capture, "-z", "conv,tcp"]), move || {
            count::marked(&said, " <-> ")
        })
    });
    Ok(all)
}
