//! Parts of the program that ask the driver what the hardware knows of a frame.
//!
//! Owns the VLAN tag's way back into the frame (and out again where the frame goes to the stack, which has
//! the tag beside it still) and the hardware's time. Knows neither filter nor counters. Its one invariant:
//! what leaves the program for the stack is as it came.
//!
//! The tag is put in before the filter runs, so the filter sees what was on the wire. The time is asked for
//! first of all: a driver may keep it where tag and stamp are going to be written.

use crate::assembler::Assembler;
use crate::instruction::{Cond, Helper, Kfunc, Reg, Size};
use crate::xdp::{context, verdict};
use Reg::{R0, R1, R2, R3, R6, R7, R8, R10};

/// Stack, below what the filter uses: what became of the tag, 4 bytes.
const TAG_STATE: i16 = -152;
/// Stack: protocol of the tag, 2 bytes, and the tag, 2 bytes.
const TAG: i16 = -160;
/// Stack: time of the hardware, 8 bytes.
const TIME: i16 = -168;

/// Values of [`TAG_STATE`].
mod state {
    pub(super) const NONE: i32 = 0;
    pub(super) const IN_FRAME: i32 = 1;
    pub(super) const LOST: i32 = 2;
}

/// Bytes of both addresses, in front of a tag.
const ADDRESSES: i32 = 12;
/// Bytes of a tag.
const TAG_LEN: i32 = 4;

/// What the driver is asked about each frame, where it can be: natively, for one interface, and where it
/// knows an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FromDriver {
    /// The VLAN tag that lies beside the frame: it is put back where it was on the wire (Linux 6.8).
    pub vlan_tag: bool,
    /// The hardware's time, for the stamp; nothing without one (Linux 6.3).
    pub time: bool,
}

impl FromDriver {
    /// Whether it is asked anything.
    pub const fn is_asked(self) -> bool {
        self.vlan_tag || self.time
    }
}

/// Asks for the time; 0 where there is none. R6 must be the context; R0 to R5 are lost.
pub(super) fn ask_time(asm: &mut Assembler) {
    let told = asm.label("time_told");
    asm.store(Size::Double, R10, TIME, 0, "time of the hardware: none");
    asm.mov(R1, R6, "");
    asm.mov(R2, R10, "");
    asm.add(R2, i32::from(TIME), "");
    asm.call_kfunc(Kfunc::XdpRxTimestamp, "when did the hardware see this frame?");
    asm.jump_if32(Cond::Eq, R0, 0, told, "");
    asm.store(Size::Double, R10, TIME, 0, "not told");
    asm.place(told);
}

/// `to` = what [`ask_time`] found.
pub(super) fn load_time(asm: &mut Assembler, to: Reg) {
    asm.load(Size::Double, to, R10, TIME, "");
}

/// Asks for the tag and puts it back. R6 must be the context; R0 to R5, R7 and R8 are lost, and packet
/// pointers void.
pub(super) fn put_tag_back(asm: &mut Assembler) {
    let (no_room, done) = (asm.label("no_room_for_tag"), asm.label("tag_done"));
    asm.store(Size::Word, R10, TAG_STATE, state::NONE, "no tag was put back");
    asm.store(Size::Word, R10, TAG, 0, "");
    asm.mov(R1, R6, "");
    asm.mov(R2, R10, "");
    asm.add(R2, i32::from(TAG), "protocol");
    asm.mov(R3, R10, "");
    asm.add(R3, i32::from(TAG) + 2, "tag");
    asm.call_kfunc(Kfunc::XdpRxVlanTag, "does a VLAN tag lie beside this frame?");
    asm.jump_if32(Cond::Ne, R0, 0, done, "none");
    move_addresses(asm, -TAG_LEN, no_room);
    asm.load(Size::Half, R3, R10, TAG, "");
    asm.store(Size::Half, R1, ADDRESSES as i16, R3, "tag: protocol");
    asm.load(Size::Half, R3, R10, TAG + 2, "");
    asm.to_be(Size::Half, R3, "");
    asm.store(Size::Half, R1, ADDRESSES as i16 + 2, R3, "tag: priority and number");
    asm.store(Size::Word, R10, TAG_STATE, state::IN_FRAME, "the tag was put back");
    asm.jump(done, "");
    asm.place(no_room);
    asm.store(Size::Word, R10, TAG_STATE, state::LOST, "the driver leaves no room for it");
    asm.place(done);
}

/// Adds to the counter at `offset` of R0 where a tag was lost; R1 is lost.
pub(super) fn count_lost_tag(asm: &mut Assembler, offset: i16) {
    let next = asm.label("tag_not_lost");
    asm.load(Size::Word, R1, R10, TAG_STATE, "");
    asm.jump_if(Cond::Ne, R1, state::LOST, next, "");
    asm.load(Size::Double, R1, R0, offset, "untagged");
    asm.add(R1, 1, "");
    asm.store(Size::Double, R0, offset, R1, "");
    asm.place(next);
}

/// Takes the tag out again where R7, the verdict, is to pass the frame on: the stack has it beside the frame.
/// R0 to R5 and R8 are lost.
pub(super) fn take_tag_out(asm: &mut Assembler) {
    let (moved, done) = (asm.label("tag_is_out"), asm.label("as_it_came"));
    asm.jump_if(Cond::Ne, R7, verdict::PASS, done, "");
    asm.load(Size::Word, R1, R10, TAG_STATE, "");
    asm.jump_if(Cond::Ne, R1, state::IN_FRAME, done, "");
    move_addresses(asm, TAG_LEN, moved);
    asm.place(moved);
    asm.mov(R7, verdict::PASS, "");
    asm.place(done);
}

/// Moves the first byte of the frame by `delta` and the addresses with it. R1 is the first byte then, and
/// what was gained can be written to; R0 to R5, R7 and R8 are lost.
fn move_addresses(asm: &mut Assembler, delta: i32, fails: crate::Label) {
    asm.load(Size::Word, R1, R6, context::DATA, "");
    asm.load(Size::Word, R2, R6, context::DATA_END, "");
    asm.mov(R3, R1, "");
    asm.add(R3, ADDRESSES, "");
    asm.jump_if(Cond::Gt, R3, R2, fails, "shorter than its addresses");
    asm.load(Size::Double, R7, R1, 0, "addresses");
    asm.load(Size::Word, R8, R1, 8, "");
    asm.mov(R1, R6, "");
    asm.mov(R2, delta, "");
    asm.call(Helper::XdpAdjustHead, "");
    asm.jump_if(Cond::Ne, R0, 0, fails, "not with this driver");
    asm.load(Size::Word, R1, R6, context::DATA, "");
    asm.load(Size::Word, R2, R6, context::DATA_END, "");
    asm.mov(R3, R1, "");
    asm.add(R3, ADDRESSES - delta.min(0), "");
    asm.jump_if(Cond::Gt, R3, R2, fails, "always false; the verifier wants to see it");
    asm.store(Size::Double, R1, 0, R7, "addresses");
    asm.store(Size::Word, R1, 8, R8, "");
}
