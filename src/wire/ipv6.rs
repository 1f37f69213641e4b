//! IPv6 headers and extension headers. Know nothing of what they carry.

use super::view::{Unreadable, array_at, be16, be32, fixed_view};
use super::{Header, Layer};

/// Next header values of extension headers (IANA protocol numbers, RFC 8200 section 4).
pub mod extension {
    #![allow(missing_docs)]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HIP: u8 = 139;
    pub const SHIM6: u8 = 140;

    /// The name in packet views.
    pub const fn name(kind: u8) -> &'static str {
        match kind {
            HOP_BY_HOP => "hop-by-hop options",
            ROUTING => "routing header",
            FRAGMENT => "fragment header",
            AUTHENTICATION => "authentication header",
            DESTINATION => "destination options",
            MOBILITY => "mobility header",
            HIP => "host identity protocol",
            SHIM6 => "shim6",
            _ => "extension header",
        }
    }
}

/// Options of a hop-by-hop header that are looked at. The jumbo payload option is the first wherever it is needed, as it lies well there;
/// RFC 8504 section 5.3 lets hosts stop after eight.
const OPTION_COUNT_MAX: usize = 16;

/// Next header value for nothing at all (RFC 8200 section 4.7).
pub const NO_NEXT_HEADER: u8 = 59;

fixed_view! {
    /// IPv6 header (RFC 8200 section 3). The version is not checked by reading it, see [`Ipv6::version`].
    Ipv6, 40, Ipv6
}

impl Ipv6<'_> {
    /// Version, 6.
    pub const fn version(&self) -> u8 {
        self.bytes[0] >> 4
    }

    /// Traffic class.
    pub const fn traffic_class(&self) -> u8 {
        (be16(self.bytes, 0) >> 4) as u8
    }

    /// Flow label, 20 bits.
    pub const fn flow_label(&self) -> u32 {
        be32(self.bytes, 0) & 0x000f_ffff
    }

    /// Length of what follows in bytes; 0 with a jumbo payload option.
    pub const fn payload_len(&self) -> u16 {
        be16(self.bytes, 4)
    }

    /// Protocol number of what follows.
    pub const fn next_header(&self) -> u8 {
        self.bytes[6]
    }

    /// Hop limit.
    pub const fn hop_limit(&self) -> u8 {
        self.bytes[7]
    }

    /// Source address.
    pub const fn source(&self) -> [u8; 16] {
        array_at(self.bytes, 8)
    }

    /// Destination address.
    pub const fn destination(&self) -> [u8; 16] {
        array_at(self.bytes, 24)
    }
}

/// An extension header (RFC 8200 section 4, RFC 4302, RFC 6275, RFC 7401, RFC 5533); also the authentication header over IPv4.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Extension<'a> {
    kind: u8,
    start: &'a [u8; 8],
    bytes: &'a [u8],
}

impl<'a> Ipv6Extension<'a> {
    /// True for the protocol numbers that are extension headers with a next header field.
    #[inline(always)]
    pub const fn is_extension(protocol: u8) -> bool {
        use extension::*;
        matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6)
    }

    /// Proves that a header of this kind is there.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn read(kind: u8, bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(start) = bytes.first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        let units = usize::from(start[1]);
        let len = match kind {
            extension::FRAGMENT => 8,
            // Counts 4-byte units less 2; an authentication header has at least its three fixed words.
            extension::AUTHENTICATION if units < 1 => return Err(Unreadable::Malformed),
            extension::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        match bytes.get(..len) {
            Some(bytes) => Ok(Self { kind, start, bytes }),
            None => Err(Unreadable::Short(len)),
        }
    }

    /// As the general header type.
    pub const fn wrap(self) -> Header<'a> {
        Header::Ipv6Extension(self)
    }

    /// The layer it counts as.
    pub const LAYER: Layer = Layer::Ipv6Extension;

    /// Its protocol number.
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Protocol number of what follows.
    pub const fn next_header(&self) -> u8 {
        self.start[0]
    }

    /// The whole header.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Fragment header: offset in bytes.
    pub const fn fragment_offset(&self) -> u32 {
        (be16(self.start, 2) & 0xfff8) as u32
    }

    /// Fragment header: more follow.
    pub const fn more_fragments(&self) -> bool {
        self.start[3] & 1 != 0
    }

    /// Fragment header: identification.
    pub const fn fragment_id(&self) -> u32 {
        be32(self.start, 4)
    }

    /// Jumbo payload length in bytes out of a hop-by-hop header (RFC 2675): what follows the IPv6 header. Looked for among the first
    /// 16 options, each byte of padding being one.
    pub fn jumbo_len(&self) -> Option<u32> {
        let mut options = self.bytes.get(2..)?;
        for _ in 0..OPTION_COUNT_MAX {
            options = match *options {
                [] => return None,
                [0, ref rest @ ..] => rest,
                [0xc2, 4, a, b, c, d, ..] => return Some(u32::from_be_bytes([a, b, c, d])),
                [_, len, ref rest @ ..] => rest.get(usize::from(len)..)?,
                [_] => return None,
            };
        }
        None
    }
}
