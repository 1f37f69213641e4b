//! The loss ledger as the page has it: what was received, and where each packet went.
//!
//! Owns names and layers of losses. Knows no page. Invariant: `received = processed + waiting + unaccounted` + each loss with
//! `of_received`.

use crate::aggregate::{OutputState, Summary};
use serde_json::{Value, json};

/// A place where packets, or copies and records of them, are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossPlace {
    /// `card`, `kernel`, `ring`, `engine`, `copies`, `records`, `output`.
    pub layer: &'static str,
    /// What happened; of an output its name.
    pub name: String,
    /// How many since the start.
    pub count: u64,
    /// What is counted: `packets`, `copies` of packets, `records`, `messages`.
    pub unit: &'static str,
    /// They were received before, and not processed.
    pub of_received: bool,
}

/// All places, those without a loss too.
pub fn losses(totals: &Summary, outputs: &[OutputState]) -> Vec<LossPlace> {
    let (source, ledger) = (&totals.source, &totals.ledger);
    let place =
        |layer, name: &str, count, unit, of_received| LossPlace { layer, name: name.to_owned(), count, unit, of_received };
    let mut all = vec![
        place("card", "interface_drops", source.interface_drops, "packets", false),
        place("kernel", "kernel_drops", source.kernel_drops, "packets", true),
        place("ring", "damaged", source.damaged, "packets", true),
        place("engine", "skipped", source.skipped, "packets", true),
        place("engine", "beyond_count", ledger.beyond_count, "packets", true),
        place("engine", "unread_at_end", ledger.unread, "packets", true),
        place("copies", "taps_skipped", ledger.taps_skipped, "copies", false),
        place("records", "records_skipped", ledger.records_skipped, "records", false),
        place("records", "facts_left_out", ledger.facts_left_out + totals.facts_left_out, "records", false),
        place("records", "export_left_out", totals.export_left_out, "records", false),
    ];
    if let Some(flight) = &totals.flight {
        all.push(place("copies", "recorder_skipped", flight.packets_skipped, "copies", false));
    }
    all.extend(outputs.iter().map(|state| {
        let loss = &state.loss;
        place("output", &loss.output, loss.records + loss.reports + loss.alerts, "messages", false)
    }));
    all
}

/// Packets that were lost, wherever, since the start.
pub fn lost_packets(totals: &Summary) -> u64 {
    let source = &totals.source;
    [source.interface_drops, source.kernel_drops, source.damaged, source.skipped].into_iter().fold(0, u64::saturating_add)
}

/// The `ledger` of a tick. `has_ended`: the run is over, so nothing waits any more. `last_loss`: when a packet was lost last.
pub fn ledger_object(totals: &Summary, outputs: &[OutputState], has_ended: bool, last_loss: Option<f64>) -> Value {
    let counted = totals.source.received.saturating_sub(totals.source.filtered);
    let rest = totals.unaccounted();
    // While a run goes on, the two sides are counted at different moments: on a wire the kernel counts a packet before the worker has it,
    // and a file's packets are counted when the worker gives their memory back.
    let (waiting, early) = if has_ended { (0, 0) } else { (rest.max(0), (-rest).max(0)) };
    let received = i128::from(counted) + early;
    let rest = rest + early;
    let rows: Vec<Value> = losses(totals, outputs)
        .into_iter()
        .map(|LossPlace { layer, name, count, unit, of_received }| {
            json!({"layer": layer, "name": name, "packets": count, "unit": unit, "of_received": of_received})
        })
        .collect();
    json!({
        "received": number(received), "filtered": totals.source.filtered, "processed": totals.ledger.packets,
        "waiting": number(waiting), "unaccounted": number(rest - waiting), "losses": rows,
        "lost_total": lost_packets(totals), "last_loss": last_loss,
    })
}

/// A number that fits in 64 bits, or the nearest one.
fn number(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ledger;
    use netscope_backends::Counters;

    #[test]
    fn it_adds_up() {
        let source = Counters { received: 110, filtered: 10, kernel_drops: 7, damaged: 1, skipped: 2, ..Counters::default() };
        let ledger = Ledger { packets: 80, in_flows: 80, beyond_count: 1, unread: 3, ..Ledger::default() };
        let totals = Summary { source, ledger, ..Summary::default() };
        for (has_ended, waiting, unaccounted) in [(false, 6, 0), (true, 0, 6)] {
            let object = ledger_object(&totals, &[], has_ended, None);
            let of = |name: &str| object[name].as_i64().expect("a number");
            assert_eq!((of("waiting"), of("unaccounted"), of("received"), of("lost_total")), (waiting, unaccounted, 100, 10));
            let losses = object["losses"].as_array().expect("a list");
            let of_received = losses.iter().filter(|loss| loss["of_received"] == true);
            let lost: i64 = of_received.map(|loss| loss["packets"].as_i64().expect("a number")).sum();
            assert_eq!(of("received"), of("processed") + lost + of("waiting") + of("unaccounted"));
        }
    }
}
