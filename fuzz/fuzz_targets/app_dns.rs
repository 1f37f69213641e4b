//! A DNS message over a datagram and over a stream: no panic, every name and value readable or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::app::Parsed;
use netscope::app::dns::{DnsMessage, DnsValue, NAME_TEXT_MAX, NameText, NetbiosName};

fn walk(message: &DnsMessage<'_>) {
    let mut text = NameText::default();
    for question in message.questions() {
        assert!(question.name.write(&mut text).is_none_or(|text| text.is_ascii() && text.len() <= NAME_TEXT_MAX));
        NetbiosName::of(question.name);
    }
    for record in message.records() {
        record.name.write(&mut text);
        if let DnsValue::Name(name) | DnsValue::MailExchange { exchange: name, .. } = record.value() {
            name.write(&mut text);
        }
    }
    message.rcode();
    message.is_whole();
}

fuzz_target!(|data: &[u8]| {
    DnsMessage::read(data).iter().for_each(walk);
    DnsMessage::read_cut(data, 65_535).iter().for_each(walk);
    match DnsMessage::read_stream(data) {
        Parsed::Done((message, len)) => {
            assert!(len <= data.len());
            walk(&message);
        }
        Parsed::More { need } => assert!(need > data.len()),
        Parsed::No => {}
    }
});
