//! How deep headers in each other are followed.
//!
//! Owns the limits, for the whole program. Knows no header. Its invariant: whatever a packet claims, the number of headers read of it is
//! bounded by these; what lies deeper is counted as [`FaultKind::TooDeep`](super::FaultKind).

use std::sync::atomic::{AtomicU8, Ordering};

/// Limits on headers of one packet. Each is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthLimits {
    /// Tunnels in each other.
    pub tunnels: u8,
    /// Link-layer headers (tags, labels, LLC, PPP) under one network layer.
    pub link_headers: u8,
    /// Extension headers of one IPv6 header.
    pub extension_headers: u8,
}

impl DepthLimits {
    /// What is in force unless something else is set: more than packets have that are not made to be deep.
    pub const DEFAULT: Self =
        Self { tunnels: TUNNEL_DEPTH_MAX, link_headers: LINK_HEADER_COUNT_MAX, extension_headers: EXTENSION_COUNT_MAX };
}

impl Default for DepthLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Tunnels in each other by default.
pub const TUNNEL_DEPTH_MAX: u8 = 8;
/// Link-layer headers by default.
pub const LINK_HEADER_COUNT_MAX: u8 = 32;
/// Extension headers by default. A packet that is not made to be deep has four at most, each kind once (RFC 8200 section 4.1); others that
/// read captures of tests with a hundred of them follow them all.
pub const EXTENSION_COUNT_MAX: u8 = 120;

// Relaxed throughout: each is a number by itself, written before the first packet and vouching for no other memory. Partner of each load
// is the store in `set_depth_limits`.
static TUNNELS: AtomicU8 = AtomicU8::new(TUNNEL_DEPTH_MAX);
static LINK_HEADERS: AtomicU8 = AtomicU8::new(LINK_HEADER_COUNT_MAX);
static EXTENSION_HEADERS: AtomicU8 = AtomicU8::new(EXTENSION_COUNT_MAX);

/// Sets the limits of all packets that are read from now on. For the start of the program: packets read with different limits are not
/// comparable.
pub fn set_depth_limits(limits: DepthLimits) {
    let DepthLimits { tunnels, link_headers, extension_headers } = limits;
    TUNNELS.store(tunnels, Ordering::Relaxed);
    LINK_HEADERS.store(link_headers, Ordering::Relaxed);
    EXTENSION_HEADERS.store(extension_headers, Ordering::Relaxed);
}

#[inline(always)]
pub(super) fn tunnels_max() -> u8 {
    TUNNELS.load(Ordering::Relaxed)
}

#[inline(always)]
pub(super) fn link_headers_max() -> u8 {
    LINK_HEADERS.load(Ordering::Relaxed)
}

#[inline(always)]
pub(super) fn extension_headers_max() -> u8 {
    EXTENSION_HEADERS.load(Ordering::Relaxed)
}
