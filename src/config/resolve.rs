//! From what was said to what we will do: defaults, units, ranges, combinations.
//!
//! Owns every default. Invariant: no setting leaves here that its consumer would have to refuse.

use super::analysis_options::AnalysisOptions;
use super::anomalies::{detection, local_networks};
use super::choices::BackendChoice;
use super::error::ConfigError;
use super::live;
use super::options::{FlowOptions, Options, OutputOptions, PipelineOptions};
use super::output;
use super::recorder_options;
use super::settings::{PipelineSettings, Settings, SourceSettings, StatsSettings, Verbosity};
use super::timeouts::state_timeouts;
use super::web;
use crate::flow::{FlowSettings, InspectionSettings};
use crate::wire::DepthLimits;
use netscope_backends::CaptureLimits;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) const MIB: u64 = 1 << 20;
const NS_PER_MS: u64 = 1_000_000;
/// 100 years: no sum of a time and a timeout comes near the end of 64 bits.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
const INTERVAL_MS_MAX: u64 = 86_400_000;
/// A slot of the history is a second.
const HISTORY_INTERVAL_NS_MAX: u64 = 1000 * NS_PER_MS;
const WORKERS_MAX: u32 = 1024;
/// Most workers on a file for each processor: more do the same work in smaller portions, and wait for each other.
const FILE_WORKERS_PER_PROCESSOR: usize = 4;
/// Workers on a file where their number is left to us, at most: the walk over its records is one worker's at a time, and with as many as
/// this it is never waited for by a worker that has something else to do.
const FILE_WORKERS_ENOUGH: usize = 8;
/// CPUs and queues have smaller numbers.
const NUMBER_MAX: u32 = 4095;
/// Top flows of an interval at most,
const TOP_FLOWS_MAX: usize = 100_000;
/// as many of a second,
const TOP_FLOWS_PER_SECOND_MAX: usize = 10_000;
/// and as many as any interval may have.
const TOP_FLOWS_ALWAYS: usize = 100;
/// Most headers in each other, of any kind. So many are dear.
const DEPTH_MAX: u64 = 128;
/// What one packet of `channel_capacity` is taken for.
const CHANNEL_PACKET_BYTES: u64 = 2048;

/// Settings from what the command line (`said`) and the file say. `cores` is how many this machine has.
///
/// # Errors
/// Values out of range and combinations that cannot work, by name.
pub fn resolve(said: Options, mut file: Options, verbose: u8, cores: usize) -> Result<Settings, ConfigError> {
    check_flags(&said, &file)?;
    // A source on the command line replaces the file's source, of whichever kind.
    if said.capture.interface.is_some() {
        file.capture.read_pcap = None;
    }
    if said.capture.read_pcap.is_some() {
        file.capture.interface = None;
    }
    // So does a password's file the file's password.
    if said.web.auth.password_file.is_some() {
        file.web.auth.password = None;
    }
    let workers_said = said.pipeline.workers;
    let wants_lines = said.output.quiet == Some(false);
    let options = said.over(file);
    let source = live::source(&options)?;
    let stats_enabled = options.stats.enabled.unwrap_or(false);
    let tick_ms = web::tick_ms(&options, stats_enabled || options.stats.jsonl.is_some())?;
    let stats = StatsSettings {
        enabled: stats_enabled,
        interval_ns: NS_PER_MS * within("--stats-interval-ms (stats.interval_ms)", tick_ms, 1, INTERVAL_MS_MAX)?,
        top_count: size(options.stats.top_flows.unwrap_or(0).into()),
        silence: seconds("--silence-s (stats.silence_secs)", options.stats.silence_secs.unwrap_or(60.0))?,
    };
    check_top_flows(stats.top_count, tick_ms)?;
    let mut flow = flow(&options)?;
    flow.top_count = if stats.enabled || options.stats.jsonl.is_some() { stats.top_count } else { 0 };
    if options.web.enabled.unwrap_or(false) {
        // The page shows talkers and rates of more flows than the statistics.
        let top_n = size(options.web.top_n.unwrap_or(0).into());
        flow.top_count = flow.top_count.max(crate::dashboard::PageSettings::top_count(top_n));
    }
    let pipeline = pipeline(&options.pipeline, workers_said, queues(&source, cores), cores, flow.flow_count_max)?;
    if options.history.json.is_some() && stats.interval_ns > HISTORY_INTERVAL_NS_MAX {
        return Err(combination(
            "--history-json (history.json) keeps seconds, which longer intervals cannot tell: give --stats-interval-ms (stats.interval_ms) \
             up to 1000"
                .to_owned(),
        ));
    }
    let written = output::output(&options, &source, pipeline.workers)?;
    Ok(Settings {
        view: output::view(&options, verbose, &written, wants_lines)?,
        output: written,
        local_networks: local_networks(&options.analysis)?,
        detection: detection(&options.analysis, stats.interval_ns, flow.active_timeout_ns)?,
        recorder: recorder_options::flight(&options.recorder)?,
        web: web::web(&options.web, tick_ms)?,
        pipeline,
        source,
        // Both need more than what is settled here.
        reloader: None,
        in_force: toml::Table::new(),
        filter: options.capture.filter,
        filter_file: options.capture.filter_file,
        depth: depth(&options.analysis)?,
        count_max: options.run.count.unwrap_or(0),
        limits: CaptureLimits {
            bytes: options.run.stop_after_bytes.filter(|&bytes| bytes > 0),
            duration: seconds("--duration (run.duration_secs)", options.run.duration_secs.unwrap_or(0.0))?,
        },
        announces: !options.output.quiet.unwrap_or(false),
        user: options.run.user,
        flow,
        stats,
        verbosity: match verbose {
            0 => Verbosity::Warn,
            1 => Verbosity::Info,
            2 => Verbosity::Debug,
            _ => Verbosity::Trace,
        },
    })
}

/// Flows that are sorted and shown cost time for each of them, however few packets came.
fn check_top_flows(count: usize, interval_ms: u64) -> Result<(), ConfigError> {
    const NAMES: &str = "--top-flows (stats.top_flows)";
    if count > TOP_FLOWS_MAX {
        return Err(ConfigError::Value { name: NAMES, what: format!("is {count}: give at most {TOP_FLOWS_MAX}") });
    }
    let fitting = u64::try_from(TOP_FLOWS_PER_SECOND_MAX).unwrap_or(u64::MAX).saturating_mul(interval_ms) / 1000;
    let fitting = size(fitting).max(TOP_FLOWS_ALWAYS);
    if count > fitting {
        return Err(combination(format!(
            "{NAMES} of {count} every {interval_ms} ms (--stats-interval-ms, stats.interval_ms) are more than the {TOP_FLOWS_PER_SECOND_MAX} \
             a second that may be shown: give at most {fitting} at this interval, or an interval of {} ms",
            count.saturating_mul(1000).div_ceil(TOP_FLOWS_PER_SECOND_MAX)
        )));
    }
    Ok(())
}

/// Flags that would do nothing together with the rest.
fn check_flags(said: &Options, file: &Options) -> Result<(), ConfigError> {
    live::check_flags(said, file)?;
    recorder_options::check_flags(&said.recorder, &file.recorder)?;
    web::check_flags(&said.web, &file.web)?;
    let stats = said.stats.enabled.or(file.stats.enabled).unwrap_or(false);
    let is_written = said.stats.jsonl.is_some() || file.stats.jsonl.is_some();
    if said.stats.top_flows.is_some_and(|count| count > 0) && !stats && !is_written {
        return Err(combination("--top-flows shows flows with the statistics: add --stats or --stats-jsonl".to_owned()));
    }
    let of_lines = &said.output;
    let is_about_lines =
        of_lines.time.is_some() || of_lines.color.is_some() || of_lines.link.is_some() || of_lines.absolute_seq.is_some();
    if is_about_lines && of_lines.quiet.or(file.output.quiet).unwrap_or(false) {
        return Err(combination(
            "--time, --color, --link and --absolute-seq are about packet lines, and --quiet (output.quiet) prints none: add --no-quiet"
                .to_owned(),
        ));
    }
    let detects = said.analysis.anomalies.enabled.or(file.analysis.anomalies.enabled).unwrap_or(false);
    if said.analysis.alerts_jsonl.is_some() && !detects {
        return Err(combination("--alerts-jsonl writes what is detected: add --anomalies".to_owned()));
    }
    if let Some(flag) = said.analysis.alerts.flag().filter(|_| !detects) {
        return Err(combination(format!("{flag} tells of what is detected: add --anomalies")));
    }
    let tables = |options: &OutputOptions| {
        let files = [&options.export_json, &options.export_csv, &options.export_eve, &options.export_zeek];
        files.into_iter().any(Option::is_some) || options.flow_table.is_some_and(|rows| rows > 0)
    };
    if said.output.export_ended_max.is_some() && !tables(&said.output) && !tables(&file.output) {
        return Err(combination(
            "--export-ended-max is about what is written at the end: add --export-json, --export-csv, --export-eve, --export-zeek or \
             --flow-table"
                .to_owned(),
        ));
    }
    let is_about_logs = said.output.zeek_format.is_some() || said.output.zeek_compression.is_some();
    let has_logs = |output: &OutputOptions| output.export_zeek.is_some() || output.expired_flows_zeek.is_some();
    if is_about_logs && !has_logs(&said.output) && !has_logs(&file.output) {
        return Err(combination(
            "--zeek-format and --zeek-compression are about the files of --export-zeek and --expired-flows-zeek: add one of them"
                .to_owned(),
        ));
    }
    Ok(())
}

fn flow(options: &Options) -> Result<FlowSettings, ConfigError> {
    let FlowOptions { timeout_secs, closed_timeout_secs, active_timeout_secs, max_flows, key, timeouts } = &options.flow;
    let analysis = &options.analysis;
    Ok(FlowSettings {
        key: key.unwrap_or_default().into(),
        flow_count_max: size(max_flows.unwrap_or(100_000)),
        idle_timeout_ns: nanoseconds("--flow-timeout-s (flow.timeout_secs)", timeout_secs.unwrap_or(60.0))?,
        timeouts: state_timeouts(timeouts, analysis.inspects())?,
        closed_timeout_ns: nanoseconds("--closed-timeout-s (flow.closed_timeout_secs)", closed_timeout_secs.unwrap_or(10.0))?,
        active_timeout_ns: nanoseconds("--active-timeout-s (flow.active_timeout_secs)", active_timeout_secs.unwrap_or(0.0))?,
        rtt: analysis.rtt.unwrap_or(true),
        retransmissions: analysis.retrans.unwrap_or(true),
        out_of_order: analysis.out_of_order.unwrap_or(true),
        headers: analysis.headers.unwrap_or(false),
        inspection: inspection(analysis)?,
        top_count: 0,
    })
}

/// A number of `[analysis]`.
fn of_analysis(name: &str, said: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<usize, ConfigError> {
    match said.unwrap_or(default) {
        value if range.contains(&value) => Ok(size(value)),
        value => Err(combination(format!("analysis.{name} = {value}: say {} to {}", range.start(), range.end()))),
    }
}

fn depth(analysis: &AnalysisOptions) -> Result<DepthLimits, ConfigError> {
    let &AnalysisOptions { depth_tunnels, depth_link_headers, depth_extension_headers, .. } = analysis;
    let within = |name, said, default: u8| -> Result<u8, ConfigError> {
        let value = of_analysis(name, said, default.into(), 1..=DEPTH_MAX)?;
        Ok(u8::try_from(value).unwrap_or(u8::MAX))
    };
    let default = DepthLimits::DEFAULT;
    Ok(DepthLimits {
        tunnels: within("depth_tunnels", depth_tunnels, default.tunnels)?,
        link_headers: within("depth_link_headers", depth_link_headers, default.link_headers)?,
        extension_headers: within("depth_extension_headers", depth_extension_headers, default.extension_headers)?,
    })
}

fn inspection(analysis: &AnalysisOptions) -> Result<InspectionSettings, ConfigError> {
    let within = of_analysis;
    let packets = within("dpi_packets", analysis.dpi_packets, 24, 1..=1000)?;
    Ok(InspectionSettings {
        enabled: analysis.inspects(),
        stream_bytes_max: within("dpi_stream_bytes", analysis.dpi_stream_bytes, 16 << 10, 512..=1 << 20)?,
        packets_max: u16::try_from(packets).unwrap_or(u16::MAX),
        flow_count_max: within("dpi_flows", analysis.dpi_flows, 1 << 16, 1..=1 << 24)?,
        bytes_max: within("dpi_memory_mb", analysis.dpi_memory_mb, 128, 1..=1 << 14)? << 20,
        address_names_max: within("passive_dns_names", analysis.passive_dns_names, 1 << 16, 0..=1 << 22)?,
        ..InspectionSettings::default()
    })
}

/// Into how many parts a source falls by itself.
#[derive(Clone, Copy)]
enum Queues {
    Known(usize),
    /// A file has as many as processors, given here, have use for.
    OfFile(usize),
    /// Only the interface knows.
    Unknown,
    /// The same, and each takes a worker.
    Each,
}

fn queues(source: &SourceSettings, cores: usize) -> Queues {
    match source {
        SourceSettings::File(_) => Queues::OfFile(cores),
        SourceSettings::Live(live) if live.backend == BackendChoice::Libpcap => Queues::Known(1),
        SourceSettings::Live(live) if live.backend == BackendChoice::Xdp => Queues::Each,
        SourceSettings::Live(_) => Queues::Unknown,
    }
}

fn pipeline(
    options: &PipelineOptions,
    said: Option<u32>,
    queues: Queues,
    processors: usize,
    flow_count_max: usize,
) -> Result<PipelineSettings, ConfigError> {
    let wanted = within("--workers (pipeline.workers)", options.workers.unwrap_or(0), 0, WORKERS_MAX)?;
    let capacity = within("pipeline.channel_capacity", options.channel_capacity.unwrap_or(4096), 1, u32::MAX)?;
    // A number on the command line turns the pipeline on; one in the file does unless the file turns it off.
    let enabled = said.is_some() || options.enabled.unwrap_or(wanted > 0);
    // Each worker keeps one flow at least.
    let some = |count: usize| count.min(if flow_count_max == 0 { count } else { flow_count_max }).max(1);
    let workers = match (enabled, wanted, queues) {
        (false, _, Queues::Each) if options.enabled.is_none() => 0,
        (false, ..) => 1,
        (true, 0, Queues::Unknown | Queues::Each) => 0,
        (true, 0, Queues::Known(count)) => some(count),
        (true, 0, Queues::OfFile(cores)) => some(cores.min(FILE_WORKERS_ENOUGH)),
        (true, wanted, _) => size(wanted.into()),
    };
    if flow_count_max != 0 && workers > flow_count_max {
        return Err(combination(format!(
            "--workers {workers} (pipeline.workers) cannot share --max-flows {flow_count_max} (flow.max_flows): each needs one flow \
             at least, so give fewer workers or more flows"
        )));
    }
    let asked = if enabled { size(wanted.into()) } else { 0 };
    let workers = match queues {
        Queues::OfFile(cores) => workers.min(cores.max(1).saturating_mul(FILE_WORKERS_PER_PROCESSOR)),
        _ => workers,
    };
    let chunks = (u64::from(capacity) * CHANNEL_PACKET_BYTES / MIB).clamp(2, 64);
    Ok(PipelineSettings {
        workers,
        asked,
        processors,
        is_off: !enabled && options.enabled == Some(false),
        cpus: options.cpus.as_deref().map(cpus).transpose()?.unwrap_or_default(),
        reader_chunks: size(chunks),
    })
}

/// CPU numbers from a list such as `0,2-3`.
fn cpus(list: &str) -> Result<Vec<usize>, ConfigError> {
    Ok(numbers("--cpus (pipeline.cpus)", "CPU", list)?.into_iter().map(|cpu| size(cpu.into())).collect())
}

/// Numbers of `things` from a list such as `0,2-3`.
pub(super) fn numbers(name: &'static str, thing: &str, list: &str) -> Result<Vec<u32>, ConfigError> {
    let wrong = || ConfigError::Value {
        name,
        what: format!("is \"{list}\": give {thing} numbers up to {NUMBER_MAX} and ranges, such as 0,2-3, each {thing} once"),
    };
    let number = |text: &str| text.trim().parse().ok().filter(|&number: &u32| number <= NUMBER_MAX);
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
        if first > last || (first..=last).any(|number| numbers.contains(&number)) {
            return Err(wrong());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(name: &'static str, value: T, min: T, max: T) -> Result<T, ConfigError> {
    if value >= min && value <= max {
        Ok(value)
    } else {
        Err(ConfigError::Value { name, what: format!("is {value}: give a number from {min} to {max}") })
    }
}

/// Exact: seconds to the nearest nanosecond.
pub(super) fn nanoseconds(name: &'static str, seconds: f64) -> Result<u64, ConfigError> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= TIMEOUT_MAX)
        .and_then(|duration| u64::try_from(duration.as_nanos()).ok())
        .ok_or_else(|| ConfigError::Value {
            name,
            what: format!("is {seconds}: give seconds from 0 to {}", TIMEOUT_MAX.as_secs()),
        })
}

/// A time that 0 turns off.
fn seconds(name: &'static str, seconds: f64) -> Result<Option<Duration>, ConfigError> {
    Ok(Some(Duration::from_nanos(nanoseconds(name, seconds)?)).filter(|time| !time.is_zero()))
}

/// On a 32-bit machine a limit beyond its memory is no limit.
pub(super) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

pub(super) fn combination(what: String) -> ConfigError {
    ConfigError::Combination(what)
}
