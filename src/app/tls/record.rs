//! TLS records (RFC 8446 section 5.1, RFC 5246 section 6.2.1) as far as they are in the clear.
//!
//! Owns how handshake bytes are joined over records. Its invariants: at most [`FLIGHT_MAX`] bytes are joined, and nothing is read after
//! the side begins to encrypt.

use super::alert::TlsAlert;
use super::handshake::{HandshakeMessages, is_retry_alone};
use crate::app::parsed::Parsed;

/// Handshake bytes of one side that are joined; a ClientHello of today has 2 KiB, long chains of certificates some 10 KiB.
pub const FLIGHT_MAX: usize = 64 * 1024;
/// The longest body of a record, with the expansion that encryption may bring (RFC 5246 section 6.2.3).
const RECORD_MAX: usize = (1 << 14) + 2048;
const HEADER_LEN: usize = 5;
/// Warnings and heartbeats that are passed over in one flight.
const OTHER_RECORDS_MAX: usize = 16;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// Why a flight ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlightEnd {
    /// It does not yet: more may come. Another try tells something new when the stream has this length.
    Open {
        /// That length.
        need: usize,
    },
    /// What follows is encrypted.
    Encrypted,
    /// An alert in the clear that ends the connection.
    Alert(TlsAlert),
    /// Bytes that are no record.
    Broken,
    /// A bound is reached: [`FLIGHT_MAX`], or too many records without handshake bytes.
    Full,
}

/// The handshake bytes that one side sent in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight<'a> {
    /// Version in the first record: an old number for old servers, as a rule.
    pub record_version: u16,
    /// Messages one after the other; the last one may be cut.
    pub handshake: &'a [u8],
    /// The last alert that is but a warning, for example of an unknown server name.
    pub warning: Option<TlsAlert>,
    /// Where it ends.
    pub end: FlightEnd,
    /// Bytes that are missing of the last record's body.
    body_missing: usize,
}

/// A record's header and as much of its body as there is.
struct TlsRecord<'a> {
    kind: u8,
    version: u16,
    len: usize,
    body: &'a [u8],
}

impl<'a> TlsRecord<'a> {
    /// `Parsed::More` counts from the record's own beginning.
    fn read(bytes: &'a [u8]) -> Parsed<Self> {
        let possible = |at: usize, test: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| test(byte));
        if !possible(0, |kind| (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind)) || !possible(1, |major| major == 3) {
            return Parsed::No;
        }
        let Some((&[kind, major, minor, high, low], body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Parsed::More { need: HEADER_LEN };
        };
        let len = usize::from(high) << 8 | usize::from(low);
        let is_empty_data = len == 0 && kind != APPLICATION_DATA;
        if minor > 4 || len > RECORD_MAX || is_empty_data {
            return Parsed::No;
        }
        let version = u16::from(major) << 8 | u16::from(minor);
        Parsed::Done(Self { kind, version, len, body: &body[..body.len().min(len)] })
    }

    fn is_whole(&self) -> bool {
        self.body.len() == self.len
    }
}

impl<'a> Flight<'a> {
    /// Of the bytes that one side has sent so far. `joined` takes the handshake bytes where they stand in more than one record.
    pub fn read(stream: &'a [u8], joined: &'a mut Vec<u8>) -> Parsed<Self> {
        joined.clear();
        let first = match TlsRecord::read(stream) {
            Parsed::Done(record) if matches!(record.kind, HANDSHAKE | ALERT) => record,
            Parsed::Done(_) | Parsed::No => return Parsed::No,
            Parsed::More { need } => return Parsed::More { need },
        };
        let record_version = first.version;
        if first.kind == HANDSHAKE && !first.is_whole() {
            let end = FlightEnd::Open { need: HEADER_LEN + first.len };
            let body_missing = first.len - first.body.len();
            return Parsed::Done(Self { record_version, handshake: first.body, warning: None, end, body_missing });
        }
        let (mut at, mut records, mut alone, mut has_skipped, mut warning) = (0, 0, &stream[..0], false, None);
        let (mut others, mut body_missing) = (0, 0);
        let end = loop {
            let record = match TlsRecord::read(&stream[at..]) {
                Parsed::Done(record) => record,
                Parsed::More { need } => break FlightEnd::Open { need: at + need },
                Parsed::No => break FlightEnd::Broken,
            };
            others += usize::from(record.kind != HANDSHAKE);
            body_missing = record.len - record.body.len();
            match record.kind {
                _ if others > OTHER_RECORDS_MAX => break FlightEnd::Full,
                HANDSHAKE if joined.len() + alone.len() + record.body.len() > FLIGHT_MAX => break FlightEnd::Full,
                HANDSHAKE if records == 0 => (records, alone) = (1, record.body),
                HANDSHAKE => {
                    if records == 1 {
                        joined.extend_from_slice(std::mem::take(&mut alone));
                    }
                    records += 1;
                    joined.extend_from_slice(record.body);
                }
                ALERT => match TlsAlert::of_record(record.body, record.len) {
                    Some(alert) if alert.ends_connection() => break FlightEnd::Alert(alert),
                    Some(alert) => warning = Some(alert),
                    None if record.is_whole() => break FlightEnd::Encrypted,
                    None => break FlightEnd::Open { need: at + HEADER_LEN + record.len },
                },
                // After a HelloRetryRequest this record says nothing (RFC 8446 appendix D.4) and a ServerHello follows.
                CHANGE_CIPHER_SPEC if !has_skipped && is_retry_alone(if records == 1 { alone } else { joined }) => {
                    has_skipped = true
                }
                HEARTBEAT => {}
                _ => break FlightEnd::Encrypted,
            }
            if !record.is_whole() {
                break FlightEnd::Open { need: at + HEADER_LEN + record.len };
            }
            at += HEADER_LEN + record.len;
        };
        let handshake = if records <= 1 { alone } else { joined.as_slice() };
        Parsed::Done(Self { record_version, handshake, warning, end, body_missing })
    }

    /// Its messages, in order.
    pub const fn messages(&self) -> HandshakeMessages<'a> {
        HandshakeMessages::new(self.handshake)
    }

    /// The answer where a message that should be there is not, or is cut `missing` bytes before its end. As what is missing comes in records
    /// with headers, the length asked for grows with it, and few calls are made even for records of one byte.
    pub(super) fn without<T>(&self, missing: usize) -> Parsed<T> {
        let FlightEnd::Open { need } = self.end else { return Parsed::No };
        let behind = missing.saturating_sub(self.body_missing);
        // Where a record ended, `need` has the header of the next one.
        let header = if behind > 0 && self.body_missing > 0 { HEADER_LEN } else { 0 };
        Parsed::More { need: need + header + behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::ClientHello;
    use crate::app::tls::tests::{client_hello_bytes, in_records};

    fn flight_of(stream: &[u8]) -> (Vec<u8>, FlightEnd) {
        let mut joined = Vec::new();
        let flight = Flight::read(stream, &mut joined).done().unwrap();
        (flight.handshake.to_vec(), flight.end)
    }

    #[test]
    fn a_message_is_the_same_over_any_records() {
        let hello = client_hello_bytes();
        for len in [1, 2, 3, 100, hello.len(), 16_384] {
            let stream = in_records(&hello, len);
            assert_eq!(flight_of(&stream), (hello.clone(), FlightEnd::Open { need: stream.len() + HEADER_LEN }), "{len}");
        }
        let two = [hello.clone(), hello.clone()].concat();
        let mut joined = Vec::new();
        let stream = in_records(&two, 16_384);
        let flight = Flight::read(&stream, &mut joined).done().unwrap();
        assert_eq!(flight.messages().filter(|message| message.is_whole).count(), 2);
        assert!(joined.is_empty(), "one record is not copied");
    }

    #[test]
    fn encryption_alerts_and_rubbish_end_it() {
        let mut stream = in_records(&client_hello_bytes(), 16_384);
        let open = stream.len();
        stream.extend([21, 3, 3, 0, 2, 2, 40]);
        let alert = TlsAlert { level: 2, description: 40 };
        assert_eq!(flight_of(&stream).1, FlightEnd::Alert(alert));
        assert_eq!(flight_of(&stream[..open + 6]).1, FlightEnd::Open { need: open + 7 });
        for (after, end) in [
            (&[20, 3, 3, 0, 1, 1][..], FlightEnd::Encrypted),
            (&[23, 3, 3, 0, 9], FlightEnd::Encrypted),
            (b"HTTP/", FlightEnd::Broken),
            (&[22, 3, 3, 0, 0], FlightEnd::Broken),
            (&[22, 3, 3, 0xff, 0], FlightEnd::Broken),
        ] {
            stream.truncate(open);
            stream.extend(after);
            assert_eq!(flight_of(&stream).1, end, "{after:?}");
        }
    }

    #[test]
    fn whoever_waits_for_what_is_asked_calls_seldom() {
        let stream = in_records(&client_hello_bytes(), 1);
        let (mut len, mut calls) = (0, 0);
        let mut joined = Vec::new();
        while let Parsed::More { need } = ClientHello::read_stream(&stream[..len], &mut joined) {
            assert!(need > len && need <= stream.len());
            (len, calls) = (need, calls + 1);
        }
        assert!(len == stream.len() && calls < 60, "{calls} calls");
    }

    #[test]
    fn records_that_say_nothing_have_a_bound() {
        let stream = [21, 3, 3, 0, 2, 1, 112].repeat(OTHER_RECORDS_MAX + 1);
        assert_eq!(flight_of(&stream[..stream.len() - 7]).1, FlightEnd::Open { need: stream.len() - 2 });
        assert_eq!(flight_of(&stream).1, FlightEnd::Full);
    }

    #[test]
    fn a_warning_does_not_end_it() {
        let warning = [21, 3, 3, 0, 2, 1, 112];
        let stream = [&warning[..], &in_records(&client_hello_bytes(), 16_384), &warning[..6], &[0]].concat();
        let mut joined = Vec::new();
        let flight = Flight::read(&stream, &mut joined).done().unwrap();
        assert_eq!(
            (flight.handshake, flight.warning),
            (&client_hello_bytes()[..], Some(TlsAlert { level: 1, description: 112 }))
        );
        assert_eq!(flight.end, FlightEnd::Alert(TlsAlert { level: 1, description: 0 }), "close_notify ends it");
    }

    #[test]
    fn no_more_than_the_bound_is_joined() {
        let long = [&[11, 0xff, 0xff, 0xff][..], &vec![0; 2 * FLIGHT_MAX]].concat();
        let stream = in_records(&long, 1024);
        let (handshake, end) = flight_of(&stream);
        assert_eq!((handshake.len(), end), (FLIGHT_MAX, FlightEnd::Full));
    }

    #[test]
    fn other_protocols_are_none() {
        let mut joined = Vec::new();
        for stream in [&b"GET / HTTP/1.1\r\n"[..], &[22, 2], &[23, 3, 3, 0, 1], &[22, 3, 9, 0, 1]] {
            assert_eq!(Flight::read(stream, &mut joined), Parsed::No, "{stream:?}");
        }
        assert_eq!(Flight::read(&[], &mut joined), Parsed::More { need: 5 });
    }
}
