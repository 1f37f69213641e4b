//! What lines are put together from: texts, numbers, addresses, colours.
//!
//! Owns the way from a value to its letters. Knows no protocol.

use super::palette::Palette;
use crate::record::address::push_ip;
use crate::record::number::push_number;
use crate::record::text::TextEnd;
use crate::record::untrusted::{CUT_MARK, is_hidden, shown};
use crate::wire;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr};

/// Characters shown of a text out of a packet.
const TEXT_CHARS_MAX: usize = 64;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The end of a line, and its colours.
pub(super) struct Line<'o, 't> {
    pub out: &'o mut TextEnd<'t>,
    pub palette: &'static Palette,
}

impl Line<'_, '_> {
    /// Appends a text of ours.
    #[inline(always)]
    pub fn text(&mut self, text: &str) {
        self.out.word(text.as_bytes());
    }

    /// Appends what `write` does in a colour, which is empty where there are none.
    #[inline(always)]
    pub fn paint(&mut self, color: &str, write: impl FnOnce(&mut Self)) {
        self.text(color);
        write(self);
        if !color.is_empty() {
            self.text(Palette::RESET);
        }
    }

    #[inline(never)]
    pub fn number(&mut self, value: u64) {
        push_number(self.out, value);
    }

    /// A name with what belongs around it, and a number.
    #[inline(always)]
    pub fn pair(&mut self, name: &str, value: u64) {
        self.text(name);
        self.number(value);
    }

    /// `0x` and hexadecimal digits, as many as the number has.
    #[inline(never)]
    pub fn hex(&mut self, value: u32) {
        self.hex_digits(value, (8 - (value | 1).leading_zeros() / 4) as usize);
    }

    /// `0x` and this many hexadecimal digits, 1 to 8.
    #[inline(never)]
    pub fn hex_digits(&mut self, value: u32, digits: usize) {
        self.text("0x");
        for digit in (0..digits.min(8)).rev() {
            self.out.byte(DIGITS[(value >> (4 * digit) & 0xf) as usize]);
        }
    }

    pub fn pair_hex(&mut self, name: &str, value: u32) {
        self.text(name);
        self.hex(value);
    }

    /// An address; what follows begins with something else than a digit.
    #[inline(never)]
    pub fn ip(&mut self, ip: IpAddr) {
        push_ip(self.out, ip, b' ');
        self.out.shorten(1);
    }

    pub fn ipv4(&mut self, ip: [u8; 4]) {
        self.ip(Ipv4Addr::from(ip).into());
    }

    pub fn ipv6(&mut self, ip: [u8; 16]) {
        self.ip(IpAddr::from(ip));
    }

    /// An address and a port, as in a URL: `10.0.0.1:80`, `[2001:db8::1]:80`.
    #[inline(never)]
    pub fn endpoint(&mut self, ip: IpAddr, port: u16) {
        if ip.is_ipv4() {
            push_ip(self.out, ip, b':');
        } else {
            self.text("[");
            push_ip(self.out, ip, b']');
            self.text(":");
        }
        self.number(port.into());
    }

    /// A hardware address.
    #[inline(never)]
    pub fn mac(&mut self, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            let pair = [b':', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            self.out.word(pair.get(usize::from(i == 0)..).unwrap_or_default());
        }
    }

    /// A text out of a packet, in quotes: escaped, and cut after [`TEXT_CHARS_MAX`] characters.
    #[inline(never)]
    pub fn quoted(&mut self, bytes: &[u8]) {
        self.text("\"");
        for (i, c) in shown(bytes).enumerate() {
            let mut room = [0; 4];
            if i == TEXT_CHARS_MAX {
                self.text(CUT_MARK.encode_utf8(&mut room));
                break;
            }
            if c == '"' || c == '\\' {
                self.text("\\");
            }
            if is_hidden(c) {
                self.text("\\u{");
                for digit in (0..(8 - (u32::from(c) | 1).leading_zeros() / 4)).rev() {
                    self.out.byte(DIGITS[(u32::from(c) >> (4 * digit) & 0xf) as usize]);
                }
                self.text("}");
            } else {
                self.text(c.encode_utf8(&mut room));
            }
        }
        self.text("\"");
    }

    /// Control bits that are set, with commas between them; `none` without any.
    #[inline(never)]
    pub fn tcp_flags(&mut self, flags: wire::TcpFlags) {
        // The most common ones at once.
        match flags.0 {
            0x10 => return self.text("ACK"),
            0x18 => return self.text("PSH,ACK"),
            0 => return self.text("none"),
            _ => {}
        }
        let mut comma = "";
        for (_, name) in FLAG_NAMES.iter().enumerate().filter(|(bit, _)| flags.0 >> bit & 1 != 0) {
            self.text(comma);
            self.text(name);
            comma = ",";
        }
    }
}

const FLAG_NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];

/// Bytes in hex with colons between them, as hardware addresses are written.
pub(in crate::record) struct Colons<'a>(pub &'a [u8]);

impl Display for Colons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Names of the control bits that are set, with commas between them; `none` without any.
pub(in crate::record) struct FlagNames(pub wire::TcpFlags);

impl Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (_, name) in FLAG_NAMES.iter().enumerate().filter(|(bit, _)| self.0.0 >> bit & 1 != 0) {
            write!(f, "{comma}{name}")?;
            comma = ",";
        }
        if comma.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// A protocol address out of ARP: IPv4 where it has 4 bytes.
pub(in crate::record) struct ProtocolAddress<'a>(pub &'a [u8]);

impl Display for ProtocolAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).fmt(f),
            ref other => Colons(other).fmt(f),
        }
    }
}
