//! The receiving side of copied packets: a thread that shows those of all queues, in order, to one consumer.
//!
//! Owns the loop and how long it sleeps. Invariant: the boxes go back whatever the consumer does, so a failing consumer never stops a
//! worker.

use super::TapChunk;
use super::mailbox::Receiver;
use netscope_backends::Packet;
use std::time::Duration;

/// First sleep of a receiver that found nothing, and the longest: each in vain is twice as long as the one before. It is woken
/// before when much has come.
const SLEEP: Duration = Duration::from_millis(1);
const SLEEP_MAX: Duration = Duration::from_millis(16);

/// Somebody who wants every packet, off the worker.
pub trait PacketConsumer {
    /// Why it cannot go on.
    type Error;

    /// Takes packet number `number` (from 1).
    ///
    /// # Errors
    /// Ends the consumer: it is shown no more packets.
    fn packet(&mut self, number: u64, packet: &Packet<'_>) -> Result<(), Self::Error>;

    /// Nothing more for the moment: shows what is buffered.
    ///
    /// # Errors
    /// As [`PacketConsumer::packet`].
    fn pause(&mut self) -> Result<(), Self::Error>;
}

/// Feeds `consumer` until the senders are gone, one per queue. After an error the remaining packets are taken and counted, not shown.
///
/// Packets of one queue come in the order in which they arrived, with the queue's numbers. What lies ready on several queues at one
/// moment is ordered by time, and numbered as it is shown.
///
/// Returns the number of packets not shown, with the error that was the reason.
pub fn consume<C: PacketConsumer>(receivers: &[Receiver<TapChunk>], consumer: &mut C) -> Result<(), (u64, C::Error)> {
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
            receiver.parker().sleep(sleep);
            sleep = (sleep * 2).min(SLEEP_MAX);
            continue;
        }
        sleep = SLEEP;
        let count = round.iter().map(|(_, chunk)| chunk.packets.len() as u64).sum::<u64>();
        match &mut failed {
            Some((unshown, _)) => *unshown += count,
            None => {
                let fed = match round.as_slice() {
                    [(_, chunk)] if receivers.len() == 1 => feed(chunk, consumer),
                    chunks => feed_merged(chunks, numbered, consumer),
                };
                numbered += count;
                if let Err((shown, error)) = fed {
                    failed = Some((count - shown, error));
                }
            }
        }
        for (queue, mut chunk) in round.drain(..) {
            chunk.packets.clear();
            receivers[queue].give_back(chunk);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Shows one box; an error comes with the number of packets that were taken before it.
fn feed<C: PacketConsumer>(chunk: &TapChunk, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    for (shown, packet) in (0u64..).zip(chunk.packets.packets()) {
        consumer.packet(chunk.first_number + shown, &packet).map_err(|error| (shown, error))?;
    }
    consumer.pause().map_err(|error| (chunk.packets.len() as u64, error))
}

/// The same for boxes of several queues, after `numbered` packets.
fn feed_merged<C: PacketConsumer>(
    chunks: &[(usize, Box<TapChunk>)],
    numbered: u64,
    consumer: &mut C,
) -> Result<(), (u64, C::Error)> {
    let mut queues: Vec<_> = chunks.iter().map(|(_, chunk)| chunk.packets.packets().peekable()).collect();
    let mut shown = 0;
    // The oldest of those that are next on their queues; of several the one on the first queue.
    while let Some(oldest) = queues
        .iter_mut()
        .filter_map(|queue| queue.peek().map(|packet| packet.time).map(|time| (time, queue)))
        .min_by_key(|(time, _)| *time)
        .and_then(|(_, queue)| queue.next())
    {
        consumer.packet(numbered + shown + 1, &oldest).map_err(|error| (shown, error))?;
        shown += 1;
    }
    consumer.pause().map_err(|error| (shown, error))
}
