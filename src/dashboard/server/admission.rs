//! How many connections there are, in all and of each client.
//!
//! Owns these numbers. Knows no byte of a connection. Invariant: a place that was taken is free again when its guard is dropped.

use super::counts::{ServerCounters, count, uncount};
use super::limits::{CONNECTIONS_MAX, CONNECTIONS_OF_PROXY_MAX, CONNECTIONS_PER_CLIENT_MAX};
use super::rate::ClientKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Places for connections.
#[derive(Default)]
pub(super) struct Admission {
    /// Connections of each client that has some: at most as many as there are in all.
    open: Mutex<(usize, HashMap<ClientKey, usize>)>,
    counters: Arc<ServerCounters>,
}

/// A place.
pub(super) struct ConnectionPlace {
    admission: Arc<Admission>,
    client: ClientKey,
}

impl Admission {
    /// No connection yet.
    pub(super) fn new(counters: Arc<ServerCounters>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), counters })
    }

    /// A place for a connection of this client, while there are some. A proxy stands for many, and loopback may.
    pub(super) fn enter(self: &Arc<Self>, client: ClientKey, is_proxy: bool) -> Option<ConnectionPlace> {
        let max = if is_proxy || client.is_loopback() { CONNECTIONS_OF_PROXY_MAX } else { CONNECTIONS_PER_CLIENT_MAX };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, clients) = &mut *open;
        let own = clients.get(&client).copied().unwrap_or(0);
        if *all >= CONNECTIONS_MAX || own >= max {
            count(&self.counters.connections_refused);
            return None;
        }
        *all += 1;
        clients.insert(client, own + 1);
        count(&self.counters.connections);
        count(&self.counters.connections_open);
        Some(ConnectionPlace { admission: Arc::clone(self), client })
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, clients) = &mut *open;
        *all = all.saturating_sub(1);
        match clients.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = clients.remove(&self.client),
        }
        uncount(&self.admission.counters.connections_open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn places_are_limited_in_all_and_for_each() {
        let admission = Admission::new(Arc::default());
        let client = |last: u8| ClientKey::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let mut places: Vec<_> =
            (0..CONNECTIONS_PER_CLIENT_MAX).map(|_| admission.enter(client(1), false).expect("a place")).collect();
        assert!(admission.enter(client(1), false).is_none(), "of one client");
        places.push(admission.enter(client(1), true).expect("of a proxy"));
        for last in 2.. {
            let Some(place) = admission.enter(client(last), false) else { break };
            places.push(place);
        }
        assert_eq!(places.len(), CONNECTIONS_MAX, "in all");
        places.clear();
        assert!(admission.open.lock().unwrap().1.is_empty() && admission.enter(client(1), false).is_some());
        assert_eq!((admission.counters.counts().connections_refused, admission.counters.counts().connections_open), (2, 0));
    }
}
