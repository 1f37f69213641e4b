//! Addresses that a response gives for the name that was asked.
//!
//! Owns the way from the question through aliases (CNAME) to addresses. Invariant: the records are gone over once, and no more of them than
//! [`RECORDS_MAX`], so a response costs a bounded number of steps.

use super::message::DnsMessage;
use super::name::NameText;
use super::record::DnsValue;
use std::net::IpAddr;

/// Records of one response that are looked at.
const RECORDS_MAX: usize = 64;
/// The class of the Internet.
const INTERNET: u16 = 1;
/// The results that go with an answer.
const NO_ERROR: u16 = 0;

/// Tells the name that was asked, in small letters, and each address that the response gives for it. An alias counts for what comes behind
/// it, as for resolvers that read an answer in order.
///
/// How many records were not looked at.
pub fn resolved_addresses(message: &DnsMessage<'_>, tell: impl FnMut(&[u8], IpAddr)) -> u64 {
    if !message.is_response() || message.short_rcode() != NO_ERROR || message.answer_count() == 0 {
        return 0;
    }
    tell_addresses(message, tell);
    message.answers().skip(RECORDS_MAX).count() as u64
}

fn tell_addresses(message: &DnsMessage<'_>, mut tell: impl FnMut(&[u8], IpAddr)) {
    let Some(question) = message.questions().next() else { return };
    let (mut asked, mut owner) = (NameText::default(), NameText::default());
    // Of the root there are no addresses.
    if question.name.write(&mut asked).is_none_or(|name| name == b".") {
        return;
    }
    asked.make_lowercase();
    let mut current = asked;
    for record in message.answers().take(RECORDS_MAX).filter(|record| record.class == INTERNET) {
        let value = record.value();
        if !matches!(value, DnsValue::Ipv4(_) | DnsValue::Ipv6(_) | DnsValue::Name(_)) {
            continue;
        }
        if record.name.write(&mut owner).is_none_or(|name| !name.eq_ignore_ascii_case(current.as_bytes())) {
            continue;
        }
        match value {
            DnsValue::Ipv4(address) => tell(asked.as_bytes(), address.into()),
            DnsValue::Ipv6(address) => tell(asked.as_bytes(), address.into()),
            // What comes behind it is that name's; a broken one leads nowhere.
            DnsValue::Name(target) if record.is_alias() && target.write(&mut current).is_none() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name without pointers.
    fn name(text: &str) -> Vec<u8> {
        let labels = text.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect()
    }

    fn record(owner: &str, kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = name(owner);
        bytes.extend(kind.to_be_bytes().into_iter().chain(class.to_be_bytes()));
        bytes.extend([0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    fn response(flags: u16, asked: &str, answers: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0, 7];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend((answers.len() as u16).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(name(asked));
        bytes.extend([0, 1, 0, 1]);
        bytes.extend(answers.concat());
        bytes
    }

    fn told(bytes: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        let message = DnsMessage::read(bytes).expect("a message");
        resolved_addresses(&message, |name, address| told.push(format!("{} {address}", name.escape_ascii())));
        told
    }

    #[test]
    fn addresses_have_the_name_that_was_asked_whatever_it_is_an_alias_of() {
        let answers = [
            record("WWW.example.com", 5, 1, &name("a.cdn.net")),
            record("a.CDN.net", 5, 1, &name("b.cdn.net")),
            record("b.cdn.net", 1, 1, &[192, 0, 2, 1]),
            record("other.net", 1, 1, &[192, 0, 2, 9]),
            record("b.cdn.net", 28, 1, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            record("b.cdn.net", 1, 3, &[192, 0, 2, 8]),
            record("b.cdn.net", 1, 1, &[192, 0, 2]),
        ];
        let bytes = response(0x8180, "www.Example.com", &answers);
        assert_eq!(told(&bytes), ["www.example.com 192.0.2.1", "www.example.com 2001:db8::1"]);
        for cut in 12..bytes.len() {
            if let Some(message) = DnsMessage::read_cut(&bytes[..cut], bytes.len()) {
                resolved_addresses(&message, |name, _| assert_eq!(name, b"www.example.com"));
            }
        }
    }

    #[test]
    fn queries_failures_and_the_root_tell_nothing() {
        let address = [record("a.b", 1, 1, &[192, 0, 2, 1])];
        assert_eq!(told(&response(0x8180, "a.b", &address)), ["a.b 192.0.2.1"]);
        assert_eq!(told(&response(0x0100, "a.b", &address)), [""; 0]);
        assert_eq!(told(&response(0x8183, "a.b", &address)), [""; 0]);
        assert_eq!(told(&response(0x8180, "a.c", &address)), [""; 0]);
        let mut root = response(0x8180, "", &[record("", 1, 1, &[192, 0, 2, 1])]);
        // The helper writes the root as an empty label and its end.
        root.remove(12);
        assert_eq!(told(&root), [""; 0]);
    }

    #[test]
    fn aliases_in_a_ring_and_very_many_records_end() {
        let ring = [record("a.b", 5, 1, &name("c.d")), record("c.d", 5, 1, &name("a.b")), record("a.b", 1, 1, &[192, 0, 2, 1])];
        assert_eq!(told(&response(0x8180, "a.b", &ring)), ["a.b 192.0.2.1"]);
        let many: Vec<Vec<u8>> = (0..200).map(|at| record("a.b", 1, 1, &[192, 0, 2, at])).collect();
        assert_eq!(told(&response(0x8180, "a.b", &many)).len(), RECORDS_MAX);
    }
}
