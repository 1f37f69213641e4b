//! HTTP/2 without TLS (RFC 9113), as far as it tells gRPC from the rest.
//!
//! Owns the headers of frames, and the one header line that gRPC cannot go without: `content-type: application/grpc`. Lines are not
//! decoded: that line is looked for in the two forms of RFC 7541 that a client can write it in at first. Invariant: at most
//! [`FRAMES_MAX`] frames are looked at.

use super::parsed::Parsed;
use super::reading::ByteReader;

/// What a client sends first (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frames of the client in which its first request is looked for.
pub const FRAMES_MAX: usize = 16;
/// Longest frame that a client may send before it is told otherwise (RFC 9113 section 6.5.2).
const FRAME_LEN_MAX: usize = 16_384;

const HEADERS: u8 = 1;

/// `content-type` by its number in the static table, to be kept, not to be kept, and never to be kept.
const NAMES: [&[u8]; 3] = [&[0x5f], &[0x0f, 0x10], &[0x1f, 0x10]];
const GRPC: &[u8] = b"application/grpc";
/// The same in Huffman's code (RFC 7541 appendix B): 88 bits.
const GRPC_CODED: &[u8] = &[0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64];
const IS_CODED: u8 = 0x80;

/// Whether the first request is one of gRPC, by all that the client has sent.
pub fn is_grpc(client: &[u8]) -> Parsed<bool> {
    let Some(frames) = client.strip_prefix(PREFACE) else {
        return if PREFACE.starts_with(client) { Parsed::More { need: PREFACE.len() } } else { Parsed::No };
    };
    let mut reader = ByteReader::new(frames);
    for _ in 0..FRAMES_MAX {
        let at = client.len() - reader.left().len();
        let mut next = || Some((reader.u24()?, reader.u8()?, reader.take(5)?));
        let Some((len, kind, _)) = next() else { return Parsed::More { need: at + 9 } };
        if len > FRAME_LEN_MAX {
            return Parsed::Done(false);
        }
        let Some(body) = reader.take(len) else { return Parsed::More { need: at + 9 + len } };
        if kind == HEADERS {
            return Parsed::Done(names_grpc(body));
        }
    }
    Parsed::Done(false)
}

fn names_grpc(block: &[u8]) -> bool {
    NAMES.iter().any(|name| {
        let places = block.windows(name.len()).enumerate().filter(|(_, window)| window == name);
        places.map(|(at, _)| &block[at + name.len()..]).any(|value| match value.split_first() {
            Some((len, text)) if len & IS_CODED != 0 => {
                usize::from(len & !IS_CODED) >= GRPC_CODED.len() && text.starts_with(GRPC_CODED)
            }
            Some((len, text)) => usize::from(*len) >= GRPC.len() && text.starts_with(GRPC),
            None => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, body.len() as u8, kind, 4, 0, 0, 0, 1][..], body].concat()
    }

    fn request(content_type: &[u8]) -> Vec<u8> {
        let lines = [&[0x83, 0x86, 0x41, 4][..], b"host", content_type, &[0x40, 2, b't', b'e', 8], b"trailers"].concat();
        [PREFACE, &frame(4, &[]), &frame(8, &[0, 0, 0xff, 0xff]), &frame(HEADERS, &lines)].concat()
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let coded = [&[0x5f, 0x8b][..], GRPC_CODED].concat();
        let plain = [&[0x0f, 0x10, 16][..], GRPC].concat();
        let longer = [&[0x5f, 22][..], GRPC, b"+proto"].concat();
        for content_type in [&coded, &plain, &longer] {
            let whole = request(content_type);
            assert_eq!(is_grpc(&whole), Parsed::Done(true));
            for cut in 0..whole.len() {
                let Parsed::More { need } = is_grpc(&whole[..cut]) else { panic!("{cut}") };
                assert!(cut < need && need <= whole.len(), "{cut}");
            }
        }
        let json = [&[0x5f, 16][..], b"application/json"].concat();
        assert_eq!(is_grpc(&request(&json)), Parsed::Done(false));
        assert_eq!(is_grpc(&request(&coded[..3])), Parsed::Done(false));
        assert_eq!(is_grpc(b"GET / HTTP/1.1\r\n"), Parsed::No);
    }

    #[test]
    fn many_frames_and_long_ones_are_not_waited_for() {
        let many = [PREFACE, &frame(4, &[]).repeat(FRAMES_MAX)].concat();
        assert_eq!(is_grpc(&many), Parsed::Done(false));
        assert_eq!(is_grpc(&[PREFACE, &[1, 0, 0, 0, 0, 0, 0, 0, 0]].concat()), Parsed::Done(false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0x5f)], 0..200)) {
            is_grpc(&[PREFACE, &bytes].concat());
        }
    }
}
