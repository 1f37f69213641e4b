//! How recognisers read: what does not fit is no, what ends too early asks for more.
//!
//! Owns that distinction, so that a recogniser is a list of expectations with `?`.

use super::mark::AppMark;
use crate::app::parsed::Parsed;
use crate::app::reading::ByteReader;

/// Why there is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread<'a> {
    /// More bytes would tell.
    More,
    /// More bytes would tell more than this.
    Partial(AppMark<'a>),
    /// It is another protocol.
    No,
}

pub(super) type Looked<'a> = Result<AppMark<'a>, Unread<'a>>;

/// Goes on where `holds`.
pub(super) fn ensure(holds: bool) -> Result<(), Unread<'static>> {
    if holds { Ok(()) } else { Err(Unread::No) }
}

/// `need` counts the bytes of both sides.
pub(super) fn parsed<'a>(looked: Looked<'a>, client: &[u8], server: &[u8]) -> Parsed<AppMark<'a>> {
    match looked {
        Ok(mark) => Parsed::Done(mark),
        Err(Unread::Partial(mark)) => Parsed::Done(AppMark { may_grow: true, ..mark }),
        Err(Unread::More) => Parsed::More { need: client.len() + server.len() + 1 },
        Err(Unread::No) => Parsed::No,
    }
}

/// Of a stream in which one side's beginning is enough, as the other's may have been missed.
pub(super) fn either<'a>(one: &'a [u8], other: &'a [u8], look: fn(Look<'a>) -> Looked<'a>) -> Looked<'a> {
    let spoken = [one, other].into_iter().filter(|side| !side.is_empty());
    let mut answer = if one.is_empty() && other.is_empty() { Unread::More } else { Unread::No };
    for looked in spoken.map(|side| look(Look::stream(side))) {
        match looked {
            Ok(mark) => return Ok(mark),
            Err(Unread::No) => {}
            Err(more) => answer = more,
        }
    }
    Err(answer)
}

/// The first bytes of one side.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    reader: ByteReader<'a>,
    /// What it means that they end.
    short: Unread<'static>,
}

impl<'a> Look<'a> {
    /// Of a side of a stream, which goes on.
    pub(super) const fn stream(bytes: &'a [u8]) -> Self {
        Self { reader: ByteReader::new(bytes), short: Unread::More }
    }

    /// Of a datagram, which is whole; where there is none yet, one may come.
    pub(super) const fn datagram(bytes: &'a [u8]) -> Self {
        let short = if bytes.is_empty() { Unread::More } else { Unread::No };
        Self { reader: ByteReader::new(bytes), short }
    }

    pub(super) const fn left(&self) -> &'a [u8] {
        self.reader.left()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Unread<'static>> {
        self.reader.take(len).ok_or(self.short)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unread<'static>> {
        self.reader.u8().ok_or(self.short)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unread<'static>> {
        self.reader.u16().ok_or(self.short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Unread<'static>> {
        self.reader.u32().ok_or(self.short)
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, Unread<'static>> {
        self.reader.u32_le().ok_or(self.short)
    }

    /// The next bytes have to be these; the first other one tells.
    pub(super) fn expect(&mut self, magic: &[u8]) -> Result<(), Unread<'static>> {
        let there = self.left();
        // Most of what is asked ends here.
        ensure(there.first() == magic.first() || there.is_empty())?;
        let len = there.len().min(magic.len());
        ensure(there[..len] == magic[..len])?;
        self.take(magic.len()).map(drop)
    }

    /// One of several beginnings, in letters of either case.
    pub(super) fn expect_one(&mut self, magics: &[&[u8]]) -> Result<usize, Unread<'static>> {
        let there = self.left();
        if there.is_empty() {
            return Err(self.short);
        }
        let mut answer = Unread::No;
        for (index, magic) in magics.iter().enumerate() {
            let len = there.len().min(magic.len());
            if there[..len].eq_ignore_ascii_case(&magic[..len]) {
                if len == magic.len() {
                    return self.take(len).map(|_| index);
                }
                answer = self.short;
            }
        }
        Err(answer)
    }

    /// Bytes up to `end`, which is taken, too; `max` bytes are searched.
    pub(super) fn until(&mut self, end: u8, max: usize) -> Result<&'a [u8], Unread<'static>> {
        let there = self.left();
        match there.iter().take(max).position(|&byte| byte == end) {
            Some(len) => {
                self.take(len + 1)?;
                Ok(&there[..len])
            }
            None if there.len() >= max => Err(Unread::No),
            None => Err(self.short),
        }
    }

    /// A line of text without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Unread<'static>> {
        /// Longest line that is read.
        const LINE_MAX: usize = 1024;
        ensure(!self.left().iter().take(LINE_MAX).take_while(|&&byte| byte != b'\n').any(|&byte| byte == 0))?;
        let line = self.until(b'\n', LINE_MAX)?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// An element of BER or DER: its tag and its value, of which the end may be missing where `is_open`.
    pub(super) fn element(&mut self, tag: u8, is_open: bool) -> Result<Self, Unread<'static>> {
        self.expect(&[tag])?;
        let first = self.u8()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let bytes = self.take(usize::from(first & 0x7f))?;
                bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte))
            }
            _ => return Err(Unread::No),
        };
        let there = self.left().len();
        let value = if is_open && there < len { self.take(there)? } else { self.take(len)? };
        let short = if there < len { self.short } else { Unread::No };
        Ok(Self { reader: ByteReader::new(value), short })
    }

    /// A BER number of at most four bytes.
    pub(super) fn integer(&mut self) -> Result<u32, Unread<'static>> {
        let value = self.element(2, false)?.left();
        ensure((1..=4).contains(&value.len()))?;
        Ok(value.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }
}

/// Whether a greeting names a protocol, in letters of either case, in another word than the name of a host.
pub(super) fn names(greeting: &[u8], protocol: &[u8]) -> bool {
    let words = greeting.split(|&byte| byte == b' ').filter(|word| !word.contains(&b'.'));
    words.flat_map(|word| word.windows(protocol.len())).any(|window| window.eq_ignore_ascii_case(protocol))
}

/// The value of a header line, as HTTP, SIP and SSDP write it.
pub(super) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).take_while(|line| !matches!(*line, b"" | b"\r")).find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let is_name = line[..colon].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        // The last line may be cut.
        let end = line.strip_suffix(b"\r")?;
        is_name.then(|| end[colon + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_asks_for_more_and_what_differs_does_not() {
        assert_eq!(Look::stream(b"SS").expect(b"SSH"), Err(Unread::More));
        assert_eq!(Look::stream(b"SX").expect(b"SSH"), Err(Unread::No));
        assert_eq!(Look::datagram(b"SS").expect(b"SSH"), Err(Unread::No));
        assert_eq!(Look::datagram(b"").expect(b"SSH"), Err(Unread::More));
        assert_eq!(Look::stream(b"EHL").expect_one(&[b"HELO", b"EHLO"]), Err(Unread::More));
        assert_eq!(Look::stream(b"EHLO x").expect_one(&[b"HELO", b"EHLO"]), Ok(1));
        assert_eq!(Look::stream(b"ehlo x").expect_one(&[b"HELO", b"EHLO"]), Ok(1));
        assert!(names(b"an esmtp server", b"SMTP") && !names(b"smtp.example.com", b"SMTP") && !names(b"SMT", b"SMTP"));
        assert_eq!(Look::stream(b"X").expect_one(&[b"HELO", b"EHLO"]), Err(Unread::No));
    }

    #[test]
    fn lines_and_elements() {
        assert_eq!(Look::stream(b"ab\r\nc").line(), Ok(&b"ab"[..]));
        assert_eq!(Look::stream(b"ab").line(), Err(Unread::More));
        assert_eq!(Look::stream(b"a\0b").line(), Err(Unread::No));
        assert_eq!(Look::stream(&[b'a'; 2000]).line(), Err(Unread::No));
        let mut look = Look::stream(&[0x30, 3, 2, 1, 5]);
        assert_eq!(look.element(0x30, false).unwrap().integer(), Ok(5));
        assert_eq!(Look::stream(&[0x30, 0x82, 1, 0, 2, 1]).element(0x30, true).unwrap().integer(), Err(Unread::More));
        assert_eq!(Look::stream(&[0x30, 2, 2, 2]).element(0x30, true).unwrap().integer(), Err(Unread::No));
        assert_eq!(Look::stream(&[0x30, 0x80]).element(0x30, true).err(), Some(Unread::No));
        assert_eq!(header(b"x\r\nUser-Agent:  a b \r\nServer: c\r\n\r\nServer: d", "server"), Some(&b"c"[..]));
        assert_eq!(header(b"x\r\nServer: c", "server"), None);
    }
}
