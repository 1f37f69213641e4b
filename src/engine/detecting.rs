//! The detectors' observer on one queue: gathers evidence, and sends it away at the end of each bin of packet time.
//!
//! Owns the evidence of the bin that goes on. Knows no rule. Invariant: evidence is never lost: where no empty box is there, as on a wire it may be, the bin
//! goes on, and the next box has the evidence of both and says so.

use super::Observer;
use super::mailbox::Sender;
use super::seen_flows::SeenFlows;
use crate::app::DhcpMessage;
use crate::detect::{DetectorBox, DetectorSet, EvidenceSet, Observation, SeenArp, SeenDhcp, SeenDns, SeenFacts};
use crate::flow::{
    Domain, EndReason, FlowEnd, FlowGrowth, FlowKey, FlowRecord, HostAddress, SeenFragment, SeenPacket, SeenRefusal, ports_of,
};
use crate::wire::{Dissected, mac_addresses};
use netscope_backends::{Packet, Timestamp};
use std::fmt;
use std::sync::Arc;

/// What makes a run's detectors.
type MakeDetectors = dyn Fn() -> Vec<Box<dyn DetectorBox>> + Send + Sync;

/// What a run detects: the same on all queues and where it is judged.
#[derive(Clone)]
pub struct Detection {
    /// Length of a bin of packet time in ns, at least 1.
    pub bin_ns: u64,
    make: Arc<MakeDetectors>,
}

impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detection").field("bin_ns", &self.bin_ns).finish_non_exhaustive()
    }
}

impl Detection {
    /// These detectors, made anew for each queue. All have the same settings and the same hash.
    pub fn new(bin_ns: u64, make: impl Fn() -> Vec<Box<dyn DetectorBox>> + Send + Sync + 'static) -> Self {
        Self { bin_ns: bin_ns.max(1), make: Arc::new(make) }
    }

    /// The detectors.
    pub fn detectors(&self) -> DetectorSet {
        DetectorSet::new((self.make)())
    }
}

/// A box of evidence.
pub struct EvidenceBox {
    /// Number of the bin that ended: packet time divided by the bin's length.
    pub bin: u64,
    /// The bin this queue is in now.
    pub next_bin: u64,
    /// The latest time in it: the bin's end, or for the last box the time of the latest packet.
    pub time: Timestamp,
    /// Bins before it whose evidence is in this box.
    pub delayed_count: u64,
    /// The evidence.
    pub evidence: EvidenceSet,
}

impl EvidenceBox {
    /// A box without evidence.
    pub fn new(detectors: &DetectorSet) -> Self {
        Self { bin: 0, next_bin: 0, time: Timestamp(0), delayed_count: 0, evidence: detectors.evidence() }
    }
}

/// Gathers evidence on one queue.
pub struct Detecting {
    detectors: DetectorSet,
    bin_ns: u64,
    waits: bool,
    sender: Sender<EvidenceBox>,
    evidence: EvidenceSet,
    seen: SeenFlows,
    bin: Option<u64>,
    bin_end: Timestamp,
    delayed_count: u64,
}

impl Detecting {
    /// An observer that has seen nothing. `waits`: it may wait for an empty box.
    pub fn new(detection: &Detection, waits: bool, sender: Sender<EvidenceBox>) -> Self {
        let detectors = detection.detectors();
        let evidence = detectors.evidence();
        let (bin_ns, bin_end) = (detection.bin_ns, Timestamp(0));
        Self { detectors, bin_ns, waits, sender, evidence, seen: SeenFlows::default(), bin: None, bin_end, delayed_count: 0 }
    }

    /// Tells the detectors what was seen.
    fn tell(&mut self) {
        self.detectors.observe(Observation::Flows(self.seen.flows()), &mut self.evidence);
        self.seen.clear();
    }

    /// Sends the evidence of a bin; false when there was no box for it.
    fn send(&mut self, bin: u64, next_bin: u64, time: Timestamp) -> bool {
        let free = if self.waits { self.sender.take() } else { self.sender.try_take() };
        let Some(mut free) = free else { return false };
        self.detectors.clear(&mut free.evidence);
        std::mem::swap(&mut free.evidence, &mut self.evidence);
        (free.bin, free.next_bin, free.time) = (bin, next_bin, time);
        free.delayed_count = std::mem::take(&mut self.delayed_count);
        self.sender.send(free);
        true
    }
}

impl Observer for Detecting {
    const WATCHES: bool = true;

    fn seen(&mut self, packets: &[SeenPacket]) {
        for packet in packets {
            if self.seen.add(packet) {
                self.tell();
            }
        }
    }

    fn ended(&mut self, record: &FlowRecord) {
        // A part of a flow that goes on is no end.
        let is_told = record.tcp.is_some_and(|tcp| tcp.state.is_over()) || record.reason == EndReason::ActiveTimeout;
        if !is_told {
            self.detectors.observe(Observation::End(&record.into()), &mut self.evidence);
        }
    }

    fn closed(&mut self, connection: &FlowEnd) {
        self.detectors.observe(Observation::End(connection), &mut self.evidence);
    }

    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected) {
        if let Some(message) = facts.arp(packet.data) {
            let (source_mac, segment) = (source_mac(packet, facts), Domain::of(facts));
            let arp = SeenArp { message, source_mac, segment, time: packet.time };
            self.detectors.observe(Observation::Arp(&arp), &mut self.evidence);
        }
    }

    fn unreachable(&mut self, refusal: &SeenRefusal) {
        self.detectors.observe(Observation::Refusal(refusal), &mut self.evidence);
    }

    fn fragment(&mut self, fragment: &SeenFragment) {
        self.detectors.observe(Observation::Fragment(fragment), &mut self.evidence);
    }

    fn dhcp(&mut self, packet: &Packet<'_>, number: u64, facts: &Dissected) {
        if let Some(dhcp) = seen_dhcp(packet, number, facts) {
            self.detectors.observe(Observation::Dhcp(&dhcp), &mut self.evidence);
        }
    }

    fn follows_facts(&self) -> bool {
        self.detectors.follows_facts()
    }

    fn learned(&mut self, facts: &SeenFacts<'_>) {
        self.detectors.observe(Observation::Facts(facts), &mut self.evidence);
    }

    fn follows_dns(&self) -> bool {
        self.detectors.follows_dns()
    }

    fn dns(&mut self, dns: &SeenDns<'_>) {
        self.detectors.observe(Observation::Dns(dns), &mut self.evidence);
    }

    fn follows_growth(&self) -> bool {
        self.detectors.follows_growth()
    }

    fn grown(&mut self, flows: &[FlowGrowth]) {
        self.detectors.observe(Observation::Growth(flows), &mut self.evidence);
    }

    fn deadline(&self) -> Timestamp {
        self.bin_end
    }

    fn pass(&mut self, now: Timestamp) {
        self.tell();
        let next = now.0 / self.bin_ns;
        let end = Timestamp((next + 1).saturating_mul(self.bin_ns));
        if let Some(bin) = self.bin
            && !self.send(bin, next, self.bin_end)
        {
            self.delayed_count += 1;
        }
        (self.bin, self.bin_end) = (Some(next), end);
    }

    fn finish(&mut self, now: Timestamp) {
        self.tell();
        self.waits = true;
        if let Some(bin) = self.bin {
            self.send(bin, bin, now);
        }
    }
}

fn seen_dhcp(packet: &Packet<'_>, number: u64, facts: &Dissected) -> Option<SeenDhcp> {
    let from = facts.payload_offset as usize;
    let payload = packet.data.get(from..from + facts.payload_len as usize)?;
    let message = DhcpMessage::read(payload)?;
    let network = facts.network.as_ref()?;
    let (key, direction) = FlowKey::new(network, ports_of(facts)?);
    let (source, _) = HostAddress::of_network(network);
    let (source_mac, segment) = (source_mac(packet, facts), Domain::of(facts));
    Some(SeenDhcp { message, source, source_mac, segment, key, direction, time: packet.time, number })
}

/// Of a packet in a tunnel the frame's addresses are those of the tunnel's ends.
fn source_mac(packet: &Packet<'_>, facts: &Dissected) -> Option<[u8; 6]> {
    let macs = mac_addresses(packet.link_type, packet.data).filter(|_| facts.tunnel.is_none())?;
    Some(macs.source)
}
