//! The cold side's thread: carries mail from the queues to the aggregator, and what it tells to the outputs.
//!
//! Owns the time and the sleep. Knows no record. Invariant: on a wire it waits for no output before the end, so it always takes the
//! queues' boxes.

use super::outputs::Outputs;
use super::{Aggregator, Event, Mail, Summary};
use crate::engine::{Parker, QueueMail};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First sleep when no queue had anything, and the longest; each in vain is twice as long as the one before. Whoever waits for this
/// thread wakes it, and so does a mailbox that is half full: it looks by itself for what trickles in. At a thousand looks a second
/// it would use most of what a silent wire costs at all.
const SLEEP: Duration = Duration::from_millis(1);
const SLEEP_MAX: Duration = Duration::from_millis(25);

/// Runs until every queue has ended and everything was passed on. `waits`: the source does, so that slow outputs hold it up instead
/// of losing something. `idle` is called every few milliseconds (progress display).
pub fn run(
    mut aggregator: Aggregator,
    queues: &[QueueMail],
    outputs: &Outputs<'_>,
    waits: bool,
    mut idle: impl FnMut(),
) -> Summary {
    let parker: Arc<Parker> = queues.first().map(|mail| Arc::clone(mail.snapshots.parker())).unwrap_or_default();
    parker.register();
    let mut sleep = SLEEP;
    loop {
        let now = Instant::now();
        let mut some = false;
        for (queue, mail) in queues.iter().enumerate() {
            some |= collect(&mut aggregator, queue, mail, now);
        }
        while let Some(event) = aggregator.poll(now) {
            let may_wait = waits || aggregator.is_ending();
            match event {
                Event::Ended(records) => outputs.ended(records, may_wait),
                Event::Report(report) => outputs.report(*report, may_wait),
                Event::End(end) => {
                    let (table, summary) = *end;
                    let summary = Summary { outputs: outputs.losses(), ..summary };
                    outputs.end(table, summary.clone());
                    outputs.wake();
                    return summary;
                }
            }
        }
        outputs.wake();
        idle();
        if some {
            sleep = SLEEP;
        } else {
            parker.sleep(sleep);
            sleep = (sleep * 2).min(SLEEP_MAX);
        }
    }
}

/// Takes what has arrived from a queue, as far as the aggregator takes it; false when there was nothing.
fn collect(aggregator: &mut Aggregator, queue: usize, mail: &QueueMail, now: Instant) -> bool {
    if aggregator.is_finished(queue) {
        return false;
    }
    // Asked before the boxes are emptied: what was sent before the end is then seen.
    let is_finished = mail.snapshots.is_finished() && mail.ended.as_ref().is_none_or(|ended| ended.is_finished());
    let mut some = is_finished;
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
    mail.snapshots.wake_sender();
    if is_finished {
        aggregator.accept(queue, Mail::End, now);
    }
    some
}
