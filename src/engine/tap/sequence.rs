//! Copied packets of several workers on one source, each of which copies what it counted: put in the order of the source.
//!
//! Owns the wait for the packet that comes next. Invariants: where a worker without a box waits, the order is that of the source
//! without exception; and there is always somebody who can go on. Who is waited for has all its boxes back: what it sent before
//! has a smaller number and was shown. It sends what it has at the end of each unit.

use super::{PacketConsumer, SLEEP, SLEEP_MAX, TapReceivers};
use crate::engine::TapChunk;
use crate::engine::mailbox::Receiver;

/// Sleeps in vain, together some 30 ms, after which a packet of a wire that did not come was skipped.
const PATIENCE: u32 = 5;

/// The box that is being shown of each worker, and how far.
type Heads = Vec<Option<(Box<TapChunk>, usize)>>;

/// As [`super::consume`].
pub(super) fn consume<C: PacketConsumer>(tap: &TapReceivers, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    let TapReceivers { receivers, waits, .. } = tap;
    let mut heads: Heads = receivers.iter().map(|_| None).collect();
    let (mut next, mut sleep, mut in_vain) = (1, SLEEP, 0);
    let mut failed: Option<(u64, C::Error)> = None;
    receivers.iter().take(1).for_each(|receiver| receiver.parker().register());
    loop {
        let is_patient = *waits || in_vain < PATIENCE;
        let mut is_fed = false;
        while let Some((queue, number, until)) = turn(receivers, &mut heads, next, is_patient) {
            (is_fed, next) = (true, number);
            let Some((chunk, at)) = &mut heads[queue] else { continue };
            while let Some((mark, note, packet)) = chunk.get(*at).filter(|(mark, ..)| mark.number < until || mark.number == next)
            {
                *at += 1;
                next = mark.number + 1;
                match &mut failed {
                    Some((unshown, _)) => *unshown += 1,
                    None => failed = consumer.packet(mark.number, note, &packet).err().map(|error| (1, error)),
                }
            }
        }
        if is_fed {
            (sleep, in_vain) = (SLEEP, 0);
            if failed.is_none() {
                failed = consumer.pause().err().map(|error| (0, error));
            }
            continue;
        }
        if heads.iter().all(Option::is_none) && receivers.iter().all(Receiver::is_finished) {
            return failed.map_or(Ok(()), Err);
        }
        receivers.iter().for_each(Receiver::wake_sender);
        if let Some(receiver) = receivers.first() {
            receiver.parker().sleep(sleep);
        }
        (sleep, in_vain) = ((sleep * 2).min(SLEEP_MAX), in_vain + 1);
    }
}

/// Whose turn it is, the number of its packet, and the number before which it is nobody else's turn. `None` when the packet that comes next is still to be sent.
fn turn(receivers: &[Receiver<TapChunk>], heads: &mut Heads, next: u64, is_patient: bool) -> Option<(usize, u64, u64)> {
    let (mut first, mut second, mut all_known) = ((u64::MAX, usize::MAX), u64::MAX, true);
    for (queue, (receiver, head)) in receivers.iter().zip(heads.iter_mut()).enumerate() {
        if head.as_ref().is_some_and(|(chunk, at)| *at >= chunk.len())
            && let Some((mut chunk, _)) = head.take()
        {
            chunk.clear();
            receiver.give_back(chunk);
        }
        if head.is_none() {
            // Asked before the box is taken: what was sent before the end is then seen.
            let is_finished = receiver.is_finished();
            *head = receiver.receive().map(|chunk| (chunk, 0));
            all_known &= head.is_some() || is_finished;
        }
        let number = head.as_ref().and_then(|(chunk, at)| Some(chunk.get(*at)?.0.number)).unwrap_or(u64::MAX);
        if number < first.0 {
            (first, second) = ((number, queue), first.0);
        } else {
            second = second.min(number);
        }
    }
    let (number, queue) = first;
    let is_next = number == next || number != u64::MAX && (all_known || !is_patient);
    // While somebody may still send a smaller number, only those that follow each other without a gap are taken.
    let until = if all_known { second } else { 0 };
    is_next.then_some((queue, number, until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{TapMark, TapOrder, mailbox};
    use crate::flow::FlowNote;
    use netscope_backends::{LinkType, Packet, Timestamp};
    use std::convert::Infallible;
    use std::thread;

    #[derive(Default)]
    struct Numbers(Vec<u64>);

    impl PacketConsumer for Numbers {
        type Error = Infallible;

        fn packet(&mut self, number: u64, _note: Option<&FlowNote>, _packet: &Packet<'_>) -> Result<(), Infallible> {
            self.0.push(number);
            Ok(())
        }

        fn pause(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    /// What is shown of these numbers, each list sent by a worker of its own in boxes of a few.
    fn shown(lists: &[Vec<u64>], waits: bool) -> Vec<u64> {
        let (senders, receivers): (Vec<_>, Vec<_>) = lists.iter().map(|_| mailbox(2, TapChunk::with_notes)).unzip();
        let tap = TapReceivers { receivers, order: TapOrder::Sequence, waits };
        let mut numbers = Numbers::default();
        thread::scope(|scope| {
            for (sender, list) in senders.into_iter().zip(lists) {
                scope.spawn(move || {
                    for numbers in list.chunks(3) {
                        let mut chunk = sender.take().expect("the receiver is there");
                        for &number in numbers {
                            let packet = Packet { data: &[1], time: Timestamp(0), wire_len: 1, link_type: LinkType::ETHERNET };
                            assert!(chunk.push_noted(TapMark { number, place: None }, None, &packet));
                        }
                        sender.send(chunk);
                    }
                });
            }
            super::super::consume(&tap, &mut numbers).expect("nothing fails");
        });
        numbers.0
    }

    #[test]
    fn numbers_follow_each_other_however_they_are_spread() {
        for workers in [1, 2, 3, 5] {
            for spread in [1_u64, 7, 60, 200] {
                let lists: Vec<Vec<u64>> =
                    (0..workers).map(|worker| (1..400).filter(|number| number / spread % workers == worker).collect()).collect();
                assert_eq!(shown(&lists, true), (1..400).collect::<Vec<_>>(), "{workers} workers, {spread} in a row");
            }
        }
    }

    #[test]
    fn what_nobody_sends_is_not_waited_for() {
        let lists = [vec![1, 2, 7, 8, 20], vec![5, 9, 10, 30, 31], vec![]];
        for waits in [true, false] {
            assert_eq!(shown(&lists, waits), [1, 2, 5, 7, 8, 9, 10, 20, 30, 31]);
        }
    }
}
