//! What the driver is asked about each packet, and what is lost where it cannot be asked.
//!
//! Owns the decision and the words. Asks nothing itself. Its one invariant: tags that may lie beside packets are either put back or said to
//! be lost.
//!
//! A program that asks is made for one interface and runs natively only; so nothing is asked that the interface does not need.

use netscope_bpf::xdp::FromDriver;

use super::options::{Times, XdpMode, XdpOptions};
use crate::nic::{Nic, VLAN_STRIP};

/// Name of the offload that puts VLAN tags on.
const VLAN_INSERT: &str = "tx-vlan-hw-insert";

/// What to ask the driver: what it says it can tell, and what is of use.
pub(super) fn worth_asking(options: &XdpOptions, nic: &Nic) -> FromDriver {
    let Some(abilities) = nic.xdp_abilities.filter(|_| options.mode != XdpMode::Generic) else { return FromDriver::default() };
    FromDriver {
        vlan_tag: abilities.tells_vlan() && tags_beside(nic).is_some(),
        time: abilities.tells_time() && options.times == Times::PerPacket,
    }
}

/// What becomes of VLAN tags that lie beside packets; `None` where none can.
pub(super) fn about_tags(nic: &Nic, asked: FromDriver) -> Option<String> {
    let (who, cure) = tags_beside(nic)?;
    Some(if asked.vlan_tag {
        format!("VLAN tags that {who} beside the packet are put back, as its driver tells them")
    } else {
        format!("VLAN tags that {who} beside the packet are lost on AF_XDP; `sudo ethtool -K {cure} off` keeps them")
    })
}

/// Who leaves VLAN tags beside packets, and which offload does; `None` where nobody does.
fn tags_beside(nic: &Nic) -> Option<(String, String)> {
    let strips = nic.features.as_ref().is_some_and(|features| features.is_active(VLAN_STRIP));
    match (nic.kind.as_deref(), &nic.peer) {
        // A veth takes nothing off; what its other end leaves beside the packet stays there.
        (Some("veth"), Some((peer, features))) => {
            features.is_active(VLAN_INSERT).then(|| (format!("{peer} sends"), format!("{peer} txvlan")))
        }
        (Some("veth"), None) => Some(("its other end sends".to_owned(), "(the other end) txvlan".to_owned())),
        _ => strips.then(|| ("it takes off and keeps".to_owned(), format!("{} rxvlan", nic.name))),
    }
}

/// Where packets' times come from; `clock` is the one that the program reads.
pub(super) fn about_times(clock: Option<&str>, asked: FromDriver) -> String {
    match clock {
        None => "packets' times are those of their batches".to_owned(),
        Some(clock) if asked.time => format!(
            "each packet's time is the card's, as its driver tells it; where it tells none, or one that is more than a second off, the \
             time is taken in the XDP program ({clock})"
        ),
        Some(clock) => format!("each packet's time is taken in the XDP program ({clock})"),
    }
}
