//! IEEE 802.11 frame headers. Know nothing of what a data frame carries.

use super::view::{Unreadable, View};
use super::{Header, Layer};

const TYPE_CONTROL: u8 = 1;
const TYPE_DATA: u8 = 2;
/// Bits of a data frame's subtype.
const NO_DATA: u8 = 4;
const QOS: u8 = 8;
/// Bits of the second byte.
const BOTH_DS: u8 = 0x03;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// Bit of the QoS field.
const AGGREGATE: u8 = 0x80;

/// MAC header (IEEE 802.11 clause 9.2.4): 24 to 36 bytes of a data frame. Of a control frame the first 10, of a management frame
/// 24.
#[derive(Clone, Copy, Debug)]
pub struct Wlan<'a> {
    bytes: &'a [u8],
    control: [u8; 2],
    fragment: u8,
    is_aggregate: bool,
}

impl<'a> View<'a> for Wlan<'a> {
    const LAYER: Layer = Layer::Wlan;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(&control @ [first, second]) = bytes.first_chunk() else { return Err(Unreadable::Short(2)) };
        if first & 3 != 0 {
            return Err(Unreadable::Unknown);
        }
        let (kind, subtype) = (first >> 2 & 3, first >> 4);
        let addresses_len = if second & BOTH_DS == BOTH_DS { 30 } else { 24 };
        let has_qos = kind == TYPE_DATA && subtype & QOS != 0;
        let len = match kind {
            TYPE_CONTROL => 10,
            TYPE_DATA if has_qos && second & ORDER != 0 => addresses_len + 6,
            TYPE_DATA if has_qos => addresses_len + 2,
            TYPE_DATA => addresses_len,
            _ => 24,
        };
        let Some(header) = bytes.get(..len) else { return Err(Unreadable::Short(len)) };
        let fragment = header.get(22).map_or(0, |byte| byte & 0x0f);
        let is_aggregate = has_qos && header.get(addresses_len).is_some_and(|byte| byte & AGGREGATE != 0);
        Ok(Self { bytes: header, control, fragment, is_aggregate })
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Wlan(self)
    }
}

impl Wlan<'_> {
    /// Type: 0 management, 1 control, 2 data.
    pub const fn kind(&self) -> u8 {
        self.control[0] >> 2 & 3
    }

    /// Subtype, 4 bits.
    pub const fn subtype(&self) -> u8 {
        self.control[0] >> 4
    }

    /// Flags of the frame control field.
    pub const fn flags(&self) -> u8 {
        self.control[1]
    }

    /// A data frame that carries data.
    pub const fn has_data(&self) -> bool {
        self.kind() == TYPE_DATA && self.subtype() & NO_DATA == 0
    }

    /// The data is encrypted.
    pub const fn is_protected(&self) -> bool {
        self.control[1] & PROTECTED != 0
    }

    /// Number of this fragment of a frame; 0 is the first.
    pub const fn fragment(&self) -> u8 {
        self.fragment
    }

    /// The data is a list of frames (A-MSDU).
    pub const fn is_aggregate(&self) -> bool {
        self.is_aggregate
    }
}
