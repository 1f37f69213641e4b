//! The receiving side of copied packets: a thread that shows those of all queues, in order, to one consumer.
//!
//! Owns the loop and how long it sleeps. Invariant: the boxes go back whatever the consumer does, so a failing consumer never stops a
//! worker.

use super::mailbox::Receiver;
use super::{TapChunk, TapMark};
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
    /// True where each worker numbers the packets of a queue of its own; else the numbers are those of the
    /// source they share.
    pub has_own_numbers: bool,
}

/// Somebody who wants packets, off the worker.
pub trait PacketConsumer {
    /// Why it cannot go on.
    type Error;

    /// Takes packet number `number` (from 1).
    ///
    /// # Errors
    /// Ends the consumer: it is shown no more packets.
    fn packet(&mut self, number: u64, packet: &Packet<'_>) -> Result<(), Self::Error>;

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
/// source it is ordered by their common numbers.
///
/// Returns the number of packets not shown, with the error that was the reason.
pub fn consume<C: PacketConsumer>(tap: &TapReceivers, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    let TapReceivers { receivers, has_own_numbers } = tap;
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
                    chunks => feed_merged(chunks, has_own_numbers.then_some(numbered), consumer),
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
    for (shown, (mark, packet)) in (0..).zip(chunk.packets()) {
        consumer.packet(mark.number, &packet).map_err(|error| (shown, error))?;
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
    let mut queues: Vec<_> = chunks.iter().map(|(_, chunk)| chunk.packets().peekable()).collect();
    let mut shown = 0;
    let rank = |(mark, packet): &(TapMark, Packet<'_>)| if numbered.is_some() { packet.time.0 } else { mark.number };
    // The oldest of those that are next on their queues; of several the one on the first queue.
    while let Some((mark, packet)) = queues
        .iter_mut()
        .filter_map(|queue| queue.peek().map(rank).map(|rank| (rank, queue)))
        .min_by_key(|(rank, _)| *rank)
        .and_then(|(_, queue)| queue.next())
    {
        let number = numbered.map_or(mark.number, |numbered| numbered + shown + 1);
        consumer.packet(number, &packet).map_err(|error| (shown, error))?;
        shown += 1;
    }
    consumer.pause().map_err(|error| (shown, error))
}
