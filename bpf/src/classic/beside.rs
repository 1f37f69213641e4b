//! A filter that sees a VLAN tag lying beside the frame as if it stood in the frame.
//!
//! Linux takes the outer tag out of a frame before the filter of a packet socket runs, and keeps it as a fact of
//! the packet (`SKF_AD_VLAN_TAG` and its like in linux/filter.h; the protocol of the tag since Linux 4.1). A
//! capture file has the tag in the frame. Owns the translation. Its one invariant: the result says of a frame
//! and its tag what the filter says of the frame with the tag put back.

use super::{ANCILLARY_MIN, ClassicInstruction, FilterError, INSTRUCTIONS_MAX, MEMORY_WORDS, code};

/// Where the tag stands on the wire: behind the two addresses.
const TAG_START: u32 = 12;
/// The first byte behind the tag.
const TAG_END: u32 = TAG_START + TAG_LEN;
const TAG_LEN: u32 = 4;

/// `SKF_AD_OFF`.
const ANCILLARY: u32 = 0xffff_f000;
/// `SKF_AD_VLAN_TAG`: priority and number.
const TAG_CONTROL: u32 = ANCILLARY + 44;
/// `SKF_AD_VLAN_TAG_PRESENT`; libpcap's interpreter knows it as a byte alone.
const TAG_PRESENT: u32 = ANCILLARY + 48;
/// `SKF_AD_VLAN_TPID`.
const TAG_PROTOCOL: u32 = ANCILLARY + 60;

/// Codes of classic BPF.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_INDEXED: u16 = 0x50;
const LOAD_NUMBER: u16 = 0x00;
const LOAD_MEMORY: u16 = 0x60;
const LOAD_LEN: u16 = 0x80;
const LOAD_X_NUMBER_OF_LEN: u16 = 0x81;
const LOAD_X_HEADER: u16 = 0xb1;
const LOAD_X_MEMORY: u16 = 0x61;
const STORE: u16 = 0x02;
const STORE_X: u16 = 0x03;
const ADD: u16 = 0x04;
const SUBTRACT: u16 = 0x14;
const SUBTRACT_X: u16 = 0x1c;
const MULTIPLY: u16 = 0x24;
const OR_X: u16 = 0x4c;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const SHIFT_RIGHT_X: u16 = 0x7c;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const TAX: u16 = 0x07;
const TXA: u16 = 0x87;

const fn step(code: u16, operand: u32) -> ClassicInstruction {
    ClassicInstruction { code, jump_true: 0, jump_false: 0, operand }
}

const fn jump_if(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> ClassicInstruction {
    ClassicInstruction { code, jump_true, jump_false, operand }
}

/// Words of scratch memory that the filter does not use.
#[derive(Clone, Copy)]
struct Scratch {
    a: u32,
    x: u32,
    tag: u32,
    value: u32,
}

impl Scratch {
    fn of(filter: &[ClassicInstruction]) -> Option<Self> {
        let is_used = |word: u32| {
            let is_memory = |code| matches!(code, STORE | STORE_X | LOAD_MEMORY | LOAD_X_MEMORY);
            filter.iter().any(|own| own.operand == word && is_memory(own.code))
        };
        let mut free = (0..MEMORY_WORDS).rev().filter(|word| !is_used(*word));
        Some(Self { a: free.next()?, x: free.next()?, tag: free.next()?, value: free.next()? })
    }
}

/// A filter for a packet socket at an Ethernet interface, made of one that libpcap compiled for files: it asks
/// first whether a tag lies beside the frame.
///
/// # Errors
/// [`FilterError::TooLong`] when the result has more than [`INSTRUCTIONS_MAX`] instructions,
/// [`FilterError::Loop`] when the filter jumps backward, which no kernel accepts, [`FilterError::Memory`] when
/// it leaves too little scratch memory.
pub fn with_tag_beside(filter: &[ClassicInstruction]) -> Result<Vec<ClassicInstruction>, FilterError> {
    let tagged = for_tagged(filter)?;
    let mut program = vec![step(LOAD_BYTE, TAG_PRESENT), jump_if(JUMP_EQUAL, 0, 1, 0), step(JUMP, filter.len() as u32)];
    program.extend_from_slice(filter);
    program.push(step(LOAD_NUMBER, 0)); // as a filter finds A
    program.extend(tagged);
    if program.len() > INSTRUCTIONS_MAX { Err(FilterError::TooLong { len: program.len() }) } else { Ok(program) }
}

/// A filter for a packet socket that gives frames another header than Ethernet's: it accepts every frame beside
/// which a tag lies, so that the filter is asked again where the tag is put back.
pub fn or_tag_beside(filter: &[ClassicInstruction]) -> Vec<ClassicInstruction> {
    let accept = step(RETURN, u32::MAX);
    [&[step(LOAD_BYTE, TAG_PRESENT), jump_if(JUMP_EQUAL, 0, 1, 0), accept], filter].concat()
}

/// The filter for frames whose tag lies beside them.
fn for_tagged(filter: &[ClassicInstruction]) -> Result<Vec<ClassicInstruction>, FilterError> {
    let scratch = Scratch::of(filter);
    let mut parts = filter.iter().map(|own| translate(*own, scratch)).collect::<Result<Vec<_>, _>>()?;
    // A conditional jump reaches 255 instructions. In a longer result each has two unconditional ones behind it.
    if parts.iter().map(Vec::len).sum::<usize>() > usize::from(u8::MAX) {
        for part in parts.iter_mut().filter(|part| matches!(part[..], [own] if is_conditional(own.code))) {
            part.extend([step(JUMP, 0); 2]);
        }
    }
    let mut end = 0;
    let mut starts = Vec::with_capacity(parts.len());
    for part in &parts {
        starts.push(end);
        end += part.len();
    }
    for (at, (own, part)) in filter.iter().zip(&mut parts).enumerate() {
        // From the instruction `from` of the result to what instruction `at + 1 + over` of the filter became.
        let over = |from: usize, over: u32| {
            let target = usize::try_from(over).ok().and_then(|over| starts.get((at + 1).checked_add(over)?));
            target.map(|target| target - from - 1).ok_or(FilterError::Loop { at })
        };
        let (here, when_true, when_false) = (starts[at], own.jump_true.into(), own.jump_false.into());
        match &mut part[..] {
            [jump] if jump.code == JUMP => jump.operand = over(here, own.operand)? as u32,
            [jump] if is_conditional(jump.code) => {
                jump.jump_true = over(here, when_true)? as u8;
                jump.jump_false = over(here, when_false)? as u8;
            }
            [jump, to_true, to_false] if is_conditional(own.code) => {
                (jump.jump_true, jump.jump_false) = (0, 1);
                to_true.operand = over(here + 1, when_true)? as u32;
                to_false.operand = over(here + 2, when_false)? as u32;
            }
            _ => {}
        }
    }
    Ok(parts.concat())
}

const fn is_conditional(code: u16) -> bool {
    code & code::CLASS == code::JMP && code != JUMP
}

/// What one instruction becomes; jumps stay as they are.
fn translate(own: ClassicInstruction, scratch: Option<Scratch>) -> Result<Vec<ClassicInstruction>, FilterError> {
    let ClassicInstruction { code, operand, .. } = own;
    let scratch = || scratch.ok_or(FilterError::Memory);
    let is_half = code & 0x18 == 0x08;
    let len = match code & 0x18 {
        0x08 => 2,
        0x10 => 1,
        _ => 4,
    };
    let behind = || vec![step(code, operand - TAG_LEN)];
    Ok(match (code & code::CLASS, code & code::MODE) {
        (code::LD, code::ABS) if operand >= ANCILLARY_MIN || operand + len <= TAG_START => vec![own],
        (code::LD, code::ABS | code::IND) if operand >= TAG_END => behind(),
        (code::LD, code::ABS) if is_half && operand == TAG_START => vec![step(LOAD_HALF, TAG_PROTOCOL)],
        (code::LD, code::ABS) if is_half && operand == TAG_START + 2 => vec![step(LOAD_HALF, TAG_CONTROL)],
        (code::LD, code::ABS) => bytes(scratch()?, len, operand, false),
        (code::LD, code::IND) => bytes(scratch()?, len, operand, true),
        (code::LD, code::LEN) => vec![step(LOAD_LEN, 0), step(ADD, TAG_LEN)],
        (code::LDX, _) if code == LOAD_X_NUMBER_OF_LEN => {
            let memory = scratch()?.a;
            vec![step(STORE, memory), step(LOAD_LEN, 0), step(ADD, TAG_LEN), step(TAX, 0), step(LOAD_MEMORY, memory)]
        }
        (code::LDX, _) if code == LOAD_X_HEADER && operand >= TAG_END => behind(),
        (code::LDX, _) if code == LOAD_X_HEADER && operand >= TAG_START => {
            let scratch = scratch()?;
            let mut steps = vec![step(STORE, scratch.a)];
            steps.extend(bytes(scratch, 1, operand, false));
            steps.extend([step(AND, 15), step(SHIFT_LEFT, 2), step(TAX, 0), step(LOAD_MEMORY, scratch.a)]);
            steps
        }
        _ => vec![own],
    })
}

/// Loads `len` bytes one by one from `start`, or from `start` + X, wherever they are: before the tag, of the tag,
/// behind it. Leaves X as it was.
fn bytes(scratch: Scratch, len: u32, start: u32, is_indexed: bool) -> Vec<ClassicInstruction> {
    let mut steps = vec![
        step(STORE_X, scratch.x),
        step(LOAD_HALF, TAG_PROTOCOL),
        step(SHIFT_LEFT, 16),
        step(TAX, 0),
        step(LOAD_HALF, TAG_CONTROL),
        step(OR_X, 0),
        step(STORE, scratch.tag),
        step(LOAD_NUMBER, 0),
        step(STORE, scratch.value),
    ];
    for offset in (0..len).map(|byte| start.wrapping_add(byte)) {
        if is_indexed {
            steps.extend([step(LOAD_X_MEMORY, scratch.x), step(TXA, 0), step(ADD, offset)]);
        } else {
            steps.push(step(LOAD_NUMBER, offset));
        }
        steps.extend([
            jump_if(JUMP_AT_LEAST, TAG_END, 1, 0),
            jump_if(JUMP_AT_LEAST, TAG_START, 4, 1),
            step(SUBTRACT, TAG_LEN),
            step(TAX, 0),
            step(LOAD_BYTE_INDEXED, 0),
            step(JUMP, 9),
            // A byte of the tag: shifted right by 24, 16, 8 or 0.
            step(SUBTRACT, TAG_START),
            step(MULTIPLY, 8),
            step(TAX, 0),
            step(LOAD_NUMBER, 24),
            step(SUBTRACT_X, 0),
            step(TAX, 0),
            step(LOAD_MEMORY, scratch.tag),
            step(SHIFT_RIGHT_X, 0),
            step(AND, 0xff),
            // The value so far, and this byte behind it.
            step(TAX, 0),
            step(LOAD_MEMORY, scratch.value),
            step(SHIFT_LEFT, 8),
            step(OR_X, 0),
            step(STORE, scratch.value),
        ]);
    }
    steps.push(step(LOAD_X_MEMORY, scratch.x));
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a packet socket's filter sees.
    struct Seen<'a> {
        frame: &'a [u8],
        tag: Option<[u8; 4]>,
    }

    impl Seen<'_> {
        fn load(&self, len: u16, at: u32) -> Option<u32> {
            let half =
                |tag: Option<[u8; 4]>, at: usize| tag.map_or(0, |tag| u32::from(u16::from_be_bytes([tag[at], tag[at + 1]])));
            match at {
                TAG_PRESENT => Some(self.tag.is_some().into()),
                TAG_PROTOCOL => Some(half(self.tag, 0)),
                TAG_CONTROL => Some(half(self.tag, 2)),
                _ => {
                    let bytes = self.frame.get(at as usize..)?.get(..len.into())?;
                    Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
                }
            }
        }

        /// Runs the program as linux/Documentation/networking/filter.rst describes it.
        fn run(&self, program: &[ClassicInstruction]) -> u32 {
            let (mut a, mut x, mut memory, mut at) = (0_u32, 0_u32, [0_u32; 16], 0);
            loop {
                let ClassicInstruction { code, jump_true, jump_false, operand: k } = program[at];
                at += 1;
                let len = [4, 2, 1, 0][usize::from(code >> 3 & 3)];
                let right = if code & 8 == 0 { k } else { x };
                let loaded = match (code & 7, code & 0xe0) {
                    (0, 0x20) => self.load(len, k),
                    (0, 0x40) => self.load(len, x.wrapping_add(k)),
                    (1, 0xa0) => self.load(1, k),
                    _ => Some(0),
                };
                let Some(loaded) = loaded else { return 0 };
                match (code & 7, code & 0xf0) {
                    (0, 0x00) => a = k,
                    (0, 0x60) => a = memory[k as usize],
                    (0, 0x80) => a = self.frame.len() as u32,
                    (0, _) => a = loaded,
                    (1, 0x00) => x = k,
                    (1, 0x60) => x = memory[k as usize],
                    (1, 0x80) => x = self.frame.len() as u32,
                    (1, _) => x = (loaded & 15) * 4,
                    (2, _) => memory[k as usize] = a,
                    (3, _) => memory[k as usize] = x,
                    (4, 0x00) => a = a.wrapping_add(right),
                    (4, 0x10) => a = a.wrapping_sub(right),
                    (4, 0x20) => a = a.wrapping_mul(right),
                    (4, 0x40) => a |= right,
                    (4, 0x50) => a &= right,
                    (4, 0x60) => a <<= right & 31,
                    (4, 0x70) => a >>= right & 31,
                    (5, 0x00) => at += k as usize,
                    (5, operation) => {
                        let holds = [a == right, a > right, a >= right, a & right != 0][usize::from(operation >> 4) - 1];
                        at += usize::from(if holds { jump_true } else { jump_false });
                    }
                    (6, operation) => return if operation == 0x10 { a } else { k },
                    (_, 0x80) => a = x,
                    _ => x = a,
                }
            }
        }
    }

    /// Instructions that compute; jumps lead over at most three of them.
    fn instruction() -> impl Strategy<Value = ClassicInstruction> {
        let loads = prop::sample::select(vec![0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1_u16]);
        let numbers = prop::sample::select(vec![0x00, 0x01, 0x04, 0x0c, 0x14, 0x54, 0x4c, 0x07, 0x87, 0x80, 0x81_u16]);
        let memory = prop::sample::select(vec![STORE, STORE_X, LOAD_MEMORY, LOAD_X_MEMORY]);
        let jumps = prop::sample::select(vec![0x05, 0x15, 0x1d, 0x25, 0x35, 0x45_u16]);
        prop_oneof![
            4 => (loads, 0..24_u32).prop_map(|(code, k)| step(code, k)),
            2 => (numbers, 0..24_u32).prop_map(|(code, k)| step(code, k)),
            1 => (memory, 0..4_u32).prop_map(|(code, k)| step(code, k)),
            2 => (jumps, 0..4_u32, 0..4_u8, 0..4_u8).prop_map(|(code, k, yes, no)| jump_if(code, k, yes, no)),
        ]
    }

    proptest! {
        #[test]
        fn a_tag_beside_the_frame_is_as_good_as_one_inside(
            mut filter in prop::collection::vec(instruction(), 1..60),
            frame in prop::collection::vec(any::<u8>(), 14..60),
            tag in prop::option::of(any::<[u8; 4]>()),
        ) {
            // Whatever jumps over the end ends with what was computed, and so does the end.
            filter.extend([step(0x16, 0); 4]);
            let whole = tag.map_or_else(|| frame.clone(), |tag| [&frame[..12], &tag, &frame[12..]].concat());
            let expected = Seen { frame: &whole, tag: None }.run(&filter);
            let program = with_tag_beside(&filter).unwrap();
            prop_assert_eq!(Seen { frame: &frame, tag }.run(&program), expected);
        }
    }

    #[test]
    fn a_frame_with_a_tag_passes_the_coarse_filter() {
        let program = or_tag_beside(&[step(RETURN, 0)]);
        let run = |tag| Seen { frame: &[0; 14], tag }.run(&program);
        assert_eq!((run(None), run(Some([0x81, 0, 0, 5]))), (0, u32::MAX));
    }

    #[test]
    fn what_no_kernel_accepts_is_an_error() {
        let end = step(RETURN, 1);
        assert_eq!(with_tag_beside(&[step(JUMP, u32::MAX), end]), Err(FilterError::Loop { at: 0 }));
        assert_eq!(with_tag_beside(&vec![end; 2050]), Err(FilterError::TooLong { len: 4104 }));
        let mut full: Vec<_> = (0..13).map(|word| step(STORE, word)).collect();
        full.push(end);
        assert!(with_tag_beside(&full).is_ok(), "nothing needs memory");
        full.insert(0, step(0x20, 13));
        assert_eq!(with_tag_beside(&full), Err(FilterError::Memory));
    }
}
