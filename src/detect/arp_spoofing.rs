//! ARP spoofing: an address of IPv4 that several stations claim, or that one claims by forged replies.
//!
//! Owns what is gathered and the rules. An address that changes its station once, or there and back, is no attack: hosts are replaced, machines
//! migrate, and redundant routers take over. `docs/detectors.md` has the rules in words.

mod changes;
mod claims;
mod judge;
mod tell;

use self::claims::{AddressClaims, SeenClaim};
use self::judge::Verdict;
use super::{
    Alert, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, HardwareAddress, KeyedRule, LinkSegment, Observation,
    SeenArp, SeenDhcp, Told,
};
use crate::app::DhcpKind;
use crate::flow::HostAddress;
use std::collections::BTreeSet;

/// IANA ARP parameters.
const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
/// The sender of a probe (RFC 5227): it claims nothing.
const NOBODY: [u8; 4] = [0; 4];
/// Parts of a window within which the order of claims does not count. A conflict that is found and given up takes a few
/// seconds (RFC 5227 section 2.4), so by default it is within one or two.
const UNITS: u64 = 32;
/// Routers that DHCP servers named and that are remembered; of more, severity alone is not known.
const ROUTERS_MAX: usize = 1024;

/// `[analysis.anomalies.arp_spoofing]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpSpoofingSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Replies to one host, for which it did not ask, from which on they are forged.
    pub unsolicited_threshold: u64,
    /// Changes of an address between stations, from which on it is contested.
    pub changes_threshold: u64,
    /// Time in ns without the rule after which the alert is over.
    pub cooldown_ns: u64,
    /// Addresses of gateways that are known.
    pub gateways: Vec<HostAddress>,
}

/// The rule.
pub(super) struct ArpSpoofing {
    settings: ArpSpoofingSettings,
    unit_ns: u64,
    hash: EvidenceHash,
    /// Routers that DHCP servers named, where it is judged.
    routers: BTreeSet<EvidenceKey>,
}

fn key_of(address: [u8; 4], segment: LinkSegment) -> EvidenceKey {
    EvidenceKey { host: HostAddress::v4(address), peer: segment.key(), ..EvidenceKey::NONE }
}

impl ArpSpoofing {
    /// A rule that knows the gateways of its settings.
    pub fn new(settings: ArpSpoofingSettings, all: &DetectionSettings) -> Self {
        let unit_ns = (settings.window_ns / UNITS).max(1);
        Self { settings, unit_ns, hash: all.hash.clone(), routers: BTreeSet::new() }
    }

    fn observe_arp(&self, arp: &SeenArp, table: &mut EvidenceTable<AddressClaims>) {
        let message = &arp.message;
        let (mac, sender, target) = (HardwareAddress(message.sender_mac), message.sender_ip, message.target_ip);
        let segment = LinkSegment::from(arp.segment);
        let is_reply = message.operation == ARP_REPLY;
        if !is_reply && message.operation != ARP_REQUEST {
            return;
        }
        let is_announcement = sender == target;
        if sender != NOBODY && !mac.is_group() {
            let claim = SeenClaim {
                mac,
                time: arp.time,
                unit: 1 << (arp.time.0 / self.unit_ns % u64::from(u64::BITS)),
                is_announcement,
                is_foreign_frame: arp.source_mac.is_some_and(|source| source != message.sender_mac),
                target: (is_reply && !is_announcement).then_some(target),
            };
            table.observe(key_of(sender, segment), |claims| claims.note(&claim, &self.hash));
        }
        if !is_reply && !is_announcement && target != NOBODY {
            table.observe(key_of(target, segment), |claims| claims.note_asker(mac, sender, &self.hash));
        }
    }

    fn observe_router(dhcp: &SeenDhcp, table: &mut EvidenceTable<AddressClaims>) {
        let message = &dhcp.message;
        if let (DhcpKind::Offer | DhcpKind::Ack, Some(router)) = (message.kind, message.router) {
            table.observe(key_of(router, LinkSegment::from(dhcp.segment)), |claims| {
                claims.is_router = true;
                0
            });
        }
    }

    /// Why an address is known to be a gateway's.
    fn gateway(&self, key: &EvidenceKey) -> Option<&'static str> {
        if self.settings.gateways.contains(&key.host) { Some("settings") } else { self.routers.contains(key).then_some("dhcp") }
    }
}

impl KeyedRule for ArpSpoofing {
    type Evidence = AddressClaims;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn window_ns(&self) -> u64 {
        self.settings.window_ns
    }

    fn cooldown_ns(&self) -> u64 {
        self.settings.cooldown_ns
    }

    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<AddressClaims>) {
        match seen {
            Observation::Arp(arp) => self.observe_arp(arp, table),
            Observation::Dhcp(dhcp) => Self::observe_router(dhcp, table),
            _ => {}
        }
    }

    fn floor(&self) -> u64 {
        1
    }

    fn learn(&mut self, bin: &EvidenceTable<AddressClaims>) {
        let is_router = |key: &&EvidenceKey| bin.get(key).is_some_and(|claims| claims.is_router);
        let named: BTreeSet<EvidenceKey> = bin.keys().filter(is_router).copied().collect();
        for key in named {
            if self.routers.len() < ROUTERS_MAX {
                self.routers.insert(key);
            }
        }
    }

    fn holds(&self, _key: &EvidenceKey, window: &AddressClaims) -> bool {
        Verdict::of(window, &self.settings, self.unit_ns).is_some()
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = &settings.detectors.arp_spoofing {
            let &ArpSpoofingSettings { unsolicited_threshold, changes_threshold, cooldown_ns, .. } = new;
            let known = std::mem::take(&mut self.settings.gateways);
            let window_ns = self.settings.window_ns;
            self.settings =
                ArpSpoofingSettings { window_ns, unsolicited_threshold, changes_threshold, cooldown_ns, gateways: known };
        }
    }

    fn alert(&self, told: &Told<'_, AddressClaims>) -> Alert {
        tell::alert(told, &self.settings, self.unit_ns, self.gateway(told.key))
    }
}

#[cfg(test)]
mod tests;
