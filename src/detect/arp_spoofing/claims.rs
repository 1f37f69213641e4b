//! What is known of those who claim one address. Sums, earliest and latest times, unions.
//!
//! Owns the evidence. Invariant: of more claimants than [`CLAIMS_MAX`] those with the smallest ranks are kept, and what is known of them is complete.

use crate::detect::{DistinctSet, EvidenceHash, HardwareAddress, KeyEvidence, SeenSpan};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;

/// Hardware addresses that are kept for one address.
pub(super) const CLAIMS_MAX: usize = 8;

/// The claims of one hardware address.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MacClaims {
    pub mac: HardwareAddress,
    rank: u64,
    pub span: SeenSpan,
    /// Messages that claim the address.
    pub messages: u64,
    /// Of these the ones that ask or tell for themselves (sender and target are the same).
    pub announcements: u64,
    /// Of these the ones whose frame has another source.
    pub foreign_frames: u64,
    /// Parts of the window with a claim, as bits.
    pub units: u64,
    /// Replies to somebody.
    pub replies: u64,
    pub reply_span: SeenSpan,
}

/// What a message says for the address of its sender.
pub(super) struct SeenClaim {
    pub mac: HardwareAddress,
    pub time: Timestamp,
    /// The bit of its part of the window.
    pub unit: u64,
    pub is_announcement: bool,
    pub is_foreign_frame: bool,
    /// Set for a reply that is no announcement.
    pub target: Option<[u8; 4]>,
}

impl MacClaims {
    fn add(&mut self, claim: &SeenClaim) {
        self.span.note(claim.time);
        self.messages += 1;
        self.announcements += u64::from(claim.is_announcement);
        self.foreign_frames += u64::from(claim.is_foreign_frame);
        self.units |= claim.unit;
        if claim.target.is_some() {
            self.replies += 1;
            self.reply_span.note(claim.time);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.span.merge(other.span);
        self.messages += other.messages;
        self.announcements += other.announcements;
        self.foreign_frames += other.foreign_frames;
        self.units |= other.units;
        self.replies += other.replies;
        self.reply_span.merge(other.reply_span);
    }
}

/// Who claims an address, and who asks for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::detect) struct AddressClaims {
    pub span: SeenSpan,
    /// Messages that claim it.
    pub messages: u64,
    claims: Vec<MacClaims>,
    /// There were more claimants than are kept.
    pub has_more: bool,
    /// Who asked for it: hardware address and address.
    pub askers: DistinctSet,
    /// Who replied to whom: hardware address and the other's address.
    pub told: DistinctSet,
    /// A DHCP server said that it is a router.
    pub is_router: bool,
}

impl AddressClaims {
    /// Those who claim it, in the order of ranks.
    pub(super) fn claims(&self) -> &[MacClaims] {
        &self.claims
    }

    /// Notes a claim; what memory grew by, in bytes.
    pub(super) fn note(&mut self, claim: &SeenClaim, hash: &EvidenceHash) -> usize {
        self.span.note(claim.time);
        self.messages += 1;
        let told = claim.target.map_or(0, |target| {
            let contact = claim.mac.with(target);
            self.told.insert(hash.rank(&contact), contact, 1)
        });
        told + self.with(hash.rank(&claim.mac), claim.mac, |own| own.add(claim))
    }

    /// Notes that somebody asked; what memory grew by, in bytes.
    pub(super) fn note_asker(&mut self, mac: HardwareAddress, sender: [u8; 4], hash: &EvidenceHash) -> usize {
        let contact = mac.with(sender);
        self.askers.insert(hash.rank(&contact), contact, 1)
    }

    /// Changes what is known of a claimant, as far as it is kept. As soon as there is no room for all, memory stays the same.
    fn with(&mut self, rank: u64, mac: HardwareAddress, change: impl FnOnce(&mut MacClaims)) -> usize {
        let at = match self.claims.binary_search_by_key(&(rank, mac), |own| (own.rank, own.mac)) {
            Ok(at) => {
                change(&mut self.claims[at]);
                return 0;
            }
            Err(at) => at,
        };
        let is_full = self.claims.len() == CLAIMS_MAX;
        self.has_more |= is_full;
        if at < CLAIMS_MAX {
            let mut new = MacClaims { mac, rank, ..MacClaims::default() };
            change(&mut new);
            self.claims.truncate(CLAIMS_MAX - 1);
            self.claims.insert(at, new);
        }
        if is_full { 0 } else { size_of::<MacClaims>() }
    }

    /// Replies: from which station, to which address, and how often. All, or an even sample.
    pub(super) fn replies(&self) -> impl Iterator<Item = (HardwareAddress, HostAddress, u64)> {
        self.told.listed().map(|(contact, count)| {
            let (mac, target) = HardwareAddress::of_contact(contact);
            (mac, target, u64::from(count))
        })
    }

    /// How often this host asked; `None` where that is not known, as more hosts asked than are listed.
    pub(super) fn asked_by(&self, host: HostAddress) -> Option<u64> {
        let asked = self.askers.listed().filter(|(contact, _)| HardwareAddress::of_contact(*contact).1 == host);
        let count = asked.map(|(_, count)| u64::from(count)).sum();
        (count > 0 || self.askers.cardinality().is_exact).then_some(count)
    }

    /// Addresses under which this station asked, the smallest first.
    pub(super) fn asked_as(&self, mac: HardwareAddress) -> Vec<HostAddress> {
        let of_station = self.askers.listed().map(|(contact, _)| HardwareAddress::of_contact(contact));
        let mut hosts: Vec<_> =
            of_station.filter(|(asker, host)| *asker == mac && !host.is_group()).map(|(_, host)| host).collect();
        hosts.sort_unstable();
        hosts
    }
}

impl KeyEvidence for AddressClaims {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.messages += other.messages;
        self.has_more |= other.has_more;
        self.is_router |= other.is_router;
        let claims: usize = other.claims.iter().map(|claim| self.with(claim.rank, claim.mac, |own| own.merge(claim))).sum();
        claims + self.askers.merge(&other.askers) + self.told.merge(&other.told)
    }

    /// Claims are no answers.
    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        let Self { span, messages, claims, has_more, askers, told, is_router } = self;
        (*span, *messages, *has_more, *is_router) = (SeenSpan::default(), 0, false, false);
        claims.clear();
        askers.clear();
        told.clear();
    }

    fn weight(&self) -> u64 {
        self.messages
    }

    /// Who asks for the address tells, too: an owner does not.
    fn tells(&self) -> bool {
        true
    }
}
