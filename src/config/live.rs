//! Where packets come from: a file, or an interface and the backend that captures there.
//!
//! Owns the defaults of sources and which flag belongs to which. Asks no kernel. Invariant: a flag that the chosen source would not
//! look at is refused by name.

use super::error::ConfigError;
use super::options::{BackendChoice, CaptureOptions, FanoutChoice, Options, TpacketOptions};
use super::resolve::{MIB, combination, within};
use super::settings::{FileSettings, LiveSettings, SourceSettings, TpacketSettings};
use std::time::Duration;

const SNAPLEN_MAX: u32 = 262_144;
const BUFFER_MB_MAX: u32 = 2047;
/// A ring's blocks are multiples of this, and two of it at least: a block holds the longest packet.
const BLOCK_KB_STEP: u32 = 64;
const BLOCK_KB_MAX: u32 = 64 * 1024;
const RETIRE_MS_MAX: u32 = 10_000;

/// Flags that would do nothing with the source that was chosen.
pub(super) fn check_flags(said: &Options, file: &Options) -> Result<(), ConfigError> {
    let capture = &said.capture;
    let tpacket = tpacket_flags(&said.tpacket);
    let reads_file = capture.read_pcap.is_some() || (capture.interface.is_none() && file.capture.read_pcap.is_some());
    let live_only = [
        (capture.promiscuous.is_some(), "--promiscuous or --no-promiscuous"),
        (capture.immediate_mode.is_some(), "--immediate-mode or --no-immediate-mode"),
        (capture.buffer_size_mb.is_some(), "--buffer-size-mb"),
        (capture.backend.is_some(), "--backend"),
    ];
    if let (true, Some(flag)) = (reads_file, first(&live_only).or(first(&tpacket))) {
        return Err(combination(format!(
            "{flag} is for an interface, but a capture file is read (capture.read_pcap): name an --interface, or leave it out"
        )));
    }
    let backend = capture.backend.or(file.capture.backend).unwrap_or_default();
    if let (true, Some(flag)) = (backend != BackendChoice::Tpacket, first(&tpacket)) {
        return Err(combination(format!("{flag} is for --backend tpacket (capture.backend): choose it, or leave the flag out")));
    }
    let immediate = capture.immediate_mode.or(file.capture.immediate_mode).unwrap_or(false);
    if immediate && said.tpacket.retire_ms.is_some() {
        return Err(combination(
            "--immediate-mode (capture.immediate_mode) hands packets over after 1 ms, --tpacket-retire-ms later: leave one of them out"
                .to_owned(),
        ));
    }
    check_fanout(said, file)
}

/// Dealing takes somebody to deal to.
fn check_fanout(said: &Options, file: &Options) -> Result<(), ConfigError> {
    let flags = [
        (said.tpacket.fanout.is_some(), "--fanout"),
        (said.tpacket.fanout_defrag.is_some(), "--fanout-defrag or --no-fanout-defrag"),
    ];
    let Some(flag) = first(&flags) else { return Ok(()) };
    let workers = said.pipeline.workers.or(file.pipeline.workers).unwrap_or(0);
    let enabled = said.pipeline.workers.is_some() || said.pipeline.enabled.or(file.pipeline.enabled).unwrap_or(workers > 0);
    if !enabled || workers == 1 {
        return Err(combination(format!("{flag} is about several workers: add --workers, 0 for one per receive queue")));
    }
    let fanout = said.tpacket.fanout.or(file.tpacket.fanout).unwrap_or_default();
    if said.tpacket.fanout_defrag.is_some() && fanout != FanoutChoice::Hash {
        return Err(combination(
            "--fanout-defrag and --no-fanout-defrag are for --fanout hash (tpacket.fanout): choose it, or leave the flag out"
                .to_owned(),
        ));
    }
    Ok(())
}

fn tpacket_flags(said: &TpacketOptions) -> [(bool, &'static str); 4] {
    [
        (said.block_kb.is_some(), "--tpacket-block-kb"),
        (said.retire_ms.is_some(), "--tpacket-retire-ms"),
        (said.fanout.is_some(), "--fanout"),
        (said.fanout_defrag.is_some(), "--fanout-defrag or --no-fanout-defrag"),
    ]
}

/// The first flag that was given.
fn first(flags: &[(bool, &'static str)]) -> Option<&'static str> {
    flags.iter().find(|(given, _)| *given).map(|(_, flag)| *flag)
}

/// The source of a run.
pub(super) fn source(options: &Options) -> Result<SourceSettings, ConfigError> {
    let capture = &options.capture;
    let snaplen = within("--snaplen (capture.snaplen)", capture.snaplen.unwrap_or(65_535), 1, SNAPLEN_MAX)?;
    // libpcap takes a signed 32-bit number; 0 would wait forever and hold up the ticks.
    let timeout_ms = within("--timeout-ms (capture.timeout_ms)", capture.timeout_ms.unwrap_or(100), 1, i32::MAX.unsigned_abs())?;
    let timeout = Duration::from_millis(timeout_ms.into());
    match (&capture.read_pcap, &capture.interface) {
        (Some(_), Some(_)) => {
            Err(combination("capture.read_pcap and capture.interface contradict each other: leave one of them empty".to_owned()))
        }
        (Some(path), None) => {
            Ok(SourceSettings::File(FileSettings { path: path.clone(), snaplen: capture.snaplen.map(|_| snaplen), timeout }))
        }
        (None, _) => live(capture, options, snaplen, timeout).map(SourceSettings::Live),
    }
}

fn live(capture: &CaptureOptions, options: &Options, snaplen: u32, timeout: Duration) -> Result<LiveSettings, ConfigError> {
    let buffer_mb = within("--buffer-size-mb (capture.buffer_size_mb)", capture.buffer_size_mb.unwrap_or(64), 1, BUFFER_MB_MAX)?;
    let buffer_bytes = u64::from(buffer_mb) * MIB;
    Ok(LiveSettings {
        interface: capture.interface.clone(),
        backend: capture.backend.unwrap_or_default(),
        promiscuous: capture.promiscuous.unwrap_or(true),
        snaplen,
        timeout,
        buffer_bytes,
        immediate_mode: capture.immediate_mode.unwrap_or(false),
        tpacket: tpacket(&options.tpacket, buffer_bytes)?,
    })
}

fn tpacket(options: &TpacketOptions, buffer_bytes: u64) -> Result<TpacketSettings, ConfigError> {
    const BLOCK: &str = "--tpacket-block-kb (tpacket.block_kb)";
    let block_kb = within(BLOCK, options.block_kb.unwrap_or(1024), 2 * BLOCK_KB_STEP, BLOCK_KB_MAX)?;
    if !block_kb.is_multiple_of(BLOCK_KB_STEP) {
        return Err(ConfigError::Value { name: BLOCK, what: format!("is {block_kb}: give a multiple of {BLOCK_KB_STEP}") });
    }
    let block_bytes = block_kb * 1024;
    Ok(TpacketSettings {
        block_bytes,
        // At most 2047 MiB in blocks of 128 KiB.
        block_count: u32::try_from(buffer_bytes / u64::from(block_bytes)).unwrap_or(u32::MAX),
        retire_ms: within("--tpacket-retire-ms (tpacket.retire_ms)", options.retire_ms.unwrap_or(10), 1, RETIRE_MS_MAX)?,
        fanout: options.fanout.unwrap_or_default(),
        defrag: options.fanout_defrag.unwrap_or(true),
    })
}
