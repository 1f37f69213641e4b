//! What a filter can be asked about: flows and single packets.
//!
//! Owns how each of them gives its values. Knows no filter. Invariants: what is not known is `None` or null, never a value; nothing
//! is allocated.

use super::words::{Ends, is_identifier};
use crate::flow::{FactId, FactSet, FactValue, FlowRecord};
use crate::record::{Exported, FACT_SCHEMA, FieldValue, FieldWord, RecordField, TimeResolution, protocol_name};
use crate::wire::{Dissected, IpVersion, Network, Transport, Tunnel, VlanTags};
use std::net::IpAddr;

/// Values by which a filter decides.
pub trait Subject {
    /// IP protocol number.
    fn protocol(&self) -> Option<u8>;
    /// An address; of [`Ends::Either`] that of the source.
    fn address(&self, ends: Ends) -> Option<IpAddr>;
    /// A port, of protocols that have ports; of [`Ends::Either`] that of the source.
    fn port(&self, ends: Ends) -> Option<u16>;
    /// The id of the first VLAN tag.
    fn outer_vlan(&self) -> Option<u16>;
    /// Shows the value of a field to `look`.
    fn field(&self, field: &RecordField, look: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool;
    /// Facts beyond the fields.
    fn facts(&self) -> FactSet<'_>;
}

/// Protocols that have ports: TCP, UDP, SCTP, UDP-Lite.
const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132 | 136)
}

fn address_of(record: &FlowRecord, ends: Ends) -> IpAddr {
    let is_server = matches!(ends, Ends::Destination | Ends::Server);
    if (record.client().index() == 0) != is_server { record.key.a_ip() } else { record.key.b_ip() }
}

fn port_of(record: &FlowRecord, ends: Ends) -> Option<u16> {
    let is_server = matches!(ends, Ends::Destination | Ends::Server);
    let port = if (record.client().index() == 0) != is_server { record.key.a_port() } else { record.key.b_port() };
    has_ports(record.key.protocol()).then_some(port)
}

fn outer(vlan: &VlanTags) -> Option<u16> {
    vlan.ids.first().copied().filter(|_| vlan.count > 0)
}

/// A flow with all that is known of it.
impl Subject for Exported<'_> {
    #[inline]
    fn protocol(&self) -> Option<u8> {
        Some(self.record().key.protocol())
    }

    #[inline]
    fn address(&self, ends: Ends) -> Option<IpAddr> {
        Some(address_of(self.record(), ends))
    }

    #[inline]
    fn port(&self, ends: Ends) -> Option<u16> {
        port_of(self.record(), ends)
    }

    fn outer_vlan(&self) -> Option<u16> {
        outer(&self.record().vlan)
    }

    fn field(&self, field: &RecordField, look: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool {
        look((field.value)(self))
    }

    fn facts(&self) -> FactSet<'_> {
        Exported::facts(self)
    }
}

/// What records alone do not say, the same for all records of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordContext {
    /// Of Community IDs.
    pub community_id_seed: u16,
    /// How packets' times were taken.
    pub times: TimeResolution,
    /// Names of the interfaces, by [`FlowRecord::interface`]; empty where there is one.
    pub interfaces: &'static [FieldWord],
}

/// A flow with its facts, as far as they are at hand. Community IDs are made when they are asked for.
pub(super) struct BareRecord<'a> {
    pub record: &'a FlowRecord,
    pub facts: FactSet<'a>,
    pub context: &'a RecordContext,
}

impl Subject for BareRecord<'_> {
    #[inline]
    fn protocol(&self) -> Option<u8> {
        Some(self.record.key.protocol())
    }

    #[inline]
    fn address(&self, ends: Ends) -> Option<IpAddr> {
        Some(address_of(self.record, ends))
    }

    #[inline]
    fn port(&self, ends: Ends) -> Option<u16> {
        port_of(self.record, ends)
    }

    fn outer_vlan(&self) -> Option<u16> {
        outer(&self.record.vlan)
    }

    #[inline]
    fn field(&self, field: &RecordField, look: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool {
        let exported = if is_identifier(field) {
            Exported::new(self.record, self.context.community_id_seed)
        } else {
            Exported::without_ids(self.record)
                .with_times(self.context.times)
                .on_interface(self.context.interfaces)
                .with_facts(self.facts, FACT_SCHEMA)
        };
        look((field.value)(&exported))
    }

    fn facts(&self) -> FactSet<'_> {
        self.facts
    }
}

/// A single packet. It has the words `proto`, `host`, `src`, `dst`, `port`, `sport`, `dport`, `bytes`, `packets`, `vlan`, `outer_vlan`, `tunnel`,
/// `tunnel_id`, `ip_version`, `icmp_type` and `icmp_code`; any other is unknown. Source and destination are its own.
#[derive(Clone, Copy, Debug)]
pub struct PacketSubject {
    network: Option<Network>,
    ports: Option<(u16, u16)>,
    icmp: Option<(u8, u8)>,
    vlan: VlanTags,
    tunnel: Option<Tunnel>,
    wire_len: u32,
}

impl PacketSubject {
    /// Of a packet with so many bytes on the wire.
    pub fn new(dissected: &Dissected, wire_len: u32) -> Self {
        let ports = match dissected.transport {
            Transport::Tcp(segment) => Some(segment.ports),
            Transport::TcpPorts(ports) | Transport::Udp(ports) | Transport::UdpLite(ports) | Transport::Sctp(ports) => {
                Some(ports)
            }
            Transport::None | Transport::Echo { .. } | Transport::Icmp { .. } | Transport::Other => None,
        };
        Self {
            network: dissected.network,
            ports: ports.map(|ports| (ports.source, ports.destination)),
            icmp: dissected.transport.icmp_type_and_code(),
            vlan: dissected.vlan,
            tunnel: dissected.tunnel,
            wire_len,
        }
    }
}

impl Subject for PacketSubject {
    fn protocol(&self) -> Option<u8> {
        self.network.map(|network| network.protocol)
    }

    fn address(&self, ends: Ends) -> Option<IpAddr> {
        let network = self.network?;
        let bytes = match ends {
            Ends::Either | Ends::Source => network.source,
            Ends::Destination => network.destination,
            Ends::Client | Ends::Server => return None,
        };
        Some(match network.version {
            IpVersion::V4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
            IpVersion::V6 => IpAddr::from(bytes),
        })
    }

    fn port(&self, ends: Ends) -> Option<u16> {
        let (source, destination) = self.ports?;
        match ends {
            Ends::Either | Ends::Source => Some(source),
            Ends::Destination => Some(destination),
            Ends::Client | Ends::Server => None,
        }
    }

    fn outer_vlan(&self) -> Option<u16> {
        outer(&self.vlan)
    }

    fn field(&self, field: &RecordField, look: &mut dyn FnMut(FieldValue<'_>) -> bool) -> bool {
        let number = |value: Option<u64>| value.map_or(FieldValue::Null, FieldValue::Number);
        look(match field.field.name {
            "protocol" => self.network.map_or(FieldValue::Null, |network| FieldValue::Word(protocol_name(network.protocol))),
            "bytes_total" => FieldValue::Number(self.wire_len.into()),
            "packets_total" => FieldValue::Number(1),
            "ip_version" => number(self.network.map(|network| network.version as u64)),
            "vlan" => FieldValue::List(self.vlan.ids.get(..usize::from(self.vlan.count).min(VlanTags::KEPT)).unwrap_or_default()),
            "tunnel" => self.tunnel.map_or(FieldValue::Null, |tunnel| FieldValue::Word(tunnel.kind.name())),
            "tunnel_id" => number(self.tunnel.map(|tunnel| tunnel.id.into())),
            "icmp_type" => number(self.icmp.map(|(kind, _)| kind.into())),
            "icmp_code" => number(self.icmp.map(|(_, code)| code.into())),
            _ => FieldValue::Null,
        })
    }

    fn facts(&self) -> FactSet<'_> {
        FactSet::NONE
    }
}

/// The first fact of this name.
pub(super) fn fact(subject: &impl Subject, id: FactId) -> Option<FactValue<'_>> {
    subject.facts().get(id)
}
