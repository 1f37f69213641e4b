//! What is known of a source's contacts: all, with one host, or on one port. Sums and unions.

use crate::detect::{DistinctSet, KeyEvidence, SamplePackets, SeenSpan};

/// By what a contact was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ScanTechnique {
    /// A SYN.
    Syn,
    /// A FIN alone, to no connection.
    Fin,
    /// No control bit at all.
    Null,
    /// FIN, PSH and URG.
    Xmas,
    /// An ACK to no connection, which was reset.
    Ack,
    /// A datagram to which an ICMP error came back.
    Udp,
    /// An echo request.
    IcmpEcho,
    /// An ARP request.
    Arp,
}

impl ScanTechnique {
    pub const ALL: [Self; 8] = [Self::Syn, Self::Fin, Self::Null, Self::Xmas, Self::Ack, Self::Udp, Self::IcmpEcho, Self::Arp];
}

/// Ports per host and hosts per port of a block.
const BLOCK_FACTOR: u64 = 2;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ContactCounts {
    pub span: SeenSpan,
    /// First contacts by technique; a contact may have several.
    pub tried: [u64; ScanTechnique::ALL.len()],
    /// Refused by a reset or an ICMP error.
    pub refused: u64,
    /// TCP handshakes completed.
    pub completed: u64,
    /// Whom the source contacted: ports of hosts, ports, or hosts.
    pub contacts: DistinctSet,
    /// Who of them answered.
    pub successes: DistinctSet,
    /// Hosts contacted; of all contacts alone.
    pub hosts: DistinctSet,
    /// Ports contacted; of all contacts alone.
    pub ports: DistinctSet,
    pub samples: SamplePackets,
}

impl ContactCounts {
    /// Contacts that did not succeed.
    pub fn failed(&self) -> u64 {
        self.contacts.count().saturating_sub(self.successes.count())
    }

    /// Several ports on each of several hosts. Peers of a peer-to-peer network are as many hosts as ports.
    pub fn is_block(&self) -> bool {
        let (hosts, ports) = (self.hosts.count(), self.ports.count());
        hosts > 1 && ports > 1 && self.contacts.count() >= BLOCK_FACTOR * hosts.max(ports)
    }

    /// The technique that was used most.
    pub fn technique(&self) -> Option<&'static str> {
        let most = ScanTechnique::ALL.into_iter().rev().max_by_key(|&technique| self.tried[technique as usize])?;
        Some(match most {
            _ if self.tried[most as usize] == 0 => return None,
            ScanTechnique::Syn if self.successes.count() == 0 => "syn",
            ScanTechnique::Syn if self.completed > 0 => "connect",
            ScanTechnique::Syn => "half_open",
            ScanTechnique::Fin => "fin",
            ScanTechnique::Null => "null",
            ScanTechnique::Xmas => "xmas",
            ScanTechnique::Ack => "ack",
            ScanTechnique::Udp => "udp",
            ScanTechnique::IcmpEcho => "icmp_echo",
            ScanTechnique::Arp => "arp",
        })
    }
}

impl KeyEvidence for ContactCounts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.tried.iter_mut().zip(other.tried).for_each(|(own, other)| *own += other);
        self.refused += other.refused;
        self.completed += other.completed;
        self.contacts.merge(&other.contacts)
            + self.successes.merge(&other.successes)
            + self.hosts.merge(&other.hosts)
            + self.ports.merge(&other.ports)
            + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, later: &Self) {
        self.refused += later.refused;
        self.completed += later.completed;
        // Of contacts that are in the window; the others come with their own bin.
        self.successes.merge_within(&later.successes, &self.contacts);
    }

    fn clear(&mut self) {
        let Self { span, tried, refused, completed, contacts, successes, hosts, ports, samples } = self;
        *span = SeenSpan::default();
        *tried = [0; ScanTechnique::ALL.len()];
        (*refused, *completed) = (0, 0);
        [contacts, successes, hosts, ports].into_iter().for_each(DistinctSet::clear);
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.tried.iter().sum()
    }
}
