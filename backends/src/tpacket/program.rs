//! The classic BPF program of a packet socket: what libpcap makes of the user's expression, fitted to a ring.
//!
//! Owns what stands before and behind the user's filter. Attaches nothing. Its one invariant: a program
//! returns either 0 or the number of bytes to keep.

use super::TpacketOptions;
use crate::filter::{ClassicInstruction, Filter, filter_error};
use crate::{BackendError, LinkType};
use netscope_bpf::classic::{FilterError, INSTRUCTIONS_MAX};
use std::sync::Arc;

/// `ret #k`.
const RETURN_CONSTANT: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// `ld [k]`.
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
/// `jeq #k, jt, jf`.
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
/// Where `ld` finds what kind of packet it is (linux/filter.h).
const KIND: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
/// `PACKET_OUTGOING` (linux/if_packet.h).
const OUTGOING: u32 = libc::PACKET_OUTGOING as u32;

const fn instruction(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> ClassicInstruction {
    ClassicInstruction { code, jump_true, jump_false, operand }
}

/// Accepts nothing. It stands before a socket's ring from its making until its group is complete, so that no
/// packet is seen by two sockets of a group, or by one that has no filter yet.
pub(super) const LOCKED: &[ClassicInstruction] = &[instruction(RETURN_CONSTANT, 0, 0, 0)];

/// Accepts what `filter` does (everything without one) and keeps `snaplen` bytes of it.
///
/// On a loopback every packet passes twice, out and in again; there the copies on the way out are left out,
/// as libpcap does.
pub(crate) fn fitted(filter: Option<&[ClassicInstruction]>, snaplen: u32, is_loopback: bool) -> Vec<ClassicInstruction> {
    let mut program = Vec::new();
    if is_loopback {
        program.push(instruction(LOAD_WORD, 0, 0, KIND));
        program.push(instruction(JUMP_EQUAL, 0, 1, OUTGOING));
        program.push(instruction(RETURN_CONSTANT, 0, 0, 0));
    }
    // Jumps are relative, so the filter runs at any place.
    match filter {
        None => program.push(instruction(RETURN_CONSTANT, 0, 0, snaplen)),
        Some(filter) => program.extend(filter.iter().map(|step| match *step {
            ClassicInstruction { code: RETURN_CONSTANT, operand: 1.., .. } => instruction(RETURN_CONSTANT, 0, 0, snaplen),
            other => other,
        })),
    }
    program
}

/// What filters the packets of a socket.
#[derive(Debug)]
pub(super) struct SocketProgram {
    /// For the kernel.
    pub(super) instructions: Vec<ClassicInstruction>,
    /// For user space: a filter that is longer than the kernel's may be.
    pub(super) rest: Option<Arc<Filter>>,
}

/// Bytes that a filter in user space has to have of each packet.
const FILTERED_LEN: u32 = 512;

/// The program for these options.
pub(super) fn build(options: &TpacketOptions, link_type: LinkType, is_loopback: bool) -> Result<SocketProgram, BackendError> {
    let snaplen = options.snaplen_bytes();
    let Some(expression) = &options.filter else {
        return Ok(SocketProgram { instructions: fitted(None, snaplen, is_loopback), rest: None });
    };
    let filter = Filter::compile(expression, link_type)?;
    let in_kernel = match filter.for_socket() {
        Ok(program) => Some(fitted(Some(&program), snaplen, is_loopback)).filter(|program| program.len() <= INSTRUCTIONS_MAX),
        Err(FilterError::TooLong { .. }) => None,
        Err(error) => return Err(filter_error(expression, error.to_string())),
    };
    match in_kernel {
        Some(instructions) => Ok(SocketProgram { instructions, rest: None }),
        None if snaplen < FILTERED_LEN => Err(filter_error(
            expression,
            format!(
                "it is longer than the {INSTRUCTIONS_MAX} instructions of the kernel's filters, and a snap length of {snaplen} cuts off \
                 what it would ask for in user space: keep {FILTERED_LEN} bytes (--snaplen), or shorten it"
            ),
        )),
        None => Ok(SocketProgram { instructions: fitted(None, snaplen, is_loopback), rest: Some(Arc::new(filter)) }),
    }
}
