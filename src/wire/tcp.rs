//! TCP headers and the options that the sequence analysis needs. Know nothing of connections.

use super::view::{Unreadable, View, be16, be32};
use super::{Header, Layer, Ports, TcpFlags, TcpOptions};

/// TCP header with those of its options that were captured (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    fixed: &'a [u8; 20],
    options: &'a [u8],
}

impl<'a> View<'a> for Tcp<'a> {
    const LAYER: Layer = Layer::Tcp;

    #[inline(always)]
    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<20>() else { return Err(Unreadable::Short(20)) };
        let len = usize::from(fixed[12] >> 4) * 4;
        if len < 20 {
            return Err(Unreadable::Malformed);
        }
        Ok(Self { fixed, options: rest.get(..len - 20).unwrap_or(rest) })
    }

    #[inline(always)]
    fn header_len(&self) -> usize {
        usize::from(self.fixed[12] >> 4) * 4
    }

    #[inline(always)]
    fn wrap(self) -> Header<'a> {
        Header::Tcp(self)
    }
}

impl<'a> Tcp<'a> {
    /// Both ports.
    #[inline(always)]
    pub const fn ports(&self) -> Ports {
        Ports { source: be16(self.fixed, 0), destination: be16(self.fixed, 2) }
    }

    /// Sequence number.
    pub const fn sequence(&self) -> u32 {
        be32(self.fixed, 4)
    }

    /// Acknowledgment number.
    pub const fn acknowledgment(&self) -> u32 {
        be32(self.fixed, 8)
    }

    /// Control bits, nine of them.
    pub const fn flags(&self) -> TcpFlags {
        TcpFlags(be16(self.fixed, 12) & 0x01ff)
    }

    /// Window, unscaled.
    pub const fn window(&self) -> u16 {
        be16(self.fixed, 14)
    }

    /// Checksum as sent.
    pub const fn checksum(&self) -> u16 {
        be16(self.fixed, 16)
    }

    /// Urgent pointer.
    pub const fn urgent(&self) -> u16 {
        be16(self.fixed, 18)
    }

    /// Captured option bytes; fewer than [`View::header_len`] promises when the capture was cut.
    pub const fn option_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// True when the capture ends within the options.
    #[inline(always)]
    pub fn options_cut(&self) -> bool {
        self.header_len() - 20 != self.options.len()
    }

    /// The options that were understood.
    #[inline(always)]
    pub fn options(&self) -> TcpOptions {
        if self.options.is_empty() && !self.options_cut() {
            return TcpOptions::default();
        }
        let mut options = parse_options(self.options);
        options.malformed |= self.options_cut();
        options
    }
}

/// Reads TCP options up to the end-of-list option, the end of `bytes`, or the first one with an impossible length.
#[inline]
pub fn parse_options(bytes: &[u8]) -> TcpOptions {
    // What nearly every data segment carries: two NOPs and the timestamps.
    if let &[1, 1, 8, 10, a, b, c, d, e, f, g, h] = bytes {
        let timestamps = Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
        return TcpOptions { timestamps, kinds: 1 << 8, ..TcpOptions::default() };
    }
    parse_one_by_one(bytes)
}

/// As many NOP options as are read at once.
const NOPS: &[u8; 8] = &[1; 8];

#[inline(never)]
fn parse_one_by_one(mut bytes: &[u8]) -> TcpOptions {
    let mut out = TcpOptions::default();
    loop {
        // Padding without end is made to be dear.
        while let Some((NOPS, rest)) = bytes.split_first_chunk() {
            bytes = rest;
        }
        bytes = match *bytes {
            [] | [0, ..] => return out,
            [1, ref rest @ ..] => rest,
            [kind, len, ref rest @ ..] if len >= 2 => {
                let Some((body, rest)) = rest.split_at_checked(usize::from(len) - 2) else {
                    out.malformed = true;
                    return out;
                };
                option(kind, body, &mut out);
                rest
            }
            _ => {
                out.malformed = true;
                return out;
            }
        };
    }
}

/// Takes over one option; a known option with a wrong length is marked and left out.
fn option(kind: u8, body: &[u8], out: &mut TcpOptions) {
    out.kinds |= 1 << kind.min(63);
    match (kind, body) {
        (2, &[a, b]) => out.mss = Some(u16::from_be_bytes([a, b])),
        (3, &[shift]) => out.window_scale = Some(shift),
        (4, []) => out.sack_permitted = true,
        (8, &[a, b, c, d, e, f, g, h]) => {
            out.timestamps = Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
        }
        (5, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => {
            let (blocks, _) = blocks.as_chunks::<8>();
            // A second SACK option replaces the first, its further blocks too.
            out.sack = TcpOptions::default().sack;
            for (slot, block) in out.sack.iter_mut().zip(blocks) {
                *slot = (be32(block, 0), be32(block, 4));
            }
            out.sack_count = blocks.len().min(out.sack.len()) as u8;
        }
        (2 | 3 | 4 | 5 | 8, _) => out.malformed = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sack_option_replaces_the_first() {
        let two = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
        let one = [5, 10, 0, 0, 0, 5, 0, 0, 0, 6];
        let options = parse_options(&[&two[..], &one[..]].concat());
        assert_eq!((options.sack_count, options.sack), (1, [(5, 6), (0, 0), (0, 0), (0, 0)]));
    }
}
