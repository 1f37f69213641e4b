//! What the DNS messages of one flow tell together.
//!
//! Owns the lists that are kept of them, and their bounds. Used for DNS over UDP and TCP, mDNS, LLMNR and NetBIOS alike.

use crate::app::dns::{DnsMessage, DnsName, DnsRecord, DnsValue, NameText, NetbiosName, dns_rcode_name, dns_type_name};
use crate::app::{FactBuffer, FactId};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Number of its facts.
pub(super) const OBJECT: u8 = 3;

/// Number of the facts of the NetBIOS name service, which has names alone.
pub(super) const NETBIOS_OBJECT: u8 = 6;

/// Members of its object.
mod member {
    pub(super) const NAME: u8 = 0;
    pub(super) const TYPE: u8 = 1;
    pub(super) const RCODE: u8 = 2;
    pub(super) const ANSWERS: u8 = 3;
    pub(super) const QUERIES: u8 = 4;
    pub(super) const RESPONSES: u8 = 5;
    pub(super) const LATENCY_US: u8 = 6;
    pub(super) const TRUNCATED: u8 = 7;
    pub(super) const NAMES_LEFT_OUT: u8 = 8;
}

/// True for members that are rarely the same for two conversations.
pub(super) const fn is_of_one_flow(member: u8) -> bool {
    !matches!(member, member::TYPE | member::RCODE | member::TRUNCATED)
}

/// How many responses were seen.
pub(super) const RESPONSES: FactId = FactId { object: OBJECT, member: member::RESPONSES };

/// Bytes of names and of answers that one flow tells; each of both.
const TEXT_BYTES_MAX: usize = 1700;
/// Queries of one flow that wait for their responses at a time; older ones are forgotten.
const WAITING_MAX: usize = 16;
/// Records of one response that are looked at.
const RECORDS_MAX: usize = 64;

/// Texts one after the other, each once.
#[derive(Default)]
struct TextSet {
    /// Each with its length in two bytes in front.
    bytes: Vec<u8>,
    left_out: u32,
}

impl TextSet {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (len, rest) = left.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
            left = rest;
            Some(text)
        })
    }

    /// True when it is new.
    fn insert(&mut self, text: &[u8]) -> bool {
        if self.iter().any(|found| found.eq_ignore_ascii_case(text)) {
            return false;
        }
        let Ok(len) = u16::try_from(text.len()) else { return false };
        if self.bytes.len() + 2 + text.len() > TEXT_BYTES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return true;
        }
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text);
        true
    }
}

/// What is known so far.
#[derive(Default)]
pub(super) struct DnsSummary {
    names: TextSet,
    types: TextSet,
    rcodes: TextSet,
    answers: TextSet,
    /// Numbers and times of queries without a response.
    waiting: Vec<(u16, u64)>,
    queries: u64,
    responses: u64,
    latency_ns: Option<u64>,
    is_truncated: bool,
}

impl DnsSummary {
    /// Bytes of memory besides itself.
    pub(super) fn kept_bytes(&self) -> usize {
        let texts = [&self.names, &self.types, &self.rcodes, &self.answers].into_iter().map(|set| set.bytes.capacity());
        texts.sum::<usize>() + self.waiting.capacity() * size_of::<(u16, u64)>()
    }

    /// Takes a message in; `time_ns` where it is known. `is_netbios`: names are coded.
    pub(super) fn take(&mut self, message: &DnsMessage<'_>, time_ns: Option<u64>, is_netbios: bool) {
        let mut text = NameText::default();
        for question in message.questions().take(4) {
            self.take_name(question.name, &mut text, is_netbios);
            match dns_type_name(question.kind) {
                Some(name) => self.types.insert(name.as_bytes()),
                None => self.types.insert(format!("TYPE{}", question.kind).as_bytes()),
            };
        }
        if !message.is_response() {
            self.queries += 1;
            if let Some(time) = time_ns {
                if self.waiting.len() >= WAITING_MAX {
                    self.waiting.remove(0);
                }
                self.waiting.push((message.id, time));
            }
            return;
        }
        self.responses += 1;
        self.is_truncated |= message.is_truncated();
        let rcode = message.rcode();
        match dns_rcode_name(rcode) {
            Some(name) => self.rcodes.insert(name.as_bytes()),
            None => self.rcodes.insert(format!("RCODE{rcode}").as_bytes()),
        };
        if let Some(at) = self.waiting.iter().position(|(id, _)| *id == message.id) {
            let (_, asked) = self.waiting.remove(at);
            let latency = time_ns.map(|time| time.saturating_sub(asked));
            self.latency_ns = self.latency_ns.max(latency);
        }
        message.answers().take(RECORDS_MAX).for_each(|record| self.take_answer(&record, &mut text));
    }

    fn take_name(&mut self, name: DnsName<'_>, text: &mut NameText, is_netbios: bool) {
        if let Some(coded) = NetbiosName::of(name).filter(|_| is_netbios) {
            let mut shown = coded.text().to_vec();
            shown.extend_from_slice(format!("<{:02x}>", coded.suffix()).as_bytes());
            self.names.insert(&shown);
        } else if let Some(name) = name.write(text) {
            self.names.insert(name);
        }
    }

    fn take_answer(&mut self, record: &DnsRecord<'_>, text: &mut NameText) {
        match record.value() {
            DnsValue::Ipv4(address) => _ = self.answers.insert(Ipv4Addr::from(address).to_string().as_bytes()),
            DnsValue::Ipv6(address) => _ = self.answers.insert(Ipv6Addr::from(address).to_string().as_bytes()),
            DnsValue::Name(name)
            | DnsValue::MailExchange { exchange: name, .. }
            | DnsValue::Server { target: name, .. }
            | DnsValue::Service { target: name, .. } => {
                if let Some(name) = name.write(text) {
                    self.answers.insert(name);
                }
            }
            DnsValue::Text { .. } | DnsValue::Authority { .. } | DnsValue::Other => {}
        }
    }

    /// Adds all of it.
    pub(super) fn write(&self, facts: &mut FactBuffer) {
        let mut dns = facts.object(OBJECT);
        dns.list(member::NAME, self.names.iter());
        dns.list(member::TYPE, self.types.iter());
        dns.list(member::RCODE, self.rcodes.iter());
        dns.number(member::QUERIES, self.queries);
        dns.number(member::RESPONSES, self.responses);
        if let Some(latency) = self.latency_ns {
            dns.number(member::LATENCY_US, latency / 1000);
        }
        dns.flag(member::TRUNCATED, self.is_truncated);
        if self.names.left_out > 0 {
            dns.number(member::NAMES_LEFT_OUT, self.names.left_out.into());
        }
        dns.list(member::ANSWERS, self.answers.iter());
    }

    /// Adds the names alone, as those of NetBIOS.
    pub(super) fn write_netbios(&self, facts: &mut FactBuffer) {
        facts.object(NETBIOS_OBJECT).list(0, self.names.iter());
    }
}
