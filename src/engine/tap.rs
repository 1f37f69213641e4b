//! The receiving side of copied packets: a thread that shows those of all queues, in order, to one consumer.
//!
//! Owns the loop and how long it sleeps. Invariant: the boxes go back whatever the consumer does, so a failing consumer never stops a
//! worker.

mod sequence;

use super::mailbox::Receiver;
use super::{TapChunk, TapMark};
use crate::flow::FlowNote;
use netscope_backends::Packet;
use std::time::Duration;

/// First sleep of a receiver that found nothing, and the longest: each in vain is twice as long as the one before. It is woken
/// before when much has come.
const SLEEP: Duration = Duration::from_millis(1);
const SLEEP_MAX: Duration = Duration::from_millis(16);

/// The receiving side of one tap.
pub struct TapReceivers {
    /// One per worker that copies packets.
    pub receivers: Vec<Receiver<TapChunk>>,
    /// What the numbers of different workers are to each other.
    pub order: TapOrder,
    /// True where a worker without a box waits; else it skips packets.
    pub waits: bool,
}

/// What the packets' numbers of several workers are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapOrder {
    /// Each worker numbers the packets of a queue of its own.
    Own,
    /// The numbers are those of the source that all share, or of the only worker.
    Shared,
    /// The same, and every packet comes, once, from one or another: number follows number.
    Sequence,
}

/// Somebody who wants packets, off the worker.
pub trait PacketConsumer {
    /// Why it cannot go on.
    type Error;

    /// The packets that follow came by this queue. Not called where there is one.
    fn queue(&mut self, _queue: usize) {}

    /// Takes packet number `number` (from 1); `note` is on its flow, where it has one and the tap is
    /// [`TapPolicy::Counted`](super::TapPolicy::Counted).
    ///
    /// # Errors
    /// Ends the consumer: it is shown no more packets.
    fn packet(&mut self, number: u64, note: Option<&FlowNote>, packet: &Packet<'_>) -> Result<(), Self::Error>;

    /// Nothing more for the moment: shows what is buffered. Called again and again while nothing comes.
    ///
    /// # Errors
    /// As [`PacketConsumer::packet`].
    fn pause(&mut self) -> Result<(), Self::Error>;
}

/// Feeds `consumer` until the senders are gone, one per queue. After an error the remaining packets are taken and counted, not shown.
///
/// Packets of one worker come in the order in which they arrived, with its numbers. What lies ready of
/// several queues at one moment is ordered by time, and numbered as it is shown; of several workers on one
/// source it is ordered by their common numbers. Of [`TapOrder::Sequence`] each packet waits for the one
/// before it.
///
/// Returns the number of packets not shown, with the error that was the reason.
pub fn consume<C: PacketConsumer>(tap: &TapReceivers, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    let TapReceivers { receivers, order, .. } = tap;
    if *order == TapOrder::Sequence {
        return sequence::consume(tap, consumer);
    }
    let mut failed: Option<(u64, C::Error)> = None;
    let mut round: Vec<(usize, Box<TapChunk>)> = Vec::with_capacity(receivers.len());
    let (mut numbered, mut sleep) = (0, SLEEP);
    receivers.iter().take(1).for_each(|receiver| receiver.parker().register());
    loop {
        // Asked before the boxes are taken: what was sent before the end is then seen.
        let finished = receivers.iter().all(Receiver::is_finished);
        round.extend(receivers.iter().enumerate().filter_map(|(queue, receiver)| Some((queue, receiver.receive()?))));
        if round.is_empty() {
            let Some(receiver) = receivers.first().filter(|_| !finished) else { break };
            if failed.is_none() {
                failed = consumer.pause().err().map(|error| (0, error));
            }
            receiver.parker().sleep(sleep);
            sleep = (sleep * 2).min(SLEEP_MAX);
            continue;
        }
        sleep = SLEEP;
        let count = round.iter().map(|(_, chunk)| chunk.len() as u64).sum::<u64>();
        match &mut failed {
            Some((unshown, _)) => *unshown += count,
            None => {
                let fed = match round.as_slice() {
                    [(_, chunk)] if receivers.len() == 1 => feed(chunk, consumer),
                    chunks => feed_merged(chunks, (*order == TapOrder::Own).then_some(numbered), consumer),
                };
                numbered += count;
                if let Err((shown, error)) = fed {
                    failed = Some((count - shown, error));
                }
            }
        }
        for (queue, mut chunk) in round.drain(..) {
            chunk.clear();
            receivers[queue].give_back(chunk);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Shows one box; an error comes with the number of packets that were taken before it.
fn feed<C: PacketConsumer>(chunk: &TapChunk, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    for (shown, (mark, note, packet)) in (0..).zip(chunk.all()) {
        consumer.packet(mark.number, note, &packet).map_err(|error| (shown, error))?;
    }
    consumer.pause().map_err(|error| (chunk.len() as u64, error))
}

/// The same for boxes of several workers; after `numbered` packets where each has a queue with numbers of its
/// own.
fn feed_merged<C: PacketConsumer>(
    chunks: &[(usize, Box<TapChunk>)],
    numbered: Option<u64>,
    consumer: &mut C,
) -> Result<(), (u64, C::Error)> {
    let mut queues: Vec<_> = chunks.iter().map(|(queue, chunk)| (*queue, chunk.all().peekable())).collect();
    let (mut shown, mut latest) = (0, None);
    let rank = |(mark, _, packet): &(TapMark, Option<&FlowNote>, Packet<'_>)| {
        if numbered.is_some() { packet.time.0 } else { mark.number }
    };
    // The oldest of those that are next on their queues; of several the one on the first queue.
    while let Some((queue, (mark, note, packet))) = queues
        .iter_mut()
        .filter_map(|(number, queue)| queue.peek().map(rank).map(|rank| (rank, *number, queue)))
        .min_by_key(|(rank, ..)| *rank)
        .and_then(|(_, number, queue)| Some((number, queue.next()?)))
    {
        if latest.replace(queue) != Some(queue) {
            consumer.queue(queue);
        }
        let number = numbered.map_or(mark.number, |numbered| numbered + shown + 1);
        consumer.packet(number, note, &packet).map_err(|error| (shown, error))?;
        shown += 1;
    }
    consumer.pause().map_err(|error| (shown, error))
}
