//! The engine without the program: a session over any backend, with what came out of it.

use netscope::aggregate::{
    AggregateSettings, AlertingSettings, JudgeSettings, LiveTableRequest, Output, OutputFailure, Questions,
};
use netscope::engine::{EngineSettings, Ledger, Progress, ProtocolClass, Source, Stop, TrafficCount};
use netscope::flow::{FactSet, FlowRecord, FlowSettings, InspectionSettings, KeyScope, StateTimeouts};
use netscope::session::{Outcome, Session, Watcher, run as run_session};
use netscope_backends::Backend;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Settings with every analysis on, small bounds, and timeouts that real captures reach.
pub fn settings() -> EngineSettings {
    EngineSettings {
        flow: FlowSettings {
            key: KeyScope::Tuple,
            flow_count_max: 1000,
            idle_timeout_ns: 60_000_000_000,
            timeouts: StateTimeouts::default(),
            closed_timeout_ns: 10_000_000_000,
            active_timeout_ns: 0,
            rtt: true,
            retransmissions: true,
            out_of_order: true,
            headers: false,
            inspection: InspectionSettings::default(),
            top_count: 3,
        },
        tick_ns: 1_000_000_000,
        count_max: 0,
        workers: 1,
        cpus: Vec::new(),
        poll_timeout: Duration::from_millis(10),
        wants_ended: true,
        wants_reports: true,
        taps: Vec::new(),
        reader_chunks: 2,
        detection: None,
        bursts: None,
        history: false,
        directions: None,
        flight: None,
        interfaces: Vec::new(),
    }
}

struct Collect(Arc<Mutex<Vec<FlowRecord>>>);

impl Output for Collect {
    fn name(&self) -> &str {
        "collected records"
    }

    fn wants_ended(&self) -> bool {
        true
    }

    fn ended(&mut self, record: &FlowRecord, _facts: FactSet<'_>) -> io::Result<()> {
        self.0.lock().expect("no panic while collecting").push(*record);
        Ok(())
    }
}

struct Silent;

impl Watcher for Silent {
    fn notice(&self, _text: &str) {}
    fn failed(&self, failure: &OutputFailure) {
        panic!("{failure}");
    }
    fn progress(&self, _progress: &Progress) {}
}

/// Runs one worker over `backend` to its end; the outcome and every flow in the order in which they ended.
pub fn run(backend: Box<dyn Backend>, settings: &EngineSettings) -> (Outcome, Vec<FlowRecord>) {
    run_source(Source::Queues(vec![backend]), settings)
}

/// Runs any source.
pub fn run_source(source: Source, settings: &EngineSettings) -> (Outcome, Vec<FlowRecord>) {
    let records = Arc::new(Mutex::new(Vec::new()));
    let outcome = run_into(source, settings, vec![Box::new(Collect(Arc::clone(&records)))]);
    let records = std::mem::take(&mut *records.lock().expect("no panic while collecting"));
    check_protocols(&outcome.summary.ledger, &records);
    (outcome, records)
}

/// Every packet is under one protocol, and those of a protocol's flows are under it.
#[track_caller]
fn check_protocols(ledger: &Ledger, records: &[FlowRecord]) {
    let sum = |number: fn(&TrafficCount) -> u64| ledger.protocols.iter().map(number).sum::<u64>();
    assert_eq!((sum(|count| count.packets), sum(|count| count.bytes)), (ledger.packets, ledger.bytes));
    // A later fragment may say another protocol than its datagram's first one (in IPv6 it is not part of the datagram's name).
    if records.iter().any(|record| record.fragments > 0) {
        return;
    }
    let mut in_flows = [0; ProtocolClass::ALL.len()];
    for record in records {
        in_flows[ProtocolClass::of(Some(record.key.protocol())) as usize] += record.packets[0] + record.packets[1];
    }
    for (count, in_flows) in ledger.protocols.iter().zip(in_flows) {
        assert!(count.packets >= in_flows, "{:?} {records:?}", ledger.protocols);
    }
}

/// Runs any source into any outputs; the table exports hold every flow.
pub fn run_into(source: Source, settings: &EngineSettings, outputs: Vec<Box<dyn Output>>) -> Outcome {
    run_judged(source, settings, outputs, None)
}

/// The same, with detectors.
pub fn run_judged(
    source: Source,
    settings: &EngineSettings,
    outputs: Vec<Box<dyn Output>>,
    judge: Option<JudgeSettings>,
) -> Outcome {
    let session = Session {
        source,
        engine: settings.clone(),
        aggregate: AggregateSettings {
            flow_key: KeyScope::Tuple,
            tick_ns: settings.tick_ns,
            top_count: settings.flow.top_count,
            export_ended_max: usize::MAX,
            judge,
            microbursts: None,
            alerting: AlertingSettings::default(),
            selection: None,
            address_names_max: settings.flow.inspection.names_max(),
        },
        outputs,
        record: None,
        on_closed: None,
        view: None,
        sampled: None,
        live_table: LiveTableRequest::default(),
        questions: Questions::default(),
        flight: None,
    };
    run_session(session, &Stop::default(), &watcher()).expect("the session starts")
}

/// One that shows nothing and takes no failing output.
pub fn watcher() -> Arc<dyn Watcher> {
    Arc::new(Silent)
}
