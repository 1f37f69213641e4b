//! The receiving side of copied packets: a thread that shows them, in order, to one consumer.
//!
//! Owns the loop and the nap. Invariant: the boxes go back whatever the consumer does, so a failing consumer never stops a
//! worker.

use super::TapChunk;
use super::mailbox::Receiver;
use netscope_backends::Packet;
use std::time::Duration;

const NAP: Duration = Duration::from_millis(1);

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

/// Feeds `consumer` until the sender is gone. After an error the remaining packets are taken and counted, not shown.
///
/// Returns the number of packets not shown, with the error that was the reason.
pub fn consume<C: PacketConsumer>(receiver: &Receiver<TapChunk>, consumer: &mut C) -> Result<(), (u64, C::Error)> {
    let mut failed: Option<(u64, C::Error)> = None;
    while !receiver.is_finished() {
        let Some(mut chunk) = receiver.receive() else {
            std::thread::sleep(NAP);
            continue;
        };
        match &mut failed {
            Some((unshown, _)) => *unshown += chunk.packets.len() as u64,
            None => {
                if let Err((shown, error)) = feed(&chunk, consumer) {
                    failed = Some((chunk.packets.len() as u64 - shown, error));
                }
            }
        }
        chunk.packets.clear();
        receiver.give_back(chunk);
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
