//! SOCKS 4 and 5 (RFC 1928, RFC 1929): the handshake in front of another protocol.
//!
//! Owns where it ends; users and passwords are passed over. A client begins with 0x04 or 0x05, a server with 0x00 or 0x05. Invariant: a
//! handshake is at most [`HANDSHAKE_MAX`] bytes long on each side.

use super::parsed::Parsed;
use super::reading::ByteReader;

/// Longest handshake of a side.
pub const HANDSHAKE_MAX: usize = 1024;
/// Methods that a client offers at most; eight are registered.
const METHODS_MAX: usize = 16;
/// Longest text with its end.
const TEXT_MAX: usize = 256;

const NO_PASSWORD: u8 = 0;
const PASSWORD: u8 = 2;
const REFUSED: u8 = 0xff;

/// What a handshake tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocksOpening<'a> {
    /// 4 or 5.
    pub version: u8,
    /// The host that is asked for, where it has a name.
    pub host: Option<&'a [u8]>,
    /// Lengths of both sides' handshakes; `None` where an end is not there yet, or never comes in a form that is known.
    pub lens: Option<[usize; 2]>,
}

/// Why a read ends.
enum SocksEnd {
    More,
    No,
}

struct SocksSide<'a> {
    reader: ByteReader<'a>,
}

impl<'a> SocksSide<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: ByteReader::new(bytes) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], SocksEnd> {
        self.reader.take(len).ok_or(SocksEnd::More)
    }

    fn u8(&mut self) -> Result<u8, SocksEnd> {
        self.reader.u8().ok_or(SocksEnd::More)
    }

    /// A text up to a zero.
    fn text(&mut self) -> Result<&'a [u8], SocksEnd> {
        let left = self.reader.left();
        match left.iter().take(TEXT_MAX).position(|&byte| byte == 0) {
            Some(len) => self.take(len + 1).map(|text| &text[..len]),
            None if left.len() < TEXT_MAX => Err(SocksEnd::More),
            None => Err(SocksEnd::No),
        }
    }

    fn len(&self, whole: &[u8]) -> usize {
        whole.len() - self.reader.left().len()
    }
}

fn ensure(holds: bool) -> Result<(), SocksEnd> {
    if holds { Ok(()) } else { Err(SocksEnd::No) }
}

impl<'a> SocksOpening<'a> {
    /// Of the bytes that both sides have sent so far. `need` of [`Parsed::More`] is one more than the shorter side has.
    pub fn read_stream(client: &'a [u8], server: &'a [u8]) -> Parsed<Self> {
        let read = || match SocksSide::new(client).u8()? {
            4 => version_4(client, server),
            5 => version_5(client, server),
            _ => Err(SocksEnd::No),
        };
        match read() {
            Ok(opening) => Parsed::Done(opening),
            Err(SocksEnd::More) if client.len().min(server.len()) < HANDSHAKE_MAX => {
                Parsed::More { need: client.len().min(server.len()) + 1 }
            }
            Err(_) => Parsed::No,
        }
    }
}

fn version_4<'a>(client: &'a [u8], server: &'a [u8]) -> Result<SocksOpening<'a>, SocksEnd> {
    let (mut look, mut answer) = (SocksSide::new(client), SocksSide::new(server));
    look.u8()?;
    ensure(matches!(look.u8()?, 1 | 2))?;
    ensure(look.take(2)? != [0, 0])?;
    let address = look.take(4)?;
    ensure(look.text()?.iter().all(u8::is_ascii_graphic))?;
    // An address 0.0.0.x stands for a name (SOCKS 4a).
    let host = if address[..3] == [0; 3] && address[3] != 0 { Some(look.text()?) } else { None };
    ensure(answer.u8()? == 0)?;
    ensure((0x5a..=0x5d).contains(&answer.u8()?))?;
    let lens = answer.take(6).ok().map(|_| [look.len(client), 8]);
    Ok(SocksOpening { version: 4, host, lens })
}

fn version_5<'a>(client: &'a [u8], server: &'a [u8]) -> Result<SocksOpening<'a>, SocksEnd> {
    let (mut look, mut answer) = (SocksSide::new(client), SocksSide::new(server));
    look.u8()?;
    let count = usize::from(look.u8()?);
    ensure((1..=METHODS_MAX).contains(&count))?;
    let methods = look.take(count)?;
    ensure(answer.u8()? == 5)?;
    let method = answer.u8()?;
    ensure(method == REFUSED || methods.contains(&method))?;
    let mut opening = SocksOpening { version: 5, host: None, lens: None };
    if method == PASSWORD {
        // Version 1 of that, a user and a password; the answer is two bytes.
        ensure(look.u8()? == 1)?;
        for _ in 0..2 {
            let len = look.u8()?.into();
            look.take(len)?;
        }
        ensure(answer.u8()? == 1)?;
        if answer.u8()? != 0 {
            return Ok(opening);
        }
    } else if method != NO_PASSWORD {
        return Ok(opening);
    }
    ensure(look.u8()? == 5)?;
    ensure((1..=3).contains(&look.u8()?))?;
    ensure(look.u8()? == 0)?;
    opening.host = address(&mut look)?;
    // The port.
    look.take(2)?;
    let end = (|| {
        let [5, 0..=8, 0] = *answer.take(3)? else { return Err(SocksEnd::No) };
        address(&mut answer)?;
        answer.take(2)
    })();
    opening.lens = end.ok().map(|_| [look.len(client), answer.len(server)]);
    Ok(opening)
}

/// A name, or an address that is none.
fn address<'a>(side: &mut SocksSide<'a>) -> Result<Option<&'a [u8]>, SocksEnd> {
    let len = match side.u8()? {
        1 => 4,
        4 => 16,
        3 => {
            let len = side.u8()?.into();
            return side.take(len).map(Some);
        }
        _ => return Err(SocksEnd::No),
    };
    side.take(len).map(|_| None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIVE: [&[u8]; 2] = [&[5, 2, 0, 2, 5, 1, 0, 3, 2, b'a', b'b', 1, 187], &[5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 1, 2]];
    const PASSWORD_GIVEN: [&[u8]; 2] =
        [b"\x05\x01\x02\x01\x02me\x06secret\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", &[5, 2, 1, 0]];
    const FOUR: [&[u8]; 2] = [b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0", &[0, 0x5a, 0, 0, 0, 0, 0, 0]];
    const FOUR_A: [&[u8]; 2] = [b"\x04\x01\x01\xbb\0\0\0\x01\0example.com\0", &[0, 0x5a]];

    fn read([client, server]: [&[u8]; 2]) -> Option<SocksOpening<'_>> {
        SocksOpening::read_stream(client, server).done()
    }

    fn opening(version: u8, host: Option<&[u8]>, lens: Option<[usize; 2]>) -> Option<SocksOpening<'_>> {
        Some(SocksOpening { version, host, lens })
    }

    #[test]
    fn handshakes_tell_the_host_and_where_they_end() {
        assert_eq!(read(FIVE), opening(5, Some(&b"ab"[..]), Some([13, 12])));
        assert_eq!(read(PASSWORD_GIVEN), opening(5, None, None));
        assert_eq!(read(FOUR), opening(4, None, Some([11, 8])));
        assert_eq!(read(FOUR_A), opening(4, Some(&b"example.com"[..]), None));
        assert_eq!(read([&[5, 1, 2], &[5, 0xff]]), opening(5, None, None), "refused");
    }

    #[test]
    fn each_cut_asks_for_more_and_others_are_none() {
        for [client, server] in [FIVE, PASSWORD_GIVEN, FOUR, FOUR_A] {
            let cuts = (0..client.len()).map(|cut| [&client[..cut], server]);
            for cut in cuts.chain((0..server.len()).map(|cut| [client, &server[..cut]])) {
                let answer = SocksOpening::read_stream(cut[0], cut[1]);
                let len = cut[0].len().min(cut[1].len());
                assert!(
                    answer == Parsed::More { need: len + 1 } || answer.map(|opening| opening.lens) == Parsed::Done(None),
                    "{cut:?}"
                );
            }
        }
        // Cassandra's frame, DCE/RPC's header.
        assert_eq!(read([b"\x04\0\0\0\x05\0\0\0\0", b"\x84\0\0\0\x06\0\0\0\0"]), None);
        assert_eq!(SocksOpening::read_stream(&[5, 0, 11, 3, 16, 0, 0, 0], &[5, 0, 12]), Parsed::No);
        assert_eq!(SocksOpening::read_stream(&[5, 1, 0], &[5, 2]), Parsed::No);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            client in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..6], 0..80),
            server in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..6], 0..40),
        ) {
            if let Parsed::Done(SocksOpening { lens: Some([client_len, server_len]), .. }) = SocksOpening::read_stream(&client, &server) {
                prop_assert!(client_len <= client.len() && server_len <= server.len());
            }
        }
    }
}
