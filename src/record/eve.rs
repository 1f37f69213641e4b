//! A flow as events of EVE, the JSON lines of Suricata 7: one for the flow, and those that its payload gives.
//!
//! Owns which events there are and what they have in common. Knows no file. Invariants: each event is an object on a line of its own;
//! source is the client, destination the server; what a record does not know is left out and never made up.

mod application;
mod flow_event;
mod names;

use super::calendar::push_iso;
use super::fields::{Exported, vlan_ids};
use super::members::JsonMembers;
use super::oriented::Oriented;
use super::text::TextBuffer;
use super::told::{ToldFlow, items};
use application::{push_http, push_quic, push_ssh, push_tls};
use names::{app_proto, proto};

/// TCP, UDP and SCTP have ports there.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// Appends the events of a flow: what its payload said, with the time of its first packet, then the flow, with that of its end.
pub fn push_eve(out: &mut TextBuffer, exported: &Exported<'_>) {
    let (told, flow) = (ToldFlow::of(exported.facts()), Oriented::of(exported));
    let event = EveEvent { exported, flow, told: &told };
    let first = flow.record.first_seen.0;
    if let Some(dns) = told.dns.filter(|_| is_dns(&told)) {
        items(dns.names).for_each(|name| event.push(out, first, "dns", |object| application::push_query(object, &dns, name)));
        if dns.responses.is_some_and(|count| count > 0) {
            event.push(out, first, "dns", |object| application::push_answer(object, &dns));
        }
    }
    if let Some(tls) = &told.tls {
        event.push(out, first, "tls", |object| push_tls(object, tls));
    }
    if let Some(quic) = &told.quic {
        event.push(out, first, "quic", |object| push_quic(object, quic));
    }
    if let Some(http) = &told.http {
        event.push(out, first, "http", |object| push_http(object, http));
    }
    if let Some(ssh) = &told.ssh {
        event.push(out, first, "ssh", |object| push_ssh(object, ssh));
    }
    event.push_flow(out);
}

/// How many events [`push_eve`] makes of a flow.
pub fn eve_count(exported: &Exported<'_>) -> u64 {
    let told = ToldFlow::of(exported.facts());
    let dns = told.dns.filter(|_| is_dns(&told));
    let dns = dns.map_or(0, |dns| items(dns.names).count() as u64 + u64::from(dns.responses.is_some_and(|count| count > 0)));
    let others = [told.tls.is_some(), told.quic.is_some(), told.http.is_some(), told.ssh.is_some()];
    1 + dns + others.into_iter().map(u64::from).sum::<u64>()
}

/// Multicast DNS and LLMNR have the same facts, and no such event there.
fn is_dns(told: &ToldFlow<'_>) -> bool {
    told.protocol == Some(b"dns")
}

/// What all events of a flow have in common.
struct EveEvent<'a> {
    exported: &'a Exported<'a>,
    flow: Oriented<'a>,
    told: &'a ToldFlow<'a>,
}

impl EveEvent<'_> {
    /// Appends an event of what payload said.
    fn push(&self, out: &mut TextBuffer, time_ns: u64, kind: &str, members: impl FnOnce(&mut JsonMembers<'_>)) {
        let mut object = self.begin(out, time_ns, kind);
        object.whole_object(kind, members);
        self.push_community_id(&mut object);
        object.close();
    }

    /// Appends the event of the flow itself.
    fn push_flow(&self, out: &mut TextBuffer) {
        let mut object = self.begin(out, self.flow.record.ended.0, "flow");
        object.object("flow", |object| flow_event::push_counts(object, &self.flow));
        self.push_community_id(&mut object);
        object.object("tcp", |object| flow_event::push_tcp(object, &self.flow));
        object.close();
    }

    fn push_community_id(&self, object: &mut JsonMembers<'_>) {
        object.word("community_id", Some(self.exported.community_id().as_str()));
    }

    fn begin<'o>(&self, out: &'o mut TextBuffer, time_ns: u64, kind: &str) -> JsonMembers<'o> {
        let Oriented { record, client, server, .. } = self.flow;
        let mut object = JsonMembers::open(out);
        object.quoted("timestamp", |text| push_iso(text, time_ns));
        object.number("flow_id", Some(crate::flow::RecordId::of(record).number()));
        object.word("in_iface", self.exported.interface());
        object.word("event_type", Some(kind));
        object.numbers("vlan", vlan_ids(record));
        let has_ports = WITH_PORTS.contains(&record.key.protocol());
        for (ip_name, port_name, (ip, port)) in [("src_ip", "src_port", client), ("dest_ip", "dest_port", server)] {
            object.address(ip_name, ip);
            object.number(port_name, Some(port.into()).filter(|_| has_ports));
        }
        proto(record.key.protocol(), |name| object.word("proto", Some(name)));
        if self.flow.is_icmp() {
            object.number("icmp_type", record.key.icmp_type(record.initiator).map(u64::from));
            object.number("icmp_code", super::fields::icmp_code(record).map(u64::from));
        }
        if let Some(protocol) = self.told.protocol {
            object.text("app_proto", Some(app_proto(protocol)));
        }
        object
    }
}

#[cfg(test)]
mod tests;
