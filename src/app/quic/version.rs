//! Versions of QUIC by number, and what each protects its Initial packets with.
//!
//! Owns salts, labels and packet types: v1 (RFC 9001 section 5.2), v2 (RFC 9369 section 3), the drafts before them, and the versions of
//! Google and Facebook as far as they are public.

use std::fmt;

/// A version's number; it shows as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuicVersion(pub u32);

/// How a version protects Initial packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protection {
    pub salt: &'static [u8; 20],
    pub key_label: &'static [u8],
    pub iv_label: &'static [u8],
    pub header_label: &'static [u8],
}

const SALT_DRAFT_22: [u8; 20] =
    [0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a];
const SALT_DRAFT_23: [u8; 20] =
    [0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02];
const SALT_DRAFT_29: [u8; 20] =
    [0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99];
const SALT_V1: [u8; 20] =
    [0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a];
const SALT_V2: [u8; 20] =
    [0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9];
const SALT_Q050: [u8; 20] =
    [0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45];
const SALT_T050: [u8; 20] =
    [0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83, 0x10];
const SALT_T051: [u8; 20] =
    [0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d];

const V2: u32 = 0x6b33_43cf;

impl QuicVersion {
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(V2);

    pub(super) const fn protection(self) -> Option<Protection> {
        let salt = match self.0 {
            1 | 0xff00_0021 | 0xff00_0022 | 0xface_b003 | 0xface_b004 | 0xface_feed => &SALT_V1,
            V2 => {
                return Some(Protection {
                    salt: &SALT_V2,
                    key_label: b"quicv2 key",
                    iv_label: b"quicv2 iv",
                    header_label: b"quicv2 hp",
                });
            }
            0xff00_001d..=0xff00_0020 => &SALT_DRAFT_29,
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e | 0xface_b010..=0xface_b015 => &SALT_DRAFT_23,
            0xff00_0016 | 0xface_b001 => &SALT_DRAFT_22,
            0x5130_3530 => &SALT_Q050,
            0x5430_3530 => &SALT_T050,
            0x5430_3531 => &SALT_T051,
            _ => return None,
        };
        Some(Protection { salt, key_label: b"quic key", iv_label: b"quic iv", header_label: b"quic hp" })
    }

    /// True where Initial packets can be read.
    pub const fn is_known(self) -> bool {
        self.protection().is_some()
    }

    /// True for Google's `Q0nn`, whose handshake is not TLS.
    pub const fn is_google(self) -> bool {
        matches!(self.0.to_be_bytes(), [b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])
    }

    /// True for the numbers that a client sends to see whether servers negotiate (RFC 9000 section 15).
    pub const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// The two bits of a long header's type for an Initial packet, and for the others in the order of RFC 9000; v2 has another order.
    pub(super) const fn long_type(self, bits: u8) -> u8 {
        if self.0 == V2 { (bits & 3).wrapping_sub(1) & 3 } else { bits & 3 }
    }
}

impl fmt::Display for QuicVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.0.to_be_bytes()) {
            (1, _) => f.write_str("v1"),
            (V2, _) => f.write_str("v2"),
            (_, [0xff, 0, 0, draft]) => write!(f, "draft-{draft:02}"),
            (_, [0xfa, 0xce, 0xb0, variant]) => write!(f, "mvfst-{variant:02x}"),
            (_, [kind @ (b'Q' | b'T'), rest @ ..]) if rest.iter().all(u8::is_ascii_digit) => {
                let digits = rest.map(char::from);
                write!(f, "{}{}{}{}", char::from(kind), digits[0], digits[1], digits[2])
            }
            (number, _) => write!(f, "0x{number:08x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |number| QuicVersion(number).to_string();
        assert_eq!(name(1), "v1");
        assert_eq!(name(V2), "v2");
        assert_eq!(name(0xff00_001d), "draft-29");
        assert_eq!(name(0x5130_3436), "Q046");
        assert_eq!(name(0xface_b002), "mvfst-02");
        assert_eq!(name(0x0102_0304), "0x01020304");
    }

    #[test]
    fn kinds() {
        assert!((0xff00_0016..=0xff00_0022).all(|number| QuicVersion(number).is_known()));
        assert!(!QuicVersion(0xff00_0015).is_known() && !QuicVersion(0).is_known());
        assert!(QuicVersion(0x5130_3433).is_google() && !QuicVersion(0x5430_3530).is_google());
        assert!(QuicVersion(0x1a2a_3a4a).is_reserved() && !QuicVersion::V1.is_reserved());
        assert_eq!([0, 1, 2, 3].map(|bits| QuicVersion::V1.long_type(bits)), [0, 1, 2, 3]);
        assert_eq!([1, 2, 3, 0].map(|bits| QuicVersion::V2.long_type(bits)), [0, 1, 2, 3]);
    }
}
