//! What a worker shows of its table while it counts, and what it is told meanwhile.
//!
//! Owns nothing. Invariant: it is asked between two batches, so no packet is half counted.

use super::Worker;
use crate::engine::request::LiveFlows;
use crate::engine::{Observer, TapFlows};
use crate::flow::FlowVisitor;
use netscope_backends::Timestamp;

impl<O: Observer> LiveFlows for Worker<O> {
    fn live_records(&self, from: u32, look_max: u32, visitor: &mut dyn FlowVisitor) -> Option<u32> {
        self.flows.live_records(from, look_max, visitor)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn flush_ended(&mut self) -> u64 {
        self.outbox.flush_ended(self.event());
        self.outbox.ended_boxes()
    }

    fn select_tap_flows(&mut self, tap: usize, flows: &TapFlows) {
        self.outbox.select_tap_flows(tap, flows);
    }
}
