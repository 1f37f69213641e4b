//! Protocols over datagrams: each datagram is shown once, in order.
//!
//! Owns the question and the answer; each protocol is a [`DatagramInspector`].

use super::FactBuffer;

/// A datagram of a flow.
#[derive(Clone, Copy, Debug)]
pub struct SeenDatagram<'a> {
    /// What was captured of its payload.
    pub payload: &'a [u8],
    /// How long it was, as its header says.
    pub len: usize,
    /// It is of the side that began.
    pub is_clients: bool,
    /// The port of the side that did not begin: a hint, no more.
    pub server_port: u16,
    /// The port of the side that began.
    pub client_port: u16,
    /// When it was captured, in ns.
    pub time_ns: u64,
}

/// What comes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramReading {
    /// Not of this protocol.
    Foreign,
    /// Perhaps of this protocol: the next ones will tell.
    Unsure,
    /// Of this protocol; it told nothing new, and the next ones are wanted.
    Watch,
    /// Of this protocol; it told something new, and the next ones are wanted.
    Told,
    /// Of this protocol, and all is known.
    Done,
}

/// What follows the datagrams of one flow in one protocol.
pub trait DatagramInspector: Send + Sync {
    /// A datagram came.
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading;

    /// Bytes that it keeps besides itself: they count in the limit of what is kept.
    fn kept_bytes(&self) -> usize;

    /// Adds all that is known to an empty buffer, the protocol's name first.
    fn write(&self, facts: &mut FactBuffer);
}

/// A protocol over datagrams.
pub struct DatagramProtocol {
    /// Whether a datagram may be of this protocol: a test of a few bytes that must be cheap.
    pub may_be: fn(&SeenDatagram<'_>) -> bool,
    /// Something that follows a flow from its first datagram on.
    pub begin: fn() -> Box<dyn DatagramInspector>,
}
