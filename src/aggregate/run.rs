//! The cold side's thread: carries mail from the queues to the aggregator, and what it tells to the outputs.
//!
//! Owns the time and the sleep. Knows no record. Invariant: on a wire it waits for no output before the end, so it always takes the
//! queues' boxes.

use super::asking::Asking;
use super::outputs::Outputs;
use super::{Aggregator, Event, Mail, Questions, Report, Summary};
use crate::detect::Alert;
use crate::engine::{Parker, QueueMail};
use netscope_backends::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sleep when no queue had anything. A sender that waits for this thread wakes it, and so does a mailbox that
/// is half full. It looks by itself only for what arrives slowly. At a thousand looks a second it would use
/// most of what a silent wire costs at all.
const SLEEP: Duration = Duration::from_millis(20);

/// The same while a question is under way: an answer of few boxes wakes nobody.
const SLEEP_ASKED: Duration = Duration::from_millis(1);

/// A request to write the live flow table now (a signal).
#[derive(Clone, Debug, Default)]
pub struct LiveTableRequest(Arc<AtomicBool>);

impl LiveTableRequest {
    /// A flag that something else sets, too.
    pub fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Asks for it.
    pub fn request(&self) {
        // Relaxed: the flag carries no data; whoever sees it late answers a little later. Read in `take`.
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once for each request, or for several at once.
    pub(super) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// What [`run`] is told from outside and tells.
pub struct Control<'a> {
    /// The live table is wanted.
    pub live_table: &'a LiveTableRequest,
    /// Questions about flows and the history.
    pub questions: &'a Questions,
    /// Something the user should know.
    pub notice: &'a dyn Fn(&str),
    /// Called every few milliseconds (progress display).
    pub idle: &'a dyn Fn(),
    /// Called once, before the outputs are told of the end (a progress display goes away).
    pub ending: &'a dyn Fn(),
    /// An alert is told: the file in which the flight recorder puts its packets, if there is one.
    pub recording: &'a dyn Fn(&Alert) -> Option<String>,
    /// All alerts of the evidence up to this packet time were told.
    pub judged: &'a dyn Fn(Timestamp),
}

/// Runs until every queue has ended and everything was passed on. `waits`: the source does, so that slow outputs hold it up instead
/// of losing something.
pub fn run(
    mut aggregator: Aggregator,
    queues: &[QueueMail],
    outputs: &Outputs<'_>,
    waits: bool,
    control: &Control<'_>,
) -> Summary {
    let parker: Arc<Parker> = queues.first().map(|mail| Arc::clone(mail.snapshots.parker())).unwrap_or_default();
    parker.register();
    control.questions.answered_by(&parker);
    let mut asking = Asking::new(control.questions, waits);
    loop {
        let now = Instant::now();
        asking.go_on(&mut aggregator, queues, outputs, control, now);
        let mut some = false;
        for (queue, mail) in queues.iter().enumerate() {
            some |= collect(&mut aggregator, queue, mail, now);
        }
        while let Some(event) = aggregator.poll(now) {
            let may_wait = waits || aggregator.is_ending();
            match event {
                Event::Ended(records) => outputs.ended(records, may_wait),
                Event::Report(report) => outputs.report(Report { outputs: outputs.states(), ..*report }, may_wait),
                Event::History(history) => outputs.history(*history, true),
                Event::Alert(alert) => {
                    let recording = (control.recording)(&alert);
                    outputs.alert(Alert { recording, ..*alert }, may_wait);
                }
                Event::Table(table) => outputs.live_table(table),
                Event::Found(found) => asking.found(*found),
                Event::GivenUp if asking.give_up() => {}
                Event::GivenUp => {
                    (control.notice)("the flow table is not written: too many flows ended before every worker had sent its own")
                }
                Event::End(end) => {
                    (control.ending)();
                    let (table, summary) = *end;
                    let summary = Summary { outputs: outputs.losses(), ..summary };
                    outputs.end(table, summary.clone());
                    outputs.wake();
                    return summary;
                }
            }
        }
        if let Some(time) = aggregator.judged() {
            (control.judged)(time);
        }
        (control.idle)();
        if !some && !aggregator.is_finding() {
            outputs.wake();
            parker.sleep(if asking.is_busy() { SLEEP_ASKED } else { SLEEP });
        }
    }
}

/// Takes what has arrived from a queue, as far as the aggregator takes it; false when there was nothing.
fn collect(aggregator: &mut Aggregator, queue: usize, mail: &QueueMail, now: Instant) -> bool {
    if aggregator.is_finished(queue) {
        return false;
    }
    // Asked before the boxes are emptied: what was sent before the end is then seen.
    let is_finished = mail.snapshots.is_finished()
        && mail.ended.as_ref().is_none_or(|ended| ended.is_finished())
        && mail.evidence.as_ref().is_none_or(|evidence| evidence.is_finished());
    let mut some = is_finished;
    // Before ended flows: what an answer says has ended by then is in a box that was sent before it.
    while let Some(mut taken) = mail.requests.answers.receive() {
        aggregator.accept(queue, Mail::Answer(&mut taken), now);
        mail.requests.answers.give_back(taken);
        some = true;
    }
    while aggregator.takes_snapshot(queue)
        && let Some(taken) = mail.snapshots.receive()
    {
        aggregator.accept(queue, Mail::Snapshot(&taken), now);
        mail.snapshots.give_back(taken);
        some = true;
    }
    if let Some(ended) = &mail.ended {
        while aggregator.takes_ended(queue)
            && let Some(mut taken) = ended.receive()
        {
            aggregator.accept(queue, Mail::Ended(&mut taken), now);
            ended.give_back(taken);
            some = true;
        }
        ended.wake_sender();
    }
    if let Some(evidence) = &mail.evidence {
        while aggregator.takes_evidence(queue)
            && let Some(mut taken) = evidence.receive()
        {
            aggregator.accept(queue, Mail::Evidence(&mut taken), now);
            evidence.give_back(taken);
            some = true;
        }
        evidence.wake_sender();
    }
    mail.snapshots.wake_sender();
    if is_finished {
        aggregator.accept(queue, Mail::End, now);
    }
    some
}
