//! The steps through wireless frames and what capturing systems put before them.
//!
//! Owns which frames carry a packet. Knows nothing of what IP carries.

use super::{Next, Walker};
use crate::wire::view::View;
use crate::wire::{Ethernet, FaultKind, Layer, Ppi, Radio, Visitor, Wlan};

/// Length of the checksum behind a frame.
const FCS_LEN: usize = 4;

impl<V: Visitor> Walker<'_, '_, V> {
    pub(super) fn radiotap(&mut self) -> Next {
        match self.header::<Radio>() {
            Some(header) => self.wlan(header.has_fcs(), header.is_padded()),
            None => Next::Stop,
        }
    }

    pub(super) fn prism_or_avs(&mut self) -> Next {
        match Radio::prism_or_avs(self.rest()) {
            Ok(header) => {
                self.enter(Layer::Radiotap, header.wrap(), header.header_len());
                self.wlan(false, false)
            }
            Err(why) => self.unreadable(Layer::Radiotap, why),
        }
    }

    pub(super) fn ppi(&mut self) -> Next {
        if !self.count_link_header() {
            return self.fail(Layer::Ppi, FaultKind::TooDeep);
        }
        match self.header::<Ppi>() {
            Some(header) => Next::Link(header.link_type()),
            None => Next::Stop,
        }
    }

    /// Management and control frames carry no packet, nor do data frames of the null subtypes.
    pub(super) fn wlan(&mut self, has_fcs: bool, is_padded: bool) -> Next {
        let Some(header) = self.header::<Wlan>() else { return Next::Stop };
        if has_fcs {
            self.end_within(self.claim_end.saturating_sub(FCS_LEN).max(self.at));
        }
        if !header.has_data() {
            return Next::Stop;
        }
        if header.is_protected() {
            return self.fail(Layer::Wlan, FaultKind::Encrypted);
        }
        // A later fragment begins anywhere in a packet.
        if header.fragment() != 0 {
            return self.unknown();
        }
        if is_padded {
            self.at += header.header_len().next_multiple_of(4) - header.header_len();
        }
        if header.is_aggregate() { self.first_of_aggregate() } else { Next::Llc }
    }

    /// Of the frames in an A-MSDU the first is read; that there are others is a fault. Each has addresses and a length.
    fn first_of_aggregate(&mut self) -> Next {
        let Some(header) = self.header::<Ethernet>() else { return Next::Stop };
        let len = usize::from(header.ether_type());
        let padded_len = (Ethernet::LEN + len).next_multiple_of(4);
        if self.claimed() >= padded_len {
            self.fail(Layer::Wlan, FaultKind::Unknown);
        }
        self.end_within(self.at + len);
        Next::Llc
    }
}
