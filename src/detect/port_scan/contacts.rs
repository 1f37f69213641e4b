//! What is known of a source's contacts: all of them, and those with one host or on one port. Sums and unions.

use crate::detect::{Cardinality, Contact, DistinctSet, KeyEvidence, SamplePackets, SeenSpan};

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

/// What a flow, or an error about it, says of a contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContactSteps {
    /// By what it was tried, and how often.
    pub tried: Option<(ScanTechnique, u32)>,
    /// It is known to be tried only because it failed, by this technique.
    pub failed: Option<ScanTechnique>,
    /// A reset, or an ICMP error.
    pub refused: bool,
    /// An answer, or a handshake whose answer came another way.
    pub succeeded: bool,
    /// A TCP handshake.
    pub completed: bool,
}

impl ContactSteps {
    /// True when it tells whom the source contacts.
    pub const fn is_contact(&self) -> bool {
        self.tried.is_some() || self.failed.is_some() || self.succeeded
    }

    /// How often it was tried.
    pub fn tries(&self) -> u64 {
        u64::from(self.tried.map_or(0, |(_, count)| count)) + u64::from(self.failed.is_some())
    }
}

/// Contacts with one host, or on one port.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KeyContacts {
    tries: u64,
    /// Ports, or hosts.
    contacts: DistinctSet,
    /// Those of them that answered.
    successes: DistinctSet,
}

impl KeyContacts {
    /// Notes what became of a contact with this member; what memory grew by, in bytes.
    pub fn note(&mut self, steps: &ContactSteps, (rank, member): (u64, Contact)) -> usize {
        self.tries += steps.tries();
        let contact = self.contacts.insert(rank, member, 1);
        contact + if steps.succeeded { self.successes.insert(rank, member, 1) } else { 0 }
    }

    /// Different contacts that did not succeed, and those that did.
    pub fn failed_and_succeeded(&self) -> (u64, u64) {
        let successes = self.successes.count();
        (self.contacts.count().saturating_sub(successes), successes)
    }
}

impl KeyEvidence for KeyContacts {
    fn merge(&mut self, other: &Self) -> usize {
        self.tries += other.tries;
        self.contacts.merge(&other.contacts) + self.successes.merge(&other.successes)
    }

    fn merge_answers(&mut self, later: &Self) {
        // Of contacts that are in the window; the others come with their own bin.
        self.successes.merge_within(&later.successes, &self.contacts);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn weight(&self) -> u64 {
        self.contacts.count_beside(&self.successes).unwrap_or(self.tries)
    }
}

/// All contacts of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SourceContacts {
    pub span: SeenSpan,
    /// Tries by technique; a contact may have several.
    pub tried: [u32; ScanTechnique::ALL.len()],
    /// Refused by a reset or an ICMP error.
    pub refused: u64,
    /// TCP handshakes completed.
    pub completed: u64,
    /// Ports of hosts.
    pub all: KeyContacts,
    /// Hosts contacted.
    pub hosts: DistinctSet,
    /// Ports contacted.
    pub ports: DistinctSet,
    pub samples: SamplePackets,
}

impl SourceContacts {
    /// Notes what became of a contact; its target, host and port with their ranks. What memory grew by, in bytes.
    pub fn note(&mut self, steps: &ContactSteps, target: (u64, Contact), host: (u64, Contact), port: (u64, Contact)) -> usize {
        let failed = steps.failed.map(|technique| (technique, 1));
        for (technique, count) in steps.tried.into_iter().chain(failed) {
            let tried = &mut self.tried[technique as usize];
            *tried = tried.saturating_add(count);
        }
        self.refused += u64::from(steps.refused);
        self.completed += u64::from(steps.completed);
        if !steps.is_contact() {
            return 0;
        }
        self.all.note(steps, target) + self.hosts.insert(host.0, host.1, 1) + self.ports.insert(port.0, port.1, 1)
    }

    /// Different contacts.
    pub fn contacts(&self) -> Cardinality {
        self.all.contacts.cardinality()
    }

    /// Several ports on each of several hosts. Peers of a peer-to-peer network are as many hosts as ports.
    pub fn is_block(&self) -> bool {
        let (hosts, ports) = (self.hosts.count(), self.ports.count());
        hosts > 1 && ports > 1 && self.contacts().count >= BLOCK_FACTOR * hosts.max(ports)
    }

    /// The technique that was used most.
    pub fn technique(&self) -> Option<&'static str> {
        let most = ScanTechnique::ALL.into_iter().rev().max_by_key(|&technique| self.tried[technique as usize])?;
        let (_, successes) = self.all.failed_and_succeeded();
        Some(match most {
            _ if self.tried[most as usize] == 0 => return None,
            ScanTechnique::Syn if successes == 0 => "syn",
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

impl KeyEvidence for SourceContacts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.tried.iter_mut().zip(other.tried).for_each(|(own, other)| *own = own.saturating_add(other));
        self.refused += other.refused;
        self.completed += other.completed;
        self.all.merge(&other.all)
            + self.hosts.merge(&other.hosts)
            + self.ports.merge(&other.ports)
            + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, later: &Self) {
        self.refused += later.refused;
        self.completed += later.completed;
        self.all.merge_answers(&later.all);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn weight(&self) -> u64 {
        self.all.weight()
    }
}
