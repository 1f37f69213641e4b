//! Memory of flows whose inspection is over, for the next ones: most flows are inspected for a few packets.
//!
//! Owns it. Invariant: what is kept is bounded by constants, and holds nothing of the flows that had it.

use super::stream::StreamInspection;
use crate::app::FactBuffer;

/// Inspections and buffers that are kept, each.
const KEPT_MAX: usize = 64;
/// Bytes of the ones that are kept.
const KEPT_BYTES_MAX: usize = 8 << 10;

/// What is kept.
#[derive(Default)]
pub(super) struct SpareMemory {
    #[expect(clippy::vec_box, reason = "flows have it boxed")]
    streams: Vec<Box<StreamInspection>>,
    facts: Vec<FactBuffer>,
}

impl SpareMemory {
    pub(super) fn stream(&mut self, limit: usize) -> Box<StreamInspection> {
        self.streams.pop().unwrap_or_else(|| Box::new(StreamInspection::new(limit)))
    }

    pub(super) fn facts(&mut self) -> FactBuffer {
        self.facts.pop().unwrap_or_default()
    }

    /// Takes a stream that is over.
    pub(super) fn keep_stream(&mut self, mut stream: Box<StreamInspection>) {
        if self.streams.len() < KEPT_MAX && stream.memory_bytes() <= KEPT_BYTES_MAX {
            stream.restart();
            self.streams.push(stream);
        }
    }

    /// Takes facts that were copied.
    pub(super) fn keep_facts(&mut self, mut facts: FactBuffer) {
        if self.facts.len() < KEPT_MAX && facts.memory_bytes() <= KEPT_BYTES_MAX {
            facts.clear();
            self.facts.push(facts);
        }
    }
}
