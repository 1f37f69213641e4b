//! Which VLAN tags AF_XDP will not see unless the driver tells them.
//!
//! Owns what is said of them and the cure, for the capture and for whoever looks before. Asks nothing. Its
//! one invariant: a cure is named only where the driver takes it.
//!
//! A tag that lies beside the packet is in the metadata of the kernel's stack, which AF_XDP does not hand
//! over.

use crate::nic::{Nic, VLAN_STRIP};

/// Name of the offload that puts VLAN tags on.
const VLAN_INSERT: &str = "tx-vlan-hw-insert";

/// VLAN tags that are lost on AF_XDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTags {
    /// Who leaves them beside the packet, for "tags that ... beside the packet".
    pub who: String,
    /// What is lost, in one line.
    pub what: String,
    /// The command that keeps them (as root); `None` where there is none, or it has to be given elsewhere.
    pub cure: Option<String>,
    /// False where it cannot be seen from here, and is so by default.
    pub is_certain: bool,
}

/// What will be missing of VLAN tags on this interface, and how to have them.
pub fn lost_tags(nic: &Nic) -> Option<LostTags> {
    let lost = |who: String, cure, is_certain| {
        let what = format!("VLAN tags that {who} beside the packet are lost on AF_XDP");
        LostTags { who, what, cure, is_certain }
    };
    match (nic.kind.as_deref(), &nic.peer) {
        // A veth takes nothing off; what its other end leaves beside the packet stays there.
        (Some("veth"), Some((peer, features))) => features.is_active(VLAN_INSERT).then(|| {
            let cure = features.can_change(VLAN_INSERT).then(|| format!("ethtool -K {peer} txvlan off"));
            lost(format!("the other end {peer} sends"), cure, true)
        }),
        (Some("veth"), None) => {
            let mut lost = lost("the other end sends".to_owned(), None, false);
            lost.what.push_str(": at the other end, in another namespace, `ethtool -K PEER txvlan off` keeps them");
            Some(lost)
        }
        _ => nic.features.as_ref().filter(|features| features.is_active(VLAN_STRIP)).map(|features| {
            let cure = features.can_change(VLAN_STRIP).then(|| format!("ethtool -K {} rxvlan off", nic.name));
            lost("the card takes off and keeps".to_owned(), cure, true)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nic::Features;

    fn features(active: &str, fixed: &str) -> Features {
        Features { active: [active.to_owned()].into(), fixed: [fixed.to_owned()].into() }
    }

    fn found(kind: Option<&str>, own: Features, peer: Option<Features>) -> Option<LostTags> {
        let mut nic = Nic::read("lo").unwrap();
        (nic.name, nic.kind) = ("eth0".to_owned(), kind.map(str::to_owned));
        (nic.features, nic.peer) = (Some(own), peer.map(|features| ("v1".to_owned(), features)));
        lost_tags(&nic)
    }

    #[test]
    fn a_card_that_strips_is_told_not_to() {
        let lost = found(None, features(VLAN_STRIP, ""), None).unwrap();
        assert_eq!((lost.cure.as_deref(), lost.is_certain), (Some("ethtool -K eth0 rxvlan off"), true));
        assert_eq!(found(None, features(VLAN_STRIP, VLAN_STRIP), None).unwrap().cure, None);
        assert_eq!(found(None, features("rx-gro", ""), None), None);
    }

    #[test]
    fn on_a_veth_the_other_end_decides() {
        let strips = || features(VLAN_STRIP, "");
        let lost = found(Some("veth"), strips(), Some(features(VLAN_INSERT, ""))).unwrap();
        assert_eq!((lost.cure.as_deref(), lost.is_certain), (Some("ethtool -K v1 txvlan off"), true));
        assert_eq!(found(Some("veth"), strips(), Some(features("tx-udp-segmentation", ""))), None);
        let lost = found(Some("veth"), features("rx-gro", ""), None).unwrap();
        assert!(!lost.is_certain && lost.cure.is_none() && lost.what.contains("ethtool -K PEER txvlan off"), "{lost:?}");
    }
}
