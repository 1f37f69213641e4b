//! What the program detects with: the settings' detectors, the networks that are inside, and a hash that suits the source.
//!
//! Owns the choice of the hash.

use netscope::aggregate::JudgeSettings;
use netscope::config::DetectSettings;
use netscope::detect::{DetectionSettings, EvidenceHash, IpPrefix, LocalNetworks, detectors};
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
    let local = if settings.local_networks.is_empty() {
        LocalNetworks::private_and(own_networks(interfaces)?)
    } else {
        LocalNetworks::of(settings.local_networks.clone())
    };
    let all = DetectionSettings {
        detectors: settings.detectors.clone(),
        table_bytes: settings.table_bytes,
        local: local.clone(),
        hash: if is_file { EvidenceHash::fixed() } else { EvidenceHash::random() },
    };
    Ok(Some(JudgeSettings { detection: Detection::new(all.bin_ns(), move || detectors(&all)), local }))
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
