//! The program that makes a load's frames inside the kernel.
//!
//! Owns its instructions and the layout of its state. Knows no system call. Its one invariant: it makes the
//! frames of [`Load::frame`], one per run, and counts each it hands on.

use super::load::{
    CLIENT_NET, CLIENT_PORT_MASK, CLIENT_PORT_MIN, HANDSHAKE_ROUNDS, Load, SERVER, SERVER_PORT, Speech, TCP_HEADERS, UDP_HEADERS,
    UDP_PROOF,
};
use netscope_bpf::Reg::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use netscope_bpf::{Alu, AssembleError, Assembler, Cond, Helper, Label, MapId, MapKind, MapSpec, Program, Reg, Size};

const XDP_ABORTED: i32 = 0;
const XDP_PASS: i32 = 2;
const XDP_REDIRECT: i32 = 4;

/// Offsets in the state, each a u64.
const FLOW: i16 = 0;
const ROUND: i16 = 8;
const POSITION: i16 = 16;
const HANDED_ON: i16 = 24;
const REFUSED: i16 = 32;

/// Where the generator is and what it has done. One program has one state; only one thread runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GeneratorState {
    /// Of the next packet.
    pub flow: u64,
    pub round: u64,
    pub position: u64,
    /// Frames handed on to the kernel.
    pub handed_on: u64,
    /// Frames that were not, because the redirect was refused.
    pub refused: u64,
}

impl GeneratorState {
    pub(super) const LEN: usize = 40;

    /// Before the packet at `position`, with nothing counted.
    pub(super) fn at(load: &Load, position: u64) -> Self {
        let flows = u64::from(load.flows);
        Self { flow: position % flows, round: position / flows, position, ..Self::default() }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let values = [self.flow, self.round, self.position, self.handed_on, self.refused];
        for (place, value) in bytes.chunks_exact_mut(8).zip(values) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_ne_bytes(*bytes.get(8 * at..)?.first_chunk()?));
        Some(Self { flow: word(0)?, round: word(1)?, position: word(2)?, handed_on: word(3)?, refused: word(4)? })
    }
}

/// How a frame is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOn {
    /// XDP_PASS: into the stack, as if received by the interface that the run names.
    Pass,
    /// XDP_REDIRECT: sent by the interface of this index.
    Redirect(u32),
}

/// The program. Its one map holds the [`GeneratorState`].
pub(super) fn program(load: &Load, hand_on: HandOn) -> Result<Program, AssembleError> {
    let mut asm = Assembler::new();
    let state = asm.map(MapSpec::new("rig_state", MapKind::Array, GeneratorState::LEN as u32, 1));
    let abort = asm.label("abort");
    enter(&mut asm, load, state, abort);
    take_turn(&mut asm, load);
    match load.speech {
        Speech::Tcp => tcp(&mut asm, load),
        Speech::Udp { stamped } => udp(&mut asm, load, stamped),
    }
    match hand_on {
        HandOn::Pass => asm.mov(R0, XDP_PASS, "into the stack"),
        HandOn::Redirect(interface) => redirect(&mut asm, interface),
    }
    count(&mut asm, HANDED_ON);
    asm.exit("");
    asm.place(abort);
    asm.mov(R0, XDP_ABORTED, "the frame ends here");
    asm.exit("");
    asm.finish("rig_generator")
}

/// R0 = XDP_REDIRECT; a redirect that is refused is counted and ends the program with what it said.
fn redirect(asm: &mut Assembler, interface: u32) {
    let redirected = asm.label("redirected");
    asm.mov32(R1, interface as i32, "the interface to send by");
    asm.mov(R2, 0, "no flags");
    asm.call(Helper::Redirect, "");
    asm.jump_if(Cond::Eq, R0, XDP_REDIRECT, redirected, "");
    count(asm, REFUSED);
    asm.exit("");
    asm.place(redirected);
}

/// R6 = frame, R7 = state; frames that are too short, and a missing state, abort.
fn enter(asm: &mut Assembler, load: &Load, state: MapId, abort: Label) {
    let needed = match load.speech {
        Speech::Tcp => TCP_HEADERS,
        Speech::Udp { .. } => UDP_HEADERS + UDP_PROOF,
    };
    asm.load(Size::Word, R6, R1, 0, "first byte");
    asm.load(Size::Word, R2, R1, 4, "end");
    asm.mov(R3, R6, "");
    asm.add(R3, i32::from(needed), "all that is written");
    asm.jump_if(Cond::Gt, R3, R2, abort, "");
    asm.store(Size::Word, R10, -4, 0, "the only entry");
    asm.load_map(R1, state, "");
    asm.mov(R2, R10, "");
    asm.add(R2, -4, "");
    asm.call(Helper::MapLookup, "");
    asm.jump_if(Cond::Eq, R0, 0, abort, "");
    asm.mov(R7, R0, "");
}

/// R8 = number of this packet's flow, R9 = its round; the state goes on to the next. R1 = client address, R2
/// = client port, R3 = sum of the address; addresses and ports are written.
fn take_turn(asm: &mut Assembler, load: &Load) {
    asm.load(Size::Double, R8, R7, FLOW, "this packet's flow");
    asm.load(Size::Double, R9, R7, ROUND, "and round");
    asm.mov(R1, R8, "");
    asm.add(R1, 1, "the next flow");
    let same_round = asm.label("same_round");
    asm.jump_if(Cond::Lt, R1, load.flows as i32, same_round, "");
    asm.mov(R2, R9, "");
    asm.add(R2, 1, "all flows had their turn");
    asm.store(Size::Double, R7, ROUND, R2, "");
    asm.mov(R1, 0, "");
    asm.place(same_round);
    asm.store(Size::Double, R7, FLOW, R1, "");
    asm.add(R8, load.first_flow as i32, "");
    asm.mov(R1, R8, "");
    asm.alu(Alu::Or, R1, CLIENT_NET as i32, "the client's address");
    asm.mov(R2, R8, "");
    asm.alu(Alu::And, R2, CLIENT_PORT_MASK as i32, "");
    asm.add(R2, i32::from(CLIENT_PORT_MIN), "the client's port");
    asm.mov(R3, R1, "");
    asm.alu(Alu::Rsh, R3, 16, "");
    asm.mov(R4, R1, "");
    asm.alu(Alu::And, R4, 0xffff, "");
    asm.add(R3, R4, "what the address adds to sums");
    asm.mov(R4, R1, "");
    asm.to_be(Size::Word, R4, "");
    asm.mov(R5, R2, "");
    asm.to_be(Size::Half, R5, "");
    let (from_server, written) = (asm.label("from_server"), asm.label("written"));
    asm.jump_if(Cond::Set, R9, 1, from_server, "odd rounds");
    ends(asm, 26, 34, 30, 36);
    asm.jump(written, "");
    asm.place(from_server);
    ends(asm, 30, 36, 26, 34);
    asm.place(written);
}

/// Writes the client's end from R4 and R5, and the server's.
fn ends(asm: &mut Assembler, client: i16, client_port: i16, server: i16, server_port: i16) {
    asm.store(Size::Word, R6, client, R4, "client");
    asm.store(Size::Half, R6, client_port, R5, "");
    asm.store(Size::Word, R6, server, SERVER.to_be() as i32, "server");
    asm.store(Size::Half, R6, server_port, i32::from(SERVER_PORT.to_be()), "");
}

/// Total length, sequence, acknowledgment, control bits, checksums. R0 gathers the sum of TCP, R1 that of
/// IPv4.
fn tcp(asm: &mut Assembler, load: &Load) {
    count(asm, POSITION);
    let (numbered, data) = (asm.label("numbered"), asm.label("data"));
    asm.jump_if(Cond::Ge, R9, HANDSHAKE_ROUNDS as i32, data, "");
    asm.mov(R4, R9, "");
    asm.alu(Alu::Rsh, R4, 1, "sequence: 0, 0, 1");
    asm.mov(R5, R9, "");
    asm.add(R5, 1, "");
    asm.alu(Alu::Rsh, R5, 1, "acknowledgment: 0, 1, 1");
    for round in 0..HANDSHAKE_ROUNDS {
        let other = asm.label("other_round");
        if round + 1 < HANDSHAKE_ROUNDS {
            asm.jump_if(Cond::Ne, R9, round as i32, other, "");
        }
        segment(asm, load, round);
        asm.jump(numbered, "");
        asm.place(other);
    }
    asm.place(data);
    let payload = i32::from(load.payload_len());
    asm.mov(R4, R9, "");
    asm.add(R4, -(HANDSHAKE_ROUNDS as i32), "");
    asm.alu(Alu::Rsh, R4, 1, "segments that this side has sent");
    asm.alu32(Alu::Mul, R4, payload, "");
    asm.alu32(Alu::Add, R4, 1, "sequence");
    asm.mov32(R5, R4, "acknowledgment: what the server acknowledges");
    let heard = asm.label("heard");
    asm.jump_if(Cond::Set, R9, 1, heard, "");
    asm.alu32(Alu::Add, R5, payload, "the client has just heard the server");
    asm.place(heard);
    segment(asm, load, HANDSHAKE_ROUNDS);
    asm.place(numbered);
    asm.add(R1, R3, "");
    asm.add(R0, R3, "");
    asm.add(R0, R2, "the client's port");
    add_halves(asm, R0, R4);
    add_halves(asm, R0, R5);
    asm.to_be(Size::Word, R4, "");
    asm.store(Size::Word, R6, 38, R4, "sequence");
    asm.to_be(Size::Word, R5, "");
    asm.store(Size::Word, R6, 42, R5, "acknowledgment");
    checksum(asm, R0, 50);
    checksum(asm, R1, 24);
}

/// What is constant in a segment of `round`: length, control bits, and the sums begin.
fn segment(asm: &mut Assembler, load: &Load, round: u64) {
    let data = round >= HANDSHAKE_ROUNDS;
    asm.store(Size::Half, R6, 16, i32::from(load.total_len(data).to_be()), "total length");
    asm.store(Size::Byte, R6, 47, i32::from(Load::flags(round)), "control bits");
    asm.mov(R0, load.tcp_constant_sum(round) as i32, "sum of what is constant in TCP");
    asm.mov(R1, load.ip_constant_sum(data) as i32, "and in IPv4");
}

/// Checksum of IPv4, number and time.
fn udp(asm: &mut Assembler, load: &Load, stamped: bool) {
    asm.mov(R1, load.ip_constant_sum(true) as i32, "sum of what is constant in IPv4");
    asm.add(R1, R3, "");
    checksum(asm, R1, 24);
    asm.load(Size::Double, R1, R7, POSITION, "number in the load");
    asm.mov(R2, R1, "");
    asm.add(R2, 1, "");
    asm.store(Size::Double, R7, POSITION, R2, "");
    asm.to_be(Size::Double, R1, "");
    asm.store(Size::Double, R6, 42, R1, "");
    if stamped {
        asm.call(Helper::KtimeGetNs, "CLOCK_MONOTONIC");
        asm.to_be(Size::Double, R0, "");
        asm.store(Size::Double, R6, 50, R0, "");
    }
}

/// `sum` += both halves of `value`, 32 bits; R3 is lost.
fn add_halves(asm: &mut Assembler, sum: Reg, value: Reg) {
    asm.mov(R3, value, "");
    asm.alu(Alu::Rsh, R3, 16, "");
    asm.add(sum, R3, "");
    asm.mov(R3, value, "");
    asm.alu(Alu::And, R3, 0xffff, "");
    asm.add(sum, R3, "");
}

/// Folds `sum`, which is less than 2^32, and writes its complement; R3 is lost.
fn checksum(asm: &mut Assembler, sum: Reg, at: i16) {
    for _ in 0..2 {
        asm.mov(R3, sum, "");
        asm.alu(Alu::Rsh, R3, 16, "");
        asm.alu(Alu::And, sum, 0xffff, "");
        asm.add(sum, R3, "carries");
    }
    asm.alu(Alu::Xor, sum, 0xffff, "");
    asm.to_be(Size::Half, sum, "");
    asm.store(Size::Half, R6, at, sum, "checksum");
}

/// One more in the state; R1 is lost.
fn count(asm: &mut Assembler, at: i16) {
    asm.load(Size::Double, R1, R7, at, "");
    asm.add(R1, 1, "");
    asm.store(Size::Double, R7, at, R1, "");
}
