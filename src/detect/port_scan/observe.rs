//! Which flows are first contacts, successes and failures.
//!
//! Owns that reading. Invariant: what several events of a flow say together is what they say one by one.

use super::contacts::{ContactSteps, ScanTechnique, SourceContacts};
use super::{PortScan, PortScanEvidence, source_key};
use crate::detect::{Contact, EvidenceKey, SamplePacket};
use crate::flow::{Direction, FlowEvents, FlowKey, HostAddress, IcmpFlow, SeenFlow, SeenRefusal};
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
const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
const XMAS: u16 = TcpFlags::FIN.0 | TcpFlags::PSH.0 | URG;

/// Who contacts whom.
struct ContactPath {
    source: HostAddress,
    target: Contact,
    protocol: u8,
}

impl ContactPath {
    /// As the sender of packets of this direction contacts their receiver; `None` when that is no single host.
    fn of(key: &FlowKey, from: Direction) -> Option<Self> {
        let ((source, _), (host, port)) = (key.source(from), key.destination(from));
        let protocol = key.protocol();
        let port = if matches!(protocol, TCP | UDP) { port } else { 0 };
        (!host.is_group()).then_some(Self { source, target: Contact { host, port }, protocol })
    }
}

/// What a TCP flow says, and who contacts: as a rule the initiator.
fn tcp_steps(flow: &SeenFlow) -> (Direction, ContactSteps) {
    let events = flow.events;
    let (is_syn, is_opened) = (events.has(FlowEvents::SYN), events.has(FlowEvents::OPENED));
    let technique = match flow.flags.unwrap_or_default().0 & TELLING_FLAGS {
        _ if is_syn => Some(ScanTechnique::Syn),
        _ if !is_opened => None,
        0 => Some(ScanTechnique::Null),
        flags if flags == TcpFlags::FIN.0 => Some(ScanTechnique::Fin),
        XMAS => Some(ScanTechnique::Xmas),
        _ => None,
    };
    let answer = |flags| flow.answer.is_some_and(|answer| answer.has(flags));
    let is_reset = answer(TcpFlags::RST);
    // Of a SYN it is a refusal; of anything else it says that there was no connection.
    let is_refused = events.has(FlowEvents::REFUSED) && is_reset;
    let (is_answered, is_completed) = (events.has(FlowEvents::ANSWERED), events.has(FlowEvents::ESTABLISHED));
    let steps = ContactSteps {
        // SYNs that come again count, too: such a contact is still without an answer.
        tried: technique.map(|technique| (technique, u32::from(is_opened) + flow.repeats)),
        failed: (is_answered && is_reset && !is_refused).then_some(ScanTechnique::Ack),
        refused: is_reset && (is_refused || is_answered),
        succeeded: is_answered && answer(SYN_ACK) || is_completed,
        completed: is_completed,
    };
    (if is_syn { flow.direction } else { flow.initiator }, steps)
}

fn udp_steps(flow: &SeenFlow) -> ContactSteps {
    let is_answer = flow.answer.is_some() && flow.events.has(FlowEvents::ANSWERED) && !is_reply(&flow.key, flow.initiator);
    ContactSteps { succeeded: is_answer, ..ContactSteps::default() }
}

/// True when a datagram of this direction is more often a reply than a contact.
fn is_reply(key: &FlowKey, direction: Direction) -> bool {
    key.source(direction).1 < SERVICE_PORTS_END && key.destination(direction).1 >= SERVICE_PORTS_END
}

fn echo_steps(flow: &SeenFlow) -> ContactSteps {
    if !matches!(IcmpFlow::of(&flow.key), Some(IcmpFlow::Echo(_))) {
        return ContactSteps::default();
    }
    let is_asked = flow.events.has(FlowEvents::OPENED) && flow.direction == flow.initiator;
    ContactSteps {
        tried: is_asked.then_some((ScanTechnique::IcmpEcho, 1)),
        succeeded: flow.events.has(FlowEvents::ANSWERED) && flow.answer.is_some(),
        ..ContactSteps::default()
    }
}

impl PortScan {
    pub(super) fn observe_one(&self, flow: &SeenFlow, evidence: &mut PortScanEvidence) {
        // What goes on contacts nobody, and was answered in a record before, or not.
        if flow.events.has(FlowEvents::CONTINUED) {
            return;
        }
        let (from, steps) = match flow.key.protocol() {
            TCP => tcp_steps(flow),
            UDP => (flow.initiator, udp_steps(flow)),
            ICMP | ICMPV6 => (flow.initiator, echo_steps(flow)),
            _ => return,
        };
        if steps == ContactSteps::default() {
            return;
        }
        if let Some(path) = ContactPath::of(&flow.key, from) {
            self.note(&path, &steps, evidence, |source| {
                if steps.tried.is_some() {
                    source.span.note(flow.first);
                    source.span.note(flow.last);
                }
                if let Some(answer) = flow.answer.filter(|_| steps.failed.is_some()) {
                    source.span.note(answer.time);
                    let sample = SamplePacket { number: answer.number, ..flow.into() };
                    return source.samples.note(sample);
                }
                let is_first = steps.tried.is_some() && flow.events.has(FlowEvents::OPENED);
                if is_first { source.samples.note(flow.into()) } else { 0 }
            });
        }
    }

    pub(super) fn observe_one_refusal(&self, refusal: &SeenRefusal, evidence: &mut PortScanEvidence) {
        let &SeenRefusal { key, direction, time, .. } = refusal;
        let failed = match key.protocol() {
            // The SYN has said that it was tried.
            TCP => None,
            UDP if !is_reply(&key, direction) => Some(ScanTechnique::Udp),
            _ => return,
        };
        let steps = ContactSteps { refused: true, failed, ..ContactSteps::default() };
        if let Some(path) = ContactPath::of(&key, direction) {
            self.note(&path, &steps, evidence, |source| {
                if failed.is_none() {
                    return 0;
                }
                source.span.note(time);
                source.samples.note(refusal.into())
            });
        }
    }

    pub(super) fn observe_arp_message(&self, arp: &ArpMessage, time: Timestamp, evidence: &mut PortScanEvidence) {
        let (sender, target) = (HostAddress::v4(arp.sender_ip), HostAddress::v4(arp.target_ip));
        let path = |source, host| ContactPath { source, target: Contact { host, port: 0 }, protocol: ARP };
        // Probes and announcements are about the sender's own address (RFC 5227).
        if sender == target || sender.is_group() || target.is_group() {
            return;
        }
        match arp.operation {
            ARP_REQUEST => {
                let steps = ContactSteps { tried: Some((ScanTechnique::Arp, 1)), ..ContactSteps::default() };
                self.note(&path(sender, target), &steps, evidence, |source| {
                    source.span.note(time);
                    0
                });
            }
            ARP_REPLY => {
                let steps = ContactSteps { succeeded: true, ..ContactSteps::default() };
                self.note(&path(target, sender), &steps, evidence, |_| 0);
            }
            _ => {}
        }
    }

    /// Notes what became of a contact for the source, for the pair, and for the source's port. `more` is added to what is known of the source.
    fn note(
        &self,
        path: &ContactPath,
        steps: &ContactSteps,
        evidence: &mut PortScanEvidence,
        more: impl FnOnce(&mut SourceContacts) -> usize,
    ) {
        let &ContactPath { source, target, protocol } = path;
        let ranked = |contact: Contact| (self.hash.rank(&contact), contact);
        let host = ranked(Contact { port: 0, ..target });
        let port = ranked(Contact { port: target.port, ..Contact::default() });
        evidence.sources.observe(source_key(source), |counts| counts.note(steps, ranked(target), host, port) + more(counts));
        if !steps.is_contact() {
            return;
        }
        // Without ports there is nothing to scan on one host.
        if matches!(protocol, TCP | UDP) {
            let pair = EvidenceKey { host: source, peer: target.host, port: 0, protocol };
            evidence.pairs.observe(pair, |counts| counts.note(steps, port));
        }
        let of_port = EvidenceKey { host: source, peer: HostAddress::NONE, port: target.port, protocol };
        evidence.ports.observe(of_port, |counts| counts.note(steps, host));
    }
}
