//! What a packet's payload says, in a line: the protocol, and what of its facts helps to read on.
//!
//! Owns which facts are left out, and how a value is written. Invariant: text out of a packet is escaped unless it is a plain word.

use super::parts::Line;
use crate::flow::{FactId, FactSet, FactValue};
use crate::record::application::{SPOKEN, spoken};
use crate::record::facts::{FACT_SCHEMA, fact_id};

/// Entries of a list that are shown; the others are counted.
const ENTRIES_SHOWN_MAX: usize = 6;
/// Bytes of a word that is shown as it is.
const WORD_LEN_MAX: usize = 64;

/// Facts that a line has no room for: fingerprints, what only a whole flow can say, and what is said already. The packet's layers have
/// them.
const LEFT_OUT: &[FactId] = &[
    SPOKEN,
    fact_id("app", "source"),
    fact_id("tls", "ja4"),
    fact_id("tls", "ja3"),
    fact_id("tls", "ja3s"),
    fact_id("tls", "issuer"),
    fact_id("tls", "names"),
    fact_id("tls", "not_before"),
    fact_id("tls", "not_after"),
    fact_id("quic", "ja4"),
    fact_id("dns", "queries"),
    fact_id("dns", "responses"),
    fact_id("http", "requests"),
    fact_id("ssh", "banner"),
    fact_id("ssh", "hassh"),
    fact_id("ssh", "hassh_server"),
    fact_id("ssh", "state"),
];

impl Line<'_, '_> {
    /// ` dns name=www.example.com type=A`; nothing where there are no facts.
    #[inline(never)]
    pub fn facts(&mut self, facts: FactSet<'_>) {
        let Some(protocol) = spoken(facts) else { return };
        self.paint(self.palette.other, |line| {
            line.text(" ");
            line.foreign(protocol);
        });
        for (id, value) in facts.iter().filter(|(id, _)| !LEFT_OUT.contains(id)) {
            let object = FACT_SCHEMA.get(usize::from(id.object));
            if let Some(member) = object.and_then(|object| object.members.get(usize::from(id.member))) {
                self.fact(member.name, value);
            }
        }
    }

    fn fact(&mut self, name: &str, value: FactValue<'_>) {
        self.text(" ");
        self.text(name);
        match value {
            // That it is there says that it is so.
            FactValue::Boolean(_) => {}
            FactValue::Number(number) => self.pair("=", number),
            FactValue::Text(text) => {
                self.text("=");
                self.foreign(text);
            }
            FactValue::List(list) => {
                let mut before = "=";
                for text in list.iter().take(ENTRIES_SHOWN_MAX) {
                    self.text(before);
                    self.foreign(text);
                    before = ",";
                }
                match list.iter().count().saturating_sub(ENTRIES_SHOWN_MAX) {
                    0 => {}
                    more => self.pair(",+", more as u64),
                }
            }
        }
    }

    /// Text out of a packet: as it is where it is a word, in quotes and escaped where not.
    fn foreign(&mut self, text: &[u8]) {
        let is_plain = |&byte: &u8| byte.is_ascii_alphanumeric() || b"._-/:@*+".contains(&byte);
        if !text.is_empty() && text.len() <= WORD_LEN_MAX && text.iter().all(is_plain) {
            self.out.word(text);
        } else {
            self.quoted(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::packet_line::{LineStyle, LineTime, PacketLines};
    use crate::record::payload_detail;
    use crate::record::text::pushed;
    use crate::wire::tests::build::{ethernet, ipv4, tcp, udp_ports};
    use netscope_backends::{LinkType, Packet, Timestamp};

    const STYLE: LineStyle =
        LineStyle { time: LineTime::Epoch, first_date: false, link: false, absolute_seq: false, payload: true, color: false };
    /// A query for `a.example`, type A.
    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

    /// What stands behind the payload's length, and the values of the layer.
    fn said(payload: bool, frame: &[u8]) -> (String, Vec<(&'static str, String)>) {
        let packet = Packet { data: frame, time: Timestamp(0), wire_len: frame.len() as u32, link_type: LinkType::ETHERNET };
        let style = LineStyle { payload, ..STYLE };
        let line = String::from_utf8(pushed(|out| PacketLines::new(style).push(out, 1, None, &packet))).expect("UTF-8");
        let (_, behind) = line.split_once("len=").expect("a length");
        let (facts, _) = behind.split_once(" frame=").expect("the frame's length");
        let facts = facts.split_once(' ').map_or("", |(_, facts)| facts).to_owned();
        let fields = payload_detail(&packet).map(|view| view.fields).unwrap_or_default();
        (facts, fields.into_iter().map(|(name, value, _)| (name, value)).collect())
    }

    fn http(path: &str) -> Vec<u8> {
        ethernet(
            0x800,
            &ipv4(6, &tcp(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: a b\"\u{202e}\r\n\r\n").as_bytes())),
        )
    }

    #[test]
    fn the_payload_is_told_by_its_facts() {
        let query = ethernet(0x800, &ipv4(17, &udp_ports(40_000, 53, QUERY)));
        let (line, fields) = said(true, &query);
        assert_eq!(line, "dns name=a.example type=A");
        assert!(
            fields.contains(&("protocol", "dns".to_owned())) && fields.contains(&("name", "a.example".to_owned())),
            "{fields:?}"
        );
        assert_eq!(said(false, &query).0, "", "where no payload is looked at");
        let (line, _) = said(true, &http("/x"));
        assert_eq!(line, "http method=GET host=a.example path=/x user_agent=\"a b\\\"\\u{202e}\" version=1.1");
        assert_eq!(said(true, &ethernet(0x800, &ipv4(6, &tcp(b"ab")))), (String::new(), Vec::new()));
    }

    #[test]
    fn text_out_of_packets_is_bounded_and_has_no_controls() {
        let (line, fields) = said(true, &http(&format!("/{}", "x".repeat(900))));
        assert!(line.len() < 300 && line.contains("\u{2026}"), "{line}");
        assert!(fields.iter().all(|(_, value)| value.chars().all(|c| !c.is_control() && c != '\u{202e}')), "{fields:?}");
    }
}
