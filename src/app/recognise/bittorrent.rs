//! BitTorrent: peers (BEP 3), the distributed table (BEP 5), trackers (BEP 15), peers nearby (BEP 14).
//!
//! Owns their first bytes.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

/// What a client of a tracker sends first.
const TRACKER_MAGIC: [u8; 12] = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0];

/// Of a stream.
pub(super) fn read_stream<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    look.expect(b"\x13BitTorrent protocol")?;
    // Eight bytes of flags, the hash, the peer's number, which begins with its program: `-qB4500-`.
    look.take(8 + 20)?;
    let peer = look.take(20)?;
    let is_program = peer[0] == b'-' && peer[7] == b'-';
    Ok(AppMark::of(AppProtocol::BitTorrent).software(is_program.then_some(&peer[1..7])))
}

/// Of a datagram.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let bytes = if client.is_empty() { server } else { client };
    let mut look = Look::datagram(bytes);
    if look.expect(&TRACKER_MAGIC).is_ok() {
        ensure(bytes.len() == 16)?;
    } else {
        // Peers of the local network are looked for as SSDP looks for devices (BEP 14).
        if look.expect(b"BT-SEARCH * HTTP/1.1\r\n").is_ok() {
            return Ok(AppMark::of(AppProtocol::BitTorrent));
        }
        look.expect_one(&[b"d1:ad2:id20:", b"d1:rd2:id20:", b"d1:eli20", b"d2:ip"])?;
        ensure(bytes.ends_with(b"e"))?;
    }
    Ok(AppMark::of(AppProtocol::BitTorrent))
}
