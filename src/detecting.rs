//! What the program detects with: the settings' detectors, the networks that are inside, and a hash that suits the source.
//!
//! Owns the choice of the hash.

use crate::gateways;
use netscope::aggregate::{AlertingSettings, BurstJudging, JudgeReload, JudgeReloads, JudgeSettings};
use netscope::config::{DetectSettings, Settings};
use netscope::detect::{BurstLink, DetectorSettings, EvidenceHash, IpPrefix, LocalNetworks, detectors};
use netscope::engine::Detection;
use netscope_backends::BackendError;
use netscope_backends::pcap::list_interfaces;

/// How evidence is gathered and judged, where something is detected. A file has a known hash, so that two runs of it give the same bytes; what
/// comes from a wire must not be able to choose its rank.
pub fn judge(
    settings: Option<&DetectSettings>,
    is_file: bool,
    interfaces: &[String],
) -> Result<Option<JudgeSettings>, BackendError> {
    let Some(settings) = settings else { return Ok(None) };
    // Microbursts alone are no reason to look at what happens to flows.
    if settings.detectors == DetectorSettings::default() {
        return Ok(None);
    }
    let local = local_networks(&settings.local_networks, interfaces)?;
    let mut all = settings.with_hash(local.clone(), if is_file { EvidenceHash::fixed() } else { EvidenceHash::random() });
    if let Some(spoofing) = &mut all.detectors.arp_spoofing {
        spoofing.gateways.extend(gateways::of_interfaces(interfaces));
    }
    let detection = Detection::new(all.bin_ns(), move || detectors(&all));
    Ok(Some(JudgeSettings { detection, local }))
}

/// What is done with alerts.
pub fn alerting(settings: Option<&DetectSettings>) -> AlertingSettings {
    let mutes = settings.map(|settings| settings.mutes.clone()).unwrap_or_default();
    AlertingSettings { mutes, reloads: JudgeReloads::default() }
}

/// Other thresholds and mute rules while the run goes on.
pub fn reload(settings: DetectSettings) -> JudgeReload {
    // The judge takes thresholds alone, so the hash is of no use.
    JudgeReload { detection: settings.with_hash(LocalNetworks::of(Vec::new()), EvidenceHash::fixed()), mutes: settings.mutes }
}

/// The networks that are inside: those that were `said`, else private ranges and the interfaces' own.
pub fn local_networks(said: &[IpPrefix], interfaces: &[String]) -> Result<LocalNetworks, BackendError> {
    Ok(if said.is_empty() { LocalNetworks::private_and(own_networks(interfaces)?) } else { LocalNetworks::of(said.to_vec()) })
}

/// The same where packets are to be counted by the way they go: for a page or a history.
pub fn directions(settings: &Settings, interfaces: &[String], has_page: bool) -> Result<Option<LocalNetworks>, BackendError> {
    let is_asked = has_page || settings.output.history_json.is_some();
    is_asked.then(|| local_networks(&settings.local_networks, interfaces)).transpose()
}

/// The networks that are inside, for logs that say so; none where no such log is written.
pub fn inside_of_logs(settings: &Settings, interfaces: &[String]) -> Result<LocalNetworks, BackendError> {
    let is_asked = settings.output.export_zeek.is_some();
    if is_asked { local_networks(&settings.local_networks, interfaces) } else { Ok(LocalNetworks::of(Vec::new())) }
}

/// How microbursts are judged, where they are to be. A file, whose interface is not known, is one link. `speed_bps`: of an interface.
pub fn bursts(
    settings: Option<&DetectSettings>,
    interfaces: &[String],
    interface_of_queue: &[u8],
    speed_bps: impl Fn(&str) -> Option<u64>,
) -> Result<Option<BurstJudging>, BackendError> {
    let Some((all, settings)) = settings.and_then(|all| all.microburst.map(|settings| (all, settings))) else { return Ok(None) };
    let of_interface =
        |name: &String| BurstLink { name: Some(name.clone()), speed_bps: settings.link_bps.or_else(|| speed_bps(name)) };
    let mut links: Vec<BurstLink> = interfaces.iter().map(of_interface).collect();
    if links.is_empty() {
        links.push(BurstLink { name: None, speed_bps: settings.link_bps });
    }
    let (link_of_queue, local) = (interface_of_queue.to_vec(), local_networks(&all.local_networks, interfaces)?);
    Ok(Some(BurstJudging { settings, links, link_of_queue, local }))
}

/// What the user should know of these links: without a speed nothing is too much.
pub fn links_without_speed(judging: &BurstJudging) -> impl Iterator<Item = String> {
    judging.links.iter().filter(|link| link.speed_bps.is_none()).map(|link| {
        let name = link.name.as_ref().map_or_else(|| "the link of the file".to_owned(), |name| format!("interface {name}"));
        format!("the speed of {name} is not known: microbursts are measured, and there are no alerts; set link_mbps (analysis.anomalies.microburst.link_mbps)")
    })
}

/// The networks of the interfaces that are captured on.
fn own_networks(interfaces: &[String]) -> Result<Vec<IpPrefix>, BackendError> {
    if interfaces.is_empty() {
        return Ok(Vec::new());
    }
    let known = list_interfaces()?;
    let captured = known.iter().filter(|interface| interfaces.contains(&interface.name));
    let networks = captured.flat_map(|interface| &interface.networks);
    Ok(networks.filter_map(|&(address, len)| IpPrefix::new(address, len)).collect())
}
