//! All queues of one interface, and their coming back after the interface went away.
//!
//! Owns what the backends of an interface share. Reads no packet. Its one invariant: there is one program at
//! the interface, attached by whichever backend first finds it back.
//!
//! The lock is taken after the interface has gone, never while packets come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::attach::AttachState;
use super::open::{Prepared, QueueSocket, XdpOpener};
use super::tally::RingReading;
use crate::{BackendError, nic};

/// What a backend leaves behind when its socket is gone.
#[derive(Debug)]
pub(crate) struct Left {
    /// The program that gave packets to the socket, which other queues may still have.
    pub prepared: Weak<Prepared>,
    /// What it had counted by then.
    pub tally: RingReading,
}

/// An opened socket.
pub(crate) struct Reopened {
    pub prepared: Arc<Prepared>,
    pub socket: QueueSocket,
    /// What a person should know that was not said of the one before.
    pub said: Vec<String>,
}

/// What the backends of an interface share.
pub(crate) struct QueueGroup {
    opening: XdpOpener,
    /// All that were opened.
    queues: Vec<u32>,
    shared: Mutex<QueueGroupParts>,
}

struct QueueGroupParts {
    /// The last one that was made; the backends own it.
    prepared: Weak<Prepared>,
    /// What was said of how it was opened.
    said: Vec<String>,
    /// Why a queue could not be opened again, as last told.
    refusals: BTreeMap<u32, String>,
}

impl QueueGroup {
    pub(crate) fn new(opening: XdpOpener, queues: Vec<u32>, prepared: &Arc<Prepared>, said: Vec<String>) -> Self {
        let shared = QueueGroupParts { prepared: Arc::downgrade(prepared), said, refusals: BTreeMap::new() };
        Self { opening, queues, shared: Mutex::new(shared) }
    }

    pub(crate) const fn opening(&self) -> &XdpOpener {
        &self.opening
    }

    /// Opens `queue` again. What the program counts for it until there is a socket belongs to the capture.
    ///
    /// # Errors
    /// What is to be told of why not: nothing while the interface is not there or not up, which is waited
    /// for, and nothing that was told.
    pub(crate) fn reopen(&self, queue: u32, left: &Left) -> Result<Reopened, Option<String>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the question fails, opening says more.
        let is_waited_for = || matches!(nic::is_up(&self.opening.options.interface), Ok(false));
        if is_waited_for() {
            return Err(None);
        }
        match self.open(&mut shared, queue, left) {
            Ok(reopened) => {
                shared.refusals.remove(&queue);
                Ok(reopened)
            }
            // It may have gone between the question and the opening.
            Err(_) if is_waited_for() => Err(None),
            Err(error) => Err(shared.refused(queue, error.to_string())),
        }
    }

    fn open(&self, shared: &mut QueueGroupParts, queue: u32, left: &Left) -> Result<Reopened, BackendError> {
        if let Some(prepared) = shared.prepared.upgrade().filter(|prepared| prepared.attachment.held() == AttachState::Yes) {
            let mut socket = self.opening.queue(&prepared, queue)?;
            if std::ptr::eq(left.prepared.as_ptr(), Arc::as_ptr(&prepared)) {
                socket.base = left.tally;
            }
            prepared.attachment.direct(&socket)?;
            return Ok(Reopened { prepared, socket, said: Vec::new() });
        }
        let mut queues = vec![queue];
        queues.extend(self.queues.iter().filter(|other| **other != queue));
        let mut said = Vec::new();
        let (prepared, socket, _) = self.opening.interface(Some(&queues), &mut said)?;
        prepared.attachment.direct(&socket)?;
        let prepared = Arc::new(prepared);
        shared.prepared = Arc::downgrade(&prepared);
        let before = std::mem::replace(&mut shared.said, said.clone());
        said.retain(|said| !before.contains(said));
        Ok(Reopened { prepared, socket, said })
    }
}

impl QueueGroupParts {
    /// What to tell of a refusal: nothing when it was told of this queue or of another one already.
    fn refused(&mut self, queue: u32, refusal: String) -> Option<String> {
        let is_told = self.refusals.values().any(|told| *told == refusal);
        let told = (!is_told).then(|| format!("cannot be opened again, and is tried every second: {refusal}"));
        self.refusals.insert(queue, refusal);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_and_again_when_it_changes() {
        let mut shared = QueueGroupParts { prepared: Weak::new(), said: Vec::new(), refusals: BTreeMap::new() };
        let told = ["taken", "taken", "locked", "taken"].map(|refusal| shared.refused(0, refusal.to_owned()).is_some());
        assert_eq!(told, [true, false, true, true]);
        assert_eq!(shared.refused(1, "taken".to_owned()), None, "the other queue said so");
        assert!(shared.refused(1, "no queue 1".to_owned()).is_some_and(|told| told.contains("no queue 1")));
        assert_eq!(shared.refused(0, "taken".to_owned()), None);
    }
}
