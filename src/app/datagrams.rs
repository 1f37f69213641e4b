//! Protocols over datagrams: each datagram is shown once, in order.
//!
//! Owns the question and the answer; each protocol is a [`DatagramInspector`].

use super::FactBuffer;

/// A datagram of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What was captured of its payload.
    pub payload: &'a [u8],
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
    /// The flow is this protocol's, and its next datagrams are wanted.
    Watch,
    /// The flow is this protocol's, and all is known.
    Done,
}

/// What follows the datagrams of one flow in one protocol.
pub trait DatagramInspector: Send {
    /// Its name, as in `app.protocol`.
    fn name(&self) -> &'static str;

    /// A datagram came. `facts` holds what was known before; what is added or changed is in it afterwards.
    fn datagram(&mut self, datagram: &Datagram<'_>, facts: &mut FactBuffer) -> DatagramReading;
}
