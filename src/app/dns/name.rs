//! Names in DNS messages (RFC 1035 sections 3.1 and 4.1.4) and how they are written (section 5.1).
//!
//! Owns decompression. Its invariants: each pointer leads further to the front, a name follows at most [`POINTERS_MAX`] of them and has at
//! most 255 bytes, so reading one costs a bounded number of steps whatever the message holds.

use std::fmt;

/// Longest name on the wire.
const NAME_MAX: usize = 255;
/// Longest text of a name: each byte as `\DDD`, and the dots.
pub const NAME_TEXT_MAX: usize = 1016;
/// Pointers that one name may follow; a label has at least two bytes, so 127 would be the most that make sense.
pub const POINTERS_MAX: usize = 64;

const POINTER: u8 = 0xc0;

/// A name inside a message, read when asked for.
#[derive(Clone, Copy)]
pub struct DnsName<'a> {
    pub(super) message: &'a [u8],
    pub(super) at: usize,
}

/// Text of a name, without the dot at its end; the root is `.`.
#[derive(Clone, Copy)]
pub struct NameText {
    bytes: [u8; NAME_TEXT_MAX],
    len: usize,
}

impl Default for NameText {
    fn default() -> Self {
        Self { bytes: [0; NAME_TEXT_MAX], len: 0 }
    }
}

impl NameText {
    /// The text, ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Writes it in small letters; names that differ in that alone are equal (RFC 4343).
    pub fn make_lowercase(&mut self) {
        self.bytes[..self.len].make_ascii_lowercase();
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn push_label(&mut self, label: &[u8]) {
        if self.len > 0 {
            self.push(b'.');
        }
        for &byte in label {
            match byte {
                b'.' | b'\\' => [b'\\', byte].into_iter().for_each(|byte| self.push(byte)),
                b'!'..=b'~' => self.push(byte),
                _ => [b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]
                    .into_iter()
                    .for_each(|byte| self.push(byte)),
            }
        }
    }
}

impl fmt::Debug for NameText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// The labels of a name, first one first.
#[derive(Clone)]
pub struct NameLabels<'a> {
    message: &'a [u8],
    at: usize,
    /// Where the part begins that is read; a pointer has to lead in front of it.
    start: usize,
    pointers: usize,
    len: usize,
    is_broken: bool,
    is_over: bool,
    #[cfg(test)]
    steps: usize,
}

impl NameLabels<'_> {
    /// True where the name ended before its last label.
    pub const fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl<'a> Iterator for NameLabels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.is_over {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            self.is_broken = true;
            self.is_over = true;
            let (&first, rest) = self.message.get(self.at..)?.split_first()?;
            match first & POINTER {
                0 if first == 0 => self.is_broken = false,
                0 => {
                    let label = rest.get(..usize::from(first))?;
                    self.len += 1 + label.len();
                    if self.len >= NAME_MAX {
                        return None;
                    }
                    self.at += 1 + label.len();
                    (self.is_broken, self.is_over) = (false, false);
                    return Some(label);
                }
                POINTER => {
                    let to = usize::from(first & !POINTER) << 8 | usize::from(*rest.first()?);
                    self.pointers += 1;
                    if to >= self.start || self.pointers > POINTERS_MAX {
                        return None;
                    }
                    (self.at, self.start) = (to, to);
                    (self.is_broken, self.is_over) = (false, false);
                }
                _ => {}
            }
        }
        None
    }
}

impl<'a> DnsName<'a> {
    /// Its labels.
    pub const fn labels(self) -> NameLabels<'a> {
        NameLabels {
            message: self.message,
            at: self.at,
            start: self.at,
            pointers: 0,
            len: 0,
            is_broken: false,
            is_over: false,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Writes it out; `None` where it is broken, and `into` has what stood in front.
    pub fn write(self, into: &mut NameText) -> Option<&[u8]> {
        into.len = 0;
        let mut labels = self.labels();
        labels.by_ref().for_each(|label| into.push_label(label));
        if into.len == 0 {
            into.push(b'.');
        }
        (!labels.is_broken()).then(|| into.as_bytes())
    }
}

impl fmt::Debug for DnsName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = NameText::default();
        self.write(&mut text);
        write!(f, "{text:?}")
    }
}

/// Where the name at `at` ends, pointers not followed.
pub(super) fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        let first = *message.get(at)?;
        match first & POINTER {
            0 if first == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(first),
            POINTER => return (at + 2 <= message.len()).then_some(at + 2),
            _ => return None,
        }
        if at - start > NAME_MAX {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(message: &[u8], at: usize) -> Option<String> {
        let mut text = NameText::default();
        let name = DnsName { message, at };
        name.write(&mut text).map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn names_with_pointers_and_escapes() {
        let message = b"\x03com\x00\x07example\xc0\x00\x03w.\\\xc0\x05\x02\xff \x00";
        assert_eq!(text(message, 0).as_deref(), Some("com"));
        assert_eq!(text(message, 5).as_deref(), Some("example.com"));
        assert_eq!(text(message, 15).as_deref(), Some(r"w\.\\.example.com"));
        assert_eq!(text(message, 21).as_deref(), Some(r"\255\032"));
        assert_eq!(text(message, 4).as_deref(), Some("."));
        assert_eq!([0, 5, 15, 21].map(|at| end_of_name(message, at)), [Some(5), Some(15), Some(21), Some(25)]);
    }

    #[test]
    fn loops_and_cuts_are_broken() {
        for (message, at) in [
            (&b"\xc0\x00"[..], 0),
            (b"\x01a\xc0\x00", 0),
            (b"\xc0\x02\xc0\x00", 0),
            (b"\x01a\xc0\x04\x01b\x00", 0),
            (b"\x05ab", 0),
            (b"\x40ab", 0),
            (b"\xc0", 0),
            (b"", 0),
        ] {
            assert_eq!(text(message, at), None, "{message:?}");
        }
    }

    #[test]
    fn the_longest_name_and_one_that_is_longer() {
        // 127 labels of one byte are 254 bytes, and the root is one.
        let longest = [&[1_u8, 0xff].repeat(127)[..], &[0]].concat();
        assert_eq!(text(&longest, 0).map(|text| text.len()), Some(127 * 4 + 126));
        let longer = [&[1_u8, 0xff].repeat(128)[..], &[0]].concat();
        assert_eq!((text(&longer, 0), end_of_name(&longer, 0)), (None, None));
        // The longest text: labels of 63 bytes that are all escaped.
        let escaped = [&[63][..], &[0xff; 63], &[63], &[0xff; 63], &[63], &[0xff; 63], &[61], &[0xff; 61], &[0]].concat();
        assert_eq!(text(&escaped, 0).map(|text| text.len()), Some(250 * 4 + 3));
    }

    #[test]
    fn a_chain_of_pointers_costs_a_bounded_number_of_steps() {
        // Each pointer leads to the one in front of it.
        let mut message = b"\x01a\x00\x00".to_vec();
        for at in (0..16_000_u16).step_by(2) {
            let to = if at == 0 { 0 } else { at + 2 };
            message.extend((to | 0xc000).to_be_bytes());
        }
        for at in (4..message.len()).step_by(2) {
            let mut labels = DnsName { message: &message, at }.labels();
            let count = labels.by_ref().count();
            assert!(labels.steps <= POINTERS_MAX + 3, "{} steps", labels.steps);
            assert_eq!(count == 1, at < 4 + 2 * POINTERS_MAX);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(message in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xc0), 0_u8..9], 0..300)) {
            for at in 0..=message.len() {
                let mut labels = DnsName { message: &message, at }.labels();
                prop_assert!(labels.by_ref().count() <= 127);
                prop_assert!(labels.steps <= 127 + POINTERS_MAX + 2);
                end_of_name(&message, at);
                text(&message, at);
            }
        }
    }
}
