//! Carries messages to a receiver: a bounded queue, threads that send, and attempts that are repeated.
//!
//! Owns the queue, the threads and the counts. Knows no format and no protocol. Invariants: each message that is given is in one of the counts in the
//! end; with one thread they are delivered in the order in which they were given; whoever gives never waits.

use super::retry::{WAIT_MAX, backoff, random};
use super::{AlertMessage, AlertTransport, NotSent, OnDeliveryNotice};
use crate::aggregate::AlertDeliveries;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is left to a thread that is told to stop while it sends.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// Longest wait between two attempts once the run is ending.
const LAST_WAIT_MAX: Duration = Duration::from_millis(200);
/// A receiver that fails, works and fails again is told of so often at most.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Messages that may wait.
    pub queue_count_max: usize,
    /// Attempts for one message.
    pub attempts_max: u32,
    /// Time after which a message is given up.
    pub age_max: Duration,
    /// Time for what is left at the end of the run.
    pub drain: Duration,
}

/// The queue and its threads.
pub(super) struct Courier {
    shared: Arc<CourierShared>,
}

struct CourierShared {
    name: String,
    settings: DeliverySettings,
    notice: Arc<OnDeliveryNotice>,
    state: Mutex<CourierState>,
    /// There is a message, or the end is near.
    filled: Condvar,
    /// The end is near, or there: a thread that waits for its next attempt looks.
    ending: Condvar,
    /// Something was settled, or a thread has gone.
    settled: Condvar,
}

#[derive(Default)]
struct CourierState {
    /// Each with the time when it was given.
    waiting: VecDeque<(Instant, AlertMessage)>,
    in_flight: u64,
    threads: usize,
    is_ending: bool,
    is_over: bool,
    counts: AlertDeliveries,
    /// Failures in a row.
    failures: u32,
    /// What was told last: that it fails, or nothing.
    is_told: bool,
    told_at: Option<Instant>,
}

impl Courier {
    /// Starts a thread for each way.
    pub(super) fn start(
        name: String,
        transports: Vec<Box<dyn AlertTransport>>,
        settings: DeliverySettings,
        notice: Arc<OnDeliveryNotice>,
    ) -> io::Result<Self> {
        let state = Mutex::new(CourierState { threads: transports.len(), ..CourierState::default() });
        let (filled, ending, settled) = (Condvar::new(), Condvar::new(), Condvar::new());
        let shared = Arc::new(CourierShared { name, settings, notice, state, filled, ending, settled });
        for mut transport in transports {
            let shared = Arc::clone(&shared);
            // Not joined: one may be in a system call, and the run ends all the same.
            thread::Builder::new().name("alert-courier".to_owned()).spawn(move || {
                let leaves = Leaves(&shared);
                shared.serve(transport.as_mut());
                // The way is closed before the thread counts as gone.
                drop(transport);
                drop(leaves);
            })?;
        }
        Ok(Self { shared })
    }

    /// Takes the message that `make` makes, if there is room.
    pub(super) fn take(&self, make: impl FnOnce() -> AlertMessage) {
        let mut state = self.shared.state();
        if state.waiting.len() >= self.shared.settings.queue_count_max || state.is_over {
            state.counts.queue_full += 1;
            return;
        }
        // Making it takes longer than a lock should be held.
        drop(state);
        let message = make();
        self.shared.state().waiting.push_back((Instant::now(), message));
        self.shared.filled.notify_one();
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> AlertDeliveries {
        self.shared.state().counts.clone()
    }

    /// Gives what is left its time. What is not delivered by then is counted as that.
    pub(super) fn finish(&self) -> AlertDeliveries {
        let shared = &self.shared;
        let deadline = Instant::now() + shared.settings.drain;
        let mut state = shared.state();
        state.is_ending = true;
        shared.filled.notify_all();
        shared.ending.notify_all();
        while (state.in_flight > 0 || !state.waiting.is_empty()) && Instant::now() < deadline {
            state = shared.wait(&shared.settled, state, deadline.saturating_duration_since(Instant::now()));
        }
        state.counts.unsent_at_exit += state.waiting.len() as u64 + state.in_flight;
        state.waiting.clear();
        state.is_over = true;
        let counts = state.counts.clone();
        shared.filled.notify_all();
        shared.ending.notify_all();
        let stop = Instant::now() + STOP_GRACE;
        while state.threads > 0 && Instant::now() < stop {
            state = shared.wait(&shared.settled, state, stop.saturating_duration_since(Instant::now()));
        }
        counts
    }
}

/// A thread is gone when this is dropped, by a panic too.
struct Leaves<'a>(&'a CourierShared);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.state().threads -= 1;
        self.0.settled.notify_all();
    }
}

impl CourierShared {
    fn state(&self) -> MutexGuard<'_, CourierState> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, what: &Condvar, state: MutexGuard<'a, CourierState>, at_most: Duration) -> MutexGuard<'a, CourierState> {
        what.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sends what comes until the end.
    fn serve(&self, transport: &mut dyn AlertTransport) {
        while let Some((given, message)) = self.next() {
            self.deliver(transport, given, &message);
        }
    }

    /// The next message; waits for it. `None` when there will be none.
    fn next(&self) -> Option<(Instant, AlertMessage)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.waiting.pop_front() {
                state.in_flight += 1;
                return Some(next);
            }
            if state.is_ending {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, transport: &mut dyn AlertTransport, given: Instant, message: &AlertMessage) {
        let is_over = || self.state().is_over;
        let mut attempts = 0;
        loop {
            if given.elapsed() > self.settings.age_max {
                return self.settle(|counts| counts.expired += 1);
            }
            attempts += 1;
            let (why, after_secs) = match transport.send(message, &is_over) {
                Ok(()) => {
                    self.note_success();
                    return self.settle(|counts| counts.delivered += 1);
                }
                Err(NotSent::Refused(why)) => {
                    self.note_failure("failed for an alert, which is not sent again", &why);
                    return self.settle(|counts| {
                        counts.refused += 1;
                        counts.failed_attempts += 1;
                    });
                }
                Err(NotSent::Again { why, after_secs }) => (why, after_secs),
            };
            let failures = self.note_failure("takes no alerts", &why);
            // At the end attempts follow each other closely, and the drain bounds them.
            let is_last = attempts >= self.settings.attempts_max && !self.state().is_ending;
            if is_last {
                return self.settle(|counts| {
                    counts.expired += 1;
                    counts.failed_attempts += 1;
                });
            }
            self.state().counts.failed_attempts += 1;
            let asked = after_secs.map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX));
            if !self.pause(backoff(failures, random()).max(asked.unwrap_or_default())) {
                return self.settle(|_| {});
            }
        }
    }

    /// A message is no longer under way. After the end it was counted as not sent.
    fn settle(&self, count: impl FnOnce(&mut AlertDeliveries)) {
        let mut state = self.state();
        state.in_flight -= 1;
        if !state.is_over {
            count(&mut state.counts);
        }
        self.settled.notify_all();
    }

    /// Waits; false when it is over.
    fn pause(&self, wait: Duration) -> bool {
        let start = Instant::now();
        let mut state = self.state();
        while !state.is_over {
            let wait = if state.is_ending { wait.min(LAST_WAIT_MAX) } else { wait };
            let Some(left) = wait.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { return true };
            state = self.wait(&self.ending, state, left);
        }
        false
    }

    fn note_success(&self) {
        let mut state = self.state();
        state.failures = 0;
        if std::mem::take(&mut state.is_told) {
            drop(state);
            (self.notice)(&format!("{} takes alerts again", self.name));
        }
    }

    /// How many failures there were in a row. The first of them is told.
    fn note_failure(&self, what: &str, why: &str) -> u32 {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        let is_due = state.told_at.is_none_or(|at| at.elapsed() > NOTICE_INTERVAL);
        if !state.is_told && is_due && !state.is_over {
            (state.is_told, state.told_at) = (true, Some(Instant::now()));
            drop(state);
            (self.notice)(&format!("{} {what}: {}", self.name, one_line(why)));
        }
        failures
    }
}

/// What a receiver said, without what a terminal would obey, and not too long.
fn one_line(text: &str) -> String {
    text.trim().chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const SETTINGS: DeliverySettings = DeliverySettings {
        queue_count_max: 4,
        attempts_max: 3,
        age_max: Duration::from_secs(60),
        drain: Duration::from_millis(300),
    };

    /// Does with each message what the test says, by its number and the attempt.
    struct Scripted<F>(F, Vec<u64>, Arc<Mutex<Vec<u64>>>);

    impl<F: FnMut(u64, u64) -> Result<(), NotSent> + Send> AlertTransport for Scripted<F> {
        fn send(&mut self, message: &AlertMessage, _is_over: &dyn Fn() -> bool) -> Result<(), NotSent> {
            self.1.push(message.number);
            let attempt = self.1.iter().filter(|number| **number == message.number).count() as u64;
            (self.0)(message.number, attempt)?;
            self.2.lock().expect("no panic").push(message.number);
            Ok(())
        }
    }

    struct Trial {
        courier: Courier,
        got: Arc<Mutex<Vec<u64>>>,
        told: Arc<Mutex<Vec<String>>>,
    }

    fn trial(settings: DeliverySettings, act: impl FnMut(u64, u64) -> Result<(), NotSent> + Send + 'static) -> Trial {
        let (got, told) = (Arc::default(), Arc::new(Mutex::new(Vec::new())));
        let notes = Arc::clone(&told);
        let notice = Arc::new(move |text: &str| notes.lock().expect("no panic").push(text.to_owned()));
        let transport: Box<dyn AlertTransport> = Box::new(Scripted(act, Vec::new(), Arc::clone(&got)));
        let courier = Courier::start("receiver".to_owned(), vec![transport], settings, notice).expect("a thread");
        Trial { courier, got, told }
    }

    fn give(courier: &Courier, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| courier.take(|| AlertMessage { number, body: Vec::new(), facts: Vec::new() }));
    }

    #[test]
    fn what_fails_is_sent_again_and_order_is_kept() {
        let trial =
            trial(SETTINGS, |number, attempt| if number == 1 && attempt < 2 { Err(NotSent::again("not\nyet")) } else { Ok(()) });
        give(&trial.courier, 0..3);
        while trial.courier.counts().delivered < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        let counts = trial.courier.finish();
        assert_eq!((counts.delivered, counts.lost(), counts.failed_attempts), (3, 0, 1));
        assert_eq!(*trial.got.lock().unwrap(), [0, 1, 2]);
        assert_eq!(*trial.told.lock().unwrap(), ["receiver takes no alerts: not yet", "receiver takes alerts again"]);
    }

    #[test]
    fn a_receiver_that_never_answers_holds_up_nobody_and_every_alert_is_counted() {
        let release = Arc::new(AtomicBool::new(false));
        let held = Arc::clone(&release);
        let trial = trial(SETTINGS, move |_, _| {
            while !held.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        let start = Instant::now();
        give(&trial.courier, 0..1);
        while trial.courier.shared.state().in_flight == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        give(&trial.courier, 1..11);
        assert_eq!(trial.courier.counts().queue_full, 6, "four may wait");
        let counts = trial.courier.finish();
        assert!(start.elapsed() < Duration::from_secs(5), "the drain and the grace");
        assert_eq!((counts.delivered, counts.queue_full, counts.unsent_at_exit, counts.lost()), (0, 6, 5, 11));
        release.store(true, Ordering::Relaxed);
        while trial.courier.shared.state().threads > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(trial.courier.counts(), counts, "what comes after the end is no delivery");
    }

    #[test]
    fn attempts_and_age_are_bounded_and_a_refusal_is_final() {
        let drain = Duration::from_secs(20);
        let counts = {
            let trial = trial(DeliverySettings { drain, ..SETTINGS }, |number, _| match number {
                0 => Err(NotSent::again("later")),
                1 => Err(NotSent::Refused("never".to_owned())),
                _ => Ok(()),
            });
            give(&trial.courier, 0..3);
            while trial.courier.counts().delivered < 1 {
                thread::sleep(Duration::from_millis(1));
            }
            trial.courier.finish()
        };
        assert_eq!((counts.expired, counts.refused, counts.delivered, counts.failed_attempts), (1, 1, 1, 4));
        let old = trial(DeliverySettings { age_max: Duration::ZERO, drain, ..SETTINGS }, |_, _| Ok(()));
        give(&old.courier, 0..2);
        assert_eq!(old.courier.finish().expired, 2);
    }
}
