//! The netscope program: from a command line to an exit code.
//!
//! Owns what is said on standard error and the exit code. Everything else is in the library's modules.
#![forbid(unsafe_code)]

mod detecting;
mod open;
mod reporter;
mod synthetic;

use netscope::aggregate::{AggregateSettings, LiveTableRequest, Output};
use netscope::config::{self, Command, OutputSettings, PacketView, Settings, SourceSettings, Verbosity};
use netscope::doctor::{self, DoctorError};
use netscope::engine::{EngineSettings, NoFlowReason, Stop};
use netscope::output::{
    AlertLines, CsvLines, CsvTable, DocumentFile, ExportSettings, JsonLines, JsonTable, OutputError, PacketPrinter, PrintStyle,
    StatsLines, SummaryJson, TextReport, TextSettings, is_broken_pipe, stdout, terminal_columns,
};
use netscope::record::FieldWord;
use netscope::session::{Outcome, Session, Watcher, run};
use netscope_backends::features;
use netscope_backends::savefile::{CaptureOrigin, SavefileOptions};
use reporter::{Reporter, Watched};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::convert::Infallible;
use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Longest wait for a source that may be silent, so that signals are seen in time.
const POLL_TIMEOUT_MAX: Duration = Duration::from_millis(100);
/// What a second Ctrl-C ends with: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let command = match config::command(std::env::args_os()) {
        Ok(command) => command,
        Err(config::ConfigError::Usage(usage)) => {
            // Nowhere to report a closed standard output or error.
            let _ = usage.print();
            return ExitCode::from(config::ConfigError::Usage(usage).exit_code());
        }
        Err(error) => return reporter::failed(&error),
    };
    let done = match command {
        Command::Run(settings) => capture(&settings),
        Command::ListInterfaces => open::list_interfaces().map(|()| ExitCode::SUCCESS),
        Command::SyntheticFlows(count, settings) => synthetic::measure(count, &settings.flow),
        Command::Completions(shell) => printed(config::write_completions(shell, &mut stdout())),
        Command::Man => printed(config::write_man(&mut stdout())),
        Command::DoctorMan => printed(config::write_doctor_man(&mut stdout())),
        Command::Doctor(settings) => match doctor::run(&settings, &mut stdout()) {
            Err(DoctorError::Write(error)) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::FAILURE),
            done => done.map(|_| ExitCode::SUCCESS).map_err(Into::into),
        },
    };
    done.unwrap_or_else(|error| reporter::failed(error.as_ref()))
}

/// A reader that went away is no failure.
fn printed(result: std::io::Result<()>) -> Result<ExitCode, Failure> {
    match result {
        Err(error) if !is_broken_pipe(&error) => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Captures or reads until the end.
fn capture(settings: &Settings) -> Result<ExitCode, Failure> {
    let stop = stop_on_signals()?;
    let live_table = live_table_on_signal()?;
    let is_file = matches!(settings.source, SourceSettings::File(_));
    let mut opened = open::source(settings, &stop.0)?;
    let judge = detecting::judge(settings.detection.as_ref(), is_file, &opened.interfaces)?;
    let watched =
        if is_file { Watched::File { bar: !prints_lines(settings) } } else { Watched::Wire { silence: settings.stats.silence } };
    let reporter = Arc::new(Reporter::new(watched, settings.verbosity, stop.1.clone()));
    if settings.announces {
        for line in &opened.announcements {
            reporter.warn(line);
        }
    }
    for line in &opened.said {
        reporter.info(line);
    }
    for line in &opened.notices {
        reporter.warn(line);
    }
    if let Some(user) = &settings.user {
        // Before outputs are opened, so that they are that user's, and before any thread is started.
        if let Some(notice) = opened.become_user(user)? {
            reporter.warn(&notice);
        }
        reporter.info(&format!("going on as {user}"));
    }
    if !settings.pipeline.cpus.is_empty() {
        reporter
            .info(&format!("workers are pinned to the CPUs of --cpus (pipeline.cpus), in order: {:?}", settings.pipeline.cpus));
    }
    // The summary stands behind the last packet's line.
    let (packets_shown, shown) = channel();
    let session = Session {
        source: opened.take_source(),
        engine: engine_settings(settings, &mut opened),
        aggregate: AggregateSettings {
            flow_key: settings.flow.key,
            tick_ns: settings.stats.interval_ns,
            top_count: settings.stats.top_count,
            export_ended_max: settings.output.export_ended_max,
            judge,
        },
        outputs: outputs(settings, &opened.interfaces, shown).map_err(|error| as_user(error.into(), settings))?,
        record: recording(settings, &opened.interfaces),
        view: view(settings.view, packets_shown),
        live_table,
    };
    let watcher: Arc<dyn Watcher> = reporter.clone();
    let outcome = run(session, &stop.1, &watcher).map_err(|error| as_user(error, settings))?;
    reporter.clear_progress();
    let closed = opened.close();
    let code = conclude(&outcome, &reporter);
    closed.map(|()| code)
}

/// True when lines go to a terminal while the run goes on: a progress bar would be in their way.
fn prints_lines(settings: &Settings) -> bool {
    (settings.view != PacketView::None || settings.stats.enabled || settings.detection.is_some())
        && std::io::stdout().is_terminal()
}

/// Says whose files could not be opened, where that is not who started us.
fn as_user(error: Failure, settings: &Settings) -> Failure {
    let (mut cause, mut is_denied): (Option<&dyn Error>, _) = (Some(error.as_ref()), false);
    while let Some(known) = cause {
        let kind = known.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        is_denied |= kind == Some(std::io::ErrorKind::PermissionDenied);
        cause = known.source();
    }
    match &settings.user {
        Some(user) if is_denied => format!(
            "{}; with --user (run.user) files are opened as {user}, who must be allowed to",
            reporter::chain(error.as_ref())
        )
        .into(),
        _ => error,
    }
}

/// The first signal asks for an orderly end, the second ends at once.
fn stop_on_signals() -> Result<(Arc<AtomicBool>, Stop), Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    // A terminal that is closed sends SIGHUP.
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the shutdown happens only if the flag was set before, by an earlier signal.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok((Arc::clone(&asked), Stop::from_flag(asked)))
}

/// SIGUSR1 asks for the live flow table.
fn live_table_on_signal() -> Result<LiveTableRequest, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&asked))?;
    Ok(LiveTableRequest::from_flag(asked))
}

fn engine_settings(settings: &Settings, opened: &mut open::Opened) -> EngineSettings {
    let timeout = match &settings.source {
        SourceSettings::Live(live) => live.timeout,
        SourceSettings::File(file) => file.timeout,
    };
    let poll_timeout = timeout.min(POLL_TIMEOUT_MAX);
    EngineSettings {
        flow: settings.flow,
        tick_ns: settings.stats.interval_ns,
        count_max: settings.count_max,
        workers: settings.pipeline.workers.max(1),
        cpus: if settings.pipeline.cpus.is_empty() { std::mem::take(&mut opened.cpus) } else { settings.pipeline.cpus.clone() },
        interfaces: std::mem::take(&mut opened.interface_of_queue),
        poll_timeout,
        wants_ended: false,
        wants_reports: false,
        taps: Vec::new(),
        reader_chunks: settings.pipeline.reader_chunks,
        detection: None,
    }
}

/// Opens every output, so that a wrong path ends the program before the capture starts.
fn outputs(settings: &Settings, interfaces: &[String], shown: Receiver<Infallible>) -> Result<Vec<Box<dyn Output>>, OutputError> {
    let OutputSettings {
        export_json,
        export_csv,
        expired_flows_jsonl,
        expired_flows_csv,
        alerts_jsonl,
        summary_json,
        flow_table_rows,
        record,
        write_pcap: _,
        export_ended_max: _,
    } = &settings.output;
    // One word for each interface, for as long as the program runs.
    let interfaces: &'static [FieldWord] = interfaces.iter().map(|name| FieldWord::of_name(name)).collect::<Vec<_>>().leak();
    let record = &ExportSettings { interfaces, ..*record };
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(path) = export_json {
        outputs.push(Box::new(DocumentFile::create(path, JsonTable(*record))?));
    }
    if let Some(path) = export_csv {
        outputs.push(Box::new(DocumentFile::create(path, CsvTable(*record))?));
    }
    if let Some(path) = expired_flows_jsonl {
        outputs.push(Box::new(JsonLines::create(path, *record)?));
    }
    if let Some(path) = expired_flows_csv {
        outputs.push(Box::new(CsvLines::create(path, *record)?));
    }
    if let Some(path) = alerts_jsonl.as_ref().filter(|_| settings.detection.is_some()) {
        outputs.push(Box::new(AlertLines::create(path, record.community_id_seed)?));
    }
    if let Some(path) = summary_json {
        outputs.push(Box::new(DocumentFile::create(path, SummaryJson)?));
    }
    if let Some(path) = &settings.stats.jsonl {
        outputs.push(Box::new(StatsLines::create(path)?));
    }
    let text = TextSettings {
        stats: settings.stats.enabled,
        alerts: settings.detection.is_some(),
        table_rows: *flow_table_rows,
        columns: terminal_columns(),
        summary: true,
    };
    outputs.push(Box::new(TextReport::new(stdout(), text).after(shown)));
    Ok(outputs)
}

fn recording(settings: &Settings, interfaces: &[String]) -> Option<SavefileOptions> {
    let recording = settings.output.write_pcap.as_ref()?;
    let snaplen = match &settings.source {
        SourceSettings::Live(live) => live.snaplen,
        // 0: what was read is written whole.
        SourceSettings::File(file) => file.snaplen.unwrap_or(0),
    };
    Some(SavefileOptions {
        path: recording.path.clone(),
        rotate_bytes: (recording.rotate_bytes > 0).then_some(recording.rotate_bytes),
        rotate_ns: (recording.rotate_ns > 0).then_some(recording.rotate_ns),
        files_max: (recording.file_count_max > 0).then_some(recording.file_count_max),
        snaplen,
        origin: origin(settings, interfaces),
    })
}

/// What a written capture says of where its packets come from.
fn origin(settings: &Settings, interfaces: &[String]) -> CaptureOrigin {
    let interface = interfaces.first().map(String::as_str);
    CaptureOrigin {
        application: Some(format!("netscope {}", env!("CARGO_PKG_VERSION"))),
        os: interface.and_then(|_| features::kernel()),
        interface: interface.map(str::to_owned),
        #[cfg(target_os = "linux")]
        speed_bps: interface.and_then(netscope_backends::nic::speed_bps),
        #[cfg(not(target_os = "linux"))]
        speed_bps: None,
        filter: settings.filter.clone(),
    }
}

fn view(view: PacketView, end: Sender<Infallible>) -> Option<netscope::session::PacketView> {
    let style = match view {
        PacketView::None => return None,
        PacketView::Line => PrintStyle::Line,
        PacketView::Detail => PrintStyle::Detail,
        PacketView::Hex => PrintStyle::Hex,
    };
    Some(Box::new(PacketPrinter::new(stdout(), style, end)))
}

/// Tells what went wrong after the run; 1 when anything did.
fn conclude(outcome: &Outcome, reporter: &Reporter) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for error in &outcome.errors {
        code = reporter::failed(error.as_ref());
    }
    if outcome.failures.iter().any(|failure| !is_broken_pipe(&failure.source)) {
        code = ExitCode::FAILURE;
    }
    let ledger = &outcome.summary.ledger;
    let unread = ledger.no_flow[NoFlowReason::UnsupportedLink as usize];
    if unread > 0 {
        reporter.warn(&format!("{unread} packets are of link types that are not supported; they were counted, not read"));
    }
    if outcome.summary.export_left_out > 0 {
        let left_out = outcome.summary.export_left_out;
        reporter.warn(&format!(
            "{left_out} ended flows are not in the table exports; raise --export-ended-max, or use --expired-flows-jsonl"
        ));
    }
    if let Some(recorded) = &outcome.recorded {
        reporter.info(&format!("{} packets written in {} files", recorded.packets, recorded.files_created));
        let skipped = recorded.skipped_link_type + recorded.skipped_time;
        if skipped > 0 {
            reporter.warn(&format!(
                "{skipped} packets were not written: a pcap file holds one link type and times of 32 bits; use .pcapng"
            ));
        }
        if let Some(why) = &recorded.delete_error {
            reporter.warn(&format!("an old segment could not be deleted: {why}"));
        }
    }
    if reporter.is_at_least(Verbosity::Info) {
        let batches = &outcome.summary.batches;
        reporter.info(&format!(
            "{} batches; the slowest worker's took {} ns each in the median, {} ns at the 99th percentile, {} ns at most",
            batches.count, batches.p50_ns, batches.p99_ns, batches.max_ns
        ));
    }
    code
}
