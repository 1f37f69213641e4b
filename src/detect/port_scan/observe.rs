//! Which packets are first contacts, successes and failures.
//!
//! Owns that reading. Invariant: it depends on the packet's own events alone.

use super::contacts::{ContactCounts, ScanTechnique};
use super::{PortScan, PortScanEvidence, source_key};
use crate::detect::{Contact, EvidenceKey, SamplePacket};
use crate::flow::{Direction, FlowEvents, FlowKey, HostAddress, IcmpFlow, SeenPacket, SeenRefusal};
use crate::wire::{ArpMessage, TcpFlags};
use netscope_backends::Timestamp;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Stands for ARP, which is no IP protocol (255 is reserved by IANA).
const ARP: u8 = 255;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
/// Services listen below, and what comes from there to a port above is more often a late reply than a contact.
const SERVICE_PORTS_END: u16 = 1024;
/// The control bits that make a technique; ECE, CWR and AE are left out.
const TELLING_FLAGS: u16 = 0x3f;
const URG: u16 = 32;
const XMAS: u16 = TcpFlags::FIN.0 | TcpFlags::PSH.0 | URG;

/// Who contacts whom.
struct ContactPath {
    source: HostAddress,
    target: Contact,
    protocol: u8,
    time: Timestamp,
}

/// What becomes of a contact.
#[derive(Clone, Copy)]
enum ContactStep {
    Tried(ScanTechnique),
    /// Known to be tried only now that it failed.
    Failed(ScanTechnique),
    Refused,
    /// Answered; known to be tried only now, where datagrams are concerned.
    Succeeded,
    /// Answered, though the answer itself may have come another way.
    Completed,
}

impl ContactPath {
    /// As the sender of packets of this direction contacts their receiver; `None` when that is no single host.
    fn of(key: &FlowKey, from: Direction, time: Timestamp) -> Option<Self> {
        let ((source, _), (host, port)) = (key.source(from), key.destination(from));
        let protocol = key.protocol();
        let port = if matches!(protocol, TCP | UDP) { port } else { 0 };
        (!host.is_group()).then_some(Self { source, target: Contact { host, port }, protocol, time })
    }
}

fn tcp_step(packet: &SeenPacket) -> Option<(Direction, ContactStep)> {
    let SeenPacket { events, direction, initiator, .. } = *packet;
    let flags = packet.flags.unwrap_or_default();
    if events.has(FlowEvents::SYN) {
        // Again, too: a contact that is still being tried is still without an answer.
        return Some((direction, ContactStep::Tried(ScanTechnique::Syn)));
    }
    if events.has(FlowEvents::OPENED) {
        let technique = match flags.0 & TELLING_FLAGS {
            0 => ScanTechnique::Null,
            flags if flags == TcpFlags::FIN.0 => ScanTechnique::Fin,
            XMAS => ScanTechnique::Xmas,
            _ => return None,
        };
        return Some((direction, ContactStep::Tried(technique)));
    }
    let is_from_server = direction != initiator;
    let step = if events.has(FlowEvents::REFUSED) && is_from_server && flags.has(TcpFlags::RST) {
        ContactStep::Refused
    } else if events.has(FlowEvents::ESTABLISHED) {
        ContactStep::Completed
    } else if events.has(FlowEvents::ANSWERED) && is_from_server && flags.has(TcpFlags::RST) {
        ContactStep::Failed(ScanTechnique::Ack)
    } else if events.has(FlowEvents::ANSWERED) && is_from_server && flags.has(TcpFlags::SYN) && flags.has(TcpFlags::ACK) {
        ContactStep::Succeeded
    } else {
        return None;
    };
    Some((initiator, step))
}

fn udp_step(packet: &SeenPacket) -> Option<(Direction, ContactStep)> {
    let SeenPacket { events, direction, initiator, .. } = *packet;
    let is_answer = events.has(FlowEvents::ANSWERED) && direction != initiator && !is_reply(&packet.key, initiator);
    is_answer.then_some((initiator, ContactStep::Succeeded))
}

/// True when a datagram of this direction is more often a reply than a contact.
fn is_reply(key: &FlowKey, direction: Direction) -> bool {
    key.source(direction).1 < SERVICE_PORTS_END && key.destination(direction).1 >= SERVICE_PORTS_END
}

fn echo_step(packet: &SeenPacket) -> Option<(Direction, ContactStep)> {
    let SeenPacket { events, direction, initiator, .. } = *packet;
    if !matches!(IcmpFlow::of(&packet.key), Some(IcmpFlow::Echo(_))) {
        return None;
    }
    if events.has(FlowEvents::OPENED) && !events.has(FlowEvents::CONTINUED) && direction == initiator {
        Some((initiator, ContactStep::Tried(ScanTechnique::IcmpEcho)))
    } else if events.has(FlowEvents::ANSWERED) && direction != initiator {
        Some((initiator, ContactStep::Succeeded))
    } else {
        None
    }
}

impl PortScan {
    pub(super) fn observe_one(&self, packet: &SeenPacket, evidence: &mut PortScanEvidence) {
        if packet.events.has(FlowEvents::CONTINUED) {
            return;
        }
        let step = match packet.key.protocol() {
            TCP => tcp_step(packet),
            UDP => udp_step(packet),
            ICMP | ICMPV6 => echo_step(packet),
            _ => None,
        };
        let Some((from, step)) = step else { return };
        if let Some(path) = ContactPath::of(&packet.key, from, packet.time) {
            self.note(&path, step, Some(packet.into()), evidence);
        }
    }

    pub(super) fn observe_one_refusal(&self, refusal: &SeenRefusal, evidence: &mut PortScanEvidence) {
        let &SeenRefusal { key, direction, time, .. } = refusal;
        let step = match key.protocol() {
            // The SYN has said that it was tried.
            TCP => ContactStep::Refused,
            UDP if !is_reply(&key, direction) => ContactStep::Failed(ScanTechnique::Udp),
            _ => return,
        };
        if let Some(path) = ContactPath::of(&key, direction, time) {
            self.note(&path, step, Some(refusal.into()), evidence);
        }
    }

    pub(super) fn observe_arp_message(&self, arp: &ArpMessage, time: Timestamp, evidence: &mut PortScanEvidence) {
        let (sender, target) = (HostAddress::v4(arp.sender_ip), HostAddress::v4(arp.target_ip));
        let path = |source, host| ContactPath { source, target: Contact { host, port: 0 }, protocol: ARP, time };
        // Probes and announcements are about the sender's own address (RFC 5227).
        if sender == target || sender.is_group() || target.is_group() {
            return;
        }
        match arp.operation {
            ARP_REQUEST => self.note(&path(sender, target), ContactStep::Tried(ScanTechnique::Arp), None, evidence),
            ARP_REPLY => self.note(&path(target, sender), ContactStep::Succeeded, None, evidence),
            _ => {}
        }
    }

    /// Notes a step of a contact for the source, for the pair, and for the source's port.
    fn note(&self, path: &ContactPath, step: ContactStep, sample: Option<SamplePacket>, evidence: &mut PortScanEvidence) {
        let &ContactPath { source, target, protocol, time } = path;
        let (host, port) = (Contact { port: 0, ..target }, Contact { port: target.port, ..Contact::default() });
        evidence.sources.observe(source_key(source), |counts| {
            let mut grown = self.note_one(counts, target, step, time);
            if matches!(step, ContactStep::Tried(_) | ContactStep::Failed(_) | ContactStep::Succeeded | ContactStep::Completed) {
                grown += counts.hosts.insert(self.hash.rank(&host), host, 1);
                grown += counts.ports.insert(self.hash.rank(&port), port, 1);
            }
            if let (ContactStep::Tried(_) | ContactStep::Failed(_), Some(sample)) = (step, sample) {
                grown += counts.samples.note(sample);
            }
            grown
        });
        // What tells the technique alone is looked at per source.
        if matches!(step, ContactStep::Refused) {
            return;
        }
        // Without ports there is nothing to scan on one host.
        if matches!(protocol, TCP | UDP) {
            let pair = EvidenceKey { host: source, peer: target.host, port: 0, protocol };
            evidence.pairs.observe(pair, |counts| self.note_one(counts, port, step, time));
        }
        let of_port = EvidenceKey { host: source, peer: HostAddress::NONE, port: target.port, protocol };
        evidence.ports.observe(of_port, |counts| self.note_one(counts, host, step, time));
    }

    /// Notes a step of a contact with this member; what memory grew by, in bytes.
    fn note_one(&self, counts: &mut ContactCounts, member: Contact, step: ContactStep, time: Timestamp) -> usize {
        let rank = self.hash.rank(&member);
        match step {
            ContactStep::Tried(technique) | ContactStep::Failed(technique) => {
                counts.span.note(time);
                counts.tried[technique as usize] += 1;
                counts.refused += u64::from(matches!(step, ContactStep::Failed(_)));
                counts.contacts.insert(rank, member, 1)
            }
            ContactStep::Refused => {
                counts.refused += 1;
                0
            }
            ContactStep::Succeeded => counts.contacts.insert(rank, member, 1) + counts.successes.insert(rank, member, 1),
            ContactStep::Completed => {
                counts.completed += 1;
                counts.contacts.insert(rank, member, 1) + counts.successes.insert(rank, member, 1)
            }
        }
    }
}
