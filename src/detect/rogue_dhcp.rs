//! Rogue DHCP servers: those that are not on a list, or without one those that contradict another on the same segment.
//!
//! Owns what is gathered and the rules. Redundant servers and relay agents that hand out the same settings are none. `docs/detectors.md` has the rules in words.

mod servers;
mod tell;

use self::servers::{SeenAnswerOfServer, ServerAnswers};
use super::{Alert, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, HardwareAddress, KeyedRule, LinkSegment, Told};
use super::{Observation, SamplePacket, SeenDhcp};
use crate::app::DhcpKind;
use crate::flow::HostAddress;

/// `[analysis.anomalies.rogue_dhcp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RogueDhcpSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Addresses of servers and relay agents that are known; empty: those that contradict each other are told.
    pub servers: Vec<HostAddress>,
    /// Time in ns without the rule after which the alert is over.
    pub cooldown_ns: u64,
}

/// The rule.
pub(super) struct RogueDhcp {
    settings: RogueDhcpSettings,
    hash: EvidenceHash,
}

impl RogueDhcp {
    /// A rule that knows the servers of its settings.
    pub fn new(settings: RogueDhcpSettings, all: &DetectionSettings) -> Self {
        Self { settings, hash: all.hash.clone() }
    }

    /// On the list: the server, and who sent the datagram, which is a relay agent where the message says so.
    fn is_known(&self, server: HostAddress, dhcp: &SeenDhcp) -> bool {
        let known = &self.settings.servers;
        known.contains(&server) && (known.contains(&dhcp.source) || dhcp.source == HostAddress::v4(dhcp.message.relay))
    }

    fn observe_dhcp(&self, dhcp: &SeenDhcp, table: &mut EvidenceTable<ServerAnswers>) {
        let message = &dhcp.message;
        if !matches!(message.kind, DhcpKind::Offer | DhcpKind::Ack) {
            return;
        }
        let server = message.server.map_or(dhcp.source, HostAddress::v4);
        let peer = LinkSegment::from(dhcp.segment).key();
        let key = if self.settings.servers.is_empty() {
            // Clients behind a relay agent are on another segment.
            EvidenceKey { host: HostAddress::v4(message.relay), peer, ..EvidenceKey::NONE }
        } else if self.is_known(server, dhcp) {
            return;
        } else {
            EvidenceKey { host: server, peer, ..EvidenceKey::NONE }
        };
        let answer = SeenAnswerOfServer {
            server,
            source: dhcp.source,
            mac: dhcp.source_mac.map(HardwareAddress),
            client: message.client_mac.map(HardwareAddress),
            is_ack: message.kind == DhcpKind::Ack,
            router: message.router,
            name_servers: message.name_servers,
            time: dhcp.time,
            sample: SamplePacket { number: dhcp.number, key: dhcp.key, initiator: dhcp.direction },
        };
        table.observe(key, |answers| answers.note(&answer, &self.hash));
    }
}

impl KeyedRule for RogueDhcp {
    type Evidence = ServerAnswers;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn window_ns(&self) -> u64 {
        self.settings.window_ns
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<ServerAnswers>) {
        if let Observation::Dhcp(dhcp) = seen {
            self.observe_dhcp(dhcp, table);
        }
    }

    fn floor(&self) -> u64 {
        1
    }

    fn holds(&self, _key: &EvidenceKey, window: &ServerAnswers) -> bool {
        !self.settings.servers.is_empty() || window.contradiction().is_some()
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.rogue_dhcp {
            self.settings.cooldown_ns = new.cooldown_ns;
        }
    }

    fn alert(&self, told: &Told<'_, ServerAnswers>) -> Alert {
        tell::alert(told, &self.settings)
    }
}

#[cfg(test)]
mod tests;
