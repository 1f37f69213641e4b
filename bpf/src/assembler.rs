//! Puts instructions together.
//!
//! Owns labels, the comment of each instruction, and the maps a program refers to. Knows no file descriptor:
//! those are filled in by [`Program::resolve`]. Its one invariant: a [`Program`] has no jump without a
//! target.

use std::borrow::Cow;

use crate::instruction::{
    Alu, CALL, Cond, EXIT, FROM_REG, Helper, Instruction, JA, Kfunc, LD_IMM64, MODE_MEM, Operand, PSEUDO_KFUNC, PSEUDO_MAP_FD,
    Reg, Size, TO_BE, class,
};
use crate::program::{MapId, MapSpec, Program};

/// A place in the program that can be jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// What a comment is given as.
pub type Comment = Cow<'static, str>;

/// Why a program cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssembleError {
    /// A label is jumped to and was never placed.
    LabelUnplaced(String),
    /// A label was placed twice.
    LabelTwice(String),
    /// The label is more than 32767 instructions away.
    JumpTooFar {
        /// Index of the instruction.
        from: usize,
        /// Where it wanted to go.
        label: String,
    },
    /// No file descriptor was given for this map.
    MapMissing(String),
    /// No number was given for this function of the kernel.
    KfuncMissing(Kfunc),
}

impl std::fmt::Display for AssembleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LabelUnplaced(label) => write!(f, "label {label} is jumped to and stands nowhere"),
            Self::LabelTwice(label) => write!(f, "label {label} stands at two places"),
            Self::JumpTooFar { from, label } => write!(f, "label {label} is too far from instruction {from}"),
            Self::MapMissing(map) => write!(f, "no file descriptor for map {map}"),
            Self::KfuncMissing(kfunc) => write!(f, "this kernel has no function {}", kfunc.name()),
        }
    }
}

impl std::error::Error for AssembleError {}

#[derive(Debug)]
struct SourceLine {
    instruction: Instruction,
    comment: Comment,
    target: Option<Label>,
}

#[derive(Debug)]
struct JumpPlace {
    name: String,
    at: Option<usize>,
}

/// Collects instructions; [`Assembler::finish`] gives the program.
///
/// Every instruction takes a comment; an empty one prints nothing.
#[derive(Debug, Default)]
pub struct Assembler {
    lines: Vec<SourceLine>,
    places: Vec<JumpPlace>,
    maps: Vec<MapSpec>,
    map_loads: Vec<(usize, MapId)>,
    kfunc_calls: Vec<(usize, Kfunc)>,
    placed_twice: Option<String>,
}

impl Assembler {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map the program will refer to.
    pub fn map(&mut self, spec: MapSpec) -> MapId {
        self.maps.push(spec);
        MapId(self.maps.len() - 1)
    }

    /// A label that stands nowhere yet. Several may have the same name.
    pub fn label(&mut self, name: impl Into<String>) -> Label {
        self.places.push(JumpPlace { name: name.into(), at: None });
        Label(self.places.len() - 1)
    }

    /// The label stands before the next instruction.
    pub fn place(&mut self, label: Label) {
        let next = self.lines.len();
        if let Some(place) = self.places.get_mut(label.0)
            && place.at.replace(next).is_some()
        {
            self.placed_twice = Some(place.name.clone());
        }
    }

    /// A label that stands before the next instruction.
    pub fn here(&mut self, name: impl Into<String>) -> Label {
        let label = self.label(name);
        self.place(label);
        label
    }

    /// Whether an instruction so far jumps to the label. The verifier refuses code that no way leads to.
    pub fn is_used(&self, label: Label) -> bool {
        self.lines.iter().any(|line| line.target == Some(label))
    }

    /// Instructions so far.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True where there is no instruction yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// An instruction as it is (jumps: with the offset it has).
    pub fn raw(&mut self, instruction: Instruction, comment: impl Into<Comment>) {
        self.lines.push(SourceLine { instruction, comment: comment.into(), target: None });
    }

    /// `dst = dst <alu> src`, 64 bits.
    pub fn alu(&mut self, alu: Alu, dst: Reg, src: impl Into<Operand>, comment: impl Into<Comment>) {
        self.raw(operation(class::ALU64, alu as u8, dst, src.into()), comment);
    }

    /// `dst = dst <alu> src`, 32 bits; the upper half of `dst` becomes 0.
    pub fn alu32(&mut self, alu: Alu, dst: Reg, src: impl Into<Operand>, comment: impl Into<Comment>) {
        self.raw(operation(class::ALU32, alu as u8, dst, src.into()), comment);
    }

    /// `dst = src`, 64 bits.
    pub fn mov(&mut self, dst: Reg, src: impl Into<Operand>, comment: impl Into<Comment>) {
        self.alu(Alu::Mov, dst, src, comment);
    }

    /// `dst = src`, 32 bits; the upper half of `dst` becomes 0.
    pub fn mov32(&mut self, dst: Reg, src: impl Into<Operand>, comment: impl Into<Comment>) {
        self.alu32(Alu::Mov, dst, src, comment);
    }

    /// `dst += src`, 64 bits.
    pub fn add(&mut self, dst: Reg, src: impl Into<Operand>, comment: impl Into<Comment>) {
        self.alu(Alu::Add, dst, src, comment);
    }

    /// The lower bytes of `dst` between network order and the machine's; what is above them becomes 0. Not
    /// for single bytes.
    pub fn to_be(&mut self, size: Size, dst: Reg, comment: impl Into<Comment>) {
        let immediate = 8 * size.bytes() as i32;
        self.raw(Instruction { code: TO_BE, dst: dst as u8, immediate, ..Instruction::default() }, comment);
    }

    /// `dst = *(size *)(src + offset)`; what is above `size` becomes 0.
    pub fn load(&mut self, size: Size, dst: Reg, src: Reg, offset: i16, comment: impl Into<Comment>) {
        let code = class::LDX | MODE_MEM | size.code();
        self.raw(Instruction { code, dst: dst as u8, src: src as u8, offset, immediate: 0 }, comment);
    }

    /// `*(size *)(dst + offset) = src`.
    pub fn store(&mut self, size: Size, dst: Reg, offset: i16, src: impl Into<Operand>, comment: impl Into<Comment>) {
        let (class, src, immediate) = match src.into() {
            Operand::Reg(reg) => (class::STX, reg as u8, 0),
            Operand::Imm(number) => (class::ST, 0, number),
        };
        self.raw(Instruction { code: class | MODE_MEM | size.code(), dst: dst as u8, src, offset, immediate }, comment);
    }

    /// `dst =` the map, as helpers want it.
    pub fn load_map(&mut self, dst: Reg, map: MapId, comment: impl Into<Comment>) {
        self.map_loads.push((self.lines.len(), map));
        self.load_pair(dst, PSEUDO_MAP_FD, 0, comment);
    }

    /// `dst = number`, all 64 bits; two instructions.
    pub fn load_number(&mut self, dst: Reg, number: u64, comment: impl Into<Comment>) {
        self.load_pair(dst, 0, number, comment);
    }

    fn load_pair(&mut self, dst: Reg, src: u8, number: u64, comment: impl Into<Comment>) {
        let (low, high) = (number as u32 as i32, (number >> 32) as u32 as i32);
        self.raw(Instruction { code: LD_IMM64, dst: dst as u8, src, offset: 0, immediate: low }, comment);
        self.raw(Instruction { immediate: high, ..Instruction::default() }, "");
    }

    /// Goes to `label`.
    pub fn jump(&mut self, label: Label, comment: impl Into<Comment>) {
        self.push_jump(Instruction { code: JA, ..Instruction::default() }, label, comment);
    }

    /// Goes to `label` if `left <cond> right`, 64 bits.
    pub fn jump_if(&mut self, cond: Cond, left: Reg, right: impl Into<Operand>, label: Label, comment: impl Into<Comment>) {
        self.push_jump(operation(class::JMP, cond as u8, left, right.into()), label, comment);
    }

    /// Goes to `label` if `left <cond> right`, the lower 32 bits.
    pub fn jump_if32(&mut self, cond: Cond, left: Reg, right: impl Into<Operand>, label: Label, comment: impl Into<Comment>) {
        self.push_jump(operation(class::JMP32, cond as u8, left, right.into()), label, comment);
    }

    fn push_jump(&mut self, instruction: Instruction, label: Label, comment: impl Into<Comment>) {
        self.lines.push(SourceLine { instruction, comment: comment.into(), target: Some(label) });
    }

    /// Calls a function of the kernel; R1 to R5 are lost, R0 is its result.
    pub fn call(&mut self, helper: Helper, comment: impl Into<Comment>) {
        self.raw(Instruction { code: CALL, immediate: helper as i32, ..Instruction::default() }, comment);
    }

    /// Calls a function of the kernel by its name; R1 to R5 are lost, R0 is its result (an `int`: its lower
    /// 32 bits).
    pub fn call_kfunc(&mut self, kfunc: Kfunc, comment: impl Into<Comment>) {
        self.kfunc_calls.push((self.lines.len(), kfunc));
        self.raw(Instruction { code: CALL, src: PSEUDO_KFUNC, ..Instruction::default() }, comment);
    }

    /// Ends the program with R0.
    pub fn exit(&mut self, comment: impl Into<Comment>) {
        self.raw(Instruction { code: EXIT, ..Instruction::default() }, comment);
    }

    /// The program. `name` is what tools show of it: the kernel takes 15 bytes of letters, digits, `_` and
    /// `.`.
    ///
    /// # Errors
    /// A label that stands nowhere, at two places, or too far away.
    pub fn finish(self, name: &str) -> Result<Program, AssembleError> {
        if let Some(label) = self.placed_twice {
            return Err(AssembleError::LabelTwice(label));
        }
        let mut instructions = Vec::with_capacity(self.lines.len());
        let mut comments = Vec::with_capacity(self.lines.len());
        for (from, line) in self.lines.into_iter().enumerate() {
            let mut instruction = line.instruction;
            if let Some(place) = line.target.and_then(|label| self.places.get(label.0)) {
                let at = place.at.ok_or_else(|| AssembleError::LabelUnplaced(place.name.clone()))?;
                let distance = at as i64 - from as i64 - 1;
                instruction.offset =
                    i16::try_from(distance).map_err(|_| AssembleError::JumpTooFar { from, label: place.name.clone() })?;
            }
            instructions.push(instruction);
            comments.push(line.comment);
        }
        let mut labels: Vec<(usize, String)> =
            self.places.into_iter().filter_map(|place| Some((place.at?, place.name))).collect();
        labels.sort_by_key(|(at, _)| *at);
        Ok(Program::new(name, instructions, comments, labels, self.maps, self.map_loads, self.kfunc_calls))
    }
}

fn operation(class: u8, operation: u8, dst: Reg, src: Operand) -> Instruction {
    let (from, src, immediate) = match src {
        Operand::Reg(reg) => (FROM_REG, reg as u8, 0),
        Operand::Imm(number) => (0, 0, number),
    };
    Instruction { code: class | operation | from, dst: dst as u8, src, offset: 0, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reg::{R0, R1};

    #[test]
    fn jumps_find_their_labels_forward_and_backward() {
        let mut asm = Assembler::new();
        let top = asm.here("top");
        let end = asm.label("end");
        asm.jump_if(Cond::Eq, R1, 7, end, "");
        asm.jump(top, "");
        asm.place(end);
        asm.mov(R0, 2, "pass");
        asm.exit("");
        let program = asm.finish("test").unwrap();
        let offsets: Vec<i16> = program.instructions().iter().map(|instruction| instruction.offset).collect();
        assert_eq!(offsets, [1, -2, 0, 0]);
    }

    #[test]
    fn a_label_stands_exactly_once() {
        let mut asm = Assembler::new();
        let lost = asm.label("lost");
        asm.jump(lost, "");
        assert_eq!(asm.finish("test").unwrap_err(), AssembleError::LabelUnplaced("lost".into()));
        let mut asm = Assembler::new();
        let twice = asm.here("twice");
        asm.exit("");
        asm.place(twice);
        assert_eq!(asm.finish("test").unwrap_err(), AssembleError::LabelTwice("twice".into()));
    }

    #[test]
    fn too_far_is_an_error() {
        for (between, is_ok) in [(32767, true), (32768, false)] {
            let mut asm = Assembler::new();
            let end = asm.label("end");
            asm.jump(end, "");
            for _ in 0..between {
                asm.mov(R0, 0, "");
            }
            asm.place(end);
            asm.exit("");
            assert_eq!(asm.finish("test").is_ok(), is_ok, "{between}");
        }
    }
}
