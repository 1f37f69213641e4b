//! The floor's export: one line per flow, numbers written digit by digit into one large buffer. Addresses
//! have the usual text form (RFC 5952 for IPv6).

use super::key::VERSION_SHIFT;
use super::table::{FloorFlow, FloorTable};
use std::io::{self, Write};
use std::net::Ipv6Addr;

const HEADER: &str = "protocol,endpoint_a_ip,endpoint_a_port,endpoint_b_ip,endpoint_b_port,\
    packets_a_to_b,packets_b_to_a,bytes_a_to_b,bytes_b_to_a\n";
/// Handed to the system in pieces of about this size.
const BUFFER_LEN: usize = 256 << 10;
/// More than a line can take: two addresses of 39 bytes, four numbers of 20, two of 5, names and commas.
const LINE_MAX: usize = 256;

/// Writes all flows, in the order of the table.
///
/// # Errors
/// A failed write.
pub fn write_csv(table: &FloorTable, out: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::with_capacity(BUFFER_LEN);
    line.extend_from_slice(HEADER.as_bytes());
    for flow in table.flows() {
        if line.len() > BUFFER_LEN - LINE_MAX {
            out.write_all(&line)?;
            line.clear();
        }
        push_flow(&mut line, &flow)?;
    }
    out.write_all(&line)
}

fn push_flow(line: &mut Vec<u8>, flow: &FloorFlow) -> io::Result<()> {
    let last = flow.key[4];
    let protocol: &[u8] = if (last >> 32) as u8 == 6 { b"tcp," } else { b"udp," };
    line.extend_from_slice(protocol);
    let is_ipv6 = last >> VERSION_SHIFT == 6;
    for (address, port) in [([flow.key[0], flow.key[1]], last as u16), ([flow.key[2], flow.key[3]], (last >> 16) as u16)] {
        if is_ipv6 {
            write!(line, "{}", Ipv6Addr::from_bits(u128::from(address[0]) << 64 | u128::from(address[1])))?;
            line.push(b',');
        } else {
            let octets = (address[1] as u32).to_be_bytes();
            for (octet, end) in octets.iter().zip(*b"...,") {
                push(line, *octet, end);
            }
        }
        push(line, port, b',');
    }
    push(line, flow.packets[0], b',');
    push(line, flow.packets[1], b',');
    push(line, flow.bytes[0], b',');
    push(line, flow.bytes[1], b'\n');
    Ok(())
}

fn push(line: &mut Vec<u8>, number: impl itoa::Integer, end: u8) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    line.push(end);
}
