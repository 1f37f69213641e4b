//! `[recorder]`: the flight recorder.
//!
//! Owns names and help texts, as its parent does, and what they come to.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts say [default], which is no link")]

use super::error::ConfigError;
use super::resolve::{MIB, combination, nanoseconds, size, within};
use super::said::{path_unset_when_empty, unset_when_empty};
use crate::engine::FLIGHT_BOX_BYTES;
use crate::flight::FlightSettings;
use clap::Args;
use netscope_backends::savefile::CaptureOrigin;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const SECONDS_MAX: f64 = 86_400.0;
const AFTER_SECS_MAX: f64 = 3600.0;
/// What workers need while the recorder sleeps, and something to keep.
const MEMORY_MB_MIN: u32 = 8;
const MEMORY_MB_MAX: u32 = 65_536;
const SNAPLEN_MAX: u32 = 262_144;

/// `[recorder]`
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[command(next_help_heading = "Flight recorder")]
#[serde(default, deny_unknown_fields)]
pub struct RecorderOptions {
    /// Keep the latest packets in memory.
    #[arg(skip)]
    pub enabled: Option<bool>,
    /// Keep the latest packets in memory, and write those that concern an alert, from before and after it began, to a pcapng file of their
    /// own in this directory; SIGUSR2 writes what is in memory
    #[arg(id = "recorder_directory", long = "recorder", value_name = "DIR", conflicts_with = "recorder_no")]
    #[serde(deserialize_with = "path_unset_when_empty")]
    pub directory: Option<PathBuf>,
    /// Keep no packets [default]
    #[arg(id = "recorder_no", long = "no-recorder")]
    #[serde(skip)]
    pub enabled_no: bool,
    /// Keep packets for this many seconds of their own time, as far as memory allows [default: 30]
    #[arg(id = "recorder_seconds", long = "recorder-seconds", value_name = "SECS")]
    pub seconds: Option<f64>,
    /// Memory for them, in MiB for each queue [default: 64]
    #[arg(id = "recorder_memory_mb", long = "recorder-memory-mb", value_name = "MB")]
    pub memory_mb: Option<u32>,
    /// With SIGUSR2, only packets that match this BPF expression
    #[arg(id = "recorder_filter", long = "recorder-filter", value_name = "EXPR")]
    #[serde(deserialize_with = "unset_when_empty")]
    pub filter: Option<String>,
    /// Bytes kept of each packet, 0 = all [default: 0]
    #[arg(id = "recorder_snaplen", long = "recorder-snaplen", value_name = "BYTES")]
    pub snaplen: Option<u32>,
    /// Seconds before the alert's first observation.
    #[arg(skip)]
    pub before_secs: Option<f64>,
    /// Seconds after the alert began.
    #[arg(skip)]
    pub after_secs: Option<f64>,
    /// MiB of one recording.
    #[arg(skip)]
    pub max_recording_mb: Option<u64>,
    /// Recordings kept.
    #[arg(skip)]
    pub max_files: Option<u32>,
    /// MiB of all recordings.
    #[arg(skip)]
    pub max_mb: Option<u64>,
    /// Age of recordings kept, in seconds.
    #[arg(skip)]
    pub max_age_secs: Option<f64>,
}

impl RecorderOptions {
    pub(super) fn settle(&mut self) {
        self.enabled = match (&self.directory, self.enabled_no) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => self.enabled,
        };
    }

    pub(super) fn over(self, under: Self) -> Self {
        Self {
            enabled: self.enabled.or(under.enabled),
            directory: self.directory.or(under.directory),
            enabled_no: self.enabled_no,
            seconds: self.seconds.or(under.seconds),
            memory_mb: self.memory_mb.or(under.memory_mb),
            filter: self.filter.or(under.filter),
            before_secs: self.before_secs.or(under.before_secs),
            after_secs: self.after_secs.or(under.after_secs),
            snaplen: self.snaplen.or(under.snaplen),
            max_recording_mb: self.max_recording_mb.or(under.max_recording_mb),
            max_files: self.max_files.or(under.max_files),
            max_mb: self.max_mb.or(under.max_mb),
            max_age_secs: self.max_age_secs.or(under.max_age_secs),
        }
    }
}

/// Refuses flags that would do nothing.
pub(super) fn check_flags(said: &RecorderOptions, file: &RecorderOptions) -> Result<(), ConfigError> {
    let RecorderOptions { seconds, memory_mb, filter, snaplen, .. } = said;
    let is_about = seconds.is_some() || memory_mb.is_some() || filter.is_some() || snaplen.is_some();
    if is_about && !said.enabled.or(file.enabled).unwrap_or(false) {
        return Err(combination(
            "--recorder-seconds, --recorder-memory-mb, --recorder-snaplen and --recorder-filter are about the flight recorder: add --recorder DIR"
                .to_owned(),
        ));
    }
    Ok(())
}

/// `None` where no packets are kept.
pub(super) fn flight(options: &RecorderOptions) -> Result<Option<FlightSettings>, ConfigError> {
    let seconds = within("--recorder-seconds (recorder.seconds)", options.seconds.unwrap_or(30.0), 0.1, SECONDS_MAX)?;
    let before = within("recorder.before_secs", options.before_secs.unwrap_or(10.0), 0.0, SECONDS_MAX)?;
    if before > seconds {
        return Err(combination(format!(
            "recorder.before_secs {before} is more than packets are kept: give at most --recorder-seconds (recorder.seconds), \
             which is {seconds}"
        )));
    }
    let after = within("recorder.after_secs", options.after_secs.unwrap_or(10.0), 0.0, AFTER_SECS_MAX)?;
    let memory_mb =
        within("--recorder-memory-mb (recorder.memory_mb)", options.memory_mb.unwrap_or(64), MEMORY_MB_MIN, MEMORY_MB_MAX)?;
    let snaplen = within("--recorder-snaplen (recorder.snaplen)", options.snaplen.unwrap_or(0), 0, SNAPLEN_MAX)?;
    let megabytes =
        |name, value: Option<u64>, default| Ok::<_, ConfigError>(MIB * within(name, value.unwrap_or(default), 1, 1 << 30)?);
    let recording_bytes_max = megabytes("recorder.max_recording_mb", options.max_recording_mb, 64)?;
    let bytes_max = megabytes("recorder.max_mb", options.max_mb, 1024)?;
    if recording_bytes_max > bytes_max {
        return Err(combination(format!(
            "recorder.max_recording_mb {} is more than all recordings may have: give at most recorder.max_mb, which is {}",
            recording_bytes_max / MIB,
            bytes_max / MIB
        )));
    }
    let age_max = Duration::from_nanos(nanoseconds("recorder.max_age_secs", options.max_age_secs.unwrap_or(0.0))?);
    let settings = FlightSettings {
        directory: options.directory.clone().unwrap_or_else(|| "recordings".into()),
        ring_ns: nanoseconds("--recorder-seconds (recorder.seconds)", seconds)?,
        boxes: size(u64::from(memory_mb) * MIB) / FLIGHT_BOX_BYTES,
        snaplen: size(u64::from(if snaplen == 0 { SNAPLEN_MAX } else { snaplen })),
        before_ns: nanoseconds("recorder.before_secs", before)?,
        after_ns: nanoseconds("recorder.after_secs", after)?,
        recording_bytes_max,
        files_max: within("recorder.max_files", options.max_files.unwrap_or(100), 1, 1_000_000)?,
        bytes_max,
        age_max: Some(age_max).filter(|age| !age.is_zero()),
        filter: options.filter.clone(),
        origin: CaptureOrigin::default(),
    };
    Ok(options.enabled.unwrap_or(false).then_some(settings))
}
