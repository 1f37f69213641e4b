//! The loop of a worker's thread: poll the source, let the worker run to completion, look at the stop flag.
//!
//! Owns the order of these steps and nothing else. Invariant: however the source ends, the worker is finished, so every flow is
//! handed on and every export can be written.

use super::Worker;
use netscope_backends::{Backend, BackendError, Polled};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Set from outside (a signal, a closed terminal) to end a run early; shared by all threads.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that something else sets, too.
    pub fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Asks everybody to end.
    pub fn request(&self) {
        // Relaxed: the flag carries no data; whoever sees it late ends one poll later.
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far the run is, for a progress display. Written by one worker once per poll, read by the display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the source read.
    pub bytes_read: AtomicU64,
    /// Length of the source in bytes, 0 = unknown.
    pub bytes_total: AtomicU64,
    /// Packets read.
    pub packets: AtomicU64,
}

/// Runs `worker` on `backend` until the source ends, `--count` is reached, or `stop` is requested. Without a `stop` somebody else
/// ends the source early, and nothing but its end counts.
///
/// # Errors
/// What the source reports; everything before it was processed and handed on.
pub fn drive(
    backend: &mut dyn Backend,
    mut worker: Worker,
    poll_timeout: Duration,
    stop: Option<&Stop>,
    progress: &Progress,
    notice: &mut dyn FnMut(&str),
) -> Result<(), BackendError> {
    let mut outcome = Ok(());
    let live = !backend.waits();
    while stop.is_none_or(|stop| !worker.ends_early(stop.is_requested())) {
        match backend.poll(poll_timeout, &mut |packets| worker.batch(packets)) {
            Ok(Polled::Lent(_)) if live => worker.flush(),
            Ok(Polled::Lent(_)) => {}
            Ok(Polled::Idle(now)) => worker.idle(now),
            Ok(Polled::End) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        if worker.leads() {
            if worker.take_tick_ended() {
                match backend.counters() {
                    Ok(counters) => worker.set_source(counters),
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            if let Some(text) = backend.notice() {
                notice(&text);
            }
            let position = backend.position();
            // Relaxed: three independent numbers for a display.
            progress.bytes_read.store(position.bytes_read, Ordering::Relaxed);
            progress.bytes_total.store(position.bytes_total, Ordering::Relaxed);
            progress.packets.store(worker.packets_seen(), Ordering::Relaxed);
        }
    }
    if worker.leads() {
        match backend.counters() {
            Ok(counters) => worker.set_source(counters),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    worker.finish();
    outcome
}
