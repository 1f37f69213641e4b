//! When claims are an attack.
//!
//! Owns the three rules. Looks at the sum of a window alone.

use super::ArpSpoofingSettings;
use super::changes::changes;
use super::claims::{AddressClaims, MacClaims};
use crate::detect::HardwareAddress;

/// Nobody asks for an address so often that it is told him at shorter intervals: what a host knows is good for 15 s at least, by RFC 4861's times,
/// which systems use for ARP, too.
const REPLY_INTERVAL_NS_MAX: u64 = 12_000_000_000;
/// Where it is not known whether a host asked, so many times more replies to it are needed.
const UNKNOWN_ASKERS: u64 = 4;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A station tells one host again and again, which did not ask, and another one claims the address, too.
    ForgedReplies,
    /// A station told somebody, who did not ask, that the address is its own, and asks for the address under another one.
    Interception,
    /// The address changes between stations.
    Contested,
}

/// What a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub wrong: Wrong,
    /// Who does it, where that is known.
    pub attacker: Option<HardwareAddress>,
    /// Replies to one host for which it did not ask.
    pub unsolicited: u64,
    /// Changes between stations.
    pub changes: u64,
}

impl Verdict {
    /// `None` when nothing is wrong.
    pub fn of(window: &AddressClaims, settings: &ArpSpoofingSettings, unit_ns: u64) -> Option<Self> {
        let stations = stations(window.claims());
        let changes = if stations.len() > 1 { changes(&in_order(window, &stations, unit_ns)) } else { 0 };
        let unsolicited = |mac| unsolicited(window, mac);
        let most = window
            .claims()
            .iter()
            .map(|claims| (unsolicited(claims.mac), claims))
            .max_by_key(|(count, claims)| (*count, claims.mac))?;
        let (count, teller) = most;
        let verdict = |wrong, attacker| Some(Self { wrong, attacker, unsolicited: count, changes });
        if stations.len() > 1 && count >= settings.unsolicited_threshold && repeats(teller, count) {
            return verdict(Wrong::ForgedReplies, Some(teller.mac));
        }
        let asks_itself = |claims: &&MacClaims| unsolicited(claims.mac) > 0 && !window.asked_as(claims.mac).is_empty();
        if let Some(claims) = window.claims().iter().filter(asks_itself).min_by_key(|claims| claims.mac) {
            let unsolicited = unsolicited(claims.mac);
            return Some(Self { wrong: Wrong::Interception, attacker: Some(claims.mac), unsolicited, changes });
        }
        if changes >= settings.changes_threshold { verdict(Wrong::Contested, None) } else { None }
    }
}

/// Replies of a station to the host that it told most often without being asked.
fn unsolicited(window: &AddressClaims, mac: HardwareAddress) -> u64 {
    let own = window.replies().filter(|(teller, ..)| *teller == mac);
    let unsolicited = own.map(|(_, target, count)| match window.asked_by(target) {
        Some(asked) => count.saturating_sub(asked),
        None => count / UNKNOWN_ASKERS,
    });
    unsolicited.max().unwrap_or(0)
}

/// So many replies came at shorter intervals than anybody asks.
fn repeats(claims: &MacClaims, count: u64) -> bool {
    claims.reply_span.duration_ns() <= REPLY_INTERVAL_NS_MAX.saturating_mul(count.saturating_sub(1))
}

/// Claims by station: those of one device are one's.
fn stations(claims: &[MacClaims]) -> Vec<Vec<&MacClaims>> {
    let mut stations: Vec<Vec<&MacClaims>> = Vec::new();
    let mut sorted: Vec<&MacClaims> = claims.iter().collect();
    sorted.sort_unstable_by_key(|claims| claims.mac);
    for own in sorted {
        match stations.iter_mut().find(|station| station.iter().any(|other| other.mac.is_same_device(own.mac))) {
            Some(station) => station.push(own),
            None => stations.push(vec![own]),
        }
    }
    stations
}

/// Of each station the parts of the window in which it claimed the address; the window's first part is the lowest bit.
fn in_order(window: &AddressClaims, stations: &[Vec<&MacClaims>], unit_ns: u64) -> Vec<u64> {
    let first = window.span.first().0 / unit_ns % u64::from(u64::BITS);
    let units = |station: &Vec<&MacClaims>| station.iter().fold(0, |all, claims| all | claims.units);
    // The remainder is below 64.
    stations.iter().map(|station| units(station).rotate_right(first as u32)).collect()
}

/// How many stations claim the address.
pub(super) fn station_count(claims: &[MacClaims]) -> u64 {
    stations(claims).len() as u64
}
