//! The alerts of a run: the latest ones with their life, who acknowledged them, and how many began in each hour.
//!
//! Owns the store. Knows no detector. Invariants: at most [`ALERTS_MAX`] alerts are kept, ended ones go first; what went is counted.

use super::unix::{now, seconds};
use crate::detect::{Alert, AlertPhase, AlertSeverity};
use crate::record::AlertObject;
use netscope_backends::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Alerts kept.
pub const ALERTS_MAX: usize = 10_000;
/// Hours whose counts are kept: a week.
const HOURS_MAX: usize = 168;
/// Characters of an acknowledgment's note.
pub const NOTE_LEN_MAX: usize = 1000;
const HOUR_SECS: u64 = 3600;

/// An alert as the page has it.
#[derive(Clone, Debug)]
pub struct KeptAlert {
    /// `kind:key:began`.
    pub id: Arc<str>,
    /// As it was told last.
    pub alert: Arc<Alert>,
    /// Who has seen it.
    pub acknowledged: Option<Acknowledgment>,
    /// The packet time at which it was told first.
    pub told: Timestamp,
    /// When it began, in the order of coming.
    order: u64,
    /// The change of the store that concerned it last.
    change: u64,
}

/// Who has seen an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgment {
    /// When, by the clock.
    pub time: Timestamp,
    /// Who; `None` without auth.
    pub by: Option<String>,
    /// What they say of it.
    pub note: String,
}

impl KeptAlert {
    /// True while it goes on.
    pub fn is_open(&self) -> bool {
        !matches!(self.alert.phase, AlertPhase::End(_))
    }

    /// As JSON: the alert's own fields, and what the page adds.
    pub fn object(&self, community_id_seed: u16) -> Value {
        let mut object = serde_json::to_value(AlertObject::new(&self.alert, community_id_seed)).unwrap_or_default();
        object["id"] = (*self.id).into();
        object["state"] = if self.is_open() { "open" } else { "ended" }.into();
        object["acknowledged"] = match &self.acknowledged {
            Some(Acknowledgment { time, by, note }) => json!({"ts": seconds(*time), "by": by, "note": note}),
            None => Value::Null,
        };
        object
    }
}

/// Which alerts are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertFilter<'a> {
    /// Open ones, or ended ones.
    pub is_open: Option<bool>,
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// Of this severity.
    pub severity: Option<AlertSeverity>,
    /// That were not over before.
    pub from: Option<Timestamp>,
    /// That began before.
    pub to: Option<Timestamp>,
}

impl AlertFilter<'_> {
    fn fits(&self, kept: &KeptAlert) -> bool {
        let alert = &kept.alert;
        self.is_open.is_none_or(|is_open| is_open == kept.is_open())
            && self.kind.is_none_or(|kind| kind == alert.kind)
            && self.severity.is_none_or(|severity| severity == alert.severity)
            && self.from.is_none_or(|from| kept.is_open() || alert.time >= from)
            && self.to.is_none_or(|to| alert.began < to)
    }
}

/// Alerts that began in an hour, by severity.
pub type HourCount = [u64; 3];

/// The alerts.
#[derive(Debug, Default)]
pub struct AlertStore {
    by_id: HashMap<Arc<str>, KeptAlert>,
    /// All of them in the order in which they began.
    by_order: BTreeMap<u64, Arc<str>>,
    /// The same of those that are over.
    ended: BTreeSet<u64>,
    /// By the change that concerned them last.
    by_change: BTreeMap<u64, Arc<str>>,
    hours: BTreeMap<u64, HourCount>,
    kinds: BTreeMap<(&'static str, AlertSeverity), u64>,
    open: HourCount,
    orders: u64,
    changes: u64,
    left_out: u64,
}

impl AlertStore {
    /// Takes in what was told of an alert.
    pub fn note(&mut self, alert: &Alert) {
        let id: Arc<str> = format!("{}:{}:{}", alert.kind, alert.key, seconds(alert.began)).into();
        if alert.phase == AlertPhase::Begin {
            self.hours.entry(alert.began.0 / Timestamp::NS_PER_SEC / HOUR_SECS).or_default()[alert.severity as usize] += 1;
            if self.hours.len() > HOURS_MAX {
                self.hours.pop_first();
            }
            *self.kinds.entry((alert.kind, alert.severity)).or_default() += 1;
        }
        let (order, told, acknowledged) = match self.forget(&id) {
            Some(before) => (before.order, before.told, before.acknowledged),
            None => {
                self.orders += 1;
                (self.orders, alert.time, None)
            }
        };
        self.changes += 1;
        let kept = KeptAlert { id, alert: Arc::new(alert.clone()), acknowledged, told, order, change: self.changes };
        self.keep(kept);
        while self.by_id.len() > ALERTS_MAX {
            let first = self.ended.first().or_else(|| self.by_order.first_key_value().map(|(order, _)| order)).copied();
            let Some(id) = first.and_then(|order| self.by_order.get(&order)).cloned() else { break };
            self.forget(&id);
            self.left_out += 1;
        }
    }

    fn keep(&mut self, kept: KeptAlert) {
        self.by_order.insert(kept.order, Arc::clone(&kept.id));
        self.by_change.insert(kept.change, Arc::clone(&kept.id));
        if kept.is_open() {
            self.open[kept.alert.severity as usize] += 1;
        } else {
            self.ended.insert(kept.order);
        }
        self.by_id.insert(Arc::clone(&kept.id), kept);
    }

    fn forget(&mut self, id: &str) -> Option<KeptAlert> {
        let kept = self.by_id.remove(id)?;
        self.by_order.remove(&kept.order);
        self.by_change.remove(&kept.change);
        if kept.is_open() {
            let open = &mut self.open[kept.alert.severity as usize];
            *open = open.saturating_sub(1);
        } else {
            self.ended.remove(&kept.order);
        }
        Some(kept)
    }

    /// Says who has seen an alert, or that nobody has. The alert; `None` when it is not kept.
    pub fn acknowledge(&mut self, id: &str, by: Option<(Option<String>, String)>) -> Option<KeptAlert> {
        let mut kept = self.forget(id)?;
        self.changes += 1;
        kept.change = self.changes;
        kept.acknowledged = by.map(|(by, note)| Acknowledgment { time: now(), by, note });
        self.keep(kept.clone());
        Some(kept)
    }

    /// The alert of this id.
    pub fn get(&self, id: &str) -> Option<&KeptAlert> {
        self.by_id.get(id)
    }

    /// Alerts that changed since the store had this number of changes, latest first, at most `max`; and how many more there are.
    pub fn changed_since(&self, change: u64, max: usize) -> (Vec<KeptAlert>, usize) {
        let mut ids = self.by_change.range(change.saturating_add(1)..).rev().map(|(_, id)| id);
        let found = ids.by_ref().take(max).filter_map(|id| self.by_id.get(id)).cloned().collect();
        (found, ids.count())
    }

    /// Changes so far.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Alerts that fit, latest begin first: `limit` behind the first `offset`, and how many fit.
    pub fn find(&self, filter: &AlertFilter<'_>, offset: usize, limit: usize) -> (Vec<KeptAlert>, usize) {
        let (mut found, mut total) = (Vec::new(), 0);
        for kept in self.by_order.values().rev().filter_map(|id| self.by_id.get(id)).filter(|kept| filter.fits(kept)) {
            if total >= offset && found.len() < limit {
                found.push(kept.clone());
            }
            total += 1;
        }
        (found, total)
    }

    /// Ids of alerts with this flow among their example packets, latest first.
    pub fn of_flow(&self, is_flow: impl Fn(&crate::flow::FlowKey) -> bool, max: usize) -> Vec<Arc<str>> {
        let kept = self.by_order.values().rev().filter_map(|id| self.by_id.get(id));
        let with = kept.filter(|kept| kept.alert.samples.iter().any(|sample| is_flow(&sample.key.tuple())));
        with.take(max).map(|kept| Arc::clone(&kept.id)).collect()
    }

    /// Alerts that go on, by severity.
    pub const fn open(&self) -> HourCount {
        self.open
    }

    /// Alerts that began in this UTC day.
    pub fn began_on(&self, time: Timestamp) -> u64 {
        let day = time.0 / Timestamp::NS_PER_SEC / HOUR_SECS / 24;
        self.hours.range(day * 24..(day + 1) * 24).flat_map(|(_, counts)| counts).sum()
    }

    /// Alerts that began in each hour; the hour's begin in Unix seconds.
    pub fn hours(&self) -> impl Iterator<Item = (u64, HourCount)> + '_ {
        self.hours.iter().map(|(hour, counts)| (hour * HOUR_SECS, *counts))
    }

    /// Alerts that began since the start, by kind and severity.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, AlertSeverity, u64)> + '_ {
        self.kinds.iter().map(|((kind, severity), count)| (*kind, *severity, *count))
    }

    /// Alerts that went for others.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::AlertEnd;

    fn alert(second: u64, key: usize, phase: AlertPhase) -> Alert {
        let began = Timestamp(second * Timestamp::NS_PER_SEC);
        Alert { time: began, began, key: key.to_string(), ..Alert::bare("port_scan", "vertical", phase) }
    }

    #[test]
    fn an_alert_lives_under_one_id() {
        let mut store = AlertStore::default();
        store.note(&alert(7200, 1, AlertPhase::Begin));
        store.note(&alert(7200, 2, AlertPhase::Begin));
        assert_eq!((store.open(), store.changes()), ([2, 0, 0], 2));
        let id = "port_scan:1:7200";
        let kept = store.acknowledge(id, Some((Some("ada".to_owned()), "seen".to_owned()))).expect("it is kept");
        assert_eq!(kept.object(0)["acknowledged"]["by"], "ada");
        store.note(&alert(7200, 1, AlertPhase::End(AlertEnd::Quiet)));
        let kept = store.get(id).expect("the same");
        assert!(!kept.is_open() && kept.acknowledged.is_some(), "who has seen it stays");
        assert_eq!((store.open(), store.began_on(Timestamp(7200 * Timestamp::NS_PER_SEC))), ([1, 0, 0], 2));
        let (changed, more) = store.changed_since(2, 1);
        assert_eq!((changed.len(), &*changed[0].id, more), (1, id, 0), "changed twice and told once");
        let open = AlertFilter { is_open: Some(true), ..AlertFilter::default() };
        assert_eq!(store.find(&open, 0, 10).1, 1);
        assert!(store.acknowledge("no such", None).is_none());
        assert_eq!(store.acknowledge(id, None).map(|kept| kept.acknowledged), Some(None));
        assert_eq!(store.hours().collect::<Vec<_>>(), [(7200, [2, 0, 0])]);
    }

    #[test]
    fn the_store_is_bounded_and_ended_ones_go_first() {
        let mut store = AlertStore::default();
        store.note(&alert(1, 0, AlertPhase::Begin));
        for key in 1..=ALERTS_MAX + 5 {
            store.note(&alert(1, key, AlertPhase::Begin));
            store.note(&alert(1, key, AlertPhase::End(AlertEnd::Quiet)));
        }
        assert_eq!((store.by_id.len(), store.left_out(), store.open()), (ALERTS_MAX, 6, [1, 0, 0]));
        assert!(store.get("port_scan:0:1").is_some(), "it goes on");
        assert_eq!([store.by_order.len(), store.by_change.len()], [ALERTS_MAX; 2]);
        assert_eq!(store.ended.len(), ALERTS_MAX - 1);
        (0..400).for_each(|hour| store.note(&alert(hour * HOUR_SECS, 1, AlertPhase::Begin)));
        assert_eq!(store.hours().count(), HOURS_MAX);
        assert_eq!(store.kinds().map(|(.., count)| count).sum::<u64>(), (ALERTS_MAX + 6 + 400) as u64);
    }
}
