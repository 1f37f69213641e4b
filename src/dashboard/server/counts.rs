//! What the server counts: what it did, and each limit that was reached.
//!
//! Owns the list of counters, with names and help as metrics have them. Knows no request. Invariant: a counter that is added is in the list.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the counters and their list from one place.
macro_rules! counters {
    ($($name:ident: $help:literal,)*) => {
        /// Counters since the start; shared by all threads.
        #[derive(Debug, Default)]
        pub struct ServerCounters {
            $(#[doc = $help] pub(super) $name: AtomicU64,)*
            /// Connections that are open now.
            pub(super) connections_open: AtomicU64,
            /// WebSocket clients now.
            pub(super) sockets_open: AtomicU64,
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct ServerCounts {
            $(#[doc = $help] pub $name: u64,)*
            /// Connections that are open now.
            pub connections_open: u64,
            /// WebSocket clients now.
            pub sockets_open: u64,
        }

        impl ServerCounters {
            /// All of them now.
            pub fn counts(&self) -> ServerCounts {
                // Relaxed: counters carry no data.
                ServerCounts {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    connections_open: self.connections_open.load(Ordering::Relaxed),
                    sockets_open: self.sockets_open.load(Ordering::Relaxed),
                }
            }
        }

        impl ServerCounts {
            /// Name, help and value of each counter that only grows.
            pub fn totals(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name),)*]
            }
        }
    };
}

counters! {
    connections: "Connections taken",
    connections_refused: "Connections closed at once, as there were too many, in all or of one client",
    accept_failures: "Connections that could not be taken",
    handshakes_failed: "TLS handshakes that failed or took too long",
    header_timeouts: "Connections closed as no whole request came in time",
    malformed: "Connections closed as what came was no HTTP",
    slow_readers: "Connections closed as the client did not take what was written",
    requests: "Requests",
    connections_ended_rate: "Connections ended, as too many requests in a row were refused on them",
    forwarded_unclear: "Requests of a trusted proxy that did not say for which client, and count for the proxy",
    requests_refused_rate: "Requests refused, as their client sent too many (429)",
    requests_refused_busy: "Requests refused, as too many were being answered (503)",
    requests_timed_out: "Requests whose answer took too long (503)",
    bodies_refused: "Requests with a body that is too long or too slow",
    hosts_refused: "Requests for a host that is not ours (421)",
    origins_refused: "Requests that another site caused (403)",
    paths_refused: "Requests with a path or query that is no plain one (400)",
    unauthorized: "Requests without credentials (401)",
    logins_failed: "Requests with wrong credentials (401)",
    logins_refused: "Requests not looked at, as their client sent too many wrong credentials (429)",
    sockets: "WebSocket clients taken",
    sockets_refused: "WebSocket clients refused, as there were too many",
    sockets_slow: "WebSocket clients closed, as they did not take a message in time",
    sockets_misbehaved: "WebSocket clients closed, as they broke the rules or sent too much",
    sockets_silent: "WebSocket clients closed, as nothing was heard of them",
    frames_sent: "Frames sent to WebSocket clients",
    frames_skipped: "Frames that a slow WebSocket client did not get",
    certificates_loaded: "Certificates loaded, the first one included",
    certificates_refused: "Changed certificates that could not be used",
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Adds `count`.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    // Relaxed: counters carry no data.
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Takes one from a counter of what is there now.
pub(super) fn uncount(counter: &AtomicU64) {
    // Relaxed: counters carry no data.
    counter.fetch_sub(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_in_the_list_by_its_name() {
        let counters = ServerCounters::default();
        count(&counters.requests);
        add(&counters.frames_skipped, 3);
        count(&counters.sockets_open);
        uncount(&counters.sockets_open);
        let counts = counters.counts();
        let totals = counts.totals();
        let of = |name: &str| totals.iter().find(|(known, ..)| *known == name).map(|(.., value)| *value);
        assert_eq!((of("requests"), of("frames_skipped"), counts.sockets_open), (Some(1), Some(3), 0));
        assert_eq!(totals.iter().map(|(.., value)| value).sum::<u64>(), 4);
    }
}
