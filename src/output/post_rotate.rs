//! A command that is run after each file of a rotated output (`--post-rotate`), with the file's path as its last argument.
//!
//! Owns the threads that wait for the commands. Knows no format. Invariants: no output waits for a command; at most
//! [`COMMANDS_MAX`] run at once, and what finds no room in the queue is counted as failed.

use super::child;
use crate::aggregate::CommandCounts;
use crate::engine::OnClosed;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Commands that run at once.
const COMMANDS_MAX: usize = 2;
/// Files that may wait for their command.
const WAITING_MAX: usize = 1024;

/// Told what went wrong with a command.
pub type OnCommandFailure = dyn Fn(&str) + Send + Sync;

/// The command, and the threads that run it.
pub struct PostRotate {
    sender: SyncSender<PathBuf>,
    threads: Vec<JoinHandle<CommandCounts>>,
    refused: Arc<AtomicU64>,
}

impl PostRotate {
    /// Starts the threads. `command` is a program, without a shell; `failed` is told of each failure.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(command: &Path, failed: &Arc<OnCommandFailure>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..COMMANDS_MAX).map(|_| {
            let (command, receiver, failed) = (command.to_owned(), Arc::clone(&receiver), Arc::clone(failed));
            thread::Builder::new().name("post-rotate".to_owned()).spawn(move || serve(&command, &receiver, failed.as_ref()))
        });
        Ok(Self { sender, threads: threads.collect::<io::Result<_>>()?, refused: Arc::default() })
    }

    /// What an output calls with each file that it closed.
    pub fn on_closed(&self) -> OnClosed {
        let (sender, refused) = (self.sender.clone(), Arc::clone(&self.refused));
        Box::new(move |path| {
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(path.to_owned()) {
                // Relaxed: a count, read in `finish` after all outputs are gone.
                refused.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Waits for the commands of all files; called when no output is left. How many were run, and how many failed.
    pub fn finish(self) -> CommandCounts {
        drop(self.sender);
        let mut counts = CommandCounts { run: 0, failed: self.refused.load(Ordering::Relaxed) };
        for thread in self.threads {
            // It panics nowhere; should it, its counts are lost.
            let part = thread.join().unwrap_or_default();
            counts = CommandCounts { run: counts.run + part.run, failed: counts.failed + part.failed };
        }
        counts
    }
}

/// Runs the command for one file after the other.
fn serve(command: &Path, files: &Mutex<Receiver<PathBuf>>, failed: &OnCommandFailure) -> CommandCounts {
    let mut counts = CommandCounts::default();
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(path) = next else { return counts };
        let done = child::command(command).arg(&path).status();
        counts.run += u64::from(done.is_ok());
        let Some(what) = child::fault(&done) else { continue };
        counts.failed += 1;
        failed(&format!("--post-rotate {} {}: {what}", command.display(), path.display()));
    }
}
