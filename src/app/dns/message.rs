//! DNS messages (RFC 1035 section 4) over datagrams and over streams; mDNS, LLMNR and NetBIOS have the same layout.
//!
//! Owns header, questions and the order of records. Its invariant: each question and record takes bytes, so a message is read in one pass.

use super::name::{DnsName, end_of_name};
use super::record::{DnsRecord, DnsSection, OPT};
use crate::app::parsed::Parsed;
use crate::app::reading::ByteReader;

const HEADER_LEN: usize = 12;
/// Shortest question: the root, type and class.
const QUESTION_LEN_MIN: usize = 5;
/// Shortest record: the root, type, class, time to live and a length.
const RECORD_LEN_MIN: usize = 11;

const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
/// The flag DO of an OPT record (RFC 3225).
const DNSSEC_OK: u32 = 0x8000;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct DnsMessage<'a> {
    bytes: &'a [u8],
    /// Number that goes from the query into the response.
    pub id: u16,
    flags: u16,
    counts: [u16; 4],
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct DnsQuestion<'a> {
    /// What is asked for.
    pub name: DnsName<'a>,
    /// Type of records, as [`super::dns_type_name`] knows it.
    pub kind: u16,
    /// Class as sent; in mDNS its highest bit asks for an answer to the asker alone.
    pub class: u16,
}

/// What an OPT record says (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Longest datagram that the sender takes.
    pub udp_bytes_max: u16,
    /// Version of EDNS.
    pub version: u8,
    /// True where the sender wants DNSSEC's records.
    pub wants_dnssec: bool,
    /// The upper eight bits of the result.
    rcode_high: u8,
}

impl<'a> DnsMessage<'a> {
    /// Of a datagram; `None` where it cannot be a DNS message, for example because it counts more records than it has bytes for.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::read_cut(bytes, bytes.len())
    }

    /// The same for a message of `len` bytes of which only `bytes` were captured.
    pub fn read_cut(bytes: &'a [u8], len: usize) -> Option<Self> {
        let mut reader = ByteReader::new(bytes);
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let message = Self { bytes, id, flags, counts };
        // Those of DNS (RFC 8490 has the last) and of NetBIOS (RFC 1002 section 4.2.1.1 and what Windows added).
        let is_opcode = matches!(message.opcode(), 0 | 1 | 2 | 4..=9 | 15);
        let [questions, records @ ..] = counts.map(usize::from);
        let needed = questions * QUESTION_LEN_MIN + records.iter().sum::<usize>() * RECORD_LEN_MIN;
        // A response that was cut at its sender may count records that it no longer has.
        let is_sane = needed <= len - HEADER_LEN || (message.is_truncated() && questions * QUESTION_LEN_MIN < len);
        let is_bare_response = message.is_response() && len == HEADER_LEN;
        (is_opcode && is_sane && (counts != [0; 4] || is_bare_response)).then_some(message)
    }

    /// Of the bytes that one side of a stream has sent so far, two bytes of length in front of each message (RFC 1035 section 4.2.2): the
    /// first message, and how many bytes it took.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<(Self, usize)> {
        let Some((&[high, low], rest)) = stream.split_first_chunk() else { return Parsed::More { need: 2 } };
        let len = usize::from(high) << 8 | usize::from(low);
        if len < HEADER_LEN {
            return Parsed::No;
        }
        let Some(bytes) = rest.get(..len) else {
            // The header comes early enough to tell that it is something else.
            let is_possible = rest.len() < HEADER_LEN || Self::read_cut(rest, len).is_some();
            return if is_possible { Parsed::More { need: 2 + len } } else { Parsed::No };
        };
        Self::read(bytes).map_or(Parsed::No, |message| Parsed::Done((message, 2 + len)))
    }

    /// True for a response, false for a query.
    pub const fn is_response(&self) -> bool {
        self.flags & RESPONSE != 0
    }

    /// Operation, as [`super::dns_opcode_name`] knows it. NetBIOS has others.
    pub const fn opcode(&self) -> u8 {
        (self.flags >> 11) as u8 & 15
    }

    /// True where the server owns the name.
    pub const fn is_authoritative(&self) -> bool {
        self.flags & AUTHORITATIVE != 0
    }

    /// True where the message was cut to fit a datagram.
    pub const fn is_truncated(&self) -> bool {
        self.flags & TRUNCATED != 0
    }

    /// True where the asker wants the server to ask others.
    pub const fn wants_recursion(&self) -> bool {
        self.flags & RECURSION_DESIRED != 0
    }

    /// True where the server asks others.
    pub const fn offers_recursion(&self) -> bool {
        self.flags & RECURSION_AVAILABLE != 0
    }

    /// The result without EDNS, four bits.
    pub const fn short_rcode(&self) -> u16 {
        self.flags & 15
    }

    /// The result, as [`super::dns_rcode_name`] knows it. Walks over the records.
    pub fn rcode(&self) -> u16 {
        self.edns().map_or(0, |edns| u16::from(edns.rcode_high) << 4) | self.short_rcode()
    }

    /// Questions by the header.
    pub const fn question_count(&self) -> u16 {
        self.counts[0]
    }

    /// Records of the answer by the header.
    pub const fn answer_count(&self) -> u16 {
        self.counts[1]
    }

    /// The questions, up to the first that is broken.
    pub fn questions(&self) -> impl Iterator<Item = DnsQuestion<'a>> + use<'a> {
        let (message, mut at, mut left) = (self.bytes, HEADER_LEN, self.counts[0]);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let end = end_of_name(message, at)?;
            let mut reader = ByteReader::new(message.get(end..)?);
            let question = DnsQuestion { name: DnsName { message, at }, kind: reader.u16()?, class: reader.u16()? };
            at = end + 4;
            Some(question)
        })
    }

    /// All records in order, up to the first that is broken.
    pub fn records(&self) -> impl Iterator<Item = DnsRecord<'a>> + use<'a> {
        let message = self.bytes;
        let [_, answers, authorities, additionals] = self.counts.map(u32::from);
        let (mut at, mut index) = (self.records_at(), 0);
        std::iter::from_fn(move || {
            let section = match index {
                _ if index < answers => DnsSection::Answer,
                _ if index < answers + authorities => DnsSection::Authority,
                _ if index < answers + authorities + additionals => DnsSection::Additional,
                _ => return None,
            };
            index += 1;
            let start = at?;
            at = None;
            let end = end_of_name(message, start)?;
            let mut reader = ByteReader::new(message.get(end..)?);
            let (kind, class, ttl_secs) = (reader.u16()?, reader.u16()?, reader.u32()?);
            let data = reader.block()?;
            let data_at = message.len() - reader.left().len() - data.len();
            at = Some(data_at + data.len());
            Some(DnsRecord { section, name: DnsName { message, at: start }, kind, class, ttl_secs, data, data_at })
        })
    }

    /// The records of the answer.
    pub fn answers(&self) -> impl Iterator<Item = DnsRecord<'a>> + use<'a> {
        self.records().take_while(|record| record.section == DnsSection::Answer)
    }

    /// What the sender says by EDNS. Walks over the records.
    pub fn edns(&self) -> Option<Edns> {
        let record = self.records().find(|record| record.kind == OPT)?;
        let [rcode_high, version, ..] = record.ttl_secs.to_be_bytes();
        let wants_dnssec = record.ttl_secs & DNSSEC_OK != 0;
        Some(Edns { udp_bytes_max: record.class, version, wants_dnssec, rcode_high })
    }

    /// False where a question or a record is missing or broken.
    pub fn is_whole(&self) -> bool {
        let records: usize = self.counts[1..].iter().map(|&count| usize::from(count)).sum();
        self.questions().count() == usize::from(self.counts[0]) && self.records().count() == records
    }

    /// Where the records begin; `None` where a question is broken.
    fn records_at(&self) -> Option<usize> {
        let mut at = HEADER_LEN;
        for _ in 0..self.counts[0] {
            at = end_of_name(self.bytes, at)? + 4;
        }
        (at <= self.bytes.len()).then_some(at)
    }
}
