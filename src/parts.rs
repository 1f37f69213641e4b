//! The parts of a run, made of the settings: engine, aggregator, outputs, recorders, the packet view.
//!
//! Owns no order and no thread. Knows no command line. Invariant: whatever a wrong path or filter prevents is an error before the capture starts.

use crate::open;
use crate::reporter::Reporter;
use netscope::aggregate::{AggregateSettings, AlertingSettings, BurstJudging, FlowSelection, JudgeSettings, Output};
use netscope::config::{ColorWhen, OutputSettings, PacketView, Settings, SourceSettings, TimeChoice};
use netscope::detect::LocalNetworks;
use netscope::engine::EngineSettings;
use netscope::flight::{FlightError, FlightSettings, FlightSetup};
use netscope::output::{
    AlertLines, CsvLine, CsvLines, CsvTable, DocumentFile, EveLine, EveLines, EveTable, ExportSettings, HistoryFile, JsonLine,
    JsonLines, JsonTable, OutputError, PacketPrinter, PostRotate, PrintStyle, StatsLines, TextReport, TextSettings, ZeekFiles,
    ZeekLine, ZeekLines, ZeekTable, stdout, stdout_has_color, stdout_is_terminal, terminal_columns,
};
use netscope::query::RecordContext;
use netscope::record::{FieldWord, LineStyle, LineTime};
use netscope_backends::features;
use netscope_backends::savefile::{CaptureOrigin, OriginInterface, SavefileOptions};
use netscope_backends::writing::STDOUT_NAME;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// Longest wait for a source that may be silent, so that signals are seen in time.
const POLL_TIMEOUT_MAX: Duration = Duration::from_millis(100);

pub fn aggregate_settings(
    settings: &Settings,
    judge: Option<JudgeSettings>,
    microbursts: Option<BurstJudging>,
    alerting: AlertingSettings,
) -> AggregateSettings {
    AggregateSettings {
        flow_key: settings.flow.key,
        tick_ns: settings.stats.interval_ns,
        top_count: settings.flow.top_count,
        export_ended_max: settings.output.export_ended_max,
        judge,
        microbursts,
        alerting,
        selection: None,
        address_names_max: settings.flow.inspection.names_max(),
    }
}

/// Opens the flight recorder, where there is to be one.
pub fn flight(
    settings: &Settings,
    interfaces: &[String],
    signal: Arc<AtomicBool>,
    reporter: &Reporter,
) -> Result<Option<FlightSetup>, FlightError> {
    let Some(recorder) = &settings.recorder else { return Ok(None) };
    let recorder = FlightSettings { origin: origin(settings, interfaces), ..recorder.clone() };
    reporter.info(&format!(
        "the flight recorder keeps packets for {} s, in at most {} MiB for each queue; recordings are written to {}",
        Duration::from_nanos(recorder.ring_ns).as_secs_f64(),
        recorder.boxes,
        recorder.directory.display()
    ));
    FlightSetup::open(recorder, signal, settings.detection.is_some()).map(Some)
}

pub fn engine_settings(settings: &Settings, opened: &mut open::Opened) -> EngineSettings {
    let timeout = match &settings.source {
        SourceSettings::Live(live) => live.timeout,
        SourceSettings::File(file) => file.timeout,
    };
    let poll_timeout = timeout.min(POLL_TIMEOUT_MAX);
    EngineSettings {
        flow: settings.flow,
        tick_ns: settings.stats.interval_ns,
        count_max: settings.count_max,
        workers: opened.workers.unwrap_or(settings.pipeline.workers).max(1),
        cpus: if settings.pipeline.cpus.is_empty() { std::mem::take(&mut opened.cpus) } else { settings.pipeline.cpus.clone() },
        interfaces: opened.interface_of_queue.clone(),
        poll_timeout,
        wants_ended: false,
        wants_reports: false,
        taps: Vec::new(),
        reader_chunks: settings.pipeline.reader_chunks,
        detection: None,
        bursts: None,
        history: false,
        directions: None,
        flight: None,
    }
}

/// One word for each interface, for as long as the program runs.
pub fn interface_words(interfaces: &[String]) -> &'static [FieldWord] {
    interfaces.iter().map(|name| FieldWord::of_name(name)).collect::<Vec<_>>().leak()
}

/// Which flows the outputs get.
pub fn selection(
    OutputSettings { selected, record, .. }: &OutputSettings,
    interfaces: &'static [FieldWord],
) -> Option<Arc<FlowSelection>> {
    let filter = selected.clone()?;
    let context = RecordContext { community_id_seed: record.community_id_seed, times: record.times, interfaces };
    Some(Arc::new(FlowSelection { filter, context }))
}

/// Opens every output, so that a wrong path ends the program before the capture starts.
pub fn outputs(
    settings: &Settings,
    interfaces: &'static [FieldWord],
    local: &Arc<LocalNetworks>,
    shown: Receiver<Infallible>,
    post_rotate: Option<&PostRotate>,
) -> Result<Vec<Box<dyn Output>>, OutputError> {
    let OutputSettings {
        export_json,
        export_csv,
        export_eve,
        export_zeek,
        expired_flows_jsonl,
        expired_flows_csv,
        expired_flows_eve,
        expired_flows_zeek,
        record,
        ..
    } = &settings.output;
    let record = &ExportSettings { interfaces, ..*record };
    let on_closed = || post_rotate.map(PostRotate::on_closed);
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(path) = export_json {
        outputs.push(Box::new(DocumentFile::create(path, JsonTable(*record))?));
    }
    if let Some(path) = export_csv {
        outputs.push(Box::new(DocumentFile::create(path, CsvTable(*record))?));
    }
    if let Some(path) = export_eve {
        outputs.push(Box::new(DocumentFile::create(path, EveTable(*record))?));
    }
    for (format, (log, path)) in
        export_zeek.iter().flat_map(|ZeekFiles { format, logs }| logs.iter().map(move |log| (*format, log)))
    {
        let log = ZeekTable { log: *log, format, local: Arc::clone(local), settings: *record };
        outputs.push(Box::new(DocumentFile::create(path, log)?));
    }
    if let Some(rotation) = expired_flows_jsonl {
        outputs.push(Box::new(JsonLines::rotating(rotation, JsonLine, *record, on_closed())?));
    }
    if let Some(rotation) = expired_flows_csv {
        outputs.push(Box::new(CsvLines::rotating(rotation, CsvLine, *record, on_closed())?));
    }
    if let Some(rotation) = expired_flows_eve {
        outputs.push(Box::new(EveLines::rotating(rotation, EveLine, *record, on_closed())?));
    }
    for (rotation, log, format) in expired_flows_zeek {
        let line = ZeekLine { log: *log, format: *format, local: Arc::clone(local) };
        outputs.push(Box::new(ZeekLines::rotating(rotation, line, *record, on_closed())?));
    }
    if let Some(path) = settings.output.alerts_jsonl.as_ref().filter(|_| settings.detection.is_some()) {
        outputs.push(Box::new(AlertLines::create(path, record.community_id_seed)?));
    }
    if let Some(path) = &settings.output.stats_jsonl {
        outputs.push(Box::new(StatsLines::create(path, settings.stats.top_count)?));
    }
    if let Some(path) = &settings.output.history_json {
        outputs.push(Box::new(HistoryFile::create(path)?));
    }
    let text = TextSettings {
        stats: settings.stats.enabled,
        top_flows: settings.stats.top_count,
        alerts: settings.detection.is_some(),
        table_rows: settings.output.flow_table_rows,
        columns: terminal_columns(),
    };
    if text.stats || text.alerts || text.table_rows > 0 {
        // Where a file has standard output, a person reads the other one.
        outputs.push(if settings.output.has_stdout {
            Box::new(TextReport::new(std::io::stderr(), "standard error", text).after(shown))
        } else {
            Box::new(TextReport::new(stdout(), STDOUT_NAME, text).after(shown))
        });
    }
    Ok(outputs)
}

pub fn recording(settings: &Settings, interfaces: &[String]) -> Option<SavefileOptions> {
    let rotation = settings.output.write_pcap.clone()?;
    let snaplen = match &settings.source {
        SourceSettings::Live(live) => live.snaplen,
        // 0: what was read is written whole.
        SourceSettings::File(file) => file.snaplen.unwrap_or(0),
    };
    Some(SavefileOptions { rotation, snaplen, origin: origin(settings, interfaces) })
}

/// What a written capture says of where its packets come from.
pub fn origin(settings: &Settings, interfaces: &[String]) -> CaptureOrigin {
    CaptureOrigin {
        application: Some(format!("netscope {}", env!("CARGO_PKG_VERSION"))),
        os: if interfaces.is_empty() { None } else { features::kernel() },
        interfaces: interfaces.iter().map(|name| OriginInterface { name: name.clone(), speed_bps: speed_bps(name) }).collect(),
        filter: settings.filter.clone(),
        comment: None,
    }
}

/// Of each queue the name of its interface, where there are several.
pub fn names_of_queues(opened: &open::Opened) -> Vec<FieldWord> {
    let name = |place: &u8| opened.interfaces.get(usize::from(*place)).map_or(FieldWord::EMPTY, |name| FieldWord::of_name(name));
    opened.interface_of_queue.iter().map(name).collect()
}

#[cfg(target_os = "linux")]
pub fn speed_bps(interface: &str) -> Option<u64> {
    netscope_backends::nic::speed_bps(interface)
}

#[cfg(not(target_os = "linux"))]
pub fn speed_bps(_interface: &str) -> Option<u64> {
    None
}

pub fn packet_view(view: PacketView, interfaces: Vec<FieldWord>, end: Sender<Infallible>) -> netscope::session::PacketView {
    let PacketView { time, color, link, absolute_seq, payload, layers, flow, hex } = view;
    let (time, first_date) = match time {
        TimeChoice::Auto if stdout_is_terminal() => (LineTime::Local, true),
        // For programs: nothing but a line for each packet.
        TimeChoice::Auto => (LineTime::Utc, false),
        TimeChoice::Utc => (LineTime::Utc, true),
        TimeChoice::Local => (LineTime::Local, true),
        TimeChoice::Epoch => (LineTime::Epoch, false),
        TimeChoice::Delta => (LineTime::Delta, false),
    };
    let color = match color {
        ColorWhen::Auto => stdout_has_color(),
        ColorWhen::Always => true,
        ColorWhen::Never => false,
    };
    let line = LineStyle { time, first_date, link, absolute_seq, payload, color };
    Box::new(PacketPrinter::new(stdout(), PrintStyle { line, layers, flow, hex }, end).with_interfaces(interfaces))
}
