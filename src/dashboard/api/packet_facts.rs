//! What the page says of a sampled packet: its line, its layers.
//!
//! Owns the JSON of a packet. Knows no store. Invariant: a packet is dissected when somebody looks at it, once, and what it says
//! becomes text only as escaped JSON.

use super::flow_name::FlowName;
use super::unix::seconds;
use crate::flow::{FlowKey, FlowNote, ports_of};
use crate::query::PacketSubject;
use crate::record::{
    LayerView, LineStyle, LineTime, PacketLines, PacketRange, TextBuffer, TextEnd, flow_detail, packet_detail, payload_detail,
    protocol_name, write_hex_dump,
};
use crate::wire::{self, Dissected, Network, mac_addresses};
use netscope_backends::{LinkType, Packet, Timestamp};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How `info` is written.
const STYLE: LineStyle =
    LineStyle { time: LineTime::Epoch, first_date: false, link: false, absolute_seq: false, payload: false, color: false };
/// Characters of `info`.
const INFO_LEN_MAX: usize = 400;

/// A sampled packet as it is kept.
#[derive(Debug)]
pub struct SampledPacket {
    /// Its number among sampled packets, from 1.
    pub id: u64,
    /// When it came.
    pub time: Timestamp,
    /// Its length on the wire.
    pub wire_len: u32,
    link_type: LinkType,
    data: Box<[u8]>,
    note: Option<FlowNote>,
    seen: OnceLock<PacketSummary>,
}

/// What is read of a packet once.
#[derive(Debug)]
pub struct PacketSummary {
    /// What a filter looks at.
    pub subject: PacketSubject,
    /// The object of `packets`.
    pub json: String,
}

/// Writes `info`; one for all packets, as its buffer is large. It is taken for one packet at a time.
#[derive(Default)]
pub struct InfoWriter(Mutex<TextBuffer>);

impl InfoWriter {
    /// The line of a packet without number and time.
    fn line(&self, packet: &SampledPacket) -> String {
        let line = self.text(|end| PacketLines::new(STYLE).push(end, packet.id, packet.note.as_ref(), &packet.packet()));
        shortened(line.trim_end().splitn(3, ' ').nth(2).unwrap_or_default())
    }

    /// What its payload says; empty where that is nothing.
    fn payload(&self, packet: &SampledPacket) -> String {
        shortened(self.text(|end| PacketLines::new(STYLE).push_payload(end, &packet.packet())).trim_start())
    }

    fn text(&self, push: impl FnOnce(&mut TextEnd<'_>)) -> String {
        // A writer that panicked left a buffer that the next one empties.
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = buffer.open();
        push(&mut end);
        end.close();
        let mut bytes = Vec::new();
        // Memory takes all.
        let written = buffer.write(&mut bytes);
        drop(buffer);
        written.map_or_else(|_| String::new(), |()| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(INFO_LEN_MAX).collect()
}

impl SampledPacket {
    /// Keeps the headers of a packet, and at most `payload_bytes` behind them.
    pub fn new(id: u64, note: Option<&FlowNote>, packet: &Packet<'_>, payload_bytes: usize) -> Self {
        let &Packet { data, time, wire_len, link_type } = packet;
        let headers = wire::dissect(link_type, data, wire_len).payload_offset as usize;
        let data = data.get(..headers.saturating_add(payload_bytes)).unwrap_or(data).into();
        Self { id, time, wire_len, link_type, data, note: note.copied(), seen: OnceLock::new() }
    }

    /// As it was lent, cut.
    pub fn packet(&self) -> Packet<'_> {
        Packet { data: &self.data, time: self.time, wire_len: self.wire_len, link_type: self.link_type }
    }

    /// What is read of it; read at the first call.
    pub fn summary(&self, info: &InfoWriter) -> &PacketSummary {
        self.seen.get_or_init(|| self.read(info))
    }

    fn read(&self, info: &InfoWriter) -> PacketSummary {
        let facts = wire::dissect(self.link_type, &self.data, self.wire_len);
        let ips = facts.network.as_ref().map(addresses).or_else(|| arp_addresses(&facts, &self.data));
        let ports = ports_of(&facts).filter(|_| facts.network.is_some_and(|network| has_ports(network.protocol)));
        let ports = ports.map(|ports| (ports.source, ports.destination));
        let key = facts.network.as_ref().and_then(|network| Some(FlowKey::new(network, ports_of(&facts)?).0));
        let protocol = protocol_text(&facts);
        let (src, dst) = self.ends(ips, ports);
        let (line, app) = (info.line(self), info.payload(self));
        let ends = format!("{} > {} ", src.as_deref().unwrap_or_default(), dst.as_deref().unwrap_or_default());
        let flow = key.map(|key| FlowName { key, first_seen: None }.to_string());
        let info = line.strip_prefix(&ends).unwrap_or(&line);
        let said = format!("{} ", protocol.to_ascii_lowercase());
        let info = info.strip_prefix(&said).unwrap_or(info);
        let json = json!({
            "id": self.id, "ts": seconds(self.time), "len": self.wire_len, "protocol": protocol, "src": src, "dst": dst,
            "info": info, "app": app, "flow": flow,
        });
        PacketSummary { subject: PacketSubject::new(&facts, self.wire_len), json: json.to_string() }
    }

    /// Who sends to whom; hardware addresses where there is no IP.
    fn ends(&self, ips: Option<(IpAddr, IpAddr)>, ports: Option<(u16, u16)>) -> (Option<String>, Option<String>) {
        if let Some((src, dst)) = ips {
            return (Some(end_text(src, ports.map(|ports| ports.0))), Some(end_text(dst, ports.map(|ports| ports.1))));
        }
        let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        let macs = mac_addresses(self.link_type, &self.data);
        (macs.map(|macs| mac(macs.source)), macs.and_then(|macs| macs.destination).map(mac))
    }

    /// The `packet_detail` message.
    pub fn detail(&self) -> Value {
        let mut hex_dump = String::new();
        write_hex_dump(&mut hex_dump, &self.data);
        let mut layers: Vec<Value> = packet_detail(self.link_type, &self.data, self.wire_len).iter().map(layer_object).collect();
        layers.extend(payload_detail(&self.packet()).iter().map(layer_object));
        layers.extend(self.note.iter().map(|note| layer_object(&flow_detail(note, &self.packet()))));
        let bytes: String = self.data.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "type": "packet_detail", "id": self.id, "ts": seconds(self.time), "len": self.wire_len, "captured": self.data.len(),
            "gone": false, "layers": layers, "hex_dump": hex_dump, "bytes": bytes,
        })
    }
}

/// The `packet_detail` message of a packet that is not kept any more, or never was.
pub fn gone_detail(id: u64) -> Value {
    json!({"type": "packet_detail", "id": id, "gone": true, "layers": [], "hex_dump": ""})
}

/// A layer with its fields, and where they lie in the packet.
fn layer_object(layer: &LayerView) -> Value {
    let field = |(name, value, range): &(&str, String, Option<PacketRange>)| {
        let (offset, len) = range.unzip();
        json!([name, value, offset, len])
    };
    // The offset is said beside the fields.
    let fields: Vec<Value> = layer.fields.iter().filter(|(name, ..)| *name != "offset").map(field).collect();
    json!({"name": layer.name, "offset": layer.offset, "len": layer.len, "fields": fields})
}

/// Protocols with ports: TCP, UDP, SCTP, UDP-Lite.
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132 | 136)
}

fn addresses(network: &Network) -> (IpAddr, IpAddr) {
    let ip = |bytes: [u8; 16]| match network.version {
        wire::IpVersion::V4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        wire::IpVersion::V6 => IpAddr::V6(Ipv6Addr::from(bytes)),
    };
    (ip(network.source), ip(network.destination))
}

fn arp_addresses(facts: &Dissected, data: &[u8]) -> Option<(IpAddr, IpAddr)> {
    facts.arp(data).map(|message| (message.sender_ip.into(), message.target_ip.into()))
}

/// `10.0.0.1:443`, `[2001:db8::1]:443`, or the address alone.
pub fn end_text(ip: IpAddr, port: Option<u16>) -> String {
    match (ip, port) {
        (IpAddr::V4(ip), Some(port)) => format!("{ip}:{port}"),
        (IpAddr::V6(ip), Some(port)) => format!("[{ip}]:{port}"),
        (ip, None) => ip.to_string(),
    }
}

fn protocol_text(facts: &Dissected) -> String {
    match facts.network {
        Some(network) => protocol_name(network.protocol).to_ascii_uppercase(),
        None => facts.layer.name().to_ascii_uppercase(),
    }
}
