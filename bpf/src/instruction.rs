//! One eBPF instruction.
//!
//! Owns its fields, its numbers (RFC 9669, linux/bpf.h) and its eight bytes. Knows nothing of programs. Its
//! one invariant: every value that can be built here has a place in the eight bytes.

/// A register: R0 is the result, R1 to R5 are arguments (lost in a call), R6 to R9 are kept, R10 is the frame
/// pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "ten names that say all there is to say")]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// How many bytes a load or store touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1
    Byte,
    /// 2
    Half,
    /// 4
    Word,
    /// 8
    Double,
}

impl Size {
    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Self {
        match code & 0x18 {
            0x00 => Self::Word,
            0x08 => Self::Half,
            0x10 => Self::Byte,
            _ => Self::Double,
        }
    }
}

/// What is calculated. Division by zero gives 0, modulo zero leaves the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names of the operations")]
pub enum Alu {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    Neg = 0x80,
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    Arsh = 0xc0,
}

impl Alu {
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code & 0xf0 {
            0x00 => Self::Add,
            0x10 => Self::Sub,
            0x20 => Self::Mul,
            0x30 => Self::Div,
            0x40 => Self::Or,
            0x50 => Self::And,
            0x60 => Self::Lsh,
            0x70 => Self::Rsh,
            0x80 => Self::Neg,
            0x90 => Self::Mod,
            0xa0 => Self::Xor,
            0xb0 => Self::Mov,
            0xc0 => Self::Arsh,
            _ => return None,
        })
    }
}

/// When to jump. `Gt` and its kind compare without sign, `Sgt` and its kind with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names of the comparisons")]
pub enum Cond {
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    /// Any bit of the operand is set.
    Set = 0x40,
    Ne = 0x50,
    Sgt = 0x60,
    Sge = 0x70,
    Lt = 0xa0,
    Le = 0xb0,
    Slt = 0xc0,
    Sle = 0xd0,
}

impl Cond {
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code & 0xf0 {
            0x10 => Self::Eq,
            0x20 => Self::Gt,
            0x30 => Self::Ge,
            0x40 => Self::Set,
            0x50 => Self::Ne,
            0x60 => Self::Sgt,
            0x70 => Self::Sge,
            0xa0 => Self::Lt,
            0xb0 => Self::Le,
            0xc0 => Self::Slt,
            0xd0 => Self::Sle,
            _ => return None,
        })
    }
}

/// A function of the kernel, by its number in `enum bpf_func_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Helper {
    /// `(map, &key) -> &value or 0`
    MapLookup = 1,
    /// `(map, &key, &value, flags) -> 0 or error`
    MapUpdate = 2,
    /// `() -> ns of CLOCK_MONOTONIC`
    KtimeGetNs = 5,
    /// `() -> 32 random bits`
    GetPrandomU32 = 7,
    /// `() -> number of this CPU`
    GetSmpProcessorId = 8,
    /// `(ifindex, flags) -> verdict`
    Redirect = 23,
    /// `(from, from_size, to, to_size, seed) -> sum`
    CsumDiff = 28,
    /// `(ctx, delta) -> 0 or error`: moves the first byte; all packet pointers are void afterwards.
    XdpAdjustHead = 44,
    /// `(map, index, flags) -> verdict`: the low two bits of `flags` are the verdict where the map has
    /// nothing there.
    RedirectMap = 51,
    /// `(ctx, delta) -> 0 or error`: moves the start of the metadata; all packet pointers are void
    /// afterwards.
    XdpAdjustMeta = 54,
    /// `(ctx, delta) -> 0 or error`: moves the end; all packet pointers are void afterwards.
    XdpAdjustTail = 65,
    /// `(ctx) -> length of the frame`, fragments included (Linux 5.18).
    XdpGetBuffLen = 188,
    /// `(ctx, offset, to, len) -> 0 or error`, fragments included (Linux 5.18).
    XdpLoadBytes = 189,
    /// `() -> ns of CLOCK_TAI` (Linux 6.1)
    KtimeGetTaiNs = 208,
}

impl Helper {
    const ALL: [Self; 14] = [
        Self::MapLookup,
        Self::MapUpdate,
        Self::KtimeGetNs,
        Self::GetPrandomU32,
        Self::GetSmpProcessorId,
        Self::Redirect,
        Self::CsumDiff,
        Self::XdpAdjustHead,
        Self::RedirectMap,
        Self::XdpAdjustMeta,
        Self::XdpAdjustTail,
        Self::XdpGetBuffLen,
        Self::XdpLoadBytes,
        Self::KtimeGetTaiNs,
    ];

    pub(crate) fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|helper| *helper as i32 == number)
    }

    /// Its name in linux/bpf.h, without `bpf_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MapLookup => "map_lookup_elem",
            Self::MapUpdate => "map_update_elem",
            Self::KtimeGetNs => "ktime_get_ns",
            Self::GetPrandomU32 => "get_prandom_u32",
            Self::GetSmpProcessorId => "get_smp_processor_id",
            Self::Redirect => "redirect",
            Self::CsumDiff => "csum_diff",
            Self::XdpAdjustHead => "xdp_adjust_head",
            Self::RedirectMap => "redirect_map",
            Self::XdpAdjustMeta => "xdp_adjust_meta",
            Self::XdpAdjustTail => "xdp_adjust_tail",
            Self::XdpGetBuffLen => "xdp_get_buff_len",
            Self::XdpLoadBytes => "xdp_load_bytes",
            Self::KtimeGetTaiNs => "ktime_get_tai_ns",
        }
    }
}

/// A function of the kernel without a fixed number (Documentation/bpf/kfuncs.rst): called by its number in
/// the kernel's BTF, which the loader looks up by name.
///
/// These ask the driver what the hardware knows of a frame (Documentation/networking/xdp-rx-metadata.rst). A
/// program that calls one is loaded for one interface and runs there in native mode only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kfunc {
    /// `(ctx, &u64) -> 0 or error`: when the hardware saw the frame, in nanoseconds of its clock (Linux 6.3).
    XdpRxTimestamp,
    /// `(ctx, &be16, &u16) -> 0 or error`: protocol (network order) and tag (machine order) that lie beside
    /// the frame (Linux 6.8).
    XdpRxVlanTag,
}

impl Kfunc {
    /// Its name in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpRxTimestamp => "bpf_xdp_metadata_rx_timestamp",
            Self::XdpRxVlanTag => "bpf_xdp_metadata_rx_vlan_tag",
        }
    }
}

/// The second operand: a register or a number (its sign is extended to 64 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// What a register holds.
    Reg(Reg),
    /// A number.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(number: i32) -> Self {
        Self::Imm(number)
    }
}

/// Instruction classes, the low three bits of the code.
pub(crate) mod class {
    pub(crate) const LDX: u8 = 0x01;
    pub(crate) const ST: u8 = 0x02;
    pub(crate) const STX: u8 = 0x03;
    pub(crate) const ALU32: u8 = 0x04;
    pub(crate) const JMP: u8 = 0x05;
    pub(crate) const JMP32: u8 = 0x06;
    pub(crate) const ALU64: u8 = 0x07;
}

/// Adressing mode of loads and stores: memory.
pub(crate) const MODE_MEM: u8 = 0x60;
/// The operand is a register.
pub(crate) const FROM_REG: u8 = 0x08;
/// A 64-bit number in two instructions.
pub(crate) const LD_IMM64: u8 = 0x18;
/// `src` of [`LD_IMM64`]: the number is a map's file descriptor.
pub(crate) const PSEUDO_MAP_FD: u8 = 1;
/// `src` of [`CALL`]: the number is a function's in the kernel's BTF.
pub(crate) const PSEUDO_KFUNC: u8 = 2;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;
pub(crate) const JA: u8 = 0x05;
/// Byte order conversion, of the 32-bit class: to big endian.
pub(crate) const TO_BE: u8 = 0xdc;

/// `struct bpf_insn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register, 0 to 15.
    pub dst: u8,
    /// Source register, 0 to 15.
    pub src: u8,
    /// Of memory in bytes, of jumps in instructions after the next one.
    pub offset: i16,
    /// Number.
    pub immediate: i32,
}

impl Instruction {
    /// The eight bytes in the byte order of this machine, as the kernel wants them.
    pub const fn to_bytes(self) -> [u8; 8] {
        let registers =
            if cfg!(target_endian = "little") { self.src << 4 | self.dst & 15 } else { self.dst << 4 | self.src & 15 };
        let offset = self.offset.to_ne_bytes();
        let immediate = self.immediate.to_ne_bytes();
        [self.code, registers, offset[0], offset[1], immediate[0], immediate[1], immediate[2], immediate[3]]
    }

    /// [`Self::to_bytes`] as one aligned word.
    pub const fn encode(self) -> u64 {
        u64::from_ne_bytes(self.to_bytes())
    }

    /// The class, see [`class`].
    pub(crate) const fn class(self) -> u8 {
        self.code & 7
    }

    pub(crate) const fn is_from_reg(self) -> bool {
        self.code & FROM_REG != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn bytes_are_those_of_the_kernel() {
        // r2 = *(u32 *)(r6 + 16), as clang writes it.
        let load = Instruction { code: class::LDX | MODE_MEM | Size::Word.code(), dst: 2, src: 6, offset: 16, immediate: 0 };
        assert_eq!(load.to_bytes(), [0x61, 0x62, 0x10, 0, 0, 0, 0, 0]);
        // w0 = -2
        let mov = Instruction { code: class::ALU32 | Alu::Mov as u8, dst: 0, src: 0, offset: 0, immediate: -2 };
        assert_eq!(mov.encode(), 0xffff_fffe_0000_00b4);
    }

    #[test]
    fn codes_go_both_ways() {
        for size in [Size::Byte, Size::Half, Size::Word, Size::Double] {
            assert_eq!(Size::from_code(size.code()), size);
        }
        for code in (0..=0xf0_u8).step_by(16) {
            assert!(Alu::from_code(code).is_none_or(|alu| alu as u8 == code));
            assert!(Cond::from_code(code).is_none_or(|cond| cond as u8 == code));
        }
        for helper in Helper::ALL {
            assert_eq!(Helper::from_number(helper as i32), Some(helper));
        }
        assert_eq!(Helper::from_number(0), None);
    }
}
