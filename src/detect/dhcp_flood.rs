//! DHCP floods: very many clients that are none, which use up a server's addresses, or one client that never stops.
//!
//! Owns what is gathered and the rules. A building whose power comes back is none: its clients ask again while they get no answer, and go on when they
//! get one. `docs/detectors.md` has the rules in words.

mod counts;
mod tell;

use self::counts::{ClientCounts, SampledClient, SeenClient};
use super::{Alert, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, HardwareAddress, KeyedRule, LinkSegment, Told};
use super::{Observation, SamplePacket, SeenDhcp};
use crate::app::DhcpKind;

/// A client that gets no answer has asked again after this time (RFC 2131 section 4.1: after 3 to 5 s).
const ASKS_AGAIN_NS: u64 = 5_000_000_000;
/// Of so many clients one that has a group's address shows that they are made up.
const IMPOSSIBLE_SHARE: u64 = 8;
/// A flood when fewer than one of so many clients ask again.
const AGAIN_SHARE: u64 = 4;

/// `[analysis.anomalies.dhcp_flood]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpFloodSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Clients in the window from which on it can be a flood.
    pub clients_threshold: u64,
    /// Messages of one client in the window from which on it is a flood.
    pub messages_threshold: u64,
    /// Time in ns without a flood after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule.
pub(super) struct DhcpFlood {
    settings: DhcpFloodSettings,
    hash: EvidenceHash,
}

/// How clients show that they are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FloodShape {
    /// One client sends without end.
    SingleClient,
    /// Most messages come from stations that are not the client.
    OneStation,
    /// Some have the addresses of groups.
    Impossible,
    /// Most neither go on nor ask again.
    Unfinished,
}

impl FloodShape {
    const fn name(self) -> &'static str {
        match self {
            Self::SingleClient => "single_client",
            Self::OneStation => "foreign_frames",
            Self::Impossible => "impossible_clients",
            Self::Unfinished => "unfinished",
        }
    }
}

impl DhcpFlood {
    /// A rule.
    pub fn new(settings: DhcpFloodSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    fn observe_dhcp(&self, dhcp: &SeenDhcp, table: &mut EvidenceTable<ClientCounts>) {
        let message = &dhcp.message;
        let Some(client) = message.client_mac.map(HardwareAddress) else { return };
        let is_foreign = dhcp.source_mac.is_some_and(|source| source != client.0) && message.relay == [0; 4];
        let seen = SeenClient {
            client,
            kind: message.kind,
            time: dhcp.time,
            station: dhcp.source_mac.filter(|_| is_foreign).map(HardwareAddress),
            sample: SamplePacket { number: dhcp.number, key: dhcp.key, initiator: dhcp.direction },
        };
        let key = EvidenceKey { peer: LinkSegment::from(dhcp.segment).key(), ..EvidenceKey::NONE };
        table.observe(key, |counts| counts.note(&seen, &self.hash));
    }

    /// How the window shows a flood; `None` when it shows none.
    fn shape(&self, window: &ClientCounts) -> Option<FloodShape> {
        if window.busiest().is_some_and(|(_, count)| count >= self.settings.messages_threshold) {
            return Some(FloodShape::SingleClient);
        }
        let clients = window.clients.count();
        if clients < self.settings.clients_threshold {
            return None;
        }
        let sampled = window.sampled().count() as u64;
        if window.foreign_messages * 2 > window.client_messages {
            Some(FloodShape::OneStation)
        } else if window.sampled().filter(|client| client.mac.is_group()).count() as u64 * IMPOSSIBLE_SHARE >= sampled.max(1) {
            Some(FloodShape::Impossible)
        } else {
            let has_waited = |client: &&SampledClient| client.span.first().plus(ASKS_AGAIN_NS) <= window.span.last();
            let waited: Vec<_> = window.sampled().filter(has_waited).collect();
            let count = waited.len() as u64;
            let again = waited.iter().filter(|client| client.messages > 1).count() as u64;
            let going_on = waited.iter().filter(|client| client.goes_on).count() as u64;
            let are_enough = clients.saturating_mul(count) >= self.settings.clients_threshold.saturating_mul(sampled.max(1));
            (are_enough && again * AGAIN_SHARE < count && going_on * 2 < count).then_some(FloodShape::Unfinished)
        }
    }
}

impl KeyedRule for DhcpFlood {
    type Evidence = ClientCounts;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn window_ns(&self) -> u64 {
        self.settings.window_ns
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<ClientCounts>) {
        if let Observation::Dhcp(dhcp) = seen {
            self.observe_dhcp(dhcp, table);
        }
    }

    fn floor(&self) -> u64 {
        self.settings.clients_threshold.min(self.settings.messages_threshold)
    }

    fn holds(&self, _key: &EvidenceKey, window: &ClientCounts) -> bool {
        self.shape(window).is_some()
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = settings.detectors.dhcp_flood {
            self.settings = DhcpFloodSettings { window_ns: self.settings.window_ns, ..new };
        }
    }

    fn alert(&self, told: &Told<'_, ClientCounts>) -> Alert {
        tell::alert(told, &self.settings, self.shape(told.window).unwrap_or(FloodShape::Unfinished))
    }
}

/// Only clients send it.
const fn is_of_client(kind: DhcpKind) -> bool {
    !kind.is_of_server()
}

#[cfg(test)]
mod tests;
