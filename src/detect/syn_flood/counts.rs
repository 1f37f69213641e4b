//! What is known of the connection attempts to one service or network. Sums and unions.

use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use netscope_backends::Timestamp;

/// What a flow means to handshakes, or many do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HandshakeSteps {
    /// First SYNs.
    pub attempts: u64,
    /// The same SYNs again.
    pub repeats: u64,
    /// SYN-ACKs.
    pub answered: u64,
    /// Resets and ICMP errors.
    pub refused: u64,
    /// The client's ACKs.
    pub completed: u64,
}

impl HandshakeSteps {
    pub fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.repeats += other.repeats;
        self.add_answers(other);
    }

    fn add_answers(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.completed += other.completed;
    }

    /// Attempts, and SYNs that were repeated more often than a client does.
    pub const fn load(&self) -> u64 {
        self.attempts + self.repeats.saturating_sub(REPEATS_PER_ATTEMPT * self.attempts)
    }

    /// Of these the ones that were not completed.
    pub const fn open(&self) -> u64 {
        self.load().saturating_sub(self.completed)
    }

    /// SYNs.
    const fn syns(&self) -> u64 {
        self.attempts + self.repeats
    }
}

/// A client sends its SYN again so often within a window of some seconds (after 1, 3 and 7 s, RFC 6298); more is a flood of the same SYN.
const REPEATS_PER_ATTEMPT: u64 = 3;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FloodCounts {
    pub span: SeenSpan,
    pub steps: HandshakeSteps,
    /// Who sent SYNs.
    pub sources: DistinctSet,
    /// To which addresses and ports; of a network alone.
    pub services: DistinctSet,
    /// To which addresses; of a network alone.
    pub hosts: DistinctSet,
    pub samples: SamplePackets,
}

impl FloodCounts {
    /// Notes steps, with SYNs from the first to the last of these times; what memory grew by, in bytes.
    pub fn note(
        &mut self,
        sample: SamplePacket,
        (first, last): (Timestamp, Timestamp),
        steps: HandshakeSteps,
        (rank, source): (u64, Contact),
    ) -> usize {
        self.steps.add(steps);
        if steps.syns() == 0 {
            return 0;
        }
        self.span.note(first);
        self.span.note(last);
        let syns = u32::try_from(steps.syns()).unwrap_or(u32::MAX);
        self.sources.insert(rank, source, syns) + if steps.attempts > 0 { self.samples.note(sample) } else { 0 }
    }

    /// Notes where in its network steps happened; what memory grew by, in bytes.
    pub fn note_service(&mut self, steps: HandshakeSteps, service: (u64, Contact), host: (u64, Contact)) -> usize {
        if steps.syns() == 0 {
            return 0;
        }
        self.services.insert(service.0, service.1, 1) + self.hosts.insert(host.0, host.1, 1)
    }

    /// As of its [steps](HandshakeSteps::load).
    pub fn load(&self) -> u64 {
        self.steps.load()
    }

    /// The same.
    pub fn open(&self) -> u64 {
        self.steps.open()
    }

    /// Fewer than half are completed.
    pub fn completes_few(&self) -> bool {
        self.steps.completed * 2 < self.load()
    }
}

impl KeyEvidence for FloodCounts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.steps.add(other.steps);
        self.sources.merge(&other.sources)
            + self.services.merge(&other.services)
            + self.hosts.merge(&other.hosts)
            + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, later: &Self) {
        self.steps.add_answers(later.steps);
    }

    fn clear(&mut self) {
        let Self { span, steps, sources, services, hosts, samples } = self;
        (*span, *steps) = (SeenSpan::default(), HandshakeSteps::default());
        sources.clear();
        services.clear();
        hosts.clear();
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.steps.syns().saturating_sub(self.steps.completed)
    }
}
