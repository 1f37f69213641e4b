//! What is written: files, their rotation, what is shown on standard output.
//!
//! Owns the defaults of outputs and which of them need each other. Looks at no file. Invariant: at most one output has standard
//! output, and then nothing else is written there.

use super::alerting::receivers;
use super::choices::{BackendChoice, XdpTimes};
use super::error::ConfigError;
use super::options::{Options, OutputOptions};
use super::resolve::{MIB, combination, nanoseconds, size};
use super::settings::{OutputSettings, PacketView, SourceSettings};
use crate::output::{ExportSettings, ZeekFiles};
use crate::query::FlowFilter;
use crate::record::{FACT_SCHEMA, TimeResolution, ZeekFormat, ZeekLog};
use netscope_backends::writing::{RotationOptions, SegmentNames, is_stdout};
use std::error::Error;
use std::path::{Path, PathBuf};

const EXPORT_ENDED_MAX_FROM_FILE: u64 = 1_000_000;
/// Some 13 MB: about 130 bytes each.
const EXPORT_ENDED_MAX_LIVE: u64 = 100_000;

/// Settings of all outputs.
pub(super) fn output(options: &Options, source: &SourceSettings, workers: usize) -> Result<OutputSettings, ConfigError> {
    let (all, options) = (options, &options.output);
    let dpi = all.analysis.inspects();
    let (ended_max_default, times) = match source {
        SourceSettings::File(_) => (EXPORT_ENDED_MAX_FROM_FILE, TimeResolution::Packet),
        SourceSettings::Live(live) if live.backend == BackendChoice::Xdp && live.xdp.times == XdpTimes::Batch => {
            (EXPORT_ENDED_MAX_LIVE, TimeResolution::Batch)
        }
        SourceSettings::Live(_) => (EXPORT_ENDED_MAX_LIVE, TimeResolution::Packet),
    };
    let packets = rotation(&Rotation {
        names: ["--write-pcap-rotate-mb (output.write_pcap_rotate_mb)", "--write-pcap-rotate-s (output.write_pcap_rotate_secs)"],
        max_name: "--write-pcap-max-files (output.write_pcap_max_files)",
        of: "--write-pcap (output.write_pcap)",
        megabytes: options.write_pcap_rotate_mb,
        seconds: options.write_pcap_rotate_secs,
        files_max: options.write_pcap_max_files,
        paths: &[&options.write_pcap],
    })?;
    let flows = rotation_of_flows(options)?;
    let at = |path: &Option<PathBuf>, rotation: &RotationOptions| {
        path.as_ref().map(|path| RotationOptions { path: path.clone(), ..rotation.clone() })
    };
    if options.post_rotate.is_some() && !packets.rotates() && !flows.rotates() {
        return Err(combination(
            "--post-rotate (output.post_rotate) is run after each file that rotation closed: add --write-pcap-rotate-mb, \
             --write-pcap-rotate-s, --expired-flows-rotate-mb or --expired-flows-rotate-s"
                .to_owned(),
        ));
    }
    if let Some(command) = &options.post_rotate
        && !can_be_run(command)
    {
        return Err(ConfigError::Value {
            name: "--post-rotate (output.post_rotate)",
            what: format!("is {}: there is no such program; give one without arguments", command.display()),
        });
    }
    Ok(OutputSettings {
        write_pcap: at(&options.write_pcap, &packets),
        export_json: options.export_json.clone(),
        export_csv: options.export_csv.clone(),
        export_eve: options.export_eve.clone(),
        export_zeek: zeek("--export-zeek (output.export_zeek)", &options.export_zeek, options, dpi)?,
        export_ended_max: size(options.export_ended_max.unwrap_or(ended_max_default)),
        expired_flows_jsonl: at(&options.expired_flows_jsonl, &flows),
        expired_flows_csv: at(&options.expired_flows_csv, &flows),
        expired_flows_eve: at(&options.expired_flows_eve, &flows),
        expired_flows_zeek: ended_zeek(options, &flows, dpi)?,
        post_rotate: options.post_rotate.clone(),
        summary_json: options.summary_json.clone(),
        summary: options.summary.unwrap_or(true),
        flow_table_rows: size(options.flow_table.unwrap_or(0).into()),
        stats_jsonl: all.stats.jsonl.clone(),
        history_json: all.history.json.clone(),
        alerts_jsonl: all.analysis.alerts_jsonl.clone(),
        receivers: receivers(&all.analysis.alerts)?,
        has_stdout: on_stdout(all)?.is_some(),
        selected: selected(options, dpi)?,
        // As many cores as the workers had.
        record: ExportSettings {
            community_id_seed: options.community_id_seed.unwrap_or(0),
            threads: workers,
            times,
            schema: if dpi { FACT_SCHEMA } else { &[] },
            // Known when they are open.
            interfaces: &[],
        },
    })
}

/// The rotation of all files of flows as they end, without a path.
fn rotation_of_flows(options: &OutputOptions) -> Result<RotationOptions, ConfigError> {
    // One of the logs stands for all: the directory itself does not rotate.
    let log = options.expired_flows_zeek.as_ref().map(|directory| directory.join("conn.log"));
    rotation(&Rotation {
        names: [
            "--expired-flows-rotate-mb (output.expired_flows_rotate_mb)",
            "--expired-flows-rotate-s (output.expired_flows_rotate_secs)",
        ],
        max_name: "--expired-flows-max-files (output.expired_flows_max_files)",
        of: "--expired-flows-jsonl, --expired-flows-csv, --expired-flows-eve or --expired-flows-zeek (output.expired_flows_jsonl and so on)",
        megabytes: options.expired_flows_rotate_mb,
        seconds: options.expired_flows_rotate_secs,
        files_max: options.expired_flows_max_files,
        paths: &[&options.expired_flows_jsonl, &options.expired_flows_csv, &options.expired_flows_eve, &log],
    })
}

/// The files of logs.
fn zeek(
    name: &'static str,
    directory: &Option<PathBuf>,
    options: &OutputOptions,
    dpi: bool,
) -> Result<Option<ZeekFiles>, ConfigError> {
    let Some(directory) = directory else { return Ok(None) };
    let not = |what: &str| ConfigError::Value { name, what: format!("is {}: {what}", directory.display()) };
    if is_stdout(directory) {
        return Err(not("it writes several files, so give it a directory"));
    }
    if directory.exists() && !directory.is_dir() {
        return Err(not("this is no directory"));
    }
    let format = options.zeek_format.unwrap_or_default().into();
    let ending = options.zeek_compression.unwrap_or_default().ending();
    Ok(Some(ZeekFiles::in_directory(directory, format, ending, dpi)))
}

/// The logs of flows as they end, each of which rotates by itself.
fn ended_zeek(
    options: &OutputOptions,
    flows: &RotationOptions,
    dpi: bool,
) -> Result<Vec<(RotationOptions, ZeekLog, ZeekFormat)>, ConfigError> {
    let files = zeek("--expired-flows-zeek (output.expired_flows_zeek)", &options.expired_flows_zeek, options, dpi)?;
    let logs = files.into_iter().flat_map(|files| files.logs.into_iter().map(move |log| (files.format, log)));
    Ok(logs.map(|(format, (log, path))| (RotationOptions { path, ..flows.clone() }, log, format)).collect())
}

/// Which flows are written; `None`: all.
fn selected(options: &OutputOptions, dpi: bool) -> Result<Option<FlowFilter>, ConfigError> {
    let text = options.selected.as_deref().unwrap_or_default();
    let filter = FlowFilter::parse(text).map_err(ConfigError::Where)?;
    if filter.is_everything() {
        return Ok(None);
    }
    let OutputOptions { export_json, export_csv, export_eve, export_zeek, .. } = options;
    let OutputOptions { expired_flows_jsonl, expired_flows_csv, expired_flows_eve, expired_flows_zeek, .. } = options;
    let has_flows = [
        [export_json, export_csv, export_eve, export_zeek],
        [expired_flows_jsonl, expired_flows_csv, expired_flows_eve, expired_flows_zeek],
    ]
    .concat();
    if has_flows.iter().all(|path| path.is_none()) && options.flow_table.unwrap_or(0) == 0 {
        return Err(combination(
            "--where (output.where) chooses the flows that are written: add --export-json, --export-csv, --export-eve, --export-zeek, \
             --expired-flows-jsonl, --expired-flows-csv, --expired-flows-eve, --expired-flows-zeek or --flow-table; packets are chosen by -f"
                .to_owned(),
        ));
    }
    if filter.asks_for_facts() && !dpi {
        return Err(combination(
            "--where (output.where) asks for what payload says: leave out --no-dpi (analysis.dpi = false)".to_owned(),
        ));
    }
    Ok(Some(filter))
}

/// True for a program: a path to a file, or a name in one of PATH's directories.
pub(super) fn can_be_run(command: &Path) -> bool {
    if command.components().count() > 1 || command.is_absolute() {
        return command.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(command).is_file())
}

/// What was said of a rotation.
struct Rotation<'a> {
    /// Of size and time.
    names: [&'static str; 2],
    max_name: &'static str,
    /// What is rotated.
    of: &'static str,
    megabytes: Option<u64>,
    seconds: Option<f64>,
    files_max: Option<u32>,
    paths: &'a [&'a Option<PathBuf>],
}

/// A rotation without its path.
fn rotation(said: &Rotation<'_>) -> Result<RotationOptions, ConfigError> {
    let [size_name, time_name] = said.names;
    let rotate_bytes = said.megabytes.filter(|&megabytes| megabytes > 0);
    let rotate_bytes = rotate_bytes.map(|megabytes| {
        let too_large = || ConfigError::Value { name: size_name, what: format!("is too large: {megabytes}") };
        megabytes.checked_mul(MIB).ok_or_else(too_large)
    });
    let rotate_ns = nanoseconds(time_name, said.seconds.unwrap_or(0.0))?;
    let files_max = said.files_max.filter(|&count| count > 0);
    let options = RotationOptions {
        rotate_bytes: rotate_bytes.transpose()?,
        rotate_ns: (rotate_ns > 0).then_some(rotate_ns),
        files_max,
        ..RotationOptions::default()
    };
    if files_max.is_some() && !options.rotates() {
        return Err(combination(format!("{} is about rotated files: add {size_name} or {time_name}", said.max_name)));
    }
    let timed = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'%'));
    if let Some(path) = said.paths.iter().copied().flatten().find(|path| timed(path) && !options.rotates()) {
        return Err(combination(format!(
            "{} {}: a name with a time (%) is for rotation: add {size_name} or {time_name}",
            said.of,
            path.display()
        )));
    }
    let mut paths = said.paths.iter().copied().flatten().peekable();
    if options.rotates() && paths.peek().is_none() {
        return Err(combination(format!(
            "rotation needs a file to write: add {}, or leave {size_name} and {time_name} out",
            said.of
        )));
    }
    for path in paths.filter(|_| options.rotates()) {
        if is_stdout(path) {
            return Err(combination(format!("{} is standard output, which cannot be rotated: give it a name", said.of)));
        }
        // The name with a time has to be understood.
        SegmentNames::of(path).map_err(|error| {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            combination(format!("{}: {error}: {why}", said.of))
        })?;
    }
    Ok(options)
}

/// The output that has standard output.
fn on_stdout(options: &Options) -> Result<Option<&'static str>, ConfigError> {
    let mut found = None;
    for (name, path) in written(options) {
        if !path.is_some_and(is_stdout) {
            continue;
        }
        if let Some(first) = found.replace(name) {
            return Err(combination(format!("{first} and {name} are both standard output: give one of them a file")));
        }
    }
    Ok(found)
}

/// Outputs with a path.
fn written(options: &Options) -> [(&'static str, Option<&Path>); 11] {
    let history_json = options.history.json.as_deref();
    let (stats_jsonl, alerts_jsonl) = (options.stats.jsonl.as_deref(), options.analysis.alerts_jsonl.as_deref());
    let options = &options.output;
    [
        ("--stats-jsonl (stats.jsonl)", stats_jsonl),
        ("--history-json (history.json)", history_json),
        ("--alerts-jsonl (analysis.alerts_jsonl)", alerts_jsonl),
        ("--write-pcap (output.write_pcap)", options.write_pcap.as_deref()),
        ("--export-json (output.export_json)", options.export_json.as_deref()),
        ("--export-csv (output.export_csv)", options.export_csv.as_deref()),
        ("--export-eve (output.export_eve)", options.export_eve.as_deref()),
        ("--expired-flows-jsonl (output.expired_flows_jsonl)", options.expired_flows_jsonl.as_deref()),
        ("--expired-flows-csv (output.expired_flows_csv)", options.expired_flows_csv.as_deref()),
        ("--expired-flows-eve (output.expired_flows_eve)", options.expired_flows_eve.as_deref()),
        ("--summary-json (output.summary_json)", options.summary_json.as_deref()),
    ]
}

/// How packets are shown; `None`: they are not. `wants_lines`: the command line asks for a line per packet.
pub(super) fn view(
    options: &Options,
    verbose: u8,
    written: &OutputSettings,
    wants_lines: bool,
) -> Result<Option<PacketView>, ConfigError> {
    let output = &options.output;
    let (quiet, hex) = (output.quiet.unwrap_or(false), output.hex_dump.unwrap_or(false));
    if quiet && hex {
        return Err(combination(
            "--quiet (output.quiet) and --hex-dump (output.hex_dump) contradict each other: add --no-quiet or --no-hex-dump"
                .to_owned(),
        ));
    }
    if written.has_stdout && (hex || wants_lines) {
        let flag = if hex { "--hex-dump (output.hex_dump)" } else { "--no-quiet (output.quiet)" };
        let other = on_stdout(options)?.unwrap_or_default();
        return Err(combination(format!(
            "{flag} shows packets on standard output, which {other} has: leave one of them out, or give that a file"
        )));
    }
    Ok((!quiet && !written.has_stdout).then(|| PacketView {
        time: output.time.unwrap_or_default(),
        color: output.color.unwrap_or_default(),
        link: output.link.unwrap_or(false),
        absolute_seq: output.absolute_seq.unwrap_or(false),
        payload: options.analysis.inspects(),
        layers: hex || verbose >= 2,
        flow: verbose >= 3,
        hex,
    }))
}
