//! Logging in by a link: a token that counts once, and the sessions that come of it.
//!
//! Owns both. Knows no header. Invariants: a token makes one session at most; there are never more than [`SESSIONS_MAX`]; only keyed hashes of
//! secrets are kept.

use super::limits::{LINK_TIME, SESSION_TIME, SESSIONS_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Bytes of a token and of a session's name: 256 bits.
const SECRET_BYTES: usize = 32;

/// Links and sessions.
pub(super) struct Sessions {
    key: hmac::Key,
    state: Mutex<SessionState>,
}

#[derive(Default)]
struct SessionState {
    /// The link that counts, and until when.
    link: Option<(hmac::Tag, Instant)>,
    /// Sessions with their ends, the oldest first.
    open: VecDeque<(hmac::Tag, Instant)>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(key: hmac::Key) -> Self {
        Self { key, state: Mutex::default() }
    }

    /// A token for a link; `None` where the system gives no random numbers. A link that was not used counts no more.
    pub(super) fn make_link(&self, now: Instant) -> Option<String> {
        let token = random_text()?;
        self.state().link = Some((self.tag(&token), now + LINK_TIME));
        Some(token)
    }

    /// The name of a new session for the token of a link, which counts no more then.
    pub(super) fn redeem(&self, token: &str, now: Instant) -> Option<String> {
        let mut state = self.state();
        let (tag, end) = state.link.as_ref()?;
        if now > *end || hmac::verify(&self.key, token.as_bytes(), tag.as_ref()).is_err() {
            return None;
        }
        let name = random_text()?;
        state.link = None;
        if state.open.len() == SESSIONS_MAX {
            state.open.pop_front();
        }
        let tag = self.tag(&name);
        state.open.push_back((tag, now + SESSION_TIME));
        Some(name)
    }

    /// True for the name of a session that is not over.
    pub(super) fn is_open(&self, name: &str, now: Instant) -> bool {
        let tag = self.tag(name);
        let mut state = self.state();
        while state.open.front().is_some_and(|(_, end)| now > *end) {
            state.open.pop_front();
        }
        // What is compared is a keyed hash, of which the time tells nothing.
        state.open.iter().any(|(known, _)| known.as_ref() == tag.as_ref())
    }

    fn tag(&self, secret: &str) -> hmac::Tag {
        hmac::sign(&self.key, secret.as_bytes())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SessionState> {
        // Whole after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits as text.
fn random_text() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sessions() -> Sessions {
        Sessions::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]))
    }

    #[test]
    fn a_link_counts_once_and_for_a_time() {
        let (sessions, start) = (sessions(), Instant::now());
        assert_eq!(sessions.redeem("", start), None, "there is no link yet");
        let token = sessions.make_link(start).unwrap();
        assert_eq!(token.len(), 43);
        assert_eq!(sessions.redeem("wrong", start), None);
        let name = sessions.redeem(&token, start).unwrap();
        assert_eq!(sessions.redeem(&token, start), None, "a second time");
        assert!(sessions.is_open(&name, start) && !sessions.is_open(&token, start) && !sessions.is_open("", start));
        assert!(!sessions.is_open(&name, start + SESSION_TIME + Duration::from_secs(1)));
        let late = sessions.make_link(start).unwrap();
        assert_eq!(sessions.redeem(&late, start + LINK_TIME + Duration::from_secs(1)), None);
    }

    #[test]
    fn there_are_so_many_sessions_at_most() {
        let (sessions, start) = (sessions(), Instant::now());
        let names: Vec<String> = (0..=SESSIONS_MAX)
            .map(|_| {
                let token = sessions.make_link(start).unwrap();
                sessions.redeem(&token, start).unwrap()
            })
            .collect();
        assert!(!sessions.is_open(&names[0], start), "the oldest had to go");
        assert!(names[1..].iter().all(|name| sessions.is_open(name, start)));
    }
}
