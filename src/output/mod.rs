//! Formats.

mod hex;
mod packet_detail;
mod packet_line;

pub use hex::{HEX_DUMP_LEN_MAX, write_hex_dump};
pub use packet_detail::{LayerView, packet_detail, write_layers};
pub use packet_line::write_packet_line;
