//! What all header views share: how they are read and how reading fails.
//!
//! Owns the byte accessors and the [`View`] trait. Knows no protocol. Its invariant: a view exists only when all bytes its
//! getters touch are there, so the getters cannot fail.

use super::{Header, Layer};

/// Why a header could not be read out of the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The header needs this many bytes from its start on and fewer are there.
    Short(usize),
    /// The bytes contradict the protocol.
    Malformed,
    /// A version of the protocol that is not read here.
    Unknown,
    /// More parts than are looked at.
    TooDeep,
}

/// A typed view of a header at the start of a byte slice.
pub trait View<'a>: Copy {
    /// The layer it counts as.
    const LAYER: Layer;

    /// Proves that the whole header is there.
    ///
    /// # Errors
    /// When bytes are missing or contradict the protocol.
    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable>;

    /// Length of the header in bytes, options included.
    fn header_len(&self) -> usize;

    /// As the general header type.
    fn wrap(self) -> Header<'a>;
}

/// Declares a view of a header with a fixed length.
macro_rules! fixed_view {
    ($(#[$doc:meta])* $name:ident, $len:literal, $layer:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            bytes: &'a [u8; $len],
        }

        impl $name<'_> {
            /// Length of the header in bytes.
            pub const LEN: usize = $len;
        }

        impl<'a> $crate::wire::view::View<'a> for $name<'a> {
            const LAYER: $crate::wire::Layer = $crate::wire::Layer::$layer;

            #[inline(always)]
            fn read(bytes: &'a [u8]) -> Result<Self, $crate::wire::view::Unreadable> {
                match bytes.first_chunk() {
                    Some(bytes) => Ok(Self { bytes }),
                    None => Err($crate::wire::view::Unreadable::Short($len)),
                }
            }

            #[inline(always)]
            fn header_len(&self) -> usize {
                $len
            }

            #[inline(always)]
            fn wrap(self) -> $crate::wire::Header<'a> {
                $crate::wire::Header::$name(self)
            }
        }
    };
}
pub(crate) use fixed_view;

/// 16 bits in network byte order at a constant place of a header.
#[inline(always)]
pub(crate) const fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// 32 bits in network byte order at a constant place of a header.
#[inline(always)]
pub(crate) const fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// `M` bytes at a constant place of a header.
#[inline(always)]
pub(crate) const fn array_at<const N: usize, const M: usize>(bytes: &[u8; N], at: usize) -> [u8; M] {
    let mut out = [0; M];
    let mut i = 0;
    while i < M {
        out[i] = bytes[at + i];
        i += 1;
    }
    out
}
