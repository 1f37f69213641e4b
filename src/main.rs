//! The netscope program: from a command line to an exit code.
//!
//! Owns what is said on standard error and the exit code. Everything else is in the library's modules.
#![forbid(unsafe_code)]

mod alerting;
mod detecting;
mod gateways;
mod open;
mod parts;
mod reloading;
mod reporter;
mod synthetic;
mod web;

use netscope::aggregate::{AggregateSettings, AlertingSettings, LiveTableRequest, Questions};
use netscope::config::{self, Command, OutputSettings, Settings, SourceSettings, Verbosity};
use netscope::doctor::{self, DoctorError};
use netscope::engine::{EngineSettings, NoFlowReason, Stop};
use netscope::output::{OnCommandFailure, PostRotate, SummaryFile, is_broken_pipe, stdout, summary_text};
use netscope::record::counted;
use netscope::session::{Outcome, Session, ViewError, Watcher, run};
use netscope::wire::set_depth_limits;
use netscope_backends::savefile::SavefileSummary;
use netscope_backends::signals::is_ignored;
use netscope_backends::writing::STDOUT_NAME;
use parts::{
    aggregate_settings, engine_settings, flight, interface_words, names_of_queues, outputs, packet_view, recording, selection,
    speed_bps,
};
use reloading::EarlyHangup;
use reporter::{Reporter, Watched};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Memory of a record that the table of flows keeps: itself, and its place in the order.
const RETAINED_RECORD_BYTES: usize = 148;
/// What a second Ctrl-C ends with: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Signals within this time of the first are the same wish.
const SAME_WISH: Duration = Duration::from_millis(250);

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
        Command::HashPassword => web::hash_password().map(|()| ExitCode::SUCCESS),
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
    set_depth_limits(settings.depth);
    // Where whoever started us had it ignored (nohup), it stays so.
    let hangup = (reloading::reloads(settings) && !is_ignored(SIGHUP)).then(EarlyHangup::note).transpose()?;
    let ending: Vec<i32> = ending_signals().filter(|signal| *signal != SIGHUP || hangup.is_none()).collect();
    let stop = stop_on_signals(&ending)?;
    let (live_table, flight_signal) = (live_table_on_signal()?, recording_on_signal()?);
    let is_file = matches!(settings.source, SourceSettings::File(_));
    let page = web::bind(settings)?;
    let mut opened = open::source(settings, &stop.0)?;
    let judge = detecting::judge(settings.detection.as_ref(), is_file, &opened.interfaces)?;
    let microbursts = detecting::bursts(settings.detection.as_ref(), &opened.interfaces, &opened.interface_of_queue, speed_bps)?;
    let watched =
        if is_file { Watched::File { bar: !prints_lines(settings) } } else { Watched::Wire { silence: settings.stats.silence } };
    let reporter = Arc::new(Reporter::new(watched, settings.verbosity, stop.1.clone()));
    say_what_is_captured(settings, &opened, &reporter);
    microbursts.iter().flat_map(detecting::links_without_speed).for_each(|line| reporter.warn(&line));
    become_user(settings, &mut opened, &reporter)?;
    end_on_later_signals(&stop.0, &ending)?;
    let alerting = detecting::alerting(settings.detection.as_ref());
    say_what_tables_hold(settings, &reporter);
    // The table stands behind the last packet's line.
    let (packets_shown, shown) = channel();
    // One word for each interface, for as long as the program runs.
    let interfaces = interface_words(&opened.interfaces);
    let post_rotate = post_rotate(settings, &reporter)?;
    let local = Arc::new(detecting::inside_of_logs(settings, &opened.interfaces)?);
    let opened_outputs = outputs(settings, interfaces, &local, shown, post_rotate.as_ref()).and_then(|mut outputs| {
        outputs.extend(alerting::receivers(settings, &reporter)?);
        let summary = settings.output.summary_json.as_deref().map(SummaryFile::create).transpose()?;
        Ok((outputs, summary))
    });
    let (mut outputs, summary_file) = opened_outputs.map_err(|error| as_user(error.into(), settings))?;
    let flight =
        flight(settings, &opened.interfaces, flight_signal, &reporter).map_err(|error| as_user(error.into(), settings))?;
    let engine = engine_settings(settings, &mut opened);
    let questions = Questions::default();
    let around = web::Surroundings {
        settings,
        opened: &opened,
        interfaces,
        questions: &questions,
        alerting: &alerting,
        flight: flight.as_ref(),
        cpus: &engine.cpus,
        reporter: &reporter,
    };
    let page = page.map(|page| web::dashboard(&around, page)).transpose()?;
    outputs.extend(page.iter().map(web::Dashboard::output));
    let sampled = page.as_ref().and_then(web::Dashboard::sampled);
    let engine = EngineSettings { directions: detecting::directions(settings, &opened.interfaces, page.is_some())?, ..engine };
    serve_reloads(hangup, settings, &alerting, page.as_ref(), &reporter, &stop.0)?;
    let session = Session {
        source: opened.take_source(),
        engine,
        aggregate: AggregateSettings {
            selection: selection(&settings.output, interfaces),
            ..aggregate_settings(settings, judge, microbursts, alerting)
        },
        outputs,
        record: recording(settings, &opened.interfaces),
        on_closed: post_rotate.as_ref().map(PostRotate::on_closed),
        view: settings.view.map(|view| packet_view(view, names_of_queues(&opened), packets_shown)),
        sampled,
        live_table,
        questions,
        flight,
    };
    let watcher: Arc<dyn Watcher> = reporter.clone();
    let mut outcome = run(session, &stop.1, &watcher).map_err(|error| as_user(error, settings))?;
    outcome.summary.commands = post_rotate.map(PostRotate::finish).unwrap_or_default();
    reporter.clear_progress();
    let closed = opened.close();
    let code = conclude(&outcome, settings, summary_file, &reporter);
    if let Some(page) = page {
        page.finish(&stop.0, &reporter);
    }
    closed.map(|()| code)
}

/// From now on SIGHUP reads the configuration again.
fn serve_reloads(
    hangup: Option<EarlyHangup>,
    settings: &Settings,
    alerting: &AlertingSettings,
    page: Option<&web::Dashboard>,
    reporter: &Arc<Reporter>,
    end: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let (Some(hangup), Some(reloader)) = (hangup, &settings.reloader) else { return Ok(()) };
    let told = reloading::ReloadTargets { judge: alerting.reloads.clone(), page: page.map(web::Dashboard::board) };
    hangup.serve(reloader.clone(), told, Arc::clone(reporter), Arc::clone(end))?;
    Ok(())
}

/// Gives up root where that is asked for: before outputs are opened, so that they are that user's, and before any thread is started.
fn become_user(settings: &Settings, opened: &mut open::Opened, reporter: &Reporter) -> Result<(), Failure> {
    let Some(user) = &settings.user else { return Ok(()) };
    if let Some(notice) = opened.become_user(user)? {
        reporter.warn(&notice);
    }
    reporter.info(&format!("going on as {user}"));
    Ok(())
}

/// Says what was opened, and how.
fn say_what_is_captured(settings: &Settings, opened: &open::Opened, reporter: &Reporter) {
    for line in &opened.announcements {
        if settings.announces { reporter.warn(line) } else { reporter.info(line) }
    }
    for line in &opened.said {
        reporter.info(line);
    }
    for line in &opened.notices {
        reporter.warn(line);
    }
    if !settings.pipeline.cpus.is_empty() {
        reporter
            .info(&format!("workers are pinned to the CPUs of --cpus (pipeline.cpus), in order: {:?}", settings.pipeline.cpus));
    }
}

/// True when lines go to a terminal while the run goes on: a progress bar would be in their way.
fn prints_lines(settings: &Settings) -> bool {
    (settings.view.is_some() || settings.stats.enabled || settings.detection.is_some()) && std::io::stdout().is_terminal()
}

/// Starts what runs the command after rotated files.
fn post_rotate(settings: &Settings, reporter: &Arc<Reporter>) -> Result<Option<PostRotate>, Failure> {
    let Some(command) = &settings.output.post_rotate else { return Ok(None) };
    let reporter = Arc::clone(reporter);
    let failed: Arc<OnCommandFailure> = Arc::new(move |text: &str| reporter.warn(text));
    Ok(Some(PostRotate::start(command, &failed)?))
}

/// On a live capture, says at the start what the tables at the end will not have.
fn say_what_tables_hold(settings: &Settings, reporter: &Reporter) {
    let OutputSettings { export_ended_max, .. } = &settings.output;
    if matches!(settings.source, SourceSettings::File(_)) || !settings.output.has_tables() {
        return;
    }
    let megabytes = export_ended_max.saturating_mul(RETAINED_RECORD_BYTES).div_ceil(1_000_000);
    let all =
        if settings.output.has_every_flow() { "" } else { "; --expired-flows-jsonl or --expired-flows-csv write every flow" };
    reporter.warn(&format!(
        "the table of flows will hold those alive at the end and the {export_ended_max} that ended last (--export-ended-max, at most \
         {megabytes} MB){all}"
    ));
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

/// Signals that end a run. Asked before any handler is there, which would not be ignoring any more.
fn ending_signals() -> impl Iterator<Item = i32> {
    // A terminal that is closed sends SIGHUP. Whoever starts us with nohup(1) wants us to go on then.
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP))
}

/// The first signal asks for an orderly end.
fn stop_on_signals(ending: &[i32]) -> Result<(Arc<AtomicBool>, Stop), Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in ending {
        flag::register(*signal, Arc::clone(&asked))?;
    }
    Ok((Arc::clone(&asked), Stop::from_flag(asked)))
}

/// From now on, a signal that comes later than the first one, which may have been `asked` before, ends at once. By a thread, so it is
/// called when there may be some.
fn end_on_later_signals(asked: &AtomicBool, ending: &[i32]) -> Result<(), Failure> {
    let mut signals = Signals::new(ending)?;
    // Relaxed: the flag carries no data.
    let mut first = asked.load(Ordering::Relaxed).then(Instant::now);
    std::thread::Builder::new().name("netscope-signal".to_owned()).spawn(move || {
        for _ in signals.forever() {
            // timeout(1) sends two at a time, and they are one wish.
            if first.get_or_insert_with(Instant::now).elapsed() > SAME_WISH {
                signal_hook::low_level::exit(INTERRUPTED);
            }
        }
    })?;
    Ok(())
}

/// SIGUSR1 asks for the live flow table.
fn live_table_on_signal() -> Result<LiveTableRequest, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&asked))?;
    Ok(LiveTableRequest::from_flag(asked))
}

/// SIGUSR2 asks for what the flight recorder has in memory. Without one it does nothing, and does not end the run.
fn recording_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR2, Arc::clone(&asked))?;
    Ok(asked)
}

/// Tells how the run went; 1 when anything went wrong.
fn conclude(outcome: &Outcome, settings: &Settings, summary_file: Option<SummaryFile>, reporter: &Reporter) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let summary = &outcome.summary;
    if settings.output.summary && !outcome.reader_left {
        reporter::write(&summary_text(summary));
    }
    // Said once, though packets and ticks go there.
    let is_told = outcome.failures.iter().any(|failure| failure.output == STDOUT_NAME);
    for error in &outcome.errors {
        code = if is_told && error.is::<ViewError>() { ExitCode::FAILURE } else { reporter::failed(error.as_ref()) };
    }
    if outcome.failures.iter().any(|failure| !is_broken_pipe(&failure.source)) || summary.commands.failed > 0 {
        code = ExitCode::FAILURE;
    }
    if summary.flight.as_ref().is_some_and(|flight| flight.lost_disk > 0)
        || summary.receivers.iter().any(|receiver| receiver.lost() > 0)
    {
        code = ExitCode::FAILURE;
    }
    match summary_file.map(|file| file.write(summary)) {
        Some(Err(error)) if !is_broken_pipe(&error.source) => code = reporter::failed(&error),
        _ => {}
    }
    let unread = summary.ledger.no_flow[NoFlowReason::UnsupportedLink as usize];
    if unread > 0 {
        reporter.warn(&format!("packets of link types that are not supported, counted and not read: {unread}"));
    }
    if let Some(recorded) = &outcome.recorded
        && !tell_recorded(recorded, reporter)
    {
        code = ExitCode::FAILURE;
    }
    if reporter.is_at_least(Verbosity::Info) {
        let batches = &summary.batches;
        reporter.info(&format!(
            "{}; the slowest worker's took {} ns each in the median, {} ns at the 99th percentile, {} ns at most",
            format_args!("batches: {}", batches.count),
            batches.p50_ns,
            batches.p99_ns,
            batches.max_ns
        ));
    }
    code
}

/// Tells what became of recorded packets; false when some were left out.
fn tell_recorded(recorded: &SavefileSummary, reporter: &Reporter) -> bool {
    let files = &recorded.files;
    reporter.info(&format!("{} written in {}", counted(recorded.packets, "packet"), counted(files.files_created, "file")));
    let skipped = recorded.skipped_link_type + recorded.skipped_time;
    if skipped > 0 {
        reporter.warn(&format!(
            "packets not written, as a pcap file holds one link type and times of 32 bits: {skipped}; .pcapng has room for them"
        ));
    }
    if let Some(why) = &files.delete_error {
        reporter.warn(&format!("an old segment could not be deleted: {why}"));
    }
    skipped == 0
}
