//! What the page is told at the start: settings, facts that do not change, and whom it may ask.
//!
//! Owns no logic but the making of a boot id. Knows no flag: the configuration is text here.

use crate::aggregate::{JudgeReloads, MuteRule, Questions};
use crate::flight::{FlightRequests, RecordingStore};
use crate::flow::{FactSet, FlowRecord};
use crate::query::RecordContext;
use crate::record::{Exported, FACT_SCHEMA, FieldWord, TimeResolution};
use netscope_backends::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use std::io;
use std::sync::Arc;

/// How much the page shows and keeps.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// Length of a tick in ns.
    pub tick_ns: u64,
    /// Flows in a frame.
    pub top_n: usize,
    /// Flows that a report has at most: the aggregator's and the workers' `top_count`. See [`PageSettings::top_count`].
    pub top_count: usize,
    /// Sampled packets kept.
    pub packet_buffer: usize,
    /// Of how many packets one is sampled; 0: none is.
    pub sample_rate: u32,
    /// Bytes kept of a sampled packet behind its headers.
    pub payload_bytes: usize,
    /// How records are shown.
    pub records: RecordStyle,
    /// Flows that end are kept for answers and for the table at the end. False saves their memory.
    pub has_history: bool,
    /// Payload is inspected, so flows have facts.
    pub has_facts: bool,
}

/// How records are shown, as in exports.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordStyle {
    /// Seed of Community IDs.
    pub community_id_seed: u16,
    /// How times were taken.
    pub times: TimeResolution,
    /// Names of interfaces by the numbers in records; none where there is one interface or a file.
    pub interfaces: &'static [FieldWord],
}

impl RecordStyle {
    /// What a filter has to know of records.
    pub const fn context(&self) -> RecordContext {
        let Self { community_id_seed, times, interfaces } = *self;
        RecordContext { community_id_seed, times, interfaces }
    }

    /// A record made ready, with what is known of its flow.
    pub fn exported<'a>(&self, record: &'a FlowRecord, facts: FactSet<'a>) -> Exported<'a> {
        let exported = Exported::new(record, self.community_id_seed).with_times(self.times).on_interface(self.interfaces);
        exported.with_facts(facts, FACT_SCHEMA)
    }
}

impl PageSettings {
    /// What `top_count` has to be at least, so that talkers, services and rates are of more than the flows shown.
    pub const fn top_count(top_n: usize) -> usize {
        if top_n > 200 { top_n } else { 200 }
    }
}

/// Where the packets come from.
#[derive(Clone, Debug, Default)]
pub struct PageSource {
    /// True for a capture file, which ends.
    pub is_file: bool,
    /// The interfaces together, or the last part of the file's path.
    pub name: String,
    /// The interfaces.
    pub interfaces: Vec<String>,
    /// By queue, the interface it belongs to, as its place in `interfaces`.
    pub queue_interfaces: Vec<usize>,
    /// `libpcap`, `tpacket`, `xdp` or `file`.
    pub backend: String,
    /// What a ring holds: `blocks` or `descriptors`; `None` where there is no ring.
    pub ring_unit: Option<&'static str>,
    /// Bits per second of all interfaces together; `None` when one is not known.
    pub link_speed_bps: Option<u64>,
    /// Pace of a file by its own times; `None`: as fast as possible.
    pub replay_speed: Option<f64>,
}

/// What does not change while the run goes on.
#[derive(Clone, Debug)]
pub struct PageFacts {
    /// Version of the program.
    pub version: &'static str,
    /// Name of this machine.
    pub host: String,
    /// When the run started, by the clock of this machine.
    pub started: Timestamp,
    /// Where the packets come from.
    pub source: PageSource,
    /// Workers count which way packets go: networks are known as inside.
    pub has_directions: bool,
    /// Something is detected.
    pub has_detection: bool,
    /// The configuration in force as TOML, secrets left out.
    pub config_text: String,
    /// The same as JSON.
    pub config: Value,
    /// Mute rules of the configuration at the start.
    pub config_mutes: Vec<MuteRule>,
}

/// A number of the server's for `/metrics`.
#[derive(Clone, Debug)]
pub struct ServerNumber {
    /// The metric's name without the prefix `netscope_` and, of a counter, without `_total`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// True for one that only grows.
    pub is_counter: bool,
    /// A label's name and value, or none.
    pub label: Option<(&'static str, &'static str)>,
    /// The number.
    pub value: u64,
}

/// Says what a doctor finds: a JSON object with `findings`. It may take a second; it is called on a thread that may wait.
pub type DoctorCall = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The server's numbers. Numbers of one name stand together.
pub type ServerNumbers = Arc<dyn Fn() -> Vec<ServerNumber> + Send + Sync>;

/// Whom the page may ask.
#[derive(Clone, Default)]
pub struct PageHooks {
    /// The aggregator.
    pub questions: Questions,
    /// Where mute rules go.
    pub reloads: JudgeReloads,
    /// The flight recorder.
    pub flight: Option<(FlightRequests, RecordingStore)>,
    /// The doctor.
    pub doctor: Option<DoctorCall>,
    /// The server's own numbers.
    pub server: Option<ServerNumbers>,
}

/// 128 random bits as 32 hexadecimal digits: names this run.
///
/// # Errors
/// When the system gives no random bits.
pub fn boot_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bits"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
