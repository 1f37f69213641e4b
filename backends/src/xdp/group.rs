//! All queues of one interface, and their coming back after the interface went away.
//!
//! Owns what the backends of an interface share. Reads no packet. Its one invariant: there is one program at the interface, attached by
//! whichever backend first finds it back.
//!
//! The lock is taken after the interface has gone, never while packets come.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::attach::Held;
use super::open::{Opening, Prepared, QueueSocket};
use super::tally::Tally;
use crate::BackendError;

/// What a backend leaves behind when its socket is gone.
#[derive(Debug)]
pub(crate) struct Left {
    /// The program that gave packets to the socket, which other queues may still have.
    pub prepared: Weak<Prepared>,
    /// What it had counted by then.
    pub tally: Tally,
}

/// What the backends of an interface share.
pub(crate) struct Group {
    opening: Opening,
    /// The last one that was made; the backends own it.
    prepared: Mutex<Weak<Prepared>>,
}

impl Group {
    pub(crate) fn new(opening: Opening, prepared: &Arc<Prepared>) -> Self {
        Self { opening, prepared: Mutex::new(Arc::downgrade(prepared)) }
    }

    pub(crate) const fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Opens `queue` again. What the program counts for it until there is a socket belongs to the capture.
    ///
    /// # Errors
    /// While the interface is not there, not up, or lacks the queue.
    pub(crate) fn reopen(&self, queue: u32, left: &Left) -> Result<(Arc<Prepared>, QueueSocket), BackendError> {
        let mut last = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = last.upgrade().filter(|prepared| prepared.attachment.held() == Held::Yes) {
            let mut socket = self.opening.queue(&prepared, queue)?;
            if std::ptr::eq(left.prepared.as_ptr(), Arc::as_ptr(&prepared)) {
                socket.base = left.tally;
            }
            prepared.attachment.direct(&socket)?;
            return Ok((prepared, socket));
        }
        let mut opening = self.opening.clone();
        opening.options.queues = Some(vec![queue]);
        // How it was opened was said the first time.
        let (prepared, socket, _) = opening.interface(&mut Vec::new())?;
        prepared.attachment.direct(&socket)?;
        let prepared = Arc::new(prepared);
        *last = Arc::downgrade(&prepared);
        Ok((prepared, socket))
    }
}
