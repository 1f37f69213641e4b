//! Runs programs without a kernel.
//!
//! Owns a machine with registers, a stack, one frame and maps of one CPU. Knows only the instructions and
//! helpers that NetScope's programs use. Its one invariant: an access outside of what the verifier would
//! allow is an error and touches nothing.

mod arithmetic;

use std::collections::BTreeMap;

use crate::instruction::{
    Alu, CALL, Cond, EXIT, Helper, Instruction, JA, Kfunc, LD_IMM64, PSEUDO_KFUNC, PSEUDO_MAP_FD, Size, TO_BE, class,
};
use crate::program::{MapId, MapKind, MapSpec, Program};
use crate::xdp::{context, verdict};
use arithmetic::{alu32, alu64};

/// Instructions after which a program counts as endless.
pub const STEPS_MAX: u64 = 1_000_000;
/// Bytes before the first byte of a frame (`XDP_PACKET_HEADROOM`).
pub const HEADROOM: usize = 256;
/// Bytes of the stack.
const STACK_LEN: usize = 512;

/// Why a program stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// An address that does not belong to the program.
    OutOfBounds {
        /// Index of the instruction.
        at: usize,
    },
    /// A register or stack byte that holds nothing yet.
    Uninitialised {
        /// Index of the instruction.
        at: usize,
    },
    /// An instruction, a helper or a kind of map that is not modelled, or a jump to nowhere.
    Unmodelled {
        /// Index of the instruction.
        at: usize,
    },
    /// More than [`STEPS_MAX`] instructions.
    Endless,
}

impl std::fmt::Display for ProgramFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfBounds { at } => write!(f, "instruction {at} reaches outside of its memory"),
            Self::Uninitialised { at } => write!(f, "instruction {at} reads what nobody wrote"),
            Self::Unmodelled { at } => write!(f, "instruction {at} does what the interpreter does not know"),
            Self::Endless => write!(f, "more than {STEPS_MAX} instructions"),
        }
    }
}

impl std::error::Error for ProgramFault {}

/// A frame and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Bytes in the first buffer; the program's pointers reach no further.
    pub first_len: usize,
    /// Queue it came in on.
    pub queue: u32,
    /// Interface it came in on.
    pub ifindex: u32,
    /// False for a driver without room for metadata.
    pub takes_metadata: bool,
    /// False for a driver that leaves no bytes free in front of a frame.
    pub has_headroom: bool,
    /// Protocol and tag that the driver tells of, in the order of the machine.
    pub vlan_tag: Option<(u16, u16)>,
    /// The hardware's time, if the driver tells it.
    pub hardware_ns: Option<u64>,
}

impl Frame {
    /// A frame of one buffer, on queue 0.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            first_len: bytes.len(),
            queue: 0,
            ifindex: 1,
            takes_metadata: true,
            has_headroom: true,
            vlan_tag: None,
            hardware_ns: None,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutcome {
    /// R0 at the end, see [`verdict`].
    pub verdict: u64,
    /// The metadata before the frame.
    pub metadata: Vec<u8>,
    /// The frame as the program left it.
    pub bytes: Vec<u8>,
    /// Instructions executed.
    pub steps: u64,
}

#[derive(Clone, Debug)]
enum MapMemory {
    /// Entries one behind the other; a per-CPU array for one CPU.
    Array(Vec<u8>),
    /// Queues that have a socket.
    Sockets(Vec<bool>),
    /// Not modelled.
    Hash,
}

/// A machine with the maps of one program; they keep their values between runs.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    program: &'a Program,
    maps: Vec<MapMemory>,
    map_loads: BTreeMap<usize, MapId>,
    kfunc_calls: BTreeMap<usize, Kfunc>,
    /// What both clocks say, in nanoseconds.
    pub time_ns: u64,
    /// What the random helper gives.
    pub random: u32,
}

impl<'a> Machine<'a> {
    /// Maps as after creation: all zero, no sockets.
    pub fn new(program: &'a Program) -> Self {
        let memory = |spec: &MapSpec| match spec.kind {
            MapKind::Array | MapKind::PerCpuArray => MapMemory::Array(vec![0; spec.entries as usize * spec.value_size as usize]),
            MapKind::XskMap => MapMemory::Sockets(vec![false; spec.entries as usize]),
            MapKind::Hash => MapMemory::Hash,
        };
        let maps = program.maps().iter().map(memory).collect();
        let (map_loads, kfunc_calls) = (program.map_loads().collect(), program.kfunc_calls().collect());
        Self { program, maps, map_loads, kfunc_calls, time_ns: 0, random: 0 }
    }

    /// Puts a socket at `queue` or takes it away.
    pub fn set_socket(&mut self, map: MapId, queue: u32, is_there: bool) {
        if let Some(MapMemory::Sockets(sockets)) = self.maps.get_mut(map.0)
            && let Some(socket) = sockets.get_mut(queue as usize)
        {
            *socket = is_there;
        }
    }

    /// The value at `index` of an array.
    pub fn value(&self, map: MapId, index: u32) -> Option<&[u8]> {
        let size = self.program.maps().get(map.0)?.value_size as usize;
        match self.maps.get(map.0)? {
            MapMemory::Array(bytes) => bytes.get(size * index as usize..)?.get(..size),
            MapMemory::Sockets(_) | MapMemory::Hash => None,
        }
    }

    /// The value at `index` of an array as words.
    pub fn words(&self, map: MapId, index: u32) -> Vec<u64> {
        let bytes = self.value(map, index).unwrap_or_default();
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect()
    }

    /// Runs the program on `frame`.
    ///
    /// # Errors
    /// What the verifier would not have let happen, see [`ProgramFault`].
    pub fn run(&mut self, frame: &Frame) -> Result<ProgramOutcome, ProgramFault> {
        let mut registers = [None; 11];
        registers[1] = Some(CONTEXT);
        registers[10] = Some(STACK + STACK_LEN as u64);
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(&frame.bytes);
        let (data_at, metadata_at) = (HEADROOM, HEADROOM);
        Execution { machine: self, frame, registers, stack: [None; STACK_LEN], buffer, data_at, metadata_at, epoch: 0, at: 0 }
            .finish()
    }
}

// Addresses: the region in the upper bits, the offset in the lower.
const REGION_BITS: u32 = 32;
const CONTEXT: u64 = 1 << REGION_BITS;
const STACK: u64 = 2 << REGION_BITS;
/// Each call that voids packet pointers moves the packet to a region of its own.
const PACKET: u64 = 0x10_0000 << REGION_BITS;
/// Values of map n.
const VALUES: u64 = 0x1000 << REGION_BITS;
/// Map n itself.
const MAPS: u64 = 0x2000 << REGION_BITS;

struct Execution<'m, 'a> {
    machine: &'m mut Machine<'a>,
    frame: &'m Frame,
    registers: [Option<u64>; 11],
    stack: [Option<u8>; STACK_LEN],
    /// Headroom and frame.
    buffer: Vec<u8>,
    /// Where in `buffer` the frame begins,
    data_at: usize,
    /// and the metadata in front of it.
    metadata_at: usize,
    /// How often packet pointers were voided.
    epoch: u64,
    at: usize,
}

impl Execution<'_, '_> {
    fn finish(mut self) -> Result<ProgramOutcome, ProgramFault> {
        for steps in 1..=STEPS_MAX {
            let Some(instruction) = self.machine.program.instructions().get(self.at).copied() else {
                return Err(ProgramFault::Unmodelled { at: self.at });
            };
            if instruction.code == EXIT {
                let verdict = self.get(0)?;
                let bytes = self.buffer.split_off(self.data_at);
                let metadata = self.buffer.split_off(self.metadata_at);
                return Ok(ProgramOutcome { verdict, metadata, bytes, steps });
            }
            self.step(instruction)?;
        }
        Err(ProgramFault::Endless)
    }

    fn get(&self, register: u8) -> Result<u64, ProgramFault> {
        let register = self.registers.get(usize::from(register)).ok_or(ProgramFault::Unmodelled { at: self.at })?;
        register.ok_or(ProgramFault::Uninitialised { at: self.at })
    }

    fn set(&mut self, register: u8, value: u64) -> Result<(), ProgramFault> {
        // R10 is read-only.
        let registers = &mut self.registers[..10];
        *registers.get_mut(usize::from(register)).ok_or(ProgramFault::Unmodelled { at: self.at })? = Some(value);
        Ok(())
    }

    fn right(&self, instruction: Instruction) -> Result<u64, ProgramFault> {
        if instruction.is_from_reg() { self.get(instruction.src) } else { Ok(i64::from(instruction.immediate) as u64) }
    }

    fn step(&mut self, instruction: Instruction) -> Result<(), ProgramFault> {
        let Instruction { code, dst, src, offset, immediate } = instruction;
        let mut next = self.at + 1;
        let size = Size::from_code(code);
        match code {
            LD_IMM64 => {
                self.load_pair(instruction)?;
                next += 1;
            }
            CALL if src == PSEUDO_KFUNC => self.call_kfunc()?,
            CALL => self.call(immediate)?,
            JA => next = self.target(offset)?,
            TO_BE => {
                let value = self.get(dst)?;
                let value = match immediate {
                    16 => u64::from((value as u16).to_be()),
                    32 => u64::from((value as u32).to_be()),
                    64 => value.to_be(),
                    _ => return Err(ProgramFault::Unmodelled { at: self.at }),
                };
                self.set(dst, value)?;
            }
            _ => match instruction.class() {
                class::LDX => {
                    let value = self.load(self.get(src)?.wrapping_add_signed(offset.into()), size)?;
                    self.set(dst, value)?;
                }
                class::ST => self.store(dst, offset, size, i64::from(immediate) as u64)?,
                class::STX => self.store(dst, offset, size, self.get(src)?)?,
                class::ALU32 | class::ALU64 => self.calculate(instruction)?,
                class::JMP | class::JMP32 => {
                    if self.compare(instruction)? {
                        next = self.target(offset)?;
                    }
                }
                _ => return Err(ProgramFault::Unmodelled { at: self.at }),
            },
        }
        self.at = next;
        Ok(())
    }

    fn target(&self, offset: i16) -> Result<usize, ProgramFault> {
        (self.at + 1).checked_add_signed(offset.into()).ok_or(ProgramFault::Unmodelled { at: self.at })
    }

    fn load_pair(&mut self, instruction: Instruction) -> Result<(), ProgramFault> {
        let value = if instruction.src == PSEUDO_MAP_FD {
            let map = self.machine.map_loads.get(&self.at).ok_or(ProgramFault::Unmodelled { at: self.at })?;
            MAPS + ((map.0 as u64) << REGION_BITS)
        } else {
            let high = self.machine.program.instructions().get(self.at + 1).map_or(0, |second| second.immediate);
            u64::from(high as u32) << 32 | u64::from(instruction.immediate as u32)
        };
        self.set(instruction.dst, value)
    }

    fn calculate(&mut self, instruction: Instruction) -> Result<(), ProgramFault> {
        let alu = Alu::from_code(instruction.code).ok_or(ProgramFault::Unmodelled { at: self.at })?;
        let left = if alu == Alu::Mov { 0 } else { self.get(instruction.dst)? };
        let right = if alu == Alu::Neg { 0 } else { self.right(instruction)? };
        let result = if instruction.class() == class::ALU64 {
            alu64(alu, left, right)
        } else {
            alu32(alu, left as u32, right as u32).into()
        };
        self.set(instruction.dst, result)
    }

    fn compare(&self, instruction: Instruction) -> Result<bool, ProgramFault> {
        let cond = Cond::from_code(instruction.code).ok_or(ProgramFault::Unmodelled { at: self.at })?;
        let (mut left, mut right) = (self.get(instruction.dst)?, self.right(instruction)?);
        if instruction.class() == class::JMP32 {
            // The sign is extended, so that both kinds of comparison come out as on 32 bits.
            (left, right) = (i64::from(left as i32) as u64, i64::from(right as i32) as u64);
        }
        Ok(match cond {
            Cond::Eq => left == right,
            Cond::Ne => left != right,
            Cond::Gt => left > right,
            Cond::Ge => left >= right,
            Cond::Lt => left < right,
            Cond::Le => left <= right,
            Cond::Set => left & right != 0,
            Cond::Sgt => left as i64 > right as i64,
            Cond::Sge => left as i64 >= right as i64,
            Cond::Slt => (left as i64) < right as i64,
            Cond::Sle => left as i64 <= right as i64,
        })
    }

    fn packet_base(&self) -> u64 {
        PACKET + (self.epoch << REGION_BITS)
    }

    /// Fields of the context are 32 bits wide and give whole pointers, as the verifier rewrites them.
    fn load_context(&self, at: u64) -> Result<u64, ProgramFault> {
        let base = self.packet_base();
        Ok(match i16::try_from(at) {
            Ok(context::DATA) => base + self.data_at as u64,
            Ok(context::DATA_END) => base + (HEADROOM + self.frame.first_len) as u64,
            Ok(context::DATA_META) => base + self.metadata_at as u64,
            Ok(context::INGRESS_IFINDEX) => self.frame.ifindex.into(),
            Ok(context::RX_QUEUE_INDEX) => self.frame.queue.into(),
            _ => return Err(ProgramFault::OutOfBounds { at: self.at }),
        })
    }

    fn load(&self, address: u64, size: Size) -> Result<u64, ProgramFault> {
        let offset = address & ((1 << REGION_BITS) - 1);
        if address - offset == CONTEXT && size == Size::Word {
            return self.load_context(offset);
        }
        let mut bytes = [0; 8];
        let len = size.bytes() as usize;
        for (byte, at) in bytes.iter_mut().take(len).zip(address..) {
            *byte = self.byte(at)?;
        }
        Ok(match size {
            Size::Byte => bytes[0].into(),
            Size::Half => u16::from_ne_bytes([bytes[0], bytes[1]]).into(),
            Size::Word => u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
            Size::Double => u64::from_ne_bytes(bytes),
        })
    }

    fn byte(&self, address: u64) -> Result<u8, ProgramFault> {
        let offset = (address & ((1 << REGION_BITS) - 1)) as usize;
        let region = address - offset as u64;
        let outside = ProgramFault::OutOfBounds { at: self.at };
        if region == STACK {
            return self.stack.get(offset).ok_or(outside)?.ok_or(ProgramFault::Uninitialised { at: self.at });
        }
        if region == self.packet_base() {
            let is_inside = (self.metadata_at..HEADROOM + self.frame.first_len).contains(&offset);
            return self.buffer.get(offset).filter(|_| is_inside).copied().ok_or(outside);
        }
        let map = region.checked_sub(VALUES).ok_or(outside)? >> REGION_BITS;
        match self.machine.maps.get(map as usize) {
            Some(MapMemory::Array(bytes)) => bytes.get(offset).copied().ok_or(outside),
            _ => Err(outside),
        }
    }

    fn store(&mut self, dst: u8, offset: i16, size: Size, value: u64) -> Result<(), ProgramFault> {
        let address = self.get(dst)?.wrapping_add_signed(offset.into());
        let len = size.bytes() as usize;
        let bytes = value.to_le_bytes();
        let bytes = if cfg!(target_endian = "little") { bytes } else { (value << (64 - 8 * len)).to_be_bytes() };
        for (byte, at) in bytes.into_iter().take(len).zip(address..) {
            self.put(at, byte)?;
        }
        Ok(())
    }

    fn put(&mut self, address: u64, byte: u8) -> Result<(), ProgramFault> {
        let offset = (address & ((1 << REGION_BITS) - 1)) as usize;
        let region = address - offset as u64;
        let outside = ProgramFault::OutOfBounds { at: self.at };
        if region == STACK {
            *self.stack.get_mut(offset).ok_or(outside)? = Some(byte);
            return Ok(());
        }
        let slot = if region == self.packet_base() {
            let is_inside = (self.metadata_at..HEADROOM + self.frame.first_len).contains(&offset);
            self.buffer.get_mut(offset).filter(|_| is_inside)
        } else {
            let map = region.checked_sub(VALUES).ok_or(outside)? >> REGION_BITS;
            match self.machine.maps.get_mut(map as usize) {
                Some(MapMemory::Array(bytes)) => bytes.get_mut(offset),
                _ => None,
            }
        };
        *slot.ok_or(outside)? = byte;
        Ok(())
    }

    fn map_of(&self, register: u8) -> Result<usize, ProgramFault> {
        let unmodelled = ProgramFault::Unmodelled { at: self.at };
        let map = self.get(register)?.checked_sub(MAPS).ok_or(unmodelled)? >> REGION_BITS;
        usize::try_from(map).ok().filter(|map| *map < self.machine.maps.len()).ok_or(unmodelled)
    }

    fn call(&mut self, number: i32) -> Result<(), ProgramFault> {
        let unmodelled = ProgramFault::Unmodelled { at: self.at };
        let result = match Helper::from_number(number).ok_or(unmodelled)? {
            Helper::MapLookup => self.lookup()?,
            Helper::KtimeGetNs | Helper::KtimeGetTaiNs => self.machine.time_ns,
            Helper::GetPrandomU32 => self.machine.random.into(),
            Helper::GetSmpProcessorId => 0,
            Helper::RedirectMap => {
                let index = self.get(2)? as u32 as usize;
                let flags = self.get(3)?;
                match self.machine.maps.get(self.map_of(1)?) {
                    Some(MapMemory::Sockets(sockets)) if sockets.get(index) == Some(&true) => verdict::REDIRECT as u64,
                    Some(MapMemory::Sockets(_)) => flags & 3,
                    _ => return Err(unmodelled),
                }
            }
            Helper::XdpAdjustMeta => self.adjust_metadata()?,
            Helper::XdpAdjustHead => self.adjust_head()?,
            Helper::XdpGetBuffLen => (self.buffer.len() - self.data_at) as u64,
            Helper::XdpLoadBytes => self.load_bytes()?,
            Helper::MapUpdate | Helper::Redirect | Helper::CsumDiff | Helper::XdpAdjustTail => return Err(unmodelled),
        };
        self.registers[1..=5].fill(None);
        self.set(0, result)
    }

    fn lookup(&self) -> Result<u64, ProgramFault> {
        let map = self.map_of(1)?;
        let key = self.load(self.get(2)?, Size::Word)?;
        let unmodelled = ProgramFault::Unmodelled { at: self.at };
        let spec = self.machine.program.maps().get(map).ok_or(unmodelled)?;
        match self.machine.maps.get(map) {
            Some(MapMemory::Array(_)) if key < u64::from(spec.entries) => {
                Ok(VALUES + ((map as u64) << REGION_BITS) + key * u64::from(spec.value_size))
            }
            Some(MapMemory::Array(_)) => Ok(0),
            _ => Err(unmodelled),
        }
    }

    fn adjust_metadata(&mut self) -> Result<u64, ProgramFault> {
        let delta = self.get(2)? as i32;
        self.epoch += 1;
        let wanted = i64::try_from(self.metadata_at).unwrap_or(0) + i64::from(delta);
        // At most 252 bytes, whole words, as in bpf_xdp_adjust_meta() of net/core/filter.c.
        let len = self.data_at as i64 - wanted;
        let is_fine = self.frame.takes_metadata && wanted >= 0 && (0..=252).contains(&len) && len % 4 == 0;
        if is_fine {
            self.metadata_at = wanted as usize;
        }
        Ok(if is_fine { 0 } else { -22_i64 as u64 })
    }

    /// Metadata moves along, as in bpf_xdp_adjust_head() of net/core/filter.c.
    fn adjust_head(&mut self) -> Result<u64, ProgramFault> {
        const ETHERNET_HEADER: usize = 14;
        let delta = self.get(2)? as i32 as isize;
        self.epoch += 1;
        let metadata_len = self.data_at - self.metadata_at;
        let last = (HEADROOM + self.frame.first_len).checked_sub(ETHERNET_HEADER);
        let wanted = self.data_at.checked_add_signed(delta).filter(|wanted| Some(*wanted) <= last && *wanted >= metadata_len);
        let Some(wanted) = wanted.filter(|_| self.frame.has_headroom) else { return Ok(-22_i64 as u64) };
        self.buffer.copy_within(self.metadata_at..self.data_at, wanted - metadata_len);
        (self.data_at, self.metadata_at) = (wanted, wanted - metadata_len);
        Ok(0)
    }

    /// As in veth: nothing is written where nothing is told.
    fn call_kfunc(&mut self) -> Result<(), ProgramFault> {
        let unmodelled = ProgramFault::Unmodelled { at: self.at };
        if self.get(1)? != CONTEXT {
            return Err(unmodelled);
        }
        let kfunc = *self.machine.kfunc_calls.get(&self.at).ok_or(unmodelled)?;
        let is_told = match (kfunc, self.frame.vlan_tag, self.frame.hardware_ns) {
            (Kfunc::XdpRxVlanTag, Some((protocol, tag)), _) => {
                self.put_all(self.get(2)?, &protocol.to_be_bytes())?;
                self.put_all(self.get(3)?, &tag.to_ne_bytes())?;
                true
            }
            (Kfunc::XdpRxTimestamp, _, Some(time_ns)) => {
                self.put_all(self.get(2)?, &time_ns.to_ne_bytes())?;
                true
            }
            _ => false,
        };
        self.registers[1..=5].fill(None);
        // An int: what is above its 32 bits is not to be relied on.
        self.set(0, if is_told { 0xdead_beef_0000_0000 } else { 0xffff_ffc3 })
    }

    fn put_all(&mut self, address: u64, bytes: &[u8]) -> Result<(), ProgramFault> {
        bytes.iter().zip(address..).try_for_each(|(byte, at)| self.put(at, *byte))
    }

    fn load_bytes(&mut self) -> Result<u64, ProgramFault> {
        let (offset, to, len) = (self.get(2)? as u32 as usize, self.get(3)?, self.get(4)? as usize);
        let found = self.data_at.checked_add(offset).and_then(|start| self.buffer.get(start..start.checked_add(len)?));
        let Some(bytes) = found.filter(|_| offset <= 0xffff).map(<[u8]>::to_vec) else { return Ok(-22_i64 as u64) };
        for (byte, at) in bytes.into_iter().zip(to..) {
            self.put(at, byte)?;
        }
        Ok(0)
    }
}
