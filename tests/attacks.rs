//! Generated attacks and look-alikes against the real program: every attack above its threshold is found within a second, and nobody else is accused.
//!
//! Owns the table in `docs/detectors.md`, which is held against the results. The packets and the truth are of `netscope_perf::scenario`.

mod common;

use common::detection::{all_on, detection_settings};
use common::engine::{run_judged, settings};
use common::{netscope, temp_dir};
use netscope::aggregate::JudgeSettings;
use netscope::detect::{
    AlertPhase, DetectionSettings, Detector, DetectorBox, DetectorParts, Evidence, JudgeContext, LocalNetworks, Observation,
    detectors,
};
use netscope::engine::{Detection, EngineSettings, Source};
use netscope::flow::{FlowSettings, InspectionSettings};
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_perf::scenario::{Attack, AttackKind, Intensity, LOOK_ALIKES, SEC, Script, Truth};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An attack is found at most so long after it crossed its threshold, in ns of packet time.
const FOUND_AFTER_MAX_NS: u64 = SEC;
/// Writes down when alerts begin: the end of the bin in which they are judged. Stands behind all other detectors.
struct JudgedAt(Arc<Mutex<Vec<Found>>>);

/// An alert that began.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// Kind, variant and technique.
    name: [String; 3],
    /// End of the bin in which it was judged, in ns.
    judged_ns: u64,
}

struct Nothing;

impl Evidence for Nothing {
    fn merge(&mut self, _other: &Self) {}

    fn clear(&mut self) {}

    fn overflow(&self) -> u64 {
        0
    }
}

impl JudgedAt {
    fn note(&self, context: &JudgeContext<'_>) {
        let begun = context.alerts.iter().filter(|alert| alert.phase == AlertPhase::Begin);
        let found = begun.map(|alert| Found {
            name: [alert.kind, alert.variant, alert.technique.unwrap_or_default()].map(str::to_owned),
            judged_ns: context.bin.end.0,
        });
        self.0.lock().expect("no panic while noting").extend(found);
    }
}

impl Detector for JudgedAt {
    type Evidence = Nothing;

    fn name(&self) -> &'static str {
        "judged_at"
    }

    fn evidence(&self) -> Nothing {
        Nothing
    }

    fn observe(&self, _seen: Observation<'_>, _evidence: &mut Nothing) {}

    fn judge(&mut self, _evidence: &mut Nothing, context: &mut JudgeContext<'_>) {
        self.note(context);
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.note(context);
    }
}

/// Alerts that begin, by the engine.
fn judged(capture: &Path, detection: &DetectionSettings) -> Vec<Found> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let (notes, detection, bin_ns) = (Arc::clone(&found), detection.clone(), detection.bin_ns());
    let make = move || {
        let mut all = detectors(&detection);
        all.push(Box::new(DetectorParts::new(JudgedAt(Arc::clone(&notes)))) as Box<dyn DetectorBox>);
        all
    };
    let file = CaptureFile::open(capture, &FileOptions::default()).expect("a capture");
    let source = Source::Reader(Box::new(file.backend().expect("packets")));
    let inspection = InspectionSettings { enabled: true, ..InspectionSettings::default() };
    let flow = FlowSettings { flow_count_max: 1 << 20, inspection, ..settings().flow };
    let engine = EngineSettings { wants_reports: false, wants_ended: false, flow, ..settings() };
    let judge = JudgeSettings { detection: Detection::new(bin_ns, make), local: LocalNetworks::private_and([]) };
    run_judged(source, &engine, Vec::new(), Some(judge));
    std::mem::take(&mut *found.lock().expect("no panic while noting"))
}

/// Alerts that begin, by the program: kind, variant and technique.
fn told(capture: &Path, config: &Path, directory: &Path) -> Vec<[String; 3]> {
    let alerts = directory.join("alerts.jsonl");
    let mut command = netscope();
    command.args(["--quiet", "--config"]).arg(config).arg("--alerts-jsonl").arg(&alerts).arg("--read-pcap").arg(capture);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&alerts).expect("the file is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON object"));
    let begun = lines.filter(|alert| alert["phase"] == "begin");
    begun.map(|alert| ["kind", "variant", "technique"].map(|field| alert[field].as_str().unwrap_or("").to_owned())).collect()
}

/// What both found of a capture, in order.
fn found_in(script: Script, config: &str) -> Vec<Found> {
    let directory = temp_dir("attack");
    let detection = detection_settings(config, directory.path());
    let (capture, config_file) = (directory.path().join("attack.pcap"), directory.path().join("detection.toml"));
    script.write(&capture);
    let found = judged(&capture, &detection);
    let names: Vec<[String; 3]> = found.iter().map(|one| one.name.clone()).collect();
    assert_eq!(told(&capture, &config_file, directory.path()), names, "the program and its engine find the same");
    found
}

/// Settings that a kind of attack needs besides.
fn config_of(kind: &AttackKind) -> String {
    let rate = |class: &str, rate: u32| format!("{class}_packets_per_sec = {rate}");
    match kind.name {
        // First fragments are datagrams, too.
        "fragment-flood" => all_on(&[("volume_flood", &rate("fragment", 200))]),
        // A hundredth of the defaults, and a fifth: 1,000 packets in the window.
        _ if kind.alert == "volume_flood" => {
            let rates = ["udp", "icmp", "amplification"].map(|class| rate(class, 200));
            all_on(&rates.each_ref().map(|line| ("volume_flood", line.as_str())))
        }
        "scan-slow" => all_on(&[("port_scan", "window_secs = 7200.0")]),
        // Headers included, 160 times 64 KiB are just more.
        "upload" => all_on(&[("data_out", "bytes_threshold = 11000000")]),
        _ => all_on(&[]),
    }
}

/// Checks what was found of an attack against the truth: how long after the threshold was crossed, in ns; `None` below it.
fn check(attack: &Attack, truth: &Truth, found: &[Found]) -> Result<Option<u64>, String> {
    let AttackKind { name, alert, variant, technique, .. } = attack.kind;
    let what = format!("{name} {} {}", attack.intensity.name(), if attack.is_busy { "busy" } else { "alone" });
    let is_it = |one: &Found| {
        let matches = |said: &str, meant: &str| meant.is_empty() || said == meant;
        one.name[0] == *alert && matches(&one.name[1], variant) && matches(&one.name[2], technique)
    };
    let Some(crossed_ns) = truth.crossed_ns else {
        return if found.is_empty() { Ok(None) } else { Err(format!("{what}: below the threshold, and told: {found:?}")) };
    };
    match found {
        [one] if is_it(one) && one.judged_ns <= crossed_ns + FOUND_AFTER_MAX_NS => {
            Ok(Some(one.judged_ns.saturating_sub(crossed_ns)))
        }
        [one] if is_it(one) => {
            Err(format!("{what}: found {:.3} s after it crossed its threshold", (one.judged_ns - crossed_ns) as f64 / 1e9))
        }
        _ => Err(format!("{what}: found {found:?}")),
    }
}

/// A row of the table: how long after the threshold was crossed an attack of each intensity was found.
fn row(kind: &'static AttackKind, is_busy: bool) -> Result<Vec<Option<u64>>, String> {
    let config = config_of(kind);
    // In the traffic of others the extremes are of less interest.
    let range = if is_busy { 0..3 } else { 0..Intensity::ALL.len() };
    let each = Intensity::ALL[range].iter().map(|(_, intensity)| {
        let attack = Attack { is_busy, ..Attack::new(kind, *intensity) };
        let (script, truth) = attack.script();
        check(&attack, &truth, &found_in(script, &config))
    });
    let (rows, failed): (Vec<_>, Vec<_>) = each.partition(Result::is_ok);
    if failed.is_empty() {
        Ok(rows.into_iter().filter_map(Result::ok).collect())
    } else {
        Err(failed.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("\n"))
    }
}

/// Kinds that there is a detector for.
fn detected_kinds() -> Vec<&'static AttackKind> {
    let directory = temp_dir("kinds");
    let all = detectors(&detection_settings(&all_on(&[]), directory.path()));
    AttackKind::all().filter(|kind| all.iter().any(|detector| detector.name() == kind.alert)).collect()
}

const BEGIN: &str = "<!-- attacks: begin -->\n";
const END: &str = "<!-- attacks: end -->\n";
const HEAD: &str = "| attack | threshold | 0.8 × | 1.25 × | 10 × | 100 × | in busy traffic | other alerts |\n|---|---|---|---|---|---|---|---|\n";
/// Tests that the kinds are shared among: all of them together take minutes.
const PARTS: usize = 4;

/// The page, as what stands before the table, the table, and what stands behind it.
fn page() -> (String, String, String) {
    let page = fs::read_to_string(page_path()).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the table's begin");
    let (table, after) = rest.split_once(END).expect("the page has the table's end");
    (before.to_owned(), table.to_owned(), after.to_owned())
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detectors.md")
}

/// What a row of the table begins with.
fn row_start(kind: &AttackKind) -> String {
    format!("| `{}` |", kind.name)
}

/// The row of a kind in the table.
fn table_row(kind: &AttackKind, alone: &[Option<u64>], busy: &[Option<u64>]) -> String {
    let seconds = |after: Option<u64>| after.map_or_else(|| "none".to_owned(), |after| format!("{:.2} s", after as f64 / 1e9));
    let cells: Vec<String> = alone.iter().copied().map(seconds).collect();
    let slowest = seconds(busy.iter().copied().max().flatten());
    let (window, cells) = (kind.window_ns / SEC, cells.join(" | "));
    let threshold = format!("{} {} in {window} s", kind.threshold, kind.part);
    format!("{} {threshold} | {cells} | {slowest} at most | 0 |", row_start(kind))
}

/// Every [`PARTS`]th kind is found within a second, and the page says when.
fn check_part(part: usize) {
    for kind in detected_kinds().into_iter().skip(part).step_by(PARTS) {
        let both = [false, true].map(|is_busy| row(kind, is_busy).unwrap_or_else(|failed| panic!("{failed}")));
        let [alone, busy] = &both;
        let made = table_row(kind, alone, busy);
        let (before, table, after) = page();
        let old = table.lines().find(|line| line.starts_with(&row_start(kind))).unwrap_or_default();
        if std::env::var_os("NETSCOPE_BLESS").is_some() {
            fs::write(page_path(), format!("{before}{BEGIN}{}{END}{after}", table.replace(old, &made)))
                .expect("the page is written");
        } else {
            assert_eq!(old, made, "NETSCOPE_BLESS=1 with --test-threads 1 writes the row");
        }
    }
}

#[test]
fn attacks_are_found_within_a_second_part_1() {
    check_part(0);
}

#[test]
fn attacks_are_found_within_a_second_part_2() {
    check_part(1);
}

#[test]
fn attacks_are_found_within_a_second_part_3() {
    check_part(2);
}

#[test]
fn attacks_are_found_within_a_second_part_4() {
    check_part(3);
}

#[test]
fn the_page_has_a_row_for_each_attack() {
    let (_, table, _) = page();
    let rows = table.strip_prefix(HEAD).expect("the table's head").lines();
    let kinds = detected_kinds();
    assert!(rows.map(|row| kinds.iter().position(|kind| row.starts_with(&row_start(kind)))).eq((0..kinds.len()).map(Some)));
}

#[test]
fn look_alikes_have_no_alert() {
    for one in LOOK_ALIKES {
        let found = found_in(one.script(one.test_size), &all_on(&[]));
        assert_eq!(found, [], "{}", one.name);
    }
}
