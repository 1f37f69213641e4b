//! NetScope and other programs on the same captures. Owns which programs read what, and the goals. Its one
//! invariant: a peer that is not there or whose flows cannot be counted is named in the table without a figure,
//! and the others go on.

mod commands;
mod real_traffic;

use super::capture::Capture;
use super::report::{BenchReport, SPREAD_NOTE, verdict};
use super::series::{MeasuredCommand, Series, alternate};
use super::{Bench, machine};
use commands::{FLOW_LOG, LIMIT_S, PACKAGES};
use std::net::UdpSocket;
use std::path::Path;

/// CPU time of the best peer, in times ours, that is the goal.
const GOALS: &[(Capture, f64)] = &[(Capture::SMALL, 9.0), (Capture::MANY, 4.0), (Capture::HTTP, 1.7)];
/// Peers slower than this run once.
const ONCE_ABOVE_S: f64 = 30.0;
pub fn run(bench: &Bench) -> Result<BenchReport, String> {
    let is_chosen = |name: &str| bench.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let names: Vec<&str> = GOALS.iter().map(|(capture, _)| capture.name).chain([real_traffic::NAME]).collect();
    if !names.iter().any(|name| is_chosen(name)) {
        return Err(format!("no capture is called so; there are: {}", names.join(", ")));
    }
    // First, so that no other row is lost where it cannot be made.
    let real = is_chosen(real_traffic::NAME).then(|| real_traffic::ready(bench)).transpose()?;
    let mut report = BenchReport::new("peers", "NetScope and its peers");
    report.version("netscope", &machine::said(&bench.netscope.to_string_lossy(), &["--version"]));
    for (name, package) in PACKAGES {
        report.version(name, &commands::version(package));
    }
    // softflowd's records go to a socket that nobody reads: the kernel throws away what does not fit, as a
    // collector's would.
    let sink = UdpSocket::bind("127.0.0.1:0").map_err(|error| format!("a UDP socket: {error}"))?;
    let port = sink.local_addr().map_err(|error| format!("a UDP socket: {error}"))?.port();
    for (capture, goal) in GOALS.iter().filter(|(capture, _)| is_chosen(capture.name)) {
        let capture = capture.scaled(bench.quick);
        let path = capture.ready(&bench.captures)?;
        let mut candidates = vec![bench.netscope("netscope", 1, &path, &capture)];
        candidates.extend(peers(bench, &path, port)?);
        let all = alternate(capture.name, &candidates, bench.repeats(ONCE_ABOVE_S));
        add_rows(&mut report, &capture, &all, *goal);
    }
    if let Some(capture) = real {
        real_traffic::add(bench, &capture, &mut report)?;
    }
    report.note(SPREAD_NOTE);
    report.note(format!(
        "A peer whose first run takes longer than {ONCE_ABOVE_S} s runs once; one that takes longer than {LIMIT_S} s is ended. All \
         processes and threads of a peer count."
    ));
    report.note(
        "Flows are those the peer wrote: nfpcapd counts each direction (halved here), argus counts records, of which a long flow may \
         have several. softflowd's are those it exported over UDP to a local socket. suricata writes its flow log only, on real traffic \
         also what it knows of DNS, TLS, HTTP, SSH and QUIC; no other application protocol is on.",
    );
    if bench.quick {
        report.note("Quick: a tenth of the packets and flows; start and exit weigh more than in a full run.");
    }
    Ok(report)
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

/// Those that read every capture.
fn peers(bench: &Bench, path: &Path, port: u16) -> Result<Vec<MeasuredCommand>, String> {
    let capture = &path.to_string_lossy();
    Ok(vec![
        commands::nfpcapd(bench, capture),
        commands::softflowd(bench, capture, port),
        commands::argus(bench, capture),
        commands::suricata(bench, capture, FLOW_LOG)?,
        commands::ndpi_reader(bench, capture),
        commands::tshark(bench, capture),
    ])
}
