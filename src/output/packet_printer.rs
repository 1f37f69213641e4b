//! The packet view: every packet as text on standard output, off the worker.
//!
//! Owns the buffer and the style. Invariant: one write per box of packets, so lines are whole.

use crate::engine::PacketConsumer;
use crate::flow::FlowNote;
use crate::record::{packet_detail, write_hex_dump, write_layers, write_packet_line};
use netscope_backends::Packet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::mpsc::Sender;

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
    /// Dropped behind what was printed.
    _end: Sender<Infallible>,
}

impl<W: Write> PacketPrinter<W> {
    /// Prints to `out`. The receiver of `end` is told, by its being dropped, when all is printed.
    pub fn new(out: W, style: PrintStyle, end: Sender<Infallible>) -> Self {
        Self { out, style, text: String::new(), _end: end }
    }
}

impl<W: Write> PacketConsumer for PacketPrinter<W> {
    type Error = io::Error;

    fn packet(&mut self, number: u64, _note: Option<&FlowNote>, packet: &Packet<'_>) -> io::Result<()> {
        self.text.clear();
        let Packet { data, time, wire_len, link_type } = *packet;
        write_packet_line(&mut self.text, number, time, link_type, data, wire_len);
        self.text.push('\n');
        if self.style != PrintStyle::Line {
            write_layers(&mut self.text, &packet_detail(link_type, data, wire_len));
        }
        if self.style == PrintStyle::Hex {
            write_hex_dump(&mut self.text, data);
        }
        self.out.write_all(self.text.as_bytes())
    }

    fn pause(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
