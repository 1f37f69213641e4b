//! Settings: of each detector, and what all share.

use super::{
    ArpSpoofingSettings, BeaconSettings, BruteForceSettings, CleartextPasswordSettings, DataOutSettings, DhcpFloodSettings,
    DnsTunnelSettings, EvidenceHash, LifeSettings, LocalNetworks, LongConnectionSettings, NxdomainStormSettings,
    PortMismatchSettings, PortScanSettings, RogueDhcpSettings, SynFloodSettings, TlsCertificateSettings, VolumeFloodSettings,
};

/// 250 ms: the longest bin. With three bins for answers, what happens in a bin is judged a second after its start.
const BIN_NS_MAX: u64 = 250_000_000;
/// 10 ms: the shortest one.
const BIN_NS_MIN: u64 = 10_000_000;
/// Bins in the shortest window at least.
const BINS_PER_WINDOW: u64 = 5;

/// The detectors; `None` = off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorSettings {
    /// SYN floods.
    pub syn_flood: Option<SynFloodSettings>,
    /// Port scans.
    pub port_scan: Option<PortScanSettings>,
    /// Floods by volume.
    pub volume_flood: Option<VolumeFloodSettings>,
    /// Addresses of IPv4 that several stations claim.
    pub arp_spoofing: Option<ArpSpoofingSettings>,
    /// Clients of DHCP that are none.
    pub dhcp_flood: Option<DhcpFloodSettings>,
    /// Servers of DHCP that should not be there.
    pub rogue_dhcp: Option<RogueDhcpSettings>,
    /// Brute force of logins.
    pub brute_force: Option<BruteForceSettings>,
    /// Beacons.
    pub beacon: Option<BeaconSettings>,
    /// Long connections.
    pub long_connection: Option<LongConnectionSettings>,
    /// Data sent out.
    pub data_out: Option<DataOutSettings>,
    /// DNS tunnels; this and all below only where payload is inspected.
    pub dns_tunnel: Option<DnsTunnelSettings>,
    /// Storms of NXDOMAIN.
    pub nxdomain_storm: Option<NxdomainStormSettings>,
    /// Certificates that do not count.
    pub tls_certificate: Option<TlsCertificateSettings>,
    /// Passwords in the clear.
    pub cleartext_password: Option<CleartextPasswordSettings>,
    /// Protocols on ports of others.
    pub port_mismatch: Option<PortMismatchSettings>,
}

impl DetectorSettings {
    /// Length of the shortest window in ns.
    fn window_ns_min(&self) -> u64 {
        let windows = [
            self.syn_flood.map(|settings| settings.window_ns),
            self.port_scan.map(|settings| settings.window_ns),
            self.volume_flood.map(|settings| settings.window_ns),
            self.arp_spoofing.as_ref().map(|settings| settings.window_ns),
            self.dhcp_flood.map(|settings| settings.window_ns),
            self.rogue_dhcp.as_ref().map(|settings| settings.window_ns),
            self.brute_force.as_ref().map(|settings| settings.window_ns),
            self.beacon.as_ref().map(|settings| settings.window_ns),
            self.data_out.as_ref().map(|settings| settings.window_ns),
            self.dns_tunnel.as_ref().map(|settings| settings.window_ns),
            self.nxdomain_storm.as_ref().map(|settings| settings.window_ns),
        ];
        windows.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// How to detect.
#[derive(Clone, Debug)]
pub struct DetectionSettings {
    /// What is detected.
    pub detectors: DetectorSettings,
    /// Bytes of one table of evidence.
    pub table_bytes: usize,
    /// Which addresses are inside.
    pub local: LocalNetworks,
    /// The run's own.
    pub hash: EvidenceHash,
}

impl DetectionSettings {
    /// Alerts of a detector under way at most.
    pub const ALERT_COUNT_MAX: usize = 1024;

    /// These detectors, with private ranges inside and the hash that is known.
    #[cfg(test)]
    pub(super) fn of(detectors: DetectorSettings, table_bytes: usize) -> Self {
        Self { detectors, table_bytes, local: LocalNetworks::private_and([]), hash: EvidenceHash::fixed() }
    }

    /// Length of a bin in ns: a fifth of the shortest window, from 10 ms to 250 ms.
    pub fn bin_ns(&self) -> u64 {
        (self.detectors.window_ns_min() / BINS_PER_WINDOW).clamp(BIN_NS_MIN, BIN_NS_MAX)
    }

    /// How long alerts with this cooldown live: what is in the window is not over.
    pub fn life(&self, cooldown_ns: u64, window_ns: u64) -> LifeSettings {
        LifeSettings { cooldown_ns: cooldown_ns.max(window_ns), alert_count_max: Self::ALERT_COUNT_MAX }
    }
}
