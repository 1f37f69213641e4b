//! Classic BPF, the language capture filters are compiled to.
//!
//! Owns the instructions as libpcap and the kernel lay them out, and what a valid filter is. Knows no packet.
//! Its one invariant: in a [`ClassicFilter`] every jump goes forward to an instruction of the filter, every
//! path ends with a return, and every operand is one the machine has (`bpf_validate` of libpcap asks for the
//! same, and the `bpf_filter` there is what each operation means).

mod beside;
mod translate;

pub use beside::{or_tag_beside, with_tag_beside};
pub(crate) use translate::{JumpTargets, TranslateOptions, translate};

use crate::instruction::{Alu, Cond, Size};

/// One instruction, laid out like `struct sock_filter` of the kernel and `struct bpf_insn` of libpcap.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassicInstruction {
    /// Operation.
    pub code: u16,
    /// Instructions to jump over when true.
    pub jump_true: u8,
    /// Instructions to jump over when false.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// Most instructions of a filter (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;
/// Words of scratch memory (`BPF_MEMWORDS`).
pub const MEMORY_WORDS: u32 = 16;
/// Link type of Ethernet, the only one XDP sees.
pub const ETHERNET: u16 = 1;
/// Loads from here on are no packet bytes but facts that only an AF_PACKET socket knows (`SKF_LL_OFF` and
/// above).
const ANCILLARY_MIN: u32 = 0xffe0_0000;

/// Why a filter cannot run in an XDP program or, translated, before a packet socket. It can always run in user
/// space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// It was compiled for another link type than Ethernet.
    NotEthernet {
        /// That link type.
        link_type: u16,
    },
    /// There is nothing in it.
    Empty,
    /// More than [`INSTRUCTIONS_MAX`], or so long that a jump of the translation does not reach its target.
    TooLong {
        /// Its instructions.
        len: usize,
    },
    /// It asks for a fact that only an AF_PACKET socket has (a VLAN tag beside the packet, the interface,
    /// ...).
    Ancillary {
        /// Index of the instruction.
        at: usize,
        /// The offset, negative for such loads.
        offset: i32,
    },
    /// No instruction of classic BPF.
    Unknown {
        /// Index of the instruction.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// An operand that is not allowed: a word of memory that does not exist, a division by 0, a shift by more
    /// than 31.
    Operand {
        /// Index of the instruction.
        at: usize,
        /// The operand.
        operand: u32,
    },
    /// It jumps backward: libpcap follows a chain of headers (`protochain`) in a loop whose end the verifier
    /// cannot see.
    Loop {
        /// Index of the instruction.
        at: usize,
    },
    /// It leaves too few words of scratch memory to load parts of a VLAN tag that lies beside the frame.
    Memory,
    /// A path leads behind the last instruction.
    RunsOut {
        /// Index of the instruction it leads from.
        at: usize,
    },
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotEthernet { link_type } => write!(f, "the filter is for link type {link_type}, XDP sees Ethernet only"),
            Self::Empty => write!(f, "the filter has no instructions"),
            Self::TooLong { len } => write!(f, "the filter is too long to be translated ({len} instructions)"),
            Self::Ancillary { at, offset } => {
                write!(f, "instruction {at} of the filter loads offset {offset}, a fact that only a packet socket has")
            }
            Self::Unknown { at, code } => write!(f, "instruction {at} of the filter has the unknown code {code:#x}"),
            Self::Operand { at, operand } => write!(f, "instruction {at} of the filter has the impossible operand {operand:#x}"),
            Self::Loop { at } => write!(f, "instruction {at} of the filter jumps backward (a loop, as for protochain)"),
            Self::Memory => write!(f, "the filter needs too much scratch memory"),
            Self::RunsOut { at } => write!(f, "the filter runs out behind instruction {at} without a return"),
        }
    }
}

impl std::error::Error for FilterError {}

/// The second operand: a number or the index register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Number(u32),
    X,
}

/// An instruction by its meaning. A is the accumulator, X the index register, M the memory, P the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A = `P[k:size]`
    LoadAbsolute(Size, u32),
    /// A = `P[X+k:size]`
    LoadIndexed(Size, u32),
    /// A = length on the wire
    LoadLen,
    /// A = k
    LoadNumber(u32),
    /// A = `M[k]`
    LoadMemory(u32),
    /// X = k
    LoadXNumber(u32),
    /// X = length on the wire
    LoadXLen,
    /// X = `M[k]`
    LoadXMemory(u32),
    /// X = 4 * (`P[k]` & 15), the length of an IPv4 header
    LoadXHeader(u32),
    /// `M[k]` = A
    Store(u32),
    /// `M[k]` = X
    StoreX(u32),
    /// A = A op k or X
    Calculate(Alu, Right),
    /// Jump over this many.
    Jump(u32),
    /// Jump over the first number when A cond k or X, else over the second.
    JumpIf(Cond, Right, u8, u8),
    /// End with k.
    Return(u32),
    /// End with A.
    ReturnA,
    /// X = A
    Tax,
    /// A = X
    Txa,
}

/// A valid filter for Ethernet frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicFilter {
    ops: Vec<Op>,
}

impl ClassicFilter {
    /// Checks the instructions of a filter that was compiled for `link_type` (by libpcap without a live
    /// interface: a live one makes it look for VLAN tags beside the packet, where XDP has them inside).
    ///
    /// # Errors
    /// [`FilterError`] says what an XDP program cannot do.
    pub fn new(instructions: &[ClassicInstruction], link_type: u16) -> Result<Self, FilterError> {
        if link_type != ETHERNET {
            return Err(FilterError::NotEthernet { link_type });
        }
        if instructions.is_empty() {
            return Err(FilterError::Empty);
        }
        if instructions.len() > INSTRUCTIONS_MAX {
            return Err(FilterError::TooLong { len: instructions.len() });
        }
        let ops = instructions.iter().enumerate().map(|(at, it)| decode(at, *it)).collect::<Result<Vec<_>, _>>()?;
        for (at, op) in ops.iter().enumerate() {
            let is_inside = |over: u32| (over as usize) < ops.len() - at - 1;
            let is_fine = match *op {
                Op::Jump(over) => is_inside(over),
                Op::JumpIf(_, _, over_true, over_false) => is_inside(over_true.into()) && is_inside(over_false.into()),
                Op::Return(_) | Op::ReturnA => true,
                _ => is_inside(0),
            };
            if !is_fine {
                return Err(FilterError::RunsOut { at });
            }
        }
        Ok(Self { ops })
    }

    /// Its instructions.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Never: a filter has at least one instruction.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// Parts of a code.
mod code {
    pub(super) const CLASS: u16 = 0x07;
    pub(super) const LD: u16 = 0;
    pub(super) const LDX: u16 = 1;
    pub(super) const ST: u16 = 2;
    pub(super) const STX: u16 = 3;
    pub(super) const ALU: u16 = 4;
    pub(super) const JMP: u16 = 5;
    pub(super) const RET: u16 = 6;
    pub(super) const MODE: u16 = 0xe0;
    pub(super) const IMM: u16 = 0x00;
    pub(super) const ABS: u16 = 0x20;
    pub(super) const IND: u16 = 0x40;
    pub(super) const MEM: u16 = 0x60;
    pub(super) const LEN: u16 = 0x80;
    pub(super) const X: u16 = 0x08;
}

fn decode(at: usize, instruction: ClassicInstruction) -> Result<Op, FilterError> {
    let ClassicInstruction { code, jump_true, jump_false, operand } = instruction;
    let unknown = FilterError::Unknown { at, code };
    let memory =
        |op: fn(u32) -> Op| if operand < MEMORY_WORDS { Ok(op(operand)) } else { Err(FilterError::Operand { at, operand }) };
    match code & code::CLASS {
        code::LD => match (code & code::MODE, load_size(code)) {
            (code::ABS, Some(_)) if operand >= ANCILLARY_MIN => Err(FilterError::Ancillary { at, offset: operand as i32 }),
            (code::ABS, Some(size)) => Ok(Op::LoadAbsolute(size, operand)),
            (code::IND, Some(size)) => Ok(Op::LoadIndexed(size, operand)),
            (code::IMM, Some(Size::Word)) => Ok(Op::LoadNumber(operand)),
            (code::MEM, Some(Size::Word)) => memory(Op::LoadMemory),
            (code::LEN, Some(Size::Word)) => Ok(Op::LoadLen),
            _ => Err(unknown),
        },
        code::LDX => match code {
            0x01 => Ok(Op::LoadXNumber(operand)),
            0x61 => memory(Op::LoadXMemory),
            0x81 => Ok(Op::LoadXLen),
            0xb1 => Ok(Op::LoadXHeader(operand)),
            _ => Err(unknown),
        },
        code::ST if code == code::ST => memory(Op::Store),
        code::STX if code == code::STX => memory(Op::StoreX),
        code::ALU => decode_alu(at, instruction),
        code::JMP => match code & 0xf0 {
            0x00 if code == code::JMP && (operand as i32) < 0 => Err(FilterError::Loop { at }),
            0x00 if code == code::JMP => Ok(Op::Jump(operand)),
            0x10..=0x40 => {
                let cond = Cond::from_code((code & 0xf0) as u8).ok_or(unknown)?;
                Ok(Op::JumpIf(cond, right(code, operand), jump_true, jump_false))
            }
            _ => Err(unknown),
        },
        code::RET => match code {
            0x06 => Ok(Op::Return(operand)),
            0x16 => Ok(Op::ReturnA),
            _ => Err(unknown),
        },
        _ => match code {
            0x07 => Ok(Op::Tax),
            0x87 => Ok(Op::Txa),
            _ => Err(unknown),
        },
    }
}

const fn load_size(code: u16) -> Option<Size> {
    match code & 0x18 {
        0x00 => Some(Size::Word),
        0x08 => Some(Size::Half),
        0x10 => Some(Size::Byte),
        _ => None,
    }
}

const fn right(code: u16, operand: u32) -> Right {
    if code & code::X != 0 { Right::X } else { Right::Number(operand) }
}

fn decode_alu(at: usize, instruction: ClassicInstruction) -> Result<Op, FilterError> {
    let ClassicInstruction { code, operand, .. } = instruction;
    let alu = Alu::from_code((code & 0xf0) as u8).filter(|alu| !matches!(alu, Alu::Mov | Alu::Arsh));
    let alu = alu.filter(|_| code <= 0xff).ok_or(FilterError::Unknown { at, code })?;
    let right = right(code, operand);
    let is_fine = match (alu, right) {
        (Alu::Div | Alu::Mod, Right::Number(number)) => number != 0,
        (Alu::Lsh | Alu::Rsh, Right::Number(number)) => number < 32,
        _ => true,
    };
    if is_fine { Ok(Op::Calculate(alu, right)) } else { Err(FilterError::Operand { at, operand }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(code: u16, operand: u32) -> Result<ClassicFilter, FilterError> {
        let instruction = ClassicInstruction { code, jump_true: 0, jump_false: 0, operand };
        ClassicFilter::new(&[instruction, ClassicInstruction { code: 6, jump_true: 0, jump_false: 0, operand: 1 }], ETHERNET)
    }

    #[test]
    fn says_what_it_cannot_do() {
        assert_eq!(one(0x20, 0xffff_f02c), Err(FilterError::Ancillary { at: 0, offset: -4052 }));
        assert_eq!(one(0x30, 0xffe0_0000), Err(FilterError::Ancillary { at: 0, offset: -0x20_0000 }));
        assert_eq!(one(0x60, 16), Err(FilterError::Operand { at: 0, operand: 16 }));
        assert_eq!(one(0x34, 0), Err(FilterError::Operand { at: 0, operand: 0 }));
        assert_eq!(one(0x64, 32), Err(FilterError::Operand { at: 0, operand: 32 }));
        assert_eq!(one(0xb4, 1), Err(FilterError::Unknown { at: 0, code: 0xb4 }));
        assert_eq!(one(0x05, -1_i32 as u32), Err(FilterError::Loop { at: 0 }));
        assert_eq!(one(0x05, 1), Err(FilterError::RunsOut { at: 0 }));
        assert_eq!(ClassicFilter::new(&[], ETHERNET), Err(FilterError::Empty));
        assert_eq!(ClassicFilter::new(&[], 113), Err(FilterError::NotEthernet { link_type: 113 }));
        let many = [ClassicInstruction { code: 6, jump_true: 0, jump_false: 0, operand: 0 }; INSTRUCTIONS_MAX + 1];
        assert_eq!(ClassicFilter::new(&many, ETHERNET), Err(FilterError::TooLong { len: 4097 }));
        assert!(ClassicFilter::new(&many[1..], ETHERNET).is_ok());
    }

    #[test]
    fn no_code_panics() {
        for code in 0..=u16::MAX {
            for operand in [0, 1, 31, 0xffff, u32::MAX] {
                let _ = one(code, operand);
            }
        }
    }
}
