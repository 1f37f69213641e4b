//! A detector of one's own, made as docs/detectors.md says: it counts refused connections.

mod common;

use common::engine::{run_judged, settings};
use netscope::aggregate::{JudgeSettings, Output};
use netscope::detect::{
    Alert, AlertPhase, Detector, DetectorBox, DetectorParts, Evidence, JudgeContext, LocalNetworks, Observation,
};
use netscope::engine::{Detection, EngineSettings, Source};
use netscope::flow::FlowEvents;
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_perf::scenario::{MS, Outcome, Script, host};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

/// Tells of bins in which more connections are refused than that.
struct Refusals {
    count_max: u64,
}

/// How many were refused.
#[derive(Default)]
struct RefusalCount(u64);

impl Evidence for RefusalCount {
    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn clear(&mut self) {
        self.0 = 0;
    }

    fn overflow(&self) -> u64 {
        0
    }
}

impl Detector for Refusals {
    type Evidence = RefusalCount;

    fn name(&self) -> &'static str {
        "refusals"
    }

    fn evidence(&self) -> RefusalCount {
        RefusalCount::default()
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut RefusalCount) {
        let Observation::Flows(flows) = seen else { return };
        evidence.0 += flows.iter().filter(|flow| flow.events.has(FlowEvents::REFUSED)).count() as u64;
    }

    fn judge(&mut self, evidence: &mut RefusalCount, context: &mut JudgeContext<'_>) {
        if evidence.0 > self.count_max {
            context.alerts.push(Alert {
                time: context.bin.end,
                description: format!("{} connections refused", evidence.0),
                key: "refusals".to_owned(),
                began: context.bin.start,
                counts: vec![("refused", evidence.0)],
                ..Alert::bare("refusals", "all", AlertPhase::Begin)
            });
        }
    }

    fn finish(&mut self, _context: &mut JudgeContext<'_>) {}
}

struct CollectAlerts(Arc<Mutex<Vec<String>>>);

impl Output for CollectAlerts {
    fn name(&self) -> &str {
        "collected alerts"
    }

    fn wants_alerts(&self) -> bool {
        true
    }

    fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        self.0.lock().expect("no panic while collecting").push(format!("{} {}", alert.time.0, alert.description));
        Ok(())
    }
}

#[test]
fn it_judges_the_sum_of_all_workers_bin_by_bin() {
    let directory = common::temp_dir("own");
    let capture = directory.path().join("refused.pcap");
    let mut script = Script::default();
    let server = (Ipv4Addr::new(192, 0, 2, 1), 80);
    // 60 refused in the first bin, 5 in the next, none for a while, 40 in another one.
    let bins = [(0..60, 0), (60..65, 900), (65..105, 9000)];
    for (numbers, at) in bins {
        numbers
            .for_each(|i| script.connect((at + u64::from(i)) * MS, (host([10, 0, 0, 0], i), 4000), server, MS, Outcome::Refused));
    }
    script.write(&capture);
    for workers in [1, 3] {
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let file = CaptureFile::open(&capture, &FileOptions::default()).expect("a capture");
        let source = Source::Reader(Box::new(file.backend().expect("packets")));
        let judge = JudgeSettings {
            detection: Detection::new(1000 * MS, || {
                let own: Box<dyn DetectorBox> = Box::new(DetectorParts::new(Refusals { count_max: 5 }));
                vec![own]
            }),
            local: LocalNetworks::private_and([]),
        };
        let settings = EngineSettings { workers, ..settings() };
        let outcome = run_judged(source, &settings, vec![Box::new(CollectAlerts(Arc::clone(&alerts)))], Some(judge));
        // The last bin ends with the capture.
        let told = std::mem::take(&mut *alerts.lock().expect("no panic while collecting"));
        assert_eq!(told, ["1700000001000000000 60 connections refused", "1700000009405000000 40 connections refused"]);
        assert_eq!(outcome.summary.detection.map(|counts| (counts.begun, counts.overflow)), Some((2, 0)));
    }
}
