//! The filter of a live libpcap handle.
//!
//! Owns where it runs. Its one invariant: a filter says of a live packet what it says of the same packet in a
//! file.
//!
//! On Linux a filter runs before libpcap has put a VLAN tag back, and what libpcap makes of `udp` for a live
//! handle matches with and without a tag. So Ethernet gets a filter of ours ([`Filter::for_socket`]) past
//! libpcap, which would run it over the first packets itself and does not know the tag's protocol. Linux
//! "cooked" packets (the device "any"), whose header the kernel does not have, are filtered by libpcap so far as
//! they have no tag, and those with one here.

#[cfg(target_os = "linux")]
use netscope_bpf::classic::{FilterError, INSTRUCTIONS_MAX};
use pcap::{Active, Capture};

#[cfg(target_os = "linux")]
use crate::LinkType;
use crate::filter::{Filter, filter_error, pcap_reason};
use crate::{BackendError, Packet, Timestamp};

/// Bytes of a packet that a filter run here can rely on, whatever the snap length.
pub(super) const FILTERED_LEN: usize = 512;
/// An expression of so many bytes may become a program that no kernel takes.
const LONG_EXPRESSION: usize = 512;

/// True where packets may have to be filtered here.
pub(super) fn may_run_here(interface: &str, expression: &str) -> bool {
    interface == "any" || expression.len() >= LONG_EXPRESSION
}

/// Where a cooked header (LINKTYPE_LINUX_SLL) has the protocol, and the protocols of a tag that Linux takes out
/// of a frame.
#[cfg(target_os = "linux")]
const COOKED_TAG: (std::ops::Range<usize>, [[u8; 2]; 2]) = (14..16, [[0x81, 0], [0x88, 0xa8]]);

/// What is left to do for a filter behind the kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct RestFilter {
    /// Packets from before were not filtered.
    since: Timestamp,
    /// For cooked packets with a tag.
    tagged: Option<Filter>,
    /// For all packets: it is longer than the kernel's may be.
    whole: Option<Filter>,
}

impl RestFilter {
    /// Whether the packet, as long as libpcap gave it, is to be left out.
    #[inline]
    pub(super) fn leaves_out(&self, packet: &Packet<'_>) -> bool {
        packet.time < self.since
            || self.tagged.as_ref().is_some_and(|filter| is_tagged(packet) && !filter.matches(packet))
            || self.whole.as_ref().is_some_and(|filter| !filter.matches(packet))
    }

    /// True when all of the filter runs here.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole.is_some()
    }
}

#[cfg(target_os = "linux")]
fn is_tagged(packet: &Packet<'_>) -> bool {
    let (place, protocols) = COOKED_TAG;
    packet.data.get(place).is_some_and(|bytes| protocols.iter().any(|protocol| protocol == bytes))
}

#[cfg(not(target_os = "linux"))]
fn is_tagged(_: &Packet<'_>) -> bool {
    false
}

/// Has packets filtered by `expression`.
///
/// # Errors
/// [`BackendError::Filter`] with the reason.
pub(super) fn set(capture: &mut Capture<Active>, expression: &str) -> Result<RestFilter, BackendError> {
    let fail = |why| filter_error(expression, why);
    let link_type = crate::filter::link_type_from_dlt(capture.get_datalink().0);
    #[cfg(target_os = "linux")]
    match link_type {
        LinkType::ETHERNET => {
            let filter = Filter::compile(expression, LinkType::ETHERNET)?;
            let program = match filter.for_socket() {
                Ok(program) => crate::tpacket::fitted(Some(&program), crate::file::PACKET_LEN_MAX as u32, false),
                Err(FilterError::TooLong { .. }) => return Ok(RestFilter { whole: Some(filter), ..RestFilter::default() }),
                Err(error) => return Err(fail(error.to_string())),
            };
            crate::tpacket::attach_filter(capture, &program).map_err(|error| fail(format!("the kernel refuses it: {error}")))?;
            return Ok(RestFilter { since: crate::live::now(), ..RestFilter::default() });
        }
        LinkType::LINUX_SLL => {
            let filter = Filter::compile(expression, LinkType::LINUX_SLL)?;
            if filter.instructions().len() >= INSTRUCTIONS_MAX {
                return Ok(RestFilter { whole: Some(filter), ..RestFilter::default() });
            }
            filter.set_or_tagged(capture).map_err(fail)?;
            return Ok(RestFilter { tagged: Some(filter), ..RestFilter::default() });
        }
        _ => {}
    }
    // libpcap runs itself what its kernel does not take.
    let is_optimized = Filter::compile(expression, link_type)?.is_optimized();
    capture.filter(expression, is_optimized).map_err(|error| fail(pcap_reason(error)))?;
    Ok(RestFilter::default())
}
