//! What is known of the connection attempts to one service or network. Sums and unions.

use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use netscope_backends::Timestamp;

/// What a packet means to a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandshakeStep {
    /// The first SYN.
    Attempt,
    /// The same SYN again.
    Repeat,
    /// A SYN-ACK.
    Answered,
    /// A reset, or an ICMP error.
    Refused,
    /// The client's ACK.
    Completed,
}

/// A client sends its SYN again so often within a window of some seconds (after 1, 3 and 7 s, RFC 6298); more is a flood of the same SYN.
const REPEATS_PER_ATTEMPT: u64 = 3;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FloodCounts {
    pub span: SeenSpan,
    pub attempts: u64,
    pub repeats: u64,
    pub answered: u64,
    pub refused: u64,
    pub completed: u64,
    /// Who sent SYNs.
    pub sources: DistinctSet,
    /// To which addresses and ports; of a network alone.
    pub services: DistinctSet,
    /// To which addresses; of a network alone.
    pub hosts: DistinctSet,
    pub samples: SamplePackets,
}

impl FloodCounts {
    /// Notes a step; what memory grew by, in bytes.
    pub fn note(&mut self, sample: SamplePacket, time: Timestamp, step: HandshakeStep, (rank, source): (u64, Contact)) -> usize {
        match step {
            HandshakeStep::Attempt => self.attempts += 1,
            HandshakeStep::Repeat => self.repeats += 1,
            HandshakeStep::Answered => self.answered += 1,
            HandshakeStep::Refused => self.refused += 1,
            HandshakeStep::Completed => self.completed += 1,
        }
        match step {
            HandshakeStep::Attempt => {
                self.span.note(time);
                self.sources.insert(rank, source, 1) + self.samples.note(sample)
            }
            HandshakeStep::Repeat => {
                self.span.note(time);
                self.sources.insert(rank, source, 1)
            }
            _ => 0,
        }
    }

    /// Notes where in its network a step happened; what memory grew by, in bytes.
    pub fn note_service(&mut self, step: HandshakeStep, to: (u64, Contact), host: (u64, Contact)) -> usize {
        match step {
            HandshakeStep::Attempt | HandshakeStep::Repeat => {
                self.services.insert(to.0, to.1, 1) + self.hosts.insert(host.0, host.1, 1)
            }
            _ => 0,
        }
    }

    /// Attempts, and SYNs that were repeated more often than a client does.
    pub fn load(&self) -> u64 {
        self.attempts + self.repeats.saturating_sub(REPEATS_PER_ATTEMPT * self.attempts)
    }

    /// Of these the ones that were not completed.
    pub fn open(&self) -> u64 {
        self.load().saturating_sub(self.completed)
    }

    /// Fewer than half are completed.
    pub fn completes_few(&self) -> bool {
        self.completed * 2 < self.load()
    }
}

impl KeyEvidence for FloodCounts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.attempts += other.attempts;
        self.repeats += other.repeats;
        self.answered += other.answered;
        self.refused += other.refused;
        self.completed += other.completed;
        self.sources.merge(&other.sources)
            + self.services.merge(&other.services)
            + self.hosts.merge(&other.hosts)
            + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, later: &Self) {
        self.answered += later.answered;
        self.refused += later.refused;
        self.completed += later.completed;
    }

    fn clear(&mut self) {
        let Self { span, attempts, repeats, answered, refused, completed, sources, services, hosts, samples } = self;
        *span = SeenSpan::default();
        (*attempts, *repeats, *answered, *refused, *completed) = (0, 0, 0, 0, 0);
        sources.clear();
        services.clear();
        hosts.clear();
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.attempts + self.repeats
    }
}
