//! Names of the states a TCP connection can be in, seen from outside.

/// The seven exported states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TcpState {
    #[default]
    Unknown,
    SynSent,
    SynAck,
    Established,
    FinWait,
    Closed,
    Reset,
}

impl TcpState {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SynSent => "syn_sent",
            Self::SynAck => "syn_ack",
            Self::Established => "established",
            Self::FinWait => "fin_wait",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }
}

/// The finer state: that of the side that is furthest, by the names of RFC 9293 section 3.3.2. LISTEN cannot be seen from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TcpStateDetail {
    #[default]
    Unknown,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

impl TcpStateDetail {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_received",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait_1",
            Self::FinWait2 => "fin_wait_2",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::LastAck => "last_ack",
            Self::TimeWait => "time_wait",
            Self::Closed => "closed",
        }
    }
}
