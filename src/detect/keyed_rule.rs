//! A detector that is one rule over evidence by key: most are.
//!
//! Owns the table on the queue, the window, and the lives of its alerts; the rule says what is noted, when it holds and how that is
//! told. Knows no kind of trouble. Invariant: as of every detector, the same evidence gives the same alerts, however it was dealt.

use super::detector::{BinSpan, Detector, Evidence, JudgeContext};
use super::{
    Alert, AlertEnd, AlertLives, AlertPhase, DetectionSettings, EvidenceHash, EvidenceKey, EvidenceTable, EvidenceWindow,
    KeyEvidence, LivePayload, LocalNetworks, Observation,
};
use netscope_backends::Timestamp;
use std::collections::BTreeSet;

/// One rule. Its settings are its own.
pub trait KeyedRule: Send + 'static {
    /// What is gathered of a key. Its weight is what an alert's growth is measured by.
    type Evidence: KeyEvidence;

    /// The `kind` of its alerts.
    fn name(&self) -> &'static str;

    /// Length of the window in ns.
    fn window_ns(&self) -> u64;

    /// Time without the rule after which an alert is over, in ns.
    fn cooldown_ns(&self) -> u64;

    /// True where what is noted needs time for its answers, as [`KeyEvidence::merge_answers`] takes them.
    fn has_answers(&self) -> bool {
        false
    }

    /// As of [`Detector`].
    fn follows_growth(&self) -> bool {
        false
    }

    /// As of [`Detector`].
    fn follows_facts(&self) -> bool {
        false
    }

    /// As of [`Detector`].
    fn follows_dns(&self) -> bool {
        false
    }

    /// On the queue: notes what matters of something that was seen.
    fn observe(&self, seen: Observation<'_>, table: &mut EvidenceTable<Self::Evidence>);

    /// On the sum: what is to be remembered beyond the window, of each bin. Bins come in order, keys of a bin in none.
    fn learn(&mut self, _bin: &EvidenceTable<Self::Evidence>) {}

    /// The least weight with which the rule can hold: what is cheap to ask first.
    fn floor(&self) -> u64;

    /// On the sum: whether the rule holds for a key that has this in the window.
    fn holds(&self, key: &EvidenceKey, window: &Self::Evidence) -> bool;

    /// How serious what is known of an alert under way is. When it rises, the alert is told again, whatever its growth.
    fn grade(&self, _life: &Self::Evidence) -> u8 {
        0
    }

    /// Wider keys, such as a whole network: while the rule holds for one of them or its alert is under way, an alert about this key says nothing
    /// more, and does not begin.
    fn wider(&self, _key: &EvidenceKey) -> [Option<EvidenceKey>; 2] {
        [None; 2]
    }

    /// On the judge's side: takes other thresholds. The window stays as it is.
    fn reload(&mut self, settings: &DetectionSettings);

    /// The alert about a key.
    fn alert(&self, told: &Told<'_, Self::Evidence>) -> Alert;
}

/// What an alert is made of.
pub struct Told<'a, E> {
    /// What it is about.
    pub key: &'a EvidenceKey,
    /// Where in its life.
    pub phase: AlertPhase,
    /// Of an end when it was over; of a begin or an update the end of the bin that was judged.
    pub time: Timestamp,
    /// Of its whole life, from the start of the window in which it began.
    pub life: &'a E,
    /// What the window had when the rule held last.
    pub window: &'a E,
    /// Some observations found no room.
    pub is_at_least: bool,
    /// Which addresses are inside.
    pub local: &'a LocalNetworks,
}

/// What is kept of an alert under way.
struct RuleLife<E> {
    life: E,
    window: E,
    grade: u8,
    is_at_least: bool,
}

impl<E: KeyEvidence> LivePayload for RuleLife<E> {
    fn magnitude(&self) -> u64 {
        self.life.weight()
    }
}

impl<E> RuleLife<E> {
    fn told<'a>(&'a self, key: &'a EvidenceKey, phase: AlertPhase, time: Timestamp, local: &'a LocalNetworks) -> Told<'a, E> {
        Told { key, phase, time, life: &self.life, window: &self.window, is_at_least: self.is_at_least, local }
    }
}

impl<E: KeyEvidence> Evidence for EvidenceTable<E> {
    fn merge(&mut self, other: &Self) {
        self.merge(other);
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn overflow(&self) -> u64 {
        self.overflow()
    }
}

/// The detector of a rule.
pub struct KeyedDetector<R: KeyedRule> {
    rule: R,
    table_bytes: usize,
    hash: EvidenceHash,
    window: EvidenceWindow<R::Evidence>,
    lives: AlertLives<EvidenceKey, RuleLife<R::Evidence>>,
}

impl<R: KeyedRule> KeyedDetector<R> {
    /// A detector that has seen nothing.
    pub fn new(rule: R, all: &DetectionSettings) -> Self {
        let window = EvidenceWindow::new(rule.window_ns(), all.bin_ns(), all.table_bytes, &all.hash);
        let window = if rule.has_answers() { window } else { window.without_answers() };
        let lives = AlertLives::new(all.life(rule.cooldown_ns(), rule.window_ns()));
        Self { rule, table_bytes: all.table_bytes, hash: all.hash.clone(), window, lives }
    }

    /// Judges the bins whose answers have had their time by `now`.
    fn judge_until(&mut self, now: Timestamp, context: &mut JudgeContext<'_>) {
        while let Some(bin) = self.window.settle(now) {
            self.judge_settled(bin, context);
        }
    }

    /// Judges the bin that came into the window last.
    fn judge_settled(&mut self, bin: BinSpan, context: &mut JudgeContext<'_>) {
        let Self { rule, window, lives, .. } = self;
        let local = context.local;
        lives.end_quiet(bin, |key, life, at| {
            context.alerts.push(rule.alert(&life.told(&key, AlertPhase::End(AlertEnd::Quiet), at, local)));
        });
        let overflows = window.overflows();
        let mut risen = BTreeSet::new();
        for (key, life) in lives.payloads() {
            if let Some(settled) = window.settled(key) {
                life.life.merge(settled);
                let grade = rule.grade(&life.life);
                if grade > life.grade {
                    life.grade = grade;
                    risen.insert(*key);
                }
            }
            life.is_at_least |= overflows;
        }
        let holding = window.holding(rule.floor(), |key, sum| rule.holds(key, &sum).then_some(sum));
        let held: BTreeSet<EvidenceKey> = holding.iter().map(|(key, _)| *key).collect();
        for (key, sum) in holding {
            if let Some(life) = lives.hold(&key, bin) {
                life.window = sum;
                continue;
            }
            if rule.wider(&key).iter().flatten().any(|wider| held.contains(wider) || lives.is_live(wider)) {
                continue;
            }
            let grade = rule.grade(&sum);
            let so_far = window.settled_sum(&key).unwrap_or_default();
            let life = RuleLife { life: so_far, window: sum, grade, is_at_least: overflows };
            let alert = rule.alert(&life.told(&key, AlertPhase::Begin, bin.end, local));
            if lives.begin(key, life, bin) {
                context.alerts.push(alert);
            } else {
                *context.left_out += 1;
            }
        }
        let mut update = |key: &EvidenceKey, life: &RuleLife<R::Evidence>| {
            context.alerts.push(rule.alert(&life.told(key, AlertPhase::Update, bin.end, local)));
        };
        lives.tell_grown(|key, life| {
            risen.remove(key);
            update(key, life);
        });
        lives.payloads().filter(|(key, _)| risen.contains(key)).for_each(|(key, life)| update(key, life));
    }
}

impl<R: KeyedRule> Detector for KeyedDetector<R> {
    type Evidence = EvidenceTable<R::Evidence>;

    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn evidence(&self) -> Self::Evidence {
        EvidenceTable::new(self.table_bytes, &self.hash)
    }

    fn follows_growth(&self) -> bool {
        self.rule.follows_growth()
    }

    fn follows_facts(&self) -> bool {
        self.rule.follows_facts()
    }

    fn follows_dns(&self) -> bool {
        self.rule.follows_dns()
    }

    fn observe(&self, seen: Observation<'_>, evidence: &mut Self::Evidence) {
        self.rule.observe(seen, evidence);
    }

    fn judge(&mut self, evidence: &mut Self::Evidence, context: &mut JudgeContext<'_>) {
        self.rule.learn(evidence);
        self.window.push(context.bin, evidence);
        self.judge_until(context.bin.end, context);
    }

    fn reload(&mut self, settings: &DetectionSettings) {
        self.rule.reload(settings);
        self.lives.set_life(settings.life(self.rule.cooldown_ns(), self.rule.window_ns()));
    }

    fn finish(&mut self, context: &mut JudgeContext<'_>) {
        self.judge_until(Timestamp(u64::MAX), context);
        let Self { rule, lives, .. } = self;
        let (at, local) = (context.bin.end, context.local);
        lives.end_all(|key, life, end| context.alerts.push(rule.alert(&life.told(&key, AlertPhase::End(end), at, local))));
    }
}
