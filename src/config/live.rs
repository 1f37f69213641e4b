//! Where packets come from: a file, or an interface and the backend that captures there.
//!
//! Owns the defaults of sources and which flag belongs to which. Asks no kernel. Invariant: a flag that the chosen source would not
//! look at is refused by name.

use super::choices::{BackendChoice, FanoutChoice, RssChoice};
use super::error::ConfigError;
use super::options::{CaptureOptions, Options, TpacketOptions, XdpOptions};
use super::resolve::{MIB, combination, numbers, within};
use super::settings::{FileSettings, LiveSettings, SourceSettings, TpacketSettings, XdpSettings};
use netscope_backends::ReplaySpeed;
use std::time::Duration;

const SNAPLEN_MAX: u32 = 262_144;
const BUFFER_MB_MAX: u32 = 2047;
/// A ring's blocks are multiples of this, and two of it at least: a block holds the longest packet.
const BLOCK_KB_STEP: u32 = 64;
const BLOCK_KB_MAX: u32 = 64 * 1024;
/// Records tell so many interfaces apart.
const INTERFACES_MAX: usize = 256;
const RETIRE_MS_MAX: u32 = 10_000;
const FRAMES_MIN: u32 = 64;
const FRAMES_MAX: u32 = 1 << 20;
const BUSY_POLL_US_MAX: u32 = 1_000_000;
/// Headers with the outermost addresses, tags and labels included, are shorter.
const ADDRESSES_SNAPLEN_MIN: u32 = 128;

/// Flags that would do nothing with the source that was chosen.
pub(super) fn check_flags(said: &Options, file: &Options) -> Result<(), ConfigError> {
    let capture = &said.capture;
    let (tpacket, xdp) = (tpacket_flags(&said.tpacket), xdp_flags(&said.xdp));
    let reads_file = capture.read_pcap.is_some() || (capture.interface.is_none() && file.capture.read_pcap.is_some());
    let live_only = [
        (capture.promiscuous.is_some(), "--promiscuous or --no-promiscuous"),
        (capture.immediate_mode.is_some(), "--immediate-mode or --no-immediate-mode"),
        (capture.buffer_size_mb.is_some(), "--buffer-size-mb"),
        (capture.backend.is_some(), "--backend"),
        (capture.rss.is_some(), "--rss"),
    ];
    if let (true, Some(flag)) = (reads_file, first(&live_only).or(first(&tpacket)).or(first(&xdp))) {
        return Err(combination(format!(
            "{flag} is for an interface, but a capture file is read (capture.read_pcap): name an --interface, or leave it out"
        )));
    }
    if !reads_file && capture.merge.is_some() {
        return Err(combination("--merge and --no-merge are about capture files: add --read-pcap".to_owned()));
    }
    let backend = capture.backend.or(file.capture.backend).unwrap_or_default();
    for (choice, name, flags) in [(BackendChoice::Tpacket, "tpacket", &tpacket[..]), (BackendChoice::Xdp, "xdp", &xdp[..])] {
        if let (true, Some(flag)) = (backend != choice, first(flags)) {
            return Err(combination(format!(
                "{flag} is for --backend {name} (capture.backend): choose it, or leave the flag out"
            )));
        }
    }
    if backend == BackendChoice::Xdp && capture.buffer_size_mb.is_some() {
        return Err(combination("--buffer-size-mb is not for --backend xdp, which has frames: give --xdp-frames".to_owned()));
    }
    if said.xdp.unmatched.is_some() && capture.filter.is_none() && file.capture.filter.is_none() {
        return Err(combination("--xdp-unmatched is about packets that do not match a filter: add --filter".to_owned()));
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

/// A hash key is looked at only where packets come by the card's queues.
fn check_rss(capture: &CaptureOptions, tpacket: &TpacketOptions) -> Result<(), ConfigError> {
    let by_queue = match capture.backend.unwrap_or_default() {
        BackendChoice::Xdp => true,
        BackendChoice::Tpacket => tpacket.fanout.unwrap_or_default() != FanoutChoice::Hash,
        BackendChoice::Auto | BackendChoice::Libpcap => false,
    };
    if capture.rss == Some(RssChoice::Symmetric) && capture.read_pcap.is_none() && !by_queue {
        return Err(combination(
            "--rss symmetric (capture.rss) is for workers on the card's queues: use it with --backend xdp, or with --backend tpacket and \
             --fanout queue or cpu"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Packets can be distributed only to several rings.
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

fn xdp_flags(said: &XdpOptions) -> [(bool, &'static str); 9] {
    [
        (said.mode.is_some(), "--xdp-mode"),
        (said.queues.is_some(), "--xdp-queues"),
        (said.frame_size.is_some(), "--xdp-frame-size"),
        (said.frames.is_some(), "--xdp-frames"),
        (said.ring_size.is_some(), "--xdp-ring-size"),
        (said.busy_poll_us.is_some(), "--xdp-busy-poll-us"),
        (said.timestamps.is_some(), "--xdp-timestamps"),
        (said.unmatched.is_some(), "--xdp-unmatched"),
        (said.insist.is_some(), "--xdp-insist or --no-xdp-insist"),
    ]
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
    check_rss(capture, &options.tpacket)?;
    let snaplen = within("--snaplen (capture.snaplen)", capture.snaplen.unwrap_or(65_535), 1, SNAPLEN_MAX)?;
    // libpcap takes a signed 32-bit number; 0 would wait forever and hold up the ticks.
    let timeout_ms = within("--timeout-ms (capture.timeout_ms)", capture.timeout_ms.unwrap_or(100), 1, i32::MAX.unsigned_abs())?;
    let timeout = Duration::from_millis(timeout_ms.into());
    match (&capture.read_pcap, &capture.interface) {
        (Some(_), Some(_)) => {
            Err(combination("capture.read_pcap and capture.interface contradict each other: leave one of them empty".to_owned()))
        }
        (Some(paths), None) => {
            let merge = capture.merge.unwrap_or(false);
            let (replay_speed, snaplen) = (replay_speed(capture)?, capture.snaplen.map(|_| snaplen));
            Ok(SourceSettings::File(FileSettings { paths: paths.clone(), merge, replay_speed, snaplen, timeout }))
        }
        (None, _) if replay_speed(capture)?.is_some() => Err(combination(
            "--replay-speed (capture.replay_speed) is about capture files; packets of an interface have a pace of their own: add \
             --read-pcap, or leave it out"
                .to_owned(),
        )),
        (None, _) => live(capture, options, snaplen, timeout).map(SourceSettings::Live),
    }
}

/// At which pace files are read; 0 is none.
fn replay_speed(capture: &CaptureOptions) -> Result<Option<ReplaySpeed>, ConfigError> {
    let factor = capture.replay_speed.unwrap_or(0.0);
    let speed = ReplaySpeed::new(factor);
    if speed.is_none() && factor != 0.0 {
        let (min, max) = ReplaySpeed::RANGE;
        let what = format!("is {factor}: give a number from {min} to {max}, or 0 for as fast as possible");
        return Err(ConfigError::Value { name: "--replay-speed (capture.replay_speed)", what });
    }
    Ok(speed)
}

fn live(capture: &CaptureOptions, options: &Options, snaplen: u32, timeout: Duration) -> Result<LiveSettings, ConfigError> {
    let buffer_mb = within("--buffer-size-mb (capture.buffer_size_mb)", capture.buffer_size_mb.unwrap_or(64), 1, BUFFER_MB_MAX)?;
    let buffer_bytes = u64::from(buffer_mb) * MIB;
    if capture.filter_file.is_some() && snaplen < ADDRESSES_SNAPLEN_MIN {
        return Err(combination(format!(
            "--snaplen {snaplen} (capture.snaplen) may cut off addresses that --filter-file (capture.filter_file) asks for: keep \
             {ADDRESSES_SNAPLEN_MIN} bytes"
        )));
    }
    Ok(LiveSettings {
        interfaces: interfaces(capture)?,
        backend: capture.backend.unwrap_or_default(),
        promiscuous: capture.promiscuous.unwrap_or(true),
        snaplen,
        timeout,
        buffer_bytes,
        immediate_mode: capture.immediate_mode.unwrap_or(false),
        rss: capture.rss.unwrap_or_default(),
        tpacket: tpacket(&options.tpacket, buffer_bytes)?,
        xdp: xdp(&options.xdp)?,
    })
}

/// Names of interfaces, each once.
fn interfaces(capture: &CaptureOptions) -> Result<Vec<String>, ConfigError> {
    const NAME: &str = "--interface (capture.interface)";
    let names = capture.interface.clone().unwrap_or_default();
    if let Some((_, name)) =
        names.iter().enumerate().find(|(place, name)| names.iter().skip(place + 1).any(|other| other == *name))
    {
        return Err(ConfigError::Value { name: NAME, what: format!("names {name} twice: name each interface once") });
    }
    if names.len() > INTERFACES_MAX {
        return Err(ConfigError::Value {
            name: NAME,
            what: format!("is given {} times: {INTERFACES_MAX} are the limit", names.len()),
        });
    }
    Ok(names)
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

fn xdp(options: &XdpOptions) -> Result<XdpSettings, ConfigError> {
    const FRAME_SIZE: &str = "--xdp-frame-size (xdp.frame_size)";
    const RING_SIZE: &str = "--xdp-ring-size (xdp.ring_size)";
    let frame_bytes = options.frame_size.unwrap_or(2048);
    if ![2048, 4096].contains(&frame_bytes) {
        return Err(ConfigError::Value { name: FRAME_SIZE, what: format!("is {frame_bytes}: give 2048 or 4096") });
    }
    let ring_size = within(RING_SIZE, options.ring_size.unwrap_or(0), 0, FRAMES_MAX)?;
    if ring_size != 0 && !ring_size.is_power_of_two() {
        return Err(ConfigError::Value { name: RING_SIZE, what: format!("is {ring_size}: give a power of two, or 0") });
    }
    let busy_poll_us = within("--xdp-busy-poll-us (xdp.busy_poll_us)", options.busy_poll_us.unwrap_or(0), 0, BUSY_POLL_US_MAX)?;
    Ok(XdpSettings {
        mode: options.mode.unwrap_or_default(),
        queues: options.queues.as_deref().map(|list| numbers("--xdp-queues (xdp.queues)", "queue", list)).transpose()?,
        frame_bytes,
        frame_count: within("--xdp-frames (xdp.frames)", options.frames.unwrap_or(32_768), FRAMES_MIN, FRAMES_MAX)?,
        rx_ring: (ring_size > 0).then_some(ring_size),
        busy_poll_us: (busy_poll_us > 0).then_some(busy_poll_us),
        times: options.timestamps.unwrap_or_default(),
        unmatched: options.unmatched.unwrap_or_default(),
        insist: options.insist.unwrap_or(false),
    })
}
