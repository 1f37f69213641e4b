//! Google's QUIC before the IETF's: Q024 to Q046 in the clear, and the CHLO message that Q050 encrypts.
//!
//! Owns the layout of those headers and of the tags, as far as it leads to the server's name.

use super::version::QuicVersion;
use crate::app::reading::ByteReader;
use crate::app::tls::SERVER_NAME_MAX;

/// Tags of one message that are looked at; a real one has some thirty.
const TAGS_MAX: usize = 256;
/// Longest user agent that is told.
pub const USER_AGENT_MAX: usize = 256;
/// Hash behind the packet number of a packet that is not encrypted.
const HASH_LEN: usize = 12;

/// What a client says in its CHLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoogleHello<'a> {
    /// Version of the packet.
    pub version: QuicVersion,
    /// Tag `SNI`, at most [`SERVER_NAME_MAX`] bytes.
    pub server_name: Option<&'a [u8]>,
    /// Tag `UAID`, at most [`USER_AGENT_MAX`] bytes.
    pub user_agent: Option<&'a [u8]>,
}

impl<'a> GoogleHello<'a> {
    /// Of a client's datagram; `None` where it holds no CHLO in the clear.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let (version, frames) = header(datagram)?;
        let number = version_number(version)?;
        let mut reader = ByteReader::new(frames);
        if number < 34 {
            // Private flags.
            reader.u8()?;
        }
        let message = stream_data(&mut reader, number < 39)?;
        Self::of_message(version, message)
    }

    /// Of a CHLO message, which may be cut.
    pub fn of_message(version: QuicVersion, message: &'a [u8]) -> Option<Self> {
        let mut reader = ByteReader::new(message);
        reader.take(4).filter(|tag| *tag == b"CHLO")?;
        let [low, high, 0, 0] = reader.array()? else { return None };
        let count = usize::from(u16::from_le_bytes([low, high]));
        let mut tags = reader;
        let values = reader.left().get(count * 8..)?;
        let mut hello = Self { version, server_name: None, user_agent: None };
        let mut start = 0;
        for _ in 0..count.min(TAGS_MAX) {
            let (tag, end) = (tags.array::<4>()?, tags.u32_le()? as usize);
            let Some(value) = values.get(start..end) else { break };
            start = end;
            match &tag {
                b"SNI\0" => hello.server_name = Some(&value[..value.len().min(SERVER_NAME_MAX)]),
                b"UAID" => hello.user_agent = Some(&value[..value.len().min(USER_AGENT_MAX)]),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// The number behind the letter.
fn version_number(version: QuicVersion) -> Option<u32> {
    let [_, a, b, c] = version.0.to_be_bytes();
    version.is_google().then(|| [a, b, c].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// The version and what follows header and hash.
fn header(datagram: &[u8]) -> Option<(QuicVersion, &[u8])> {
    let mut reader = ByteReader::new(datagram);
    let flags = reader.u8()?;
    let version;
    if flags & 0x80 != 0 {
        version = QuicVersion(reader.u32()?);
        if !matches!(version_number(version)?, 44..=48) {
            return None;
        }
        let lens = reader.u8()?;
        for nibble in [lens >> 4, lens & 15] {
            reader.take(if nibble == 0 { 0 } else { usize::from(nibble) + 3 })?;
        }
        reader.take(usize::from(flags & 3) + 1)?;
    } else {
        // A version, no reset, a connection ID of 8 bytes.
        if flags & 0x0b != 0x09 {
            return None;
        }
        reader.take(8)?;
        version = QuicVersion(reader.u32()?);
        if !matches!(version_number(version)?, 24..=43) {
            return None;
        }
        reader.take([1, 2, 4, 6][usize::from(flags >> 4 & 3)])?;
    }
    reader.take(HASH_LEN)?;
    Some((version, reader.left()))
}

/// Data of the first frame of stream 1 at offset 0.
fn stream_data<'a>(reader: &mut ByteReader<'a>, is_little_endian: bool) -> Option<&'a [u8]> {
    const PADDING: u8 = 0;
    const PING: u8 = 7;
    let mut kind = reader.u8()?;
    while matches!(kind, PADDING | PING) {
        kind = reader.u8()?;
    }
    if kind & 0x80 == 0 {
        return None;
    }
    let stream = reader.take(usize::from(kind & 3) + 1)?;
    let offset = reader.take(match kind >> 2 & 7 {
        0 => 0,
        len => usize::from(len) + 1,
    })?;
    let is_first = stream.iter().filter(|&&byte| byte != 0).eq([&1]) && offset.iter().all(|&byte| byte == 0);
    if !is_first {
        return None;
    }
    if kind & 0x20 == 0 {
        return Some(reader.left());
    }
    let [a, b] = reader.array()?;
    let len = if is_little_endian { u16::from_le_bytes([a, b]) } else { u16::from_be_bytes([a, b]) };
    let left = reader.left();
    Some(&left[..left.len().min(len.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chlo() -> Vec<u8> {
        let tags: [(&[u8; 4], &[u8]); 3] = [(b"PAD\0", &[b'-'; 9]), (b"SNI\0", b"www.example.com"), (b"UAID", b"Chrome/1")];
        let mut message = b"CHLO\x03\0\0\0".to_vec();
        let mut end = 0_u32;
        for (tag, value) in tags {
            end += value.len() as u32;
            message.extend([&tag[..], &end.to_le_bytes()].concat());
        }
        message.extend(tags.iter().flat_map(|(_, value)| value.to_vec()));
        message
    }

    fn frame() -> Vec<u8> {
        [&[0xa0, 1][..], &(chlo().len() as u16).to_be_bytes(), &chlo()].concat()
    }

    fn q043() -> Vec<u8> {
        [&[0x09][..], &[7; 8], b"Q043", &[1], &[0; HASH_LEN], &frame()].concat()
    }

    fn q046() -> Vec<u8> {
        [&[0xc3][..], b"Q046", &[0x50], &[7; 8], &[0, 0, 0, 1], &[0; HASH_LEN], &frame()].concat()
    }

    #[test]
    fn names_of_both_layouts() {
        for (datagram, name) in [(q043(), "Q043"), (q046(), "Q046")] {
            let hello = GoogleHello::read(&datagram).unwrap();
            assert_eq!(hello.version.to_string(), name);
            assert_eq!((hello.server_name, hello.user_agent), (Some(&b"www.example.com"[..]), Some(&b"Chrome/1"[..])));
            for len in 0..datagram.len() {
                let cut = GoogleHello::read(&datagram[..len]);
                assert!(cut.is_none_or(|cut| cut.server_name.is_none_or(|name| Some(name) == hello.server_name)), "{len}");
            }
        }
    }

    #[test]
    fn older_versions_count_from_the_other_end() {
        let len = (chlo().len() as u16).to_le_bytes();
        let datagram = [&[0x0d][..], &[7; 8], b"Q025", &[1], &[0; HASH_LEN], &[0], &[0xa0, 1], &len, &chlo()].concat();
        assert_eq!(GoogleHello::read(&datagram).unwrap().server_name, Some(&b"www.example.com"[..]));
    }

    #[test]
    fn other_streams_and_versions_are_none() {
        let mut datagram = q043();
        datagram[27] = 3;
        assert_eq!(GoogleHello::read(&datagram), None);
        let mut datagram = q046();
        datagram[3..5].copy_from_slice(b"50");
        assert_eq!(GoogleHello::read(&datagram), None);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(at in 0_usize..200, byte in any::<u8>(), which in any::<bool>()) {
            let mut datagram = if which { q043() } else { q046() };
            let at = at % datagram.len();
            datagram[at] = byte;
            GoogleHello::read(&datagram);
        }
    }
}
