//! Long connections: flows that go on for hours, told while they live.
//!
//! Owns the rule. Knows what flows grew by in a bin, and for how long their records have lived. Invariant: connections of one source to one
//! service are told together, once, and again when the longest of them reaches the next grade.

mod flows;

use self::flows::{LongFlow, LongFlows};
use super::{
    Alert, AlertSeverity, AlertSubject, Contact, CrossedThreshold, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable,
    IpPrefix, KeyedRule, Observation, Told,
};
use crate::flow::FlowGrowth;
use netscope_backends::Timestamp;

const KIND: &str = "long_connection";
const TCP: u8 = 6;
const UDP: u8 = 17;
const HOUR_NS: u64 = 3600 * Timestamp::NS_PER_SEC;
/// Durations of RITA's levels low, medium and high.
const GRADES_NS: [u64; 3] = [4 * HOUR_NS, 8 * HOUR_NS, 12 * HOUR_NS];
/// Each bin is judged by itself: a flow's totals say all.
const WINDOW_NS: u64 = Timestamp::NS_PER_SEC;

/// `[analysis.anomalies.long_connection]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongConnectionSettings {
    /// A connection is long from this duration on, in ns.
    pub duration_ns_min: u64,
    /// Hosts that are left out at either end.
    pub allowed_networks: Vec<IpPrefix>,
    /// Time in ns without a packet of it after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule. Keys: source, destination, its port and the protocol.
pub struct LongConnection {
    settings: LongConnectionSettings,
    hash: EvidenceHash,
}

impl LongConnection {
    /// A rule with these settings.
    pub fn new(settings: LongConnectionSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn is_allowed(&self, key: &EvidenceKey) -> bool {
        self.settings.allowed_networks.iter().any(|network| network.contains(key.host) || network.contains(key.peer))
    }

    /// A flow that has lived long enough between two hosts that both speak.
    fn note(&self, flow: &FlowGrowth, table: &mut EvidenceTable<LongFlows>) {
        let protocol = flow.key.protocol();
        let is_long = flow.last_seen.since(flow.first_seen) >= self.settings.duration_ns_min;
        let is_answered = || flow.packets_total.iter().all(|&count| count > 0);
        if !is_long || !matches!(protocol, TCP | UDP) || !is_answered() {
            return;
        }
        let ((host, own_port), (peer, port)) = (flow.key.source(flow.initiator), flow.key.destination(flow.initiator));
        let key = EvidenceKey { host, peer, port, protocol };
        if peer.is_group() || self.is_allowed(&key) {
            return;
        }
        let contact = Contact { host, port: own_port };
        let long = LongFlow {
            duration_ns: flow.last_seen.since(flow.first_seen),
            bytes: [flow.bytes_total[flow.initiator.index()], flow.bytes_total[flow.initiator.reverse().index()]],
        };
        table.observe(key, |flows| flows.note(flow, long, (self.hash.rank(&contact), contact)));
    }
}

impl KeyedRule for LongConnection {
    type Evidence = LongFlows;

    fn name(&self) -> &'static str {
        KIND
    }

    fn window_ns(&self) -> u64 {
        WINDOW_NS
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn follows_growth(&self) -> bool {
        true
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<LongFlows>) {
        if let Observation::Growth(flows) = seen {
            flows.iter().for_each(|flow| self.note(flow, table));
        }
    }

    fn floor(&self) -> u64 {
        0
    }

    fn holds(&self, _key: &EvidenceKey, window: &LongFlows) -> bool {
        window.longest.duration_ns >= self.settings.duration_ns_min
    }

    fn grade(&self, life: &LongFlows) -> u8 {
        GRADES_NS.iter().map(|&grade| u8::from(life.longest.duration_ns >= grade)).sum()
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.long_connection {
            self.settings.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, LongFlows>) -> Alert {
        let (key, life) = (told.key, told.life);
        let victim = AlertSubject { port: Some(key.port), ..AlertSubject::host(key.peer) };
        let LongFlow { duration_ns, bytes: [sent, received] } = life.longest;
        let (count, limit, value) = (life.flows.cardinality(), self.settings.duration_ns_min, told.window.longest.duration_ns);
        let protocol = if key.protocol == TCP { "tcp" } else { "udp" };
        let secs = |ns: u64| ns / Timestamp::NS_PER_SEC;
        let others = match count.count {
            0 | 1 => String::new(),
            more => format!(", the longest of {}{more}", if count.is_exact { "" } else { "about " }),
        };
        Alert {
            time: told.time,
            description: format!(
                "Long connection from {} to {victim} ({protocol}){}: {:.1} h{others}, {sent} bytes sent, {received} received",
                key.host,
                told.phase.words(),
                duration_ns as f64 / HOUR_NS as f64,
            ),
            severity: match self.grade(life) {
                0 | 1 => AlertSeverity::Low,
                2 => AlertSeverity::Medium,
                _ => AlertSeverity::High,
            },
            key: format!("{KIND} {} {victim} {protocol}", key.host),
            began: life.span.first(),
            attacker: Some(AlertSubject::host(key.host)),
            victim: Some(victim),
            direction: Some(told.local.direction(key.host, key.peer)),
            counts: vec![("duration_secs", secs(duration_ns)), ("bytes_sent", sent), ("bytes_received", received)],
            distinct: vec![("connections", count)],
            samples: life.samples.all().to_vec(),
            thresholds: vec![CrossedThreshold { name: "min_secs", limit: secs(limit), value: secs(value) }],
            is_at_least: told.is_at_least,
            window_ns: WINDOW_NS,
            cooldown_ns: self.settings.cooldown_ns,
            ..Alert::bare(KIND, protocol, told.phase)
        }
    }
}
