//! TLS that begins behind another protocol: a proxy's handshake (SOCKS, CONNECT), STARTTLS, PostgreSQL's request for it.
//!
//! Owns the search. Its invariant: each position is looked at once, and no more than [`BEHIND_MAX`] of them.

use super::handshake::{CLIENT_HELLO, SERVER_HELLO};

/// Bytes of another protocol behind which TLS is looked for.
pub const BEHIND_MAX: usize = 8 * 1024;

/// Header of a record, header of a message, version of the hello.
const BEGINNING_LEN: usize = 11;
const RECORD_HEADER_LEN: usize = 5;
const HANDSHAKE: u8 = 22;
/// Shortest body of a hello: version, random, and the length of the session's number.
const HELLO_LEN_MIN: usize = 35;
const HELLO_LEN_MAX: usize = 16 * 1024;

/// Where a client's TLS begins in the bytes that it has sent so far; `None` where no beginning of a ClientHello is (yet) there. Eleven
/// bytes have to agree, two of them lengths, so chance does not make one.
pub fn client_hello_behind(stream: &[u8]) -> Option<usize> {
    hello_behind(stream, CLIENT_HELLO)
}

/// Where a server's TLS begins; see [`client_hello_behind`].
pub fn server_hello_behind(stream: &[u8]) -> Option<usize> {
    hello_behind(stream, SERVER_HELLO)
}

fn hello_behind(stream: &[u8], kind: u8) -> Option<usize> {
    let looked_at = &stream[..stream.len().min(BEHIND_MAX)];
    memchr::memchr_iter(HANDSHAKE, looked_at).find(|&at| {
        let Some(&[_, 3, minor, high, low, message, a, b, c, 3, hello_minor]) = stream[at..].first_chunk() else { return false };
        let record_len = usize::from(high) << 8 | usize::from(low);
        let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // A record of a client holds the hello alone; a server may put more behind it, and either may cut it.
        let fits = record_len == len + 4
            || (record_len > len + 4 && kind == SERVER_HELLO)
            || (BEGINNING_LEN - RECORD_HEADER_LEN..len + 4).contains(&record_len);
        message == kind && minor <= 4 && hello_minor <= 4 && (HELLO_LEN_MIN..=HELLO_LEN_MAX).contains(&len) && fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::tests::{client_hello_bytes, in_records, ja4_example};
    use crate::app::tls::{ClientHello, ServerHello};
    use proptest::prelude::*;

    #[test]
    fn hellos_behind_other_protocols_are_found() {
        for before in [
            &b""[..],
            b"CONNECT a:443 HTTP/1.1\r\n\r\n",
            b"EHLO x\r\nSTARTTLS\r\n",
            &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f],
            &[5, 1, 0, 22, 3],
        ] {
            let stream = [before, &ja4_example()].concat();
            assert_eq!(client_hello_behind(&stream), Some(before.len()));
            let mut joined = Vec::new();
            assert!(ClientHello::read_stream(&stream[before.len()..], &mut joined).done().is_some());
            assert_eq!(client_hello_behind(&stream[..before.len() + BEGINNING_LEN - 1]), None);
            assert_eq!(server_hello_behind(&stream), None);
        }
        let in_pieces = [&b"\r\n"[..], &in_records(&client_hello_bytes(), 100)].concat();
        assert_eq!(client_hello_behind(&in_pieces), Some(2));
    }

    #[test]
    fn a_server_s_hello_may_share_its_record() {
        let body = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
        assert!(ServerHello::read(&body).is_some());
        let hello = [&[2, 0, 0, body.len() as u8], &body[..], &[14, 0, 0, 0]].concat();
        let stream = [&b"220 go\r\n"[..], &in_records(&hello, 16_384)].concat();
        assert_eq!((server_hello_behind(&stream), client_hello_behind(&stream)), (Some(8), None));
    }

    #[test]
    fn the_search_has_a_bound_and_lengths_have_to_agree() {
        let far = [&vec![b' '; BEHIND_MAX][..], &ja4_example()].concat();
        assert_eq!(client_hello_behind(&far), None);
        assert_eq!(client_hello_behind(&far[1..]), Some(BEHIND_MAX - 1));
        let mut wrong = ja4_example();
        wrong[3] = 1;
        assert_eq!(client_hello_behind(&wrong[..]), Some(0), "cut into records");
        wrong[3] = 0x40;
        assert_eq!(client_hello_behind(&wrong[..]), None, "a record that is longer than the hello");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(22), Just(3), Just(1)], 0..200)) {
            client_hello_behind(&bytes);
            server_hello_behind(&bytes);
        }
    }
}
