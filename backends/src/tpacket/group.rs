//! All sockets of one interface, and their coming back together after the interface went away.
//!
//! Owns what the backends of a group share. Reads no packet. Its one invariant: the sockets of a group are
//! opened at once, by whichever backend first finds the interface back, so they are dealt to as before.
//!
//! The lock is taken at opening and after the interface has gone, never while packets come.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::TpacketOptions;
use super::open::{FanoutMember, OpenedInterface, TpacketOpener};
use crate::live::Notices;
use crate::{BackendError, Counters, nic};

/// What the backends of an interface share.
#[derive(Debug)]
pub(super) struct FanoutGroup {
    pub(super) options: TpacketOptions,
    /// As it was called when it was opened, which is what is looked for.
    pub(super) interface: String,
    shared: Mutex<FanoutGroupParts>,
}

#[derive(Debug, Default)]
struct FanoutGroupParts {
    /// How often the group has been opened again.
    generation: u64,
    /// Sockets opened by one backend for another that has not come for its own yet, by number.
    waiting: Vec<Option<FanoutMember>>,
    /// What sockets received that nobody came for before the interface went away again.
    abandoned: Counters,
    /// What the first backend has to say about opening again, whichever did it.
    notices: Notices,
    /// Why it could not be opened again though it is there and up, as it was told last.
    refusal: String,
}

impl FanoutGroup {
    pub(super) fn new(options: TpacketOptions, interface: String, members: usize) -> Self {
        let shared = FanoutGroupParts { waiting: (0..members).map(|_| None).collect(), ..FanoutGroupParts::default() };
        Self { options, interface, shared: Mutex::new(shared) }
    }

    fn lock(&self) -> MutexGuard<'_, FanoutGroupParts> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket of the backend `number`, whose last one was of `generation`, and the generation it is of;
    /// `None` while the interface is not there, or not up.
    pub(super) fn reopen(&self, number: usize, generation: u64) -> Option<(FanoutMember, u64)> {
        let mut shared = self.lock();
        if shared.generation == generation {
            let opened = self.open(&mut shared)?;
            let FanoutGroupParts { waiting, abandoned, notices, .. } = &mut *shared;
            notices.append(opened.notices);
            for (place, member) in waiting.iter_mut().zip(opened.members) {
                if let Some(old) = place.replace(member) {
                    count_lost(abandoned, &old);
                }
            }
            shared.generation += 1;
        }
        let member = shared.waiting.get_mut(number)?.take()?;
        Some((member, shared.generation))
    }

    /// Opens all sockets. That the interface is not there or not up yet is what is waited for; any other
    /// reason is told, once.
    fn open(&self, shared: &mut FanoutGroupParts) -> Option<OpenedInterface> {
        // Where the question fails, opening says more.
        if matches!(self.is_up(), Ok(false)) {
            return None;
        }
        match (TpacketOpener { refuse: None }.open(&self.options, &self.interface)) {
            Ok(opened) => {
                shared.refusal.clear();
                Some(opened)
            }
            Err(error) => {
                let refusal = error.to_string();
                // It may have gone between the question and the opening.
                if refusal != shared.refusal && !matches!(self.is_up(), Ok(false)) {
                    shared.notices.push(format!("cannot be opened again, and is tried every second: {refusal}"));
                    shared.refusal = refusal;
                }
                None
            }
        }
    }

    fn is_up(&self) -> Result<bool, BackendError> {
        nic::is_up(&self.interface)
    }

    /// Takes what was to be told about opening again.
    pub(super) fn take_notices(&self) -> Notices {
        std::mem::take(&mut self.lock().notices)
    }

    /// Takes what nobody else will count.
    pub(super) fn take_abandoned(&self) -> Counters {
        std::mem::take(&mut self.lock().abandoned)
    }
}

fn count_lost(abandoned: &mut Counters, member: &FanoutMember) {
    // A socket whose counters cannot be read has nothing to add; it is closed in any case.
    let statistics = member.mapped.socket.statistics().unwrap_or_default();
    abandoned.received += u64::from(statistics.packets);
    abandoned.kernel_drops += u64::from(statistics.packets);
    abandoned.ring_full_drops += u64::from(statistics.drops);
    abandoned.ring_freezes += u64::from(statistics.freezes);
}
