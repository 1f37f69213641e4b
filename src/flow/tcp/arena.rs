//! Side memory for flows whose segments did not simply arrive in order.

/// Cold, bounded side memory of the trackers of one flow table.
#[derive(Debug)]
pub struct TcpArena {
    flow_count_max: usize,
    refused: u64,
}

impl TcpArena {
    /// An arena for at most `flow_count_max` flows with anomalies at a time; 0 means no limit. Memory is taken as it is needed.
    pub fn with_capacity(flow_count_max: usize) -> Self {
        Self { flow_count_max, refused: 0 }
    }

    /// Greatest number of flows that can hold side memory at a time; 0 means no limit.
    pub fn flow_count_max(&self) -> usize {
        self.flow_count_max
    }

    /// How often a flow wanted side memory and the bound was reached; such a flow is analysed with less memory of its past.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
