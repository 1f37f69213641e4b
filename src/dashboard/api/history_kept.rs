//! The history as it was told last, and the asking for it.
//!
//! Owns one snapshot. Knows no metric. Invariant: however many ask, one question is under way at a time.

use super::error::ApiError;
use crate::aggregate::{HistorySnapshot, NoAnswer, Question, Questions};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A snapshot younger than this is not asked for again.
const FRESH: Duration = Duration::from_millis(900);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The latest snapshot.
#[derive(Default)]
pub struct HistoryKept {
    state: Mutex<KeptState>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct KeptState {
    latest: Option<(Instant, Arc<HistorySnapshot>)>,
    /// A question of [`HistoryKept::ask`] is under way since.
    asked: Option<Instant>,
    is_final: bool,
}

impl HistoryKept {
    /// The latest snapshot, whatever its age.
    pub fn latest(&self) -> Option<Arc<HistorySnapshot>> {
        self.state().latest.as_ref().map(|(_, snapshot)| Arc::clone(snapshot))
    }

    /// The last one of the run.
    pub fn finish(&self, snapshot: &HistorySnapshot) {
        let mut state = self.state();
        (state.latest, state.is_final) = (Some((Instant::now(), Arc::new(snapshot.clone()))), true);
    }

    /// Asks for a new one without waiting for it, unless the latest is fresh.
    pub fn ask(self: &Arc<Self>, questions: &Questions) {
        {
            let mut state = self.state();
            let is_fresh = state.is_final || state.latest.as_ref().is_some_and(|(time, _)| time.elapsed() < FRESH);
            if is_fresh || state.asked.is_some_and(|asked| asked.elapsed() < PATIENCE) {
                return;
            }
            state.asked = Some(Instant::now());
        }
        let kept = Arc::clone(self);
        questions.ask(Question::History(Box::new(move |answer| {
            kept.take(answer.ok());
        })));
    }

    fn take(&self, answer: Option<HistorySnapshot>) -> Option<Arc<HistorySnapshot>> {
        let mut state = self.state();
        state.asked = None;
        let snapshot = Arc::new(answer?);
        if !state.is_final {
            state.latest = Some((Instant::now(), Arc::clone(&snapshot)));
        }
        Some(snapshot)
    }

    /// A fresh snapshot, or the last one of the run.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(self: &Arc<Self>, questions: &Questions) -> Result<Arc<HistorySnapshot>, ApiError> {
        let _asking = self.asking.lock().await;
        {
            let state = self.state();
            if let Some((time, snapshot)) = &state.latest
                && (state.is_final || time.elapsed() < FRESH)
            {
                return Ok(Arc::clone(snapshot));
            }
        }
        let (sender, receiver) = oneshot::channel();
        let kept = Arc::clone(self);
        questions.ask(Question::History(Box::new(move |answer| {
            let why = answer.as_ref().err().copied();
            // Whoever asked may be gone.
            let _ = sender.send(kept.take(answer.ok()).ok_or(why.unwrap_or(NoAnswer::NotKept)));
        })));
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) => Err(NoAnswer::Over.into()),
            Err(_) => Err(NoAnswer::GivenUp.into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, KeptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
