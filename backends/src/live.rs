//! What every live source shares: what to say about an interface, when to look for it again, what time it is.
//!
//! Owns the sentences. Opens nothing. Its one invariant: an explanation says what to do.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::pcap::interface::listed_name;
use crate::pcap::list_interfaces;
use crate::{BackendError, Timestamp};

/// How often an interface that is down or gone is looked for.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Most notices kept for somebody to ask; older ones are forgotten.
const NOTICES_MAX: usize = 16;

/// What a person should know and has not been told yet; the newest [`NOTICES_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Notices(Vec<String>);

impl Notices {
    pub(crate) fn push(&mut self, notice: String) {
        if self.0.len() >= NOTICES_MAX {
            self.0.remove(0);
        }
        self.0.push(notice);
    }

    /// Adds those of somebody else.
    #[cfg(target_os = "linux")]
    pub(crate) fn append(&mut self, others: Self) {
        for notice in others.0 {
            self.push(notice);
        }
    }

    /// The oldest one.
    pub(crate) fn pop(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    pub(crate) fn went_down(&mut self, interface: &str) {
        self.push(format!("interface {interface} went down; waiting for it to come up again"));
    }

    pub(crate) fn is_up_again(&mut self, interface: &str) {
        self.push(format!("interface {interface} is up again"));
    }

    pub(crate) fn is_gone(&mut self, interface: &str) {
        self.push(format!("interface {interface} is gone; waiting for it to come back"));
    }

    pub(crate) fn is_back(&mut self, interface: &str) {
        self.push(format!("interface {interface} is back"));
    }

    pub(crate) fn has_no_promiscuous_mode(&mut self, interface: &str) {
        self.push(format!("interface {interface} has no promiscuous mode"));
    }
}

/// What an error says when an interface was deleted and is not waited for.
pub(crate) const DELETED: &str = "it was deleted, the capture has ended";

/// What is told of a filter that no kernel takes.
pub(crate) const LONG_FILTER: &str = "the filter is longer than the kernel's may be; it runs in user space, where each of its terms costs \
                                      time for every packet. A list of addresses costs less by --filter-file";

/// The time packets would carry if they arrived now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// An error about an interface.
pub(crate) fn interface_error(interface: &str, what: String) -> BackendError {
    BackendError::Interface { interface: interface.to_owned(), what }
}

/// How to get the right to capture.
pub(crate) const fn permission_advice() -> &'static str {
    if cfg!(target_os = "macos") {
        "capturing needs read access to /dev/bpf*: run it with sudo, or install ChmodBPF (it comes with Wireshark)"
    } else {
        "capturing needs root or CAP_NET_RAW: run it with sudo, or allow it once with \
         `sudo setcap cap_net_raw=eip $(command -v netscope)`"
    }
}

/// What failed, why and what to do, for an interface that was not opened for `reason`.
pub(crate) fn explain(name: &str, reason: &str) -> String {
    let lower = reason.to_lowercase();
    if ["permission", "permitted", "cap_net_raw", "privilege"].iter().any(|word| lower.contains(word)) {
        return format!("no permission to capture ({reason}); {}", permission_advice());
    }
    if let Ok(interfaces) = list_interfaces() {
        match interfaces.iter().find(|interface| interface.name == listed_name(name)) {
            None => {
                let names: Vec<_> = interfaces.into_iter().map(|interface| interface.name).collect();
                return format!("there is no such interface; available: {}", listed(&names));
            }
            Some(interface) if !interface.up => {
                return format!(
                    "it is down; bring it up first (`sudo ip link set {name} up` on Linux, `sudo ifconfig {name} up` on macOS)"
                );
            }
            Some(_) => {}
        }
    }
    if reason.is_empty() { "cannot be opened; no reason was given".to_owned() } else { format!("cannot be opened: {reason}") }
}

/// Names joined for a sentence.
fn listed(names: &[String]) -> String {
    names.iter().enumerate().fold(String::new(), |mut text, (index, name)| {
        let separator = if index == 0 { "" } else { ", " };
        // Writing into a String cannot fail.
        let _ = write!(text, "{separator}{name}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_notices_are_kept() {
        let mut notices = Notices::default();
        assert_eq!(notices.pop(), None);
        for number in 0..=NOTICES_MAX {
            notices.push(number.to_string());
        }
        assert_eq!(notices.pop().as_deref(), Some("1"));
        assert_eq!(std::iter::from_fn(|| notices.pop()).count(), NOTICES_MAX - 1);
    }

    #[test]
    fn permission_errors_say_what_to_do() {
        let text = explain("lo", "socket: Operation not permitted");
        assert!(text.contains("sudo"), "{text}");
    }
}
