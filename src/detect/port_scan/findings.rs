//! What a source is found to do in one window: which hosts it scans port by port, and which ports host by host.

use crate::flow::HostAddress;
use std::collections::BTreeMap;

/// Hosts and ports that are kept of each kind.
const KEPT_MAX: usize = 64;

/// The shape of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanShape {
    /// Many ports of this host.
    Vertical(HostAddress),
    /// Many hosts on a port, or on a few.
    Horizontal,
    /// Many ports of several hosts.
    Block,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ScanFindings {
    /// Failed ports by host.
    vertical: BTreeMap<HostAddress, u64>,
    /// Failed hosts by port.
    horizontal: BTreeMap<u16, u64>,
    /// Failed contacts of a block.
    block: u64,
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, key: K, failed: u64) {
    if to.len() < KEPT_MAX || to.contains_key(&key) {
        let most = to.entry(key).or_default();
        *most = failed.max(*most);
    }
}

impl ScanFindings {
    pub fn add_vertical(&mut self, host: HostAddress, failed: u64) {
        add(&mut self.vertical, host, failed);
    }

    pub fn add_horizontal(&mut self, port: u16, failed: u64) {
        add(&mut self.horizontal, port, failed);
    }

    pub fn add_block(&mut self, failed: u64) {
        self.block = failed.max(self.block);
    }

    /// Adds what was found in another window.
    pub fn merge(&mut self, other: Self) {
        other.vertical.into_iter().for_each(|(host, failed)| self.add_vertical(host, failed));
        other.horizontal.into_iter().for_each(|(port, failed)| self.add_horizontal(port, failed));
        self.add_block(other.block);
    }

    pub fn shape(&self) -> ScanShape {
        match (self.vertical.len(), self.horizontal.len()) {
            (1, 0) => ScanShape::Vertical(self.vertical.keys().next().copied().unwrap_or_default()),
            (0, 1..) => ScanShape::Horizontal,
            _ => ScanShape::Block,
        }
    }

    /// Most failed ports of one host, if that is a scan.
    pub fn ports_failed(&self) -> Option<u64> {
        self.vertical.values().copied().max().or((self.block > 0).then_some(self.block))
    }

    /// Most failed hosts on one port, if that is a scan.
    pub fn hosts_failed(&self) -> Option<u64> {
        self.horizontal.values().copied().max()
    }

    /// The ports of a horizontal scan.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.horizontal.keys().copied()
    }
}
