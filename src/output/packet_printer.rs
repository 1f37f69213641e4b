//! The packet view: every packet as text on standard output, off the worker.
//!
//! Owns the buffer and the style. Invariant: one write per box of packets, so lines are whole.

use super::packet_detail::write_detail;
use super::packet_line::write_line;
use crate::engine::PacketConsumer;
use netscope_backends::Packet;
use std::io::{self, Write};

/// How much of a packet is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintStyle {
    /// One line.
    Line,
    /// Every layer with its fields.
    Detail,
    /// Every layer, and the first bytes in hex.
    Hex,
}

/// Prints packets.
pub struct PacketPrinter<W: Write> {
    out: W,
    style: PrintStyle,
    text: String,
}

impl<W: Write> PacketPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W, style: PrintStyle) -> Self {
        Self { out, style, text: String::new() }
    }
}

impl<W: Write> PacketConsumer for PacketPrinter<W> {
    type Error = io::Error;

    fn packet(&mut self, number: u64, packet: &Packet<'_>) -> io::Result<()> {
        self.text.clear();
        write_line(&mut self.text, number, packet);
        self.text.push('\n');
        if self.style != PrintStyle::Line {
            write_detail(&mut self.text, packet, self.style == PrintStyle::Hex);
        }
        self.out.write_all(self.text.as_bytes())
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
