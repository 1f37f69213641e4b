//! What the headers of a flow's packets said, beyond what tells the flow.
//!
//! Owns these facts and their places, beside the entries and by the same numbers. Knows no packet bytes. Its invariant: where they
//! are not kept, they take no memory and no packet asks for them.

use super::Direction;
use super::arena::Segments;
use crate::wire::{MacAddresses, PacketHeaders, TcpFlags};

/// What the headers of a flow's packets said. Later fragments are left out: they have no transport header. Arrays are indexed by
/// [`Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FlowHeaders {
    /// Of each direction.
    pub directions: [DirectionHeaders; 2],
    /// Addresses of the first packet's outermost link-layer header.
    pub macs: Option<MacAddresses>,
    /// A packet was noted.
    is_begun: bool,
}

/// What the headers of one direction's packets said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DirectionHeaders {
    payload_bytes: u64,
    /// Differentiated services code points seen (RFC 2474), one bit each.
    pub dscp: u64,
    /// Kinds of TCP options seen, as [`TcpOptions::kinds`](crate::wire::TcpOptions).
    pub option_kinds: u64,
    /// Largest window of the segments without SYN, as sent, unscaled.
    pub window_max: u16,
    /// The same of those with SYN, which no scale applies to (RFC 7323 section 2.2).
    pub syn_window_max: u16,
    /// Least and greatest time to live or hop limit; least above greatest before the first packet.
    pub ttl: [u8; 2],
    /// ECN code points seen (RFC 3168 section 5), one bit each.
    pub ecn: u8,
    bits: u8,
}

const _: () = assert!(size_of::<DirectionHeaders>() == 32 && size_of::<FlowHeaders>() == 80);

/// A SYN was seen, and what the last one said of ECN (RFC 3168 section 6.1.1): a SYN with ECE and CWR offers it, a SYN-ACK with ECE
/// alone agrees.
const SYN_SEEN: u8 = 1;
const ECN_AGREED: u8 = 1 << 1;
/// A segment that is no SYN had ECE: congestion was reported.
const ECHOED: u8 = 1 << 2;
/// The TCP or UDP header of a packet was not whole, so nobody knows how much it carried.
const PAYLOAD_UNKNOWN: u8 = 1 << 3;

impl DirectionHeaders {
    const BLANK: Self =
        Self { payload_bytes: 0, dscp: 0, option_kinds: 0, window_max: 0, syn_window_max: 0, ttl: [u8::MAX, 0], ecn: 0, bits: 0 };

    /// A packet of this direction was seen.
    pub const fn is_seen(&self) -> bool {
        self.ecn != 0
    }

    /// Payload bytes of TCP segments or UDP datagrams, those sent again included; `None` where that of one packet is not known.
    pub const fn payload_bytes(&self) -> Option<u64> {
        if self.bits & PAYLOAD_UNKNOWN == 0 { Some(self.payload_bytes) } else { None }
    }

    /// A SYN or SYN-ACK was seen, in this record or in one that it goes on from.
    pub const fn is_syn_seen(&self) -> bool {
        self.bits & SYN_SEEN != 0
    }

    /// A segment told the other side that congestion was met (ECE without SYN).
    pub const fn is_echoed(&self) -> bool {
        self.bits & ECHOED != 0
    }

    fn note(&mut self, headers: &PacketHeaders) {
        let &PacketHeaders { ttl, traffic_class, payload_len, tcp } = headers;
        self.payload_bytes = self.payload_bytes.saturating_add(payload_len.unwrap_or(0).into());
        self.bits |= if payload_len.is_none() { PAYLOAD_UNKNOWN } else { 0 };
        self.dscp |= 1 << (traffic_class >> 2);
        self.ecn |= 1 << (traffic_class & 3);
        self.ttl = [self.ttl[0].min(ttl), self.ttl[1].max(ttl)];
        let Some(tcp) = tcp else { return };
        self.option_kinds |= tcp.option_kinds;
        if tcp.flags.has(TcpFlags::SYN) {
            let asked = TcpFlags(TcpFlags::ECE.0 | TcpFlags::CWR.0);
            let expected = if tcp.flags.has(TcpFlags::ACK) { TcpFlags::ECE.0 } else { asked.0 };
            let agreed = if tcp.flags.0 & asked.0 == expected { ECN_AGREED } else { 0 };
            self.bits = self.bits & !ECN_AGREED | SYN_SEEN | agreed;
            self.syn_window_max = self.syn_window_max.max(tcp.window);
        } else {
            self.bits |= if tcp.flags.has(TcpFlags::ECE) { ECHOED } else { 0 };
            self.window_max = self.window_max.max(tcp.window);
        }
    }

    /// Adds what another queue saw.
    fn join(&mut self, other: &Self) {
        self.payload_bytes = self.payload_bytes.saturating_add(other.payload_bytes);
        self.dscp |= other.dscp;
        self.option_kinds |= other.option_kinds;
        self.window_max = self.window_max.max(other.window_max);
        self.syn_window_max = self.syn_window_max.max(other.syn_window_max);
        self.ttl = [self.ttl[0].min(other.ttl[0]), self.ttl[1].max(other.ttl[1])];
        self.ecn |= other.ecn;
        self.bits |= other.bits;
    }
}

impl FlowHeaders {
    /// Before the first packet.
    pub const BLANK: Self = Self { directions: [DirectionHeaders::BLANK; 2], macs: None, is_begun: false };

    /// Takes in a packet; `macs` are asked for with the first one.
    pub fn note(&mut self, direction: Direction, headers: &PacketHeaders, macs: impl FnOnce() -> Option<MacAddresses>) {
        if !self.is_begun {
            (self.is_begun, self.macs) = (true, macs());
        }
        self.directions[direction.index()].note(headers);
    }

    /// Whether both sides agreed on ECN in the handshake; `None` when not both SYNs were seen.
    pub fn ecn_negotiated(&self) -> Option<bool> {
        let both = |bit: u8| self.directions.iter().all(|direction| direction.bits & bit != 0);
        both(SYN_SEEN).then(|| both(ECN_AGREED))
    }

    /// Adds what another queue saw of the same flow, beginning no earlier.
    pub fn join(&mut self, later: &Self) {
        self.directions.iter_mut().zip(&later.directions).for_each(|(mine, other)| mine.join(other));
        if !self.is_begun {
            (self.is_begun, self.macs) = (later.is_begun, later.macs);
        }
    }

    /// What a record that goes on with this one's connection begins with: what its handshake said.
    const fn continued(&self) -> Self {
        let mut next = Self::BLANK;
        let mut i = 0;
        while i < 2 {
            next.directions[i].option_kinds = self.directions[i].option_kinds;
            next.directions[i].bits = self.directions[i].bits & (SYN_SEEN | ECN_AGREED);
            i += 1;
        }
        next
    }
}

/// The headers of all flows of a table, 20 MiB a segment; nothing where they are not kept.
pub(super) struct HeaderPlaces {
    places: Segments<FlowHeaders, 18>,
    is_kept: bool,
}

impl HeaderPlaces {
    /// Reserves `count` places where they are kept; untouched memory is not resident.
    pub fn with_capacity(count: usize, is_kept: bool) -> Self {
        Self { places: Segments::with_capacity(if is_kept { count } else { 0 }), is_kept }
    }

    /// They are kept.
    #[inline(always)]
    pub const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// A record begins at this place; with `goes_on`, that of the same connection as the one before.
    pub fn begin(&mut self, place: u32, goes_on: bool) {
        if !self.is_kept {
            return;
        }
        while self.places.extent() <= place {
            self.places.push(FlowHeaders::BLANK);
        }
        let headers = self.places.get_mut(place);
        *headers = if goes_on { headers.continued() } else { FlowHeaders::BLANK };
    }

    /// Those of the record at a place; `None` where they are not kept.
    #[inline(always)]
    pub fn get(&self, place: u32) -> Option<FlowHeaders> {
        self.is_kept.then(|| *self.places.get(place))
    }

    /// The same, to write; `None` where they are not kept.
    pub fn get_mut(&mut self, place: u32) -> Option<&mut FlowHeaders> {
        self.is_kept.then(|| self.places.get_mut(place))
    }

    /// Bytes of all places ever used.
    pub const fn memory_bytes(&self) -> usize {
        self.places.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TcpHeaders;
    use Direction::{AToB, BToA};

    fn segment(flags: u16, traffic_class: u8, ttl: u8, window: u16) -> PacketHeaders {
        let tcp = TcpHeaders { flags: TcpFlags(flags), window, option_kinds: u64::from(flags & 2) };
        PacketHeaders { ttl, traffic_class, payload_len: Some(10), tcp: Some(tcp) }
    }

    fn addresses(at: usize) -> MacAddresses {
        MacAddresses { source: [at as u8; 6], destination: Some([7; 6]) }
    }

    fn flow(packets: &[(Direction, PacketHeaders)]) -> FlowHeaders {
        let mut flow = FlowHeaders::BLANK;
        for (at, (direction, headers)) in packets.iter().enumerate() {
            flow.note(*direction, headers, || Some(addresses(at)));
        }
        flow
    }

    #[test]
    fn sums_extremes_and_sets() {
        let flow =
            flow(&[(AToB, segment(0x10, 0xb8, 64, 7)), (AToB, segment(0x10, 3, 60, 900)), (AToB, segment(2, 0, 62, 1000))]);
        let [a, b] = flow.directions;
        assert_eq!((a.payload_bytes(), a.ttl, a.dscp, a.ecn), (Some(30), [60, 64], 1 << 46 | 1, 0b1001));
        assert_eq!((a.window_max, a.syn_window_max, a.option_kinds), (900, 1000, 2));
        assert_eq!((a.is_seen(), b.is_seen(), flow.macs), (true, false, Some(addresses(0))));
    }

    #[test]
    fn one_payload_that_is_not_known_leaves_the_sum_unknown() {
        let cut = PacketHeaders { payload_len: None, tcp: None, ..segment(0, 0, 64, 1) };
        let of = |packets: &[_]| flow(packets).directions.map(|direction| direction.payload_bytes());
        let whole = segment(0x10, 0, 64, 1);
        assert_eq!(of(&[(AToB, whole), (BToA, whole), (AToB, cut), (AToB, whole)]), [None, Some(10)]);
        let mut first = flow(&[(AToB, whole)]);
        first.join(&flow(&[(AToB, cut)]));
        assert_eq!(first.directions[0].payload_bytes(), None);
    }

    #[test]
    fn ecn_takes_an_offer_and_an_agreement() {
        let of = |syn, answer| flow(&[(AToB, segment(syn, 0, 64, 1)), (BToA, segment(answer, 0, 64, 1))]).ecn_negotiated();
        assert_eq!(of(0xc2, 0x52), Some(true));
        assert_eq!(of(0xc2, 0xd2), Some(false), "an answer that only reflects");
        assert_eq!(of(0xc2, 0x12), Some(false));
        assert_eq!(of(0x02, 0x52), Some(false));
        assert_eq!(of(0xc2, 0x50), None);
        // Offered in vain, then without (RFC 3168 section 6.1.1.1).
        let again = flow(&[(AToB, segment(0xc2, 0, 64, 1)), (AToB, segment(2, 0, 64, 1)), (BToA, segment(0x52, 0, 64, 1))]);
        assert_eq!(again.ecn_negotiated(), Some(false));
        let echoed = flow(&[(BToA, segment(0x50, 0, 64, 1)), (AToB, segment(0xc2, 0, 64, 1))]);
        assert_eq!(echoed.directions.map(|direction| direction.is_echoed()), [false, true]);
    }

    #[test]
    fn halves_add_up() {
        let whole = [(AToB, segment(0xc2, 0, 64, 1)), (BToA, segment(0x52, 4, 50, 9)), (AToB, segment(0x10, 0, 63, 8))];
        let (mut first, second) = (flow(&[whole[0], whole[2]]), flow(&[whole[1]]));
        first.join(&second);
        assert_eq!(first, flow(&whole));
    }

    #[test]
    fn places_are_blank_when_a_record_begins() {
        let mut places = HeaderPlaces::with_capacity(0, true);
        places.begin(3, false);
        places.get_mut(3).unwrap().note(AToB, &segment(0xc2, 0, 64, 1), || None);
        places.begin(3, true);
        let next = places.get(3).unwrap();
        assert_eq!((next.directions[0].payload_bytes(), next.directions[0].option_kinds), (Some(0), 2));
        places.begin(3, false);
        assert_eq!(places.get(3), Some(FlowHeaders::BLANK));
        let mut none = HeaderPlaces::with_capacity(100, false);
        none.begin(3, false);
        assert_eq!((none.get(3), none.memory_bytes()), (None, 0));
    }
}
