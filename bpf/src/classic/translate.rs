//! Classic BPF to eBPF.
//!
//! Owns the translation of a filter. Knows nothing of what happens to frames that match. Its one invariant:
//! for every frame of at most 65535 bytes the translation matches exactly when libpcap's interpreter returns
//! something other than 0.
//!
//! A load behind the end of the frame ends the filter without a match. The verifier wants to see each bound
//! checked against `data_end`; a bound that every way to an instruction has checked already is not checked
//! again. Frames of several buffers show only their first one: a load behind that starts the filter over in a
//! second translation, which asks the kernel for each load.

use crate::assembler::{Assembler, Label};
use crate::classic::{ClassicFilter, Op, Right};
use crate::instruction::{Alu, Cond, Helper, Reg, Size};
use crate::program::{alu_sign, cond_sign};
use crate::xdp::{Indexed, context};
use Reg::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

/// Packet pointers reach this far, so does a load.
const OFFSET_MAX: u32 = 0xffff;
/// Stack: bytes of a load by helper.
const SCRATCH: i16 = -8;
/// Stack: length of the frame.
const LEN_SLOT: i16 = -16;
/// Stack: `M[0]`; the others lie below.
const MEMORY: i16 = -24;

/// Where the translation goes on.
#[derive(Clone, Copy)]
pub(crate) struct JumpTargets {
    pub(crate) matched: Label,
    pub(crate) unmatched: Label,
}

/// What the translation may use.
#[derive(Clone, Copy)]
pub(crate) struct TranslateOptions {
    /// Frames may consist of several buffers.
    pub(crate) has_frags: bool,
    /// How calculated offsets are reached.
    pub(crate) indexed: Indexed,
}

/// How packet bytes are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// By pointers: R7 is the first byte, R8 behind the last. A is R0, which a helper may overwrite: only
    /// what loads A calls one.
    Direct(Indexed),
    /// By a helper that knows all buffers.
    Helper,
}

/// Adds the translation: R6 must be the context; R0 to R5 and R7 to R9 are lost. Leaves only by the two
/// places.
pub(crate) fn translate(asm: &mut Assembler, filter: &ClassicFilter, options: TranslateOptions, places: JumpTargets) {
    let TranslateOptions { has_frags, indexed } = options;
    let uses_len = filter.ops().iter().any(|op| matches!(op, Op::LoadLen | Op::LoadXLen));
    if uses_len {
        asm.mov(R1, R6, "");
        asm.call(Helper::XdpGetBuffLen, "filter: length of the frame");
        asm.store(Size::Double, R10, LEN_SLOT, R0, "");
    }
    asm.load(Size::Word, R7, R6, context::DATA, "filter: first byte");
    asm.load(Size::Word, R8, R6, context::DATA_END, "filter: behind the last byte");
    let behind = if has_frags { asm.label("behind_first_buffer") } else { places.unmatched };
    Translation::new(filter, Access::Direct(indexed), places, behind).emit(asm);
    if has_frags && asm.is_used(behind) {
        asm.place(behind);
        if indexed == Indexed::ByPointer {
            let all = asm.label("all_buffers");
            asm.mov(R1, R6, "");
            asm.call(Helper::XdpGetBuffLen, "");
            asm.jump_if(Cond::Gt, R0, OFFSET_MAX as i32, all, "");
            asm.add(R7, R0, "");
            asm.jump_if(Cond::Le, R7, R8, places.unmatched, "no other buffer: the frame is too short");
            asm.place(all);
        }
        Translation::new(filter, Access::Helper, places, places.unmatched).emit(asm);
    }
}

struct Translation<'a> {
    ops: &'a [Op],
    access: Access,
    places: JumpTargets,
    /// Where a load goes that lies behind the end.
    behind: Label,
    /// Register of the accumulator.
    a: Reg,
    /// Register of the index.
    x: Reg,
    /// Per instruction the bytes known to be there on every way to it; `None` where no way leads.
    known: Vec<Option<u32>>,
    /// Places of instructions that are jumped to.
    labels: Vec<Option<Label>>,
}

impl<'a> Translation<'a> {
    fn new(filter: &'a ClassicFilter, access: Access, places: JumpTargets, behind: Label) -> Self {
        let a = if access == Access::Helper { R7 } else { R0 };
        let known = known_bytes(filter.ops());
        Self { ops: filter.ops(), access, places, behind, a, x: R9, labels: vec![None; known.len()], known }
    }

    fn emit(mut self, asm: &mut Assembler) {
        asm.mov32(self.a, 0, "filter: A = 0");
        asm.mov32(self.x, 0, "filter: X = 0");
        let mut words: Vec<u32> = self.ops.iter().filter_map(memory_word).collect();
        words.sort_unstable();
        words.dedup();
        for word in words {
            asm.store(Size::Double, R10, memory_slot(word), 0, format!("filter: M[{word}] = 0"));
        }
        let mut falls_through = true;
        for at in 0..self.ops.len() {
            let Some(known) = self.known[at] else { continue };
            // A constant return is jumped to by its meaning, so only what runs into it needs it here.
            let is_needed = falls_through || !matches!(self.ops[at], Op::Return(_));
            if is_needed {
                if let Some(label) = self.labels[at] {
                    asm.place(label);
                }
                self.op(asm, at, known);
            }
            let goes_on = !matches!(self.ops[at], Op::Jump(_) | Op::JumpIf(..) | Op::Return(_) | Op::ReturnA);
            falls_through = goes_on && bytes_found(&self.ops[at]).is_some();
        }
    }

    /// The place of instruction `at`.
    fn target(&mut self, asm: &mut Assembler, at: usize) -> Label {
        match self.ops.get(at) {
            Some(Op::Return(0)) | None => self.places.unmatched,
            Some(Op::Return(_)) => self.places.matched,
            Some(_) => *self.labels[at].get_or_insert_with(|| asm.label(format!("filter_{at}"))),
        }
    }

    fn op(&mut self, asm: &mut Assembler, at: usize, known: u32) {
        let (a, x) = (self.a, self.x);
        let say = format!("filter {at}: {}", describe(&self.ops[at]));
        if bytes_found(&self.ops[at]).is_none() {
            // Nothing lies there, however many buffers a frame has.
            asm.jump(self.places.unmatched, say);
            return;
        }
        match self.ops[at] {
            Op::LoadAbsolute(size, offset) => self.load(asm, a, size, offset, known, say),
            Op::LoadXHeader(offset) => {
                self.load(asm, x, Size::Byte, offset, known, say);
                asm.alu32(Alu::And, x, 15, "");
                asm.alu32(Alu::Lsh, x, 2, "");
            }
            Op::LoadIndexed(size, offset) => self.load_indexed(asm, size, offset, say),
            Op::LoadLen => asm.load(Size::Double, a, R10, LEN_SLOT, say),
            Op::LoadXLen => asm.load(Size::Double, x, R10, LEN_SLOT, say),
            Op::LoadNumber(number) => asm.mov32(a, number as i32, say),
            Op::LoadXNumber(number) => asm.mov32(x, number as i32, say),
            Op::LoadMemory(word) => asm.load(Size::Double, a, R10, memory_slot(word), say),
            Op::LoadXMemory(word) => asm.load(Size::Double, x, R10, memory_slot(word), say),
            Op::Store(word) => asm.store(Size::Double, R10, memory_slot(word), a, say),
            Op::StoreX(word) => asm.store(Size::Double, R10, memory_slot(word), x, say),
            Op::Calculate(alu, right) => self.calculate(asm, alu, right, say),
            Op::Jump(over) => {
                let target = self.target(asm, at + 1 + over as usize);
                asm.jump(target, say);
            }
            Op::JumpIf(cond, right, over_true, over_false) => {
                self.jump_if(asm, at, (cond, right), (over_true.into(), over_false.into()), say);
            }
            Op::Return(kept) => asm.jump(if kept == 0 { self.places.unmatched } else { self.places.matched }, say),
            Op::ReturnA => {
                asm.jump_if32(Cond::Ne, a, 0, self.places.matched, say);
                asm.jump(self.places.unmatched, "");
            }
            Op::Tax => asm.mov32(x, a, say),
            Op::Txa => asm.mov32(a, x, say),
        }
    }

    /// `to` = the bytes at `offset`, which ends within [`OFFSET_MAX`].
    fn load(&self, asm: &mut Assembler, to: Reg, size: Size, offset: u32, known: u32, say: String) {
        if self.access == Access::Helper {
            asm.mov(R2, offset as i32, say);
            self.load_by_helper(asm, to, size);
            return;
        }
        let end = offset + size.bytes();
        if end > known {
            asm.mov(R1, R7, "");
            asm.add(R1, end as i32, "");
            asm.jump_if(Cond::Gt, R1, R8, self.behind, format!("fewer than {end} bytes"));
        }
        if let Ok(near) = i16::try_from(offset) {
            asm.load(size, to, R7, near, say);
        } else {
            asm.mov(R1, R7, "");
            asm.add(R1, offset as i32, "");
            asm.load(size, to, R1, 0, say);
        }
        to_host_order(asm, size, to);
    }

    /// A = the bytes at X + `offset` (at most [`OFFSET_MAX`]), a sum of 64 bits as in libpcap.
    fn load_indexed(&self, asm: &mut Assembler, size: Size, offset: u32, say: String) {
        let is_direct = self.access == Access::Direct(Indexed::ByPointer);
        let to = if is_direct { R1 } else { R2 };
        asm.mov(to, self.x, say);
        if offset != 0 {
            asm.add(to, offset as i32, "");
        }
        asm.jump_if(Cond::Gt, to, (OFFSET_MAX - size.bytes()) as i32, self.places.unmatched, "no frame is that long");
        if !is_direct {
            self.load_by_helper(asm, self.a, size);
            return;
        }
        asm.mov(R2, R7, "");
        asm.add(R2, R1, "");
        asm.mov(R1, R2, "");
        asm.add(R1, size.bytes() as i32, "");
        asm.jump_if(Cond::Gt, R1, R8, self.behind, "behind the end");
        asm.load(size, self.a, R2, 0, "");
        to_host_order(asm, size, self.a);
    }

    /// `to` = the bytes at R2.
    fn load_by_helper(&self, asm: &mut Assembler, to: Reg, size: Size) {
        asm.mov(R1, R6, "");
        asm.mov(R3, R10, "");
        asm.add(R3, i32::from(SCRATCH), "");
        asm.mov(R4, size.bytes() as i32, "");
        asm.call(Helper::XdpLoadBytes, "");
        asm.jump_if(Cond::Ne, R0, 0, self.places.unmatched, "behind the end");
        asm.load(size, to, R10, SCRATCH, "");
        to_host_order(asm, size, to);
    }

    fn calculate(&self, asm: &mut Assembler, alu: Alu, right: Right, say: String) {
        let (a, x) = (self.a, self.x);
        match (alu, right) {
            (Alu::Neg, _) => asm.alu32(Alu::Neg, a, 0, say),
            (_, Right::Number(number)) => asm.alu32(alu, a, number as i32, say),
            (Alu::Div | Alu::Mod, Right::X) => {
                asm.jump_if32(Cond::Eq, x, 0, self.places.unmatched, "division by zero ends the filter");
                asm.alu32(alu, a, x, say);
            }
            (Alu::Lsh | Alu::Rsh, Right::X) => {
                let (shift, done) = (asm.label("shift"), asm.label("shifted"));
                asm.jump_if32(Cond::Le, x, 31, shift, "");
                asm.mov32(a, 0, "all bits shifted out");
                asm.jump(done, "");
                asm.place(shift);
                asm.alu32(alu, a, x, say);
                asm.place(done);
            }
            (_, Right::X) => asm.alu32(alu, a, x, say),
        }
    }

    fn jump_if(&mut self, asm: &mut Assembler, at: usize, test: (Cond, Right), over: (usize, usize), say: String) {
        let (cond, right) = test;
        let (when_true, when_false) = (at + 1 + over.0, at + 1 + over.1);
        let is_next = |target: usize, ops: &[Op]| target == at + 1 && !matches!(ops.get(target), Some(Op::Return(_)));
        let (true_label, false_label) = (self.target(asm, when_true), self.target(asm, when_false));
        let mut test = |cond: Cond, label: Label, say: String| match right {
            Right::Number(number) => asm.jump_if32(cond, self.a, number as i32, label, say),
            Right::X => asm.jump_if32(cond, self.a, self.x, label, say),
        };
        match inverse(cond) {
            // `true_label` comes next: jump only when false.
            Some(inverse) if is_next(when_true, self.ops) => test(inverse, false_label, say),
            _ => {
                test(cond, true_label, say);
                if !is_next(when_false, self.ops) {
                    asm.jump(false_label, "");
                }
            }
        }
    }
}

/// From network order.
fn to_host_order(asm: &mut Assembler, size: Size, register: Reg) {
    if size != Size::Byte {
        asm.to_be(size, register, "");
    }
}

const fn inverse(cond: Cond) -> Option<Cond> {
    match cond {
        Cond::Eq => Some(Cond::Ne),
        Cond::Gt => Some(Cond::Le),
        Cond::Ge => Some(Cond::Lt),
        _ => None,
    }
}

const fn memory_word(op: &Op) -> Option<u32> {
    match op {
        Op::LoadMemory(word) | Op::LoadXMemory(word) | Op::Store(word) | Op::StoreX(word) => Some(*word),
        _ => None,
    }
}

/// `word` is below 16 in a valid filter.
const fn memory_slot(word: u32) -> i16 {
    MEMORY - 8 * (word as i16)
}

/// The successors of instruction `at`.
fn successors(ops: &[Op], at: usize) -> impl Iterator<Item = usize> {
    let (first, second) = match ops.get(at) {
        Some(Op::Jump(over)) => (Some(*over as usize), None),
        Some(Op::JumpIf(_, _, over_true, over_false)) => (Some(usize::from(*over_true)), Some(usize::from(*over_false))),
        Some(Op::Return(_) | Op::ReturnA) | None => (None, None),
        Some(_) => (Some(0), None),
    };
    first.into_iter().chain(second).map(move |over| at + 1 + over)
}

/// Bytes that are there once this instruction has been executed; `None` where no frame is long enough for it.
fn bytes_found(op: &Op) -> Option<u32> {
    let end = match *op {
        Op::LoadAbsolute(size, offset) => offset.checked_add(size.bytes())?,
        Op::LoadXHeader(offset) => offset.checked_add(1)?,
        Op::LoadIndexed(_, offset) => return (offset <= OFFSET_MAX).then_some(0),
        _ => 0,
    };
    (end <= OFFSET_MAX).then_some(end)
}

/// Per instruction the bytes of the first buffer that every way to it has found to be there.
fn known_bytes(ops: &[Op]) -> Vec<Option<u32>> {
    let mut known: Vec<Option<u32>> = vec![None; ops.len()];
    if let Some(first) = known.first_mut() {
        *first = Some(0);
    }
    // Jumps go forward only, so one pass sees every way to an instruction before the instruction.
    for at in 0..ops.len() {
        let Some(before) = known[at] else { continue };
        // A load that can never succeed leads nowhere.
        let Some(end) = bytes_found(&ops[at]) else { continue };
        let after = before.max(end);
        for next in successors(ops, at) {
            if let Some(slot) = known.get_mut(next) {
                *slot = Some(slot.map_or(after, |other| other.min(after)));
            }
        }
    }
    known
}

/// The operation for a reader.
fn describe(op: &Op) -> String {
    let right = |right: &Right| match right {
        Right::Number(number) => format!("{number:#x}"),
        Right::X => "X".to_owned(),
    };
    match op {
        Op::LoadAbsolute(size, offset) => format!("A = packet[{offset}:{}]", size.bytes()),
        Op::LoadIndexed(size, offset) => format!("A = packet[X + {offset}:{}]", size.bytes()),
        Op::LoadLen => "A = length".to_owned(),
        Op::LoadNumber(number) => format!("A = {number:#x}"),
        Op::LoadMemory(word) => format!("A = M[{word}]"),
        Op::LoadXNumber(number) => format!("X = {number:#x}"),
        Op::LoadXLen => "X = length".to_owned(),
        Op::LoadXMemory(word) => format!("X = M[{word}]"),
        Op::LoadXHeader(offset) => format!("X = 4 * (packet[{offset}] & 15)"),
        Op::Store(word) => format!("M[{word}] = A"),
        Op::StoreX(word) => format!("M[{word}] = X"),
        Op::Calculate(alu, operand) => match alu {
            Alu::Neg => "A = -A".to_owned(),
            _ => format!("A {}= {}", alu_sign(*alu), right(operand)),
        },
        Op::Jump(over) => format!("jump over {over}"),
        Op::JumpIf(cond, operand, _, _) => format!("A {} {}?", cond_sign(*cond), right(operand)),
        Op::Return(kept) => format!("return {kept}"),
        Op::ReturnA => "return A".to_owned(),
        Op::Tax => "X = A".to_owned(),
        Op::Txa => "A = X".to_owned(),
    }
}
