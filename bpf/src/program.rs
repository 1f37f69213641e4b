//! A finished program and how it is shown.
//!
//! Owns the instructions with their comments, labels and maps. Knows no kernel. Its one invariant: what is
//! printed is what is loaded.

use std::fmt::Write as _;

use crate::assembler::{AssembleError, Comment};
use crate::instruction::{
    Alu, CALL, Cond, EXIT, Helper, Instruction, JA, Kfunc, LD_IMM64, PSEUDO_KFUNC, PSEUDO_MAP_FD, Size, TO_BE, class,
};

/// What kind of map, by the numbers of `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// Any key to any value.
    Hash = 1,
    /// A number to a value; all are there from the start, all zero.
    Array = 2,
    /// The same once per CPU.
    PerCpuArray = 6,
    /// A number to an AF_XDP socket.
    XskMap = 17,
}

/// A map to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// What tools show: 15 bytes of letters, digits, `_` and `.`.
    pub name: String,
    /// Its kind.
    pub kind: MapKind,
    /// Bytes of a key; 4 for all but hashes.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries it can hold.
    pub entries: u32,
}

impl MapSpec {
    /// A map with `u32` keys.
    pub fn new(name: impl Into<String>, kind: MapKind, value_size: u32, entries: u32) -> Self {
        Self { name: name.into(), kind, key_size: 4, value_size, entries }
    }
}

/// A map of one program: its place in [`Program::maps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapId(pub usize);

/// Instructions ready to be loaded once their maps exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    instructions: Vec<Instruction>,
    comments: Vec<Comment>,
    labels: Vec<(usize, String)>,
    maps: Vec<MapSpec>,
    map_loads: Vec<(usize, MapId)>,
    kfunc_calls: Vec<(usize, Kfunc)>,
    takes_frags: bool,
}

impl Program {
    pub(crate) fn new(
        name: &str,
        instructions: Vec<Instruction>,
        comments: Vec<Comment>,
        labels: Vec<(usize, String)>,
        maps: Vec<MapSpec>,
        map_loads: Vec<(usize, MapId)>,
        kfunc_calls: Vec<(usize, Kfunc)>,
    ) -> Self {
        Self { name: name.to_owned(), instructions, comments, labels, maps, map_loads, kfunc_calls, takes_frags: false }
    }

    /// Says that the program knows frames of several buffers (`BPF_F_XDP_HAS_FRAGS`, Linux 5.18): the packet
    /// pointers see the first only.
    #[must_use]
    pub fn with_frags(mut self, takes_frags: bool) -> Self {
        self.takes_frags = takes_frags;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of them, map descriptors and the numbers of kernel functions still 0.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The maps it refers to; [`MapId`] is the index.
    pub fn maps(&self) -> &[MapSpec] {
        &self.maps
    }

    /// Whether it takes frames of several buffers.
    pub const fn takes_frags(&self) -> bool {
        self.takes_frags
    }

    /// The instructions that load a map, and which.
    pub(crate) fn map_loads(&self) -> impl Iterator<Item = (usize, MapId)> {
        self.map_loads.iter().copied()
    }

    /// The kernel functions it needs, each once. With any, it has to be loaded for the interface that it will
    /// run at.
    pub fn kfuncs(&self) -> Vec<Kfunc> {
        let mut kfuncs: Vec<Kfunc> = self.kfunc_calls.iter().map(|(_, kfunc)| *kfunc).collect();
        kfuncs.sort_unstable();
        kfuncs.dedup();
        kfuncs
    }

    /// The instructions that call a kernel function by its name, and which.
    pub(crate) fn kfunc_calls(&self) -> impl Iterator<Item = (usize, Kfunc)> {
        self.kfunc_calls.iter().copied()
    }

    /// The words to load, with the file descriptors of the maps in the order of [`Program::maps`] and the
    /// numbers of the kernel functions in the kernel's BTF.
    ///
    /// # Errors
    /// [`AssembleError::MapMissing`] when there are fewer descriptors than maps,
    /// [`AssembleError::KfuncMissing`] for a kernel function without a number.
    pub fn resolve(&self, descriptors: &[i32], kfuncs: &[(Kfunc, i32)]) -> Result<Vec<u64>, AssembleError> {
        let mut instructions = self.instructions.clone();
        for (at, map) in &self.map_loads {
            let name = || self.maps.get(map.0).map_or_else(|| format!("{}", map.0), |spec| spec.name.clone());
            let descriptor = descriptors.get(map.0).ok_or_else(|| AssembleError::MapMissing(name()))?;
            if let Some(instruction) = instructions.get_mut(*at) {
                instruction.immediate = *descriptor;
            }
        }
        for (at, kfunc) in &self.kfunc_calls {
            let (_, number) = kfuncs.iter().find(|(own, _)| own == kfunc).ok_or(AssembleError::KfuncMissing(*kfunc))?;
            if let Some(instruction) = instructions.get_mut(*at) {
                instruction.immediate = *number;
            }
        }
        Ok(instructions.into_iter().map(Instruction::encode).collect())
    }

    /// The program for a reader: maps, then per instruction its index, what it does, and why.
    pub fn listing(&self) -> String {
        let mut text = format!("{}: {} instructions", self.name, self.instructions.len());
        text.push_str(if self.takes_frags { ", takes frames of several buffers\n" } else { "\n" });
        for (index, map) in self.maps.iter().enumerate() {
            put(
                &mut text,
                format_args!("map {index} {}: {:?}, {} entries of {} bytes\n", map.name, map.kind, map.entries, map.value_size),
            );
        }
        let mut labels = self.labels.iter().peekable();
        for (index, instruction) in self.instructions.iter().enumerate() {
            while let Some((_, name)) = labels.next_if(|(at, _)| *at <= index) {
                put(&mut text, format_args!("{name}:\n"));
            }
            let is_second_half = index > 0 && self.instructions[index - 1].code == LD_IMM64;
            if is_second_half {
                continue;
            }
            let what = self.mnemonic(index, *instruction);
            let comment = self.comments.get(index).map_or("", |comment| comment.as_ref());
            if comment.is_empty() {
                put(&mut text, format_args!("{index:5}  {what}\n"));
            } else {
                put(&mut text, format_args!("{index:5}  {what:<38} ; {comment}\n"));
            }
        }
        text
    }

    fn mnemonic(&self, index: usize, instruction: Instruction) -> String {
        let Instruction { code, dst, src, offset, immediate } = instruction;
        match code {
            LD_IMM64 if src == PSEUDO_MAP_FD => {
                let map = self
                    .map_loads()
                    .find(|(at, _)| *at == index)
                    .and_then(|(_, map)| self.maps.get(map.0))
                    .map_or("?", |map| map.name.as_str());
                return format!("r{dst} = map {map}");
            }
            LD_IMM64 => {
                let high = self.instructions.get(index + 1).map_or(0, |second| second.immediate);
                return format!("r{dst} = {:#x}", u64::from(high as u32) << 32 | u64::from(immediate as u32));
            }
            CALL if src == PSEUDO_KFUNC => {
                let kfunc = self.kfunc_calls().find(|(at, _)| *at == index).map_or("?", |(_, kfunc)| kfunc.name());
                return format!("call {kfunc}");
            }
            CALL => {
                return Helper::from_number(immediate)
                    .map_or_else(|| format!("call {immediate}"), |helper| format!("call {}", helper.name()));
            }
            EXIT => return "exit".to_owned(),
            JA => return format!("goto {}", self.target(index, offset)),
            TO_BE => return format!("r{dst} = be{immediate} r{dst}"),
            _ => {}
        }
        let is_narrow = matches!(instruction.class(), class::ALU32 | class::JMP32);
        let letter = if is_narrow { 'w' } else { 'r' };
        let operand = if instruction.is_from_reg() { format!("{letter}{src}") } else { number(immediate) };
        match instruction.class() {
            class::LDX => format!("r{dst} = *({} *)(r{src} {})", size_name(code), signed(offset)),
            class::STX => format!("*({} *)(r{dst} {}) = r{src}", size_name(code), signed(offset)),
            class::ST => format!("*({} *)(r{dst} {}) = {}", size_name(code), signed(offset), number(immediate)),
            class::ALU32 | class::ALU64 => match Alu::from_code(code) {
                Some(Alu::Mov) => format!("{letter}{dst} = {operand}"),
                Some(Alu::Neg) => format!("{letter}{dst} = -{letter}{dst}"),
                Some(alu) => format!("{letter}{dst} {}= {operand}", alu_sign(alu)),
                None => format!("unknown {code:#04x}"),
            },
            _ => match Cond::from_code(code) {
                Some(cond) => {
                    format!("if {letter}{dst} {} {operand} goto {}", cond_sign(cond), self.target(index, offset))
                }
                None => format!("unknown {code:#04x}"),
            },
        }
    }

    fn target(&self, index: usize, offset: i16) -> String {
        let at = index as i64 + 1 + i64::from(offset);
        self.labels
            .iter()
            .find(|(place, _)| *place as i64 == at)
            .map_or_else(|| at.to_string(), |(_, name)| format!("{name} ({at})"))
    }
}

/// Writing to a String cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes any text");
}

fn number(number: i32) -> String {
    if (-9..=9).contains(&number) { number.to_string() } else { format!("{number} ({:#x})", number as u32) }
}

fn signed(offset: i16) -> String {
    if offset < 0 { format!("- {}", -i32::from(offset)) } else { format!("+ {offset}") }
}

const fn size_name(code: u8) -> &'static str {
    match Size::from_code(code) {
        Size::Byte => "u8",
        Size::Half => "u16",
        Size::Word => "u32",
        Size::Double => "u64",
    }
}

pub(crate) const fn alu_sign(alu: Alu) -> &'static str {
    match alu {
        Alu::Add => "+",
        Alu::Sub => "-",
        Alu::Mul => "*",
        Alu::Div => "/",
        Alu::Or => "|",
        Alu::And => "&",
        Alu::Lsh => "<<",
        Alu::Rsh => ">>",
        Alu::Arsh => "s>>",
        Alu::Mod => "%",
        Alu::Xor => "^",
        Alu::Neg | Alu::Mov => "",
    }
}

pub(crate) const fn cond_sign(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Gt => ">",
        Cond::Ge => ">=",
        Cond::Set => "&",
        Cond::Ne => "!=",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Lt => "<",
        Cond::Le => "<=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
    }
}
