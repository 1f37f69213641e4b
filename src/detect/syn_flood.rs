//! SYN floods: many connection attempts to a service, a host or a network, few of which are completed.
//!
//! Owns what is gathered and the rules. Outcomes count, not SYNs: a busy server whose handshakes are completed is none, and one source that floods is one as
//! well as many that do. `docs/detectors.md` has the rules in words.

mod counts;
mod tell;

use self::counts::{FloodCounts, HandshakeSteps};
use self::tell::FloodLife;
use super::detector::{BinSpan, Detector, Evidence, JudgeContext};
use super::victim_network::{self, CARPET_HOSTS};
use super::{
    AlertLives, AlertPhase, Contact, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow, Observation,
    SamplePacket,
};
use crate::flow::{Direction, FlowEvents, HostAddress, SeenFlow};
use crate::wire::TcpFlags;
use netscope_backends::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TCP: u8 = 6;
const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
/// A network is flooded when each of its services gets so many attempts; a scan tries each of them once or twice.
const ATTEMPTS_PER_SERVICE: u64 = 4;

/// `[analysis.anomalies.syn_flood]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynFloodSettings {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Attempts in the window that are not completed, from which on it is a flood.
    pub syn_threshold: u64,
    /// Sources in the window from which on a flood is distributed.
    pub unique_src_threshold: u64,
    /// Time in ns without a flood after which the alert is over.
    pub cooldown_ns: u64,
}

/// The detector.
pub struct SynFlood {
    settings: SynFloodSettings,
    table_bytes: usize,
    hash: EvidenceHash,
    services: EvidenceWindow<FloodCounts>,
    networks: EvidenceWindow<FloodCounts>,
    lives: AlertLives<FloodSubject, FloodLife>,
}

/// Attempts by service (address and port) and by network.
pub struct SynFloodEvidence {
    services: EvidenceTable<FloodCounts>,
    networks: EvidenceTable<FloodCounts>,
}

impl Evidence for SynFloodEvidence {
    fn merge(&mut self, other: &Self) {
        self.services.merge(&other.services);
        self.networks.merge(&other.networks);
    }

    fn clear(&mut self) {
        self.services.clear();
        self.networks.clear();
    }

    fn overflow(&self) -> u64 {
        self.services.overflow() + self.networks.overflow()
    }
}

/// What is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FloodSubject {
    /// An address and a port.
    Service(EvidenceKey),
    /// Many ports of the one host that is flooded in its network.
    Host(HostAddress),
    /// Several hosts of a network.
    Network(EvidenceKey),
}

impl FloodSubject {
    /// Where its evidence is among the networks; `None` for a service.
    fn network(self) -> Option<EvidenceKey> {
        match self {
            Self::Service(_) => None,
            Self::Host(host) => Some(network_of(host)),
            Self::Network(key) => Some(key),
        }
    }
}

fn network_of(host: HostAddress) -> EvidenceKey {
    EvidenceKey { host: victim_network::network_of(host), protocol: TCP, ..EvidenceKey::NONE }
}

/// What a flow says of a handshake: which way the client's packets go, and the steps.
fn steps_of(flow: &SeenFlow) -> Option<(Direction, HandshakeSteps)> {
    let events = flow.events;
    let is_syn = events.has(FlowEvents::SYN);
    let is_first = is_syn && events.has(FlowEvents::OPENED) && !events.has(FlowEvents::CONTINUED);
    let answer = |flags| flow.answer.is_some_and(|answer| answer.has(flags));
    let steps = HandshakeSteps {
        attempts: is_first.into(),
        // A SYN that begins a record of an old connection is none of a new one.
        repeats: u64::from(flow.repeats) + u64::from(is_syn && events.has(FlowEvents::CONTINUED)),
        answered: u64::from(events.has(FlowEvents::ANSWERED) && answer(SYN_ACK)),
        refused: u64::from(events.has(FlowEvents::REFUSED) && answer(TcpFlags::RST)),
        completed: events.has(FlowEvents::ESTABLISHED).into(),
    };
    (steps != HandshakeSteps::default()).then_some((if is_syn { flow.direction } else { flow.initiator }, steps))
}

impl SynFlood {
    /// A detector that has seen nothing.
    pub fn new(settings: SynFloodSettings, all: &DetectionSettings, hash: &EvidenceHash) -> Self {
        let window = || EvidenceWindow::new(settings.window_ns, all.bin_ns(), all.table_bytes, hash);
        Self {
            settings,
            table_bytes: all.table_bytes,
            hash: hash.clone(),
            services: window(),
            networks: window(),
            lives: AlertLives::new(all.life(settings.cooldown_ns, settings.window_ns)),
        }
    }

    /// The rule for what was gathered about a service: over the floor, and few are completed.
    fn is_flood(&self, counts: &FloodCounts) -> bool {
        counts.open() >= self.settings.syn_threshold && counts.completes_few()
    }

    /// The rule for a network, none of whose services is flooded by itself: attempts come again and again, or come to one host from many
    /// sources. A scan does neither.
    fn is_flooded_network(&self, counts: &FloodCounts) -> bool {
        let (services, hosts) = (counts.services.count(), counts.hosts.cardinality());
        let from_many = hosts.count == 1 && counts.sources.count() >= self.settings.unique_src_threshold;
        self.is_flood(counts) && (counts.load() >= ATTEMPTS_PER_SERVICE * services || from_many)
    }

    /// Judges the bins whose answers have had their time by `now`.
    fn judge_until(&mut self, now: Timestamp, context: &mut JudgeContext<'_>) {
        while let Some(bin) = self.services.settle(now) {
            self.networks.settle(now);
            self.judge_settled(bin, context);
        }
    }

    /// Judges the bin that came into the windows last.
    fn judge_settled(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let settings = self.settings;
        self.lives.end_quiet(bin, |subject, life, at| {
            context.alerts.push(life.alert(subject, AlertPhase::End(super::AlertEnd::Quiet), at, &settings, context.local));
        });
        let overflows = self.services.overflows() || self.networks.overflows();
        for (subject, life) in self.lives.payloads() {
            let settled = match subject {
                FloodSubject::Service(key) => self.services.settled(key),
                _ => subject.network().and_then(|key| self.networks.settled(&key)),
            };
            life.add(settled, overflows);
        }
        for (subject, counts) in self.holding() {
            if let Some(life) = self.lives.hold(&subject, bin) {
                life.hold(&counts);
                continue;
            }
            let so_far = match subject {
                FloodSubject::Service(key) => self.services.settled_sum(&key),
                _ => subject.network().and_then(|key| self.networks.settled_sum(&key)),
            };
            let life = FloodLife::new(so_far.unwrap_or_default(), &counts, overflows);
            let at = life.last();
            let alert = life.alert(subject, AlertPhase::Begin, at, &settings, context.local);
            if self.lives.begin(subject, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
        self.lives.tell_grown(|subject, life| {
            context.alerts.push(life.alert(*subject, AlertPhase::Update, life.last(), &settings, context.local));
        });
    }

    /// Of each network the most open attempts of one service in the window, as far as is settled.
    fn largest_by_network(&self) -> BTreeMap<EvidenceKey, u64> {
        let mut steps: HashMap<EvidenceKey, HandshakeSteps> = HashMap::new();
        self.services.entries().for_each(|(key, counts)| steps.entry(*key).or_default().add(counts.steps));
        let mut largest = BTreeMap::new();
        for (key, steps) in steps {
            let most: &mut u64 = largest.entry(network_of(key.host)).or_default();
            *most = steps.open().max(*most);
        }
        largest
    }

    /// What is flooded by now, and by how much.
    fn holding(&self) -> Vec<(FloodSubject, FloodCounts)> {
        let floor = self.settings.syn_threshold;
        let mut holding = Vec::new();
        let mut services: BTreeMap<EvidenceKey, Vec<(EvidenceKey, FloodCounts)>> = BTreeMap::new();
        for (key, counts) in self.services.holding(floor, |_, counts| self.is_flood(&counts).then_some(counts)) {
            services.entry(network_of(key.host)).or_default().push((key, counts));
        }
        // Of each network the service with the most open attempts; looked for when it is asked for.
        let mut largest: Option<BTreeMap<EvidenceKey, u64>> = None;
        // A network is flooded at least as much as its services.
        for (key, counts) in self.networks.holding(floor, |_, counts| Some(counts)) {
            let flooded = services.remove(&key).unwrap_or_default();
            let hosts: BTreeSet<HostAddress> = flooded.iter().map(|(key, _)| key.host).collect();
            let is_live = |key: &EvidenceKey| self.lives.is_live(&FloodSubject::Service(*key));
            let is_told = self.lives.is_live(&FloodSubject::Network(key));
            let mut is_of_several = || {
                is_told || counts.hosts.count() == 1 || {
                    let largest = largest.get_or_insert_with(|| self.largest_by_network());
                    largest.get(&key).copied().unwrap_or(0) * 2 < counts.open()
                }
            };
            // One that is told of as a whole goes on so, also when one of its hosts is flooded no more.
            let is_carpet = hosts.len() >= CARPET_HOSTS || !hosts.is_empty() && is_told;
            if is_carpet || flooded.is_empty() && self.is_flooded_network(&counts) && is_of_several() {
                // Those that were told of one by one go on so.
                holding.extend(flooded.into_iter().filter(|(key, _)| is_live(key)).map(service));
                let only = counts.hosts.listed().next().filter(|_| counts.hosts.count() == 1);
                let subject = only.map_or(FloodSubject::Network(key), |(contact, _)| FloodSubject::Host(contact.host));
                holding.push((subject, counts));
            } else {
                holding.extend(flooded.into_iter().map(service));
            }
        }
        // Those whose network found no room.
        holding.extend(services.into_values().flatten().map(service));
        holding
    }
}

fn service((key, counts): (EvidenceKey, FloodCounts)) -> (FloodSubject, FloodCounts) {
    (FloodSubject::Service(key), counts)
}

impl Detector for SynFlood {
    type Evidence = SynFloodEvidence;

    fn name(&self) -> &'static str {
        tell::KIND
    }

    fn evidence(&self) -> SynFloodEvidence {
        let table = || EvidenceTable::new(self.table_bytes, &self.hash);
        SynFloodEvidence { services: table(), networks: table() }
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut SynFloodEvidence) {
        match seen {
            Observation::Flows(flows) => {
                for flow in flows.iter().filter(|flow| flow.key.protocol() == TCP) {
                    if let Some((client, steps)) = steps_of(flow) {
                        self.note(flow.into(), client, (flow.first, flow.last), steps, evidence);
                    }
                }
            }
            Observation::Refusal(refusal) if refusal.key.protocol() == TCP => {
                let steps = HandshakeSteps { refused: 1, ..HandshakeSteps::default() };
                self.note(refusal.into(), refusal.direction, (refusal.time, refusal.time), steps, evidence);
            }
            _ => {}
        }
    }

    fn judge(&mut self, evidence: &mut SynFloodEvidence, context: &mut JudgeContext<'_>) {
        self.services.push(context.bin, &mut evidence.services);
        self.networks.push(context.bin, &mut evidence.networks);
        self.judge_until(context.bin.end, context);
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        if let Some(new) = settings.detectors.syn_flood {
            self.settings = SynFloodSettings { window_ns: self.settings.window_ns, ..new };
            self.lives.set_life(settings.life(self.settings.cooldown_ns, self.settings.window_ns));
        }
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.judge_until(Timestamp(u64::MAX), context);
        let settings = self.settings;
        self.lives.end_all(|subject, life, end| {
            let at = context.bin.end;
            context.alerts.push(life.alert(subject, AlertPhase::End(end), at, &settings, context.local));
        });
    }
}

impl SynFlood {
    /// Notes steps for the service and for its network. `client`: which way the client's packets go. `times`: of the first and the last SYN.
    fn note(
        &self,
        sample: SamplePacket,
        client: Direction,
        times: (Timestamp, Timestamp),
        steps: HandshakeSteps,
        evidence: &mut SynFloodEvidence,
    ) {
        let ((from, _), (host, port)) = (sample.key.source(client), sample.key.destination(client));
        let key = EvidenceKey { host, port, protocol: TCP, ..EvidenceKey::NONE };
        let source = self.ranked(Contact { host: from, port: 0 });
        evidence.services.observe(key, |counts| counts.note(sample, times, steps, source));
        let (service, host_only) = (self.ranked(Contact { host, port }), self.ranked(Contact { host, port: 0 }));
        evidence.networks.observe(network_of(host), |counts| {
            counts.note(sample, times, steps, source) + counts.note_service(steps, service, host_only)
        });
    }

    fn ranked(&self, contact: Contact) -> (u64, Contact) {
        (self.hash.rank(&contact), contact)
    }
}
