//! The packet view: every packet as text on standard output, off the worker.
//!
//! Owns the buffer and how much of a packet is shown. Invariant: what is written ends with a line's end, so lines are whole.

use crate::engine::PacketConsumer;
use crate::flow::FlowNote;
use crate::record::{
    FieldWord, LineStyle, PacketLines, TextBuffer, flow_detail, packet_detail, payload_detail, write_hex_dump, write_layers,
};
use netscope_backends::Packet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::mpsc::Sender;

/// How much of a packet is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintStyle {
    /// Its line.
    pub line: LineStyle,
    /// Below it every layer with its fields.
    pub layers: bool,
    /// With the layers, what its flow is.
    pub flow: bool,
    /// The first bytes in hex.
    pub hex: bool,
}

/// Prints packets.
pub struct PacketPrinter<W: Write> {
    out: W,
    style: PrintStyle,
    lines: PacketLines,
    text: TextBuffer,
    detail: String,
    /// Of each queue the name of its interface, where there are several.
    interfaces: Vec<FieldWord>,
    /// Dropped behind what was printed.
    _end: Sender<Infallible>,
}

impl<W: Write> PacketPrinter<W> {
    /// Prints to `out`. The receiver of `end` is told, by its being dropped, when all is printed.
    pub fn new(out: W, style: PrintStyle, end: Sender<Infallible>) -> Self {
        let lines = PacketLines::new(style.line);
        Self { out, style, lines, text: TextBuffer::default(), detail: String::new(), interfaces: Vec::new(), _end: end }
    }

    /// Shows of each packet on which interface it came: the names by queue.
    #[must_use]
    pub fn with_interfaces(self, interfaces: Vec<FieldWord>) -> Self {
        Self { interfaces, ..self }
    }

    /// What is shown below the line.
    fn write_detail(&mut self, note: Option<&FlowNote>, packet: &Packet<'_>) {
        self.detail.clear();
        let &Packet { data, wire_len, link_type, .. } = packet;
        if self.style.layers {
            write_layers(&mut self.detail, &packet_detail(link_type, data, wire_len));
            if let Some(view) = payload_detail(packet).filter(|_| self.style.line.payload) {
                write_layers(&mut self.detail, &[view]);
            }
        }
        if let Some(note) = note.filter(|_| self.style.flow) {
            write_layers(&mut self.detail, &[flow_detail(note, packet)]);
        }
        if self.style.hex {
            write_hex_dump(&mut self.detail, data);
        }
    }
}

impl<W: Write> PacketConsumer for PacketPrinter<W> {
    type Error = io::Error;

    fn queue(&mut self, queue: usize) {
        if let Some(name) = self.interfaces.get(queue) {
            self.lines.set_interface(*name);
        }
    }

    fn packet(&mut self, number: u64, note: Option<&FlowNote>, packet: &Packet<'_>) -> io::Result<()> {
        let mut text = self.text.open();
        self.lines.push(&mut text, number, note, packet);
        text.close();
        if self.style.layers || self.style.flow || self.style.hex {
            self.write_detail(note, packet);
            let mut text = self.text.open();
            text.word(self.detail.as_bytes());
            text.close();
        }
        if self.text.is_full() { self.text.write(&mut self.out) } else { Ok(()) }
    }

    fn pause(&mut self) -> io::Result<()> {
        self.text.write(&mut self.out)?;
        self.out.flush()
    }
}
