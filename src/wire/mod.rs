//! Bytes in, facts out: one file per protocol header, and [`dissect`].
//!
//! Owns the reading of headers. Knows no time and keeps no state between packets. Its invariant: any bytes at all give facts or
//! a counted [`Fault`], never a panic.

mod facts;

pub use facts::{
    Dissected, Fault, FaultKind, Fragment, IpVersion, Layer, Network, Ports, TcpFlags, TcpOptions, TcpSegment, Transport, Tunnel,
    TunnelKind, VlanTags,
};
