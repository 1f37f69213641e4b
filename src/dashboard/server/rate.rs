//! How often a client may do something: a token bucket for each address, in bounded memory.
//!
//! Owns the accounts. Knows no request. Invariants: a question takes constant time but for a sweep a second; there are never more than
//! [`CLIENTS_KNOWN_MAX`] accounts and the shared one.

use super::limits::CLIENTS_KNOWN_MAX;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two searches for accounts that can go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Who a client is taken for: its IPv4 address, or its /64, as whoever has an IPv6 address has the other 2^64, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey(IpAddr);

impl ClientKey {
    /// Of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }

    /// True for this machine.
    pub(super) const fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

/// A bucket: what it may do now, and how fast that grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    tokens: f64,
    at: Instant,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct BucketRate {
    /// Per second.
    pub(super) per_sec: f64,
    /// At most.
    pub(super) burst: f64,
}

impl TokenBucket {
    /// A full one.
    pub(super) const fn full(rate: BucketRate, now: Instant) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    fn fill(&mut self, rate: BucketRate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens, self.at) = ((self.tokens + passed * rate.per_sec).min(rate.burst), now);
    }

    /// Takes one, or tells how long it is until there is one.
    pub(super) fn take(&mut self, rate: BucketRate, now: Instant) -> Result<(), Duration> {
        self.fill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / rate.per_sec))
    }
}

/// The accounts of all clients.
pub(super) struct RateLimit {
    rate: BucketRate,
    state: Mutex<Accounts>,
}

struct Accounts {
    known: HashMap<ClientKey, TokenBucket>,
    /// Of those that find no room.
    others: TokenBucket,
    swept: Instant,
}

impl RateLimit {
    /// With this rate for each client.
    pub(super) fn new(rate: BucketRate, now: Instant) -> Self {
        let state = Mutex::new(Accounts { known: HashMap::new(), others: TokenBucket::full(rate, now), swept: now });
        Self { rate, state }
    }

    /// Takes one for `client`, or tells how long it has to wait.
    pub(super) fn take(&self, client: ClientKey, now: Instant) -> Result<(), Duration> {
        self.with(client, now, |bucket, rate| bucket.take(rate, now))
    }

    fn with<T>(&self, client: ClientKey, now: Instant, ask: impl FnOnce(&mut TokenBucket, BucketRate) -> T) -> T {
        // Buckets are whole after each step, so a panic elsewhere leaves them usable.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = self.rate;
        if !state.known.contains_key(&client) && state.known.len() >= CLIENTS_KNOWN_MAX {
            if now.saturating_duration_since(state.swept) >= SWEEP_INTERVAL {
                state.swept = now;
                // A full bucket says what a new one would.
                state.known.retain(|_, bucket| {
                    bucket.fill(rate, now);
                    bucket.tokens < rate.burst
                });
            }
            if state.known.len() >= CLIENTS_KNOWN_MAX {
                return ask(&mut state.others, rate);
            }
        }
        ask(state.known.entry(client).or_insert_with(|| TokenBucket::full(rate, now)), rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: BucketRate = BucketRate { per_sec: 2.0, burst: 3.0 };

    fn client(number: u32) -> ClientKey {
        ClientKey::of(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn a_burst_and_then_a_rate() {
        let start = Instant::now();
        let limit = RateLimit::new(RATE, start);
        for _ in 0..3 {
            assert_eq!(limit.take(client(1), start), Ok(()));
        }
        let wait = limit.take(client(1), start).unwrap_err();
        assert!((wait.as_secs_f64() - 0.5).abs() < 1e-6, "{wait:?}");
        assert_eq!(limit.take(client(2), start), Ok(()), "another client");
        assert_eq!(limit.take(client(1), start + Duration::from_millis(501)), Ok(()));
        assert!(limit.take(client(1), start + Duration::from_millis(502)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_nobody_is_let_off() {
        let start = Instant::now();
        let limit = RateLimit::new(RATE, start);
        let many = u32::try_from(CLIENTS_KNOWN_MAX).unwrap() + 10;
        let refused = (0..many).filter(|number| limit.take(client(*number), start).is_err()).count();
        assert_eq!(refused, 7, "ten share an account of three");
        let later = start + Duration::from_secs(5);
        assert_eq!(limit.take(client(many), later), Ok(()));
        assert_eq!(limit.state.lock().unwrap().known.len(), 1, "full accounts went");
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let of = |text: &str| ClientKey::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert!(of("::1").is_loopback() && of("127.0.0.9").is_loopback() && !of("192.0.2.1").is_loopback());
    }
}
