//! PostgreSQL (its protocol 3): the startup message, and TLS behind a request for it.
//!
//! Owns how a connection begins. A client begins with 0x00 0x00, a length, and one of four numbers.

use super::{tls, write_app_with};
use crate::app::{Conversation, FactBuffer, FactWriter, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const POSTGRESQL: StreamProtocol = StreamProtocol { is_spoken, read };

/// Number of its facts.
const OBJECT: u8 = 7;

/// Members of its object.
mod member {
    pub(super) const USER: u8 = 0;
    pub(super) const DATABASE: u8 = 1;
    pub(super) const APPLICATION: u8 = 2;
    pub(super) const TLS: u8 = 3;
}

/// What a client asks for TLS with, for GSSAPI, and for the end of another connection's query.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];
/// The major version in a startup message, and the message's longest form that a server takes.
const MAJOR: u8 = 3;
const STARTUP_LEN_MAX: usize = 10_000;
/// Length and version, before the parameters.
const HEADER_LEN: usize = 8;
/// Parameters that are looked at, and the longest value that is told.
const PARAMETERS_MAX: usize = 32;
const TEXT_MAX: usize = 128;

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    let client = conversation.client;
    if [TLS_REQUEST, GSS_REQUEST, CANCEL_REQUEST].iter().any(|request| client.starts_with(request)) {
        return Parsed::Done(());
    }
    match *client {
        // A name of a parameter tells it from other protocols with a length and a small number in front.
        [0, 0, _, _, 0, MAJOR, 0, _, first, ..] => {
            let is_startup = (HEADER_LEN + 2..=STARTUP_LEN_MAX).contains(&startup_len(client)) && first.is_ascii_alphabetic();
            if is_startup { Parsed::Done(()) } else { Parsed::No }
        }
        [0, 0, ..] | [0] if client.len() <= HEADER_LEN => Parsed::More { need: HEADER_LEN + 1 },
        _ => Parsed::No,
    }
}

/// Length in the header; zero without one.
fn startup_len(client: &[u8]) -> usize {
    client.first_chunk().map_or(0, |len| u32::from_be_bytes(*len) as usize)
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let (mut client, mut server) = (conversation.client, conversation.server);
    let mut skipped = [0, 0];
    // A client may ask for both, one after the other.
    for _ in 0..2 {
        let is_tls = client.starts_with(&TLS_REQUEST);
        if !is_tls && !client.starts_with(&GSS_REQUEST) {
            break;
        }
        let Some(&answer) = server.first() else {
            write_start(&Startup::default(), false, facts);
            return Reading { client: Wanted::Bytes(skipped[0] + 9), server: Wanted::Bytes(skipped[1] + 1) };
        };
        (client, server) = (&client[8..], &server[1..]);
        skipped = [skipped[0] + 8, skipped[1] + 1];
        if is_tls && answer == b'S' {
            write_start(&Startup::default(), true, facts);
            let inside = Conversation { client, server, ..*conversation };
            let Reading { client, server } = tls::read_inside(&inside, facts);
            return Reading { client: client.after(skipped[0]), server: server.after(skipped[1]) };
        }
    }
    if client.is_empty() {
        write_start(&Startup::default(), false, facts);
        return Reading { client: Wanted::Bytes(skipped[0] + HEADER_LEN + 1), server: Wanted::Nothing };
    }
    let len = startup_len(client).clamp(HEADER_LEN, STARTUP_LEN_MAX);
    let whole = client.get(..len);
    write_start(&whole.map(Startup::read).unwrap_or_default(), false, facts);
    let more = if whole.is_some() { Wanted::Nothing } else { Wanted::Bytes(skipped[0] + len) };
    Reading { client: more, server: Wanted::Nothing }
}

fn write_start(startup: &Startup<'_>, is_tls: bool, facts: &mut FactBuffer) {
    let version = startup.minor.map(|minor| format!("{MAJOR}.{minor}")).unwrap_or_default();
    write_app_with("postgresql", [version.as_bytes(), startup.application, startup.database], facts);
    let mut postgresql = facts.object(OBJECT);
    startup.write(&mut postgresql);
    postgresql.flag(member::TLS, is_tls);
}

/// A startup message.
#[derive(Default)]
struct Startup<'a> {
    minor: Option<u8>,
    user: &'a [u8],
    database: &'a [u8],
    application: &'a [u8],
}

impl<'a> Startup<'a> {
    /// Pairs of strings behind the header, each with a zero behind it.
    fn read(message: &'a [u8]) -> Self {
        let mut startup = Self::default();
        let [0, 0, _, _, 0, MAJOR, 0, minor, parameters @ ..] = message else { return startup };
        startup.minor = Some(*minor);
        let mut strings = parameters.split(|&byte| byte == 0);
        for _ in 0..PARAMETERS_MAX {
            let (Some(name), Some(value)) = (strings.next(), strings.next()) else { break };
            let value = &value[..value.len().min(TEXT_MAX)];
            match name {
                b"user" => startup.user = value,
                b"database" => startup.database = value,
                b"application_name" => startup.application = value,
                _ => {}
            }
        }
        startup
    }

    fn write(&self, postgresql: &mut FactWriter<'_>) {
        postgresql.text(member::USER, self.user);
        postgresql.text(member::DATABASE, self.database);
        postgresql.text(member::APPLICATION, self.application);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactId, FactValue};
    use proptest::prelude::*;

    fn startup(minor: u8) -> Vec<u8> {
        let parameters = b"user\0me\0database\0shop\0application_name\0psql\0\0";
        [&[0, 0, 0, parameters.len() as u8 + 8, 0, MAJOR, 0, minor][..], parameters].concat()
    }

    fn of<'a>(client: &'a [u8], server: &'a [u8]) -> Conversation<'a> {
        Conversation::new(client, server, 5432)
    }

    fn told(client: &[u8], server: &[u8]) -> (Vec<String>, Reading) {
        let mut facts = FactBuffer::default();
        let reading = read(&of(client, server), &mut facts);
        let text = |object, member| match facts.facts().get(FactId { object, member }) {
            Some(FactValue::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Some(FactValue::Boolean(value)) => value.to_string(),
            _ => String::new(),
        };
        ([(0, 0), (0, 2), (0, 3), (0, 4), (7, 0), (7, 1), (7, 3)].map(|(object, member)| text(object, member)).to_vec(), reading)
    }

    #[test]
    fn a_startup_message_tells_who_wants_what() {
        for client in
            [startup(0), [&TLS_REQUEST[..], &startup(0)].concat(), [&GSS_REQUEST[..], &TLS_REQUEST, &startup(0)].concat()]
        {
            assert_eq!(is_spoken(&of(&client, b"NN")), Parsed::Done(()));
            let expected = ["postgresql", "3.0", "psql", "shop", "me", "shop", ""].map(str::to_owned).to_vec();
            assert_eq!(told(&client, b"NN"), (expected, Reading::DONE));
        }
        assert_eq!(told(&startup(2), b"").0[1], "3.2");
        assert_eq!(told(&TLS_REQUEST, b"S").0, ["postgresql", "", "", "", "", "", "true"]);
        assert_eq!(told(&TLS_REQUEST, b"").0[0], "postgresql");
        assert_eq!(told(&CANCEL_REQUEST, b"").0[0], "postgresql");
    }

    #[test]
    fn each_cut_asks_for_more() {
        for whole in [startup(0), TLS_REQUEST.to_vec()] {
            for cut in 1..whole.len() {
                match is_spoken(&of(&whole[..cut], b"")) {
                    Parsed::More { need } => assert!(cut <= HEADER_LEN && need > cut),
                    Parsed::Done(()) => assert!(cut > HEADER_LEN),
                    Parsed::No => panic!("{cut}"),
                }
                let (_, Reading { client, .. }) = told(&whole[..cut], b"");
                assert!(client == Wanted::Bytes(whole.len()) || cut < 4 || whole.len() == 8, "{cut}");
            }
        }
    }

    #[test]
    fn other_protocols_with_a_length_in_front_are_none() {
        // Kafka's request for what topics there are.
        let kafka = b"\0\0\0\x17\0\x03\0\0\0\0\0\x01\0\x09my-client\0\0\0\0";
        assert_eq!(is_spoken(&of(kafka, b"")), Parsed::No);
        assert_eq!(is_spoken(&of(b"\0\0\0\x54\xffSMB\x72", b"")), Parsed::No);
        assert_eq!(is_spoken(&of(b"", b"220 hello\r\n")), Parsed::No);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(which in 0_usize..4, bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..80), server in prop::collection::vec(any::<u8>(), 0..40)) {
            let start = startup(0);
            let begin = [&start[..12], &TLS_REQUEST, &GSS_REQUEST, &[]][which];
            told(&[begin, &bytes].concat(), &server);
            is_spoken(&of(&[begin, &bytes].concat(), &server));
        }
    }
}
