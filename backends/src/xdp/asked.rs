//! What the driver is asked about each packet, and what is lost where it cannot be asked.
//!
//! Owns the decision and the words. Asks nothing itself. Its one invariant: tags that may lie beside packets
//! are either put back or said to be lost.
//!
//! A program that asks is made for one interface and runs natively only; so nothing is asked that the
//! interface does not need.

use netscope_bpf::xdp::FromDriver;

use super::options::{Times, XdpMode, XdpOptions};
use super::tags::{LostTags, lost_tags};
use crate::nic::Nic;

/// What to ask the driver: what it says it can tell, and what is of use.
pub(super) fn worth_asking(options: &XdpOptions, nic: &Nic) -> FromDriver {
    let Some(abilities) = nic.xdp_abilities.filter(|_| options.mode != XdpMode::Generic) else { return FromDriver::default() };
    FromDriver {
        vlan_tag: abilities.tells_vlan() && lost_tags(nic).is_some(),
        time: abilities.tells_time() && options.times == Times::PerPacket,
    }
}

/// What becomes of VLAN tags that lie beside packets; `None` where none can.
pub(super) fn about_tags(nic: &Nic, asked: FromDriver) -> Option<String> {
    let LostTags { who, what, cure, .. } = lost_tags(nic)?;
    Some(if asked.vlan_tag {
        format!("VLAN tags that {who} beside the packet are put back, as its driver tells them")
    } else {
        what + &cure.map_or_else(String::new, |cure| format!("; `sudo {cure}` keeps them"))
    })
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
