//! NetScope's XDP program by the interpreter: what becomes of a frame, and what is counted and stamped.

use netscope_bpf::classic::{ClassicFilter, ClassicInstruction, ETHERNET};
use netscope_bpf::interpreter::{Frame, Machine, ProgramFault};
use netscope_bpf::xdp::{Indexed, PacketStamp, StampClock, Unmatched, VerdictCounts, XdpParts, XdpProgram, context, verdict};
use netscope_bpf::{Alu, Assembler, Cond, Helper, Program, Reg, Size};

/// `ether[12:2] = 0x0800`, as libpcap compiles "ip".
fn ipv4() -> ClassicFilter {
    let instruction = |code, jump_true, jump_false, operand| ClassicInstruction { code, jump_true, jump_false, operand };
    let ip = [instruction(0x28, 0, 0, 12), instruction(0x15, 0, 1, 0x0800), instruction(6, 0, 0, 65535), instruction(6, 0, 0, 0)];
    ClassicFilter::new(&ip, ETHERNET).unwrap()
}

fn frame(ethertype: u16) -> Frame {
    let mut bytes = vec![0; 60];
    bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
    Frame::new(&bytes)
}

fn counts(machine: &Machine<'_>, program: &XdpProgram, queue: u32) -> VerdictCounts {
    VerdictCounts::from_words(&machine.words(program.counters(), queue))
}

#[test]
fn every_frame_is_counted_once_on_its_queue() {
    let filter = ipv4();
    for (unmatched, fate) in [(Unmatched::Pass, verdict::PASS), (Unmatched::Drop, verdict::DROP)] {
        let program = XdpProgram::new(&XdpParts { queues: 3, filter: Some(&filter), unmatched, ..XdpParts::default() }).unwrap();
        let mut machine = Machine::new(program.program());
        machine.set_socket(program.sockets(), 1, true);
        let mut verdict_of = |ethertype, queue| machine.run(&Frame { queue, ..frame(ethertype) }).unwrap().verdict as i32;
        assert_eq!(verdict_of(0x0800, 1), verdict::REDIRECT);
        assert_eq!(verdict_of(0x0800, 1), verdict::REDIRECT);
        assert_eq!(verdict_of(0x0800, 2), verdict::PASS, "no socket there");
        assert_eq!(verdict_of(0x86dd, 1), fate);
        assert_eq!(verdict_of(0x0800, 3), verdict::PASS, "a queue we were not told of");
        let other = if unmatched == Unmatched::Pass { (1, 0) } else { (0, 1) };
        let expected = VerdictCounts { redirected: 2, passed: other.0, dropped: other.1, ..VerdictCounts::default() };
        assert_eq!(counts(&machine, &program, 1), expected);
        assert_eq!(counts(&machine, &program, 2), VerdictCounts { no_socket: 1, ..VerdictCounts::default() });
        assert_eq!(counts(&machine, &program, 0), VerdictCounts::default());
    }
}

#[test]
fn a_stamp_lies_right_before_a_redirected_frame() {
    let filter = ipv4();
    let parts = XdpParts { queues: 1, filter: Some(&filter), clock: Some(StampClock::Tai), ..XdpParts::default() };
    let program = XdpProgram::new(&parts).unwrap();
    let mut machine = Machine::new(program.program());
    machine.set_socket(program.sockets(), 0, true);
    machine.time_ns = 1_700_000_000_123_456_789;
    let outcome = machine.run(&frame(0x0800)).unwrap();
    let stamp = PacketStamp::read(outcome.metadata.last_chunk().unwrap());
    assert_eq!(stamp, Some(PacketStamp { time_ns: 1_700_000_000_123_456_789, hardware_ns: 0 }));
    assert_eq!(outcome.bytes, frame(0x0800).bytes);
    assert_eq!(machine.run(&frame(0x0806)).unwrap().metadata, [], "what goes to the stack is left as it is");
    let outcome = machine.run(&Frame { takes_metadata: false, ..frame(0x0800) }).unwrap();
    assert_eq!((outcome.verdict as i32, outcome.metadata.len()), (verdict::REDIRECT, 0));
    let expected = VerdictCounts { redirected: 2, passed: 1, unstamped: 1, ..VerdictCounts::default() };
    assert_eq!(counts(&machine, &program, 0), expected);
    assert_eq!(PacketStamp::read(&[0; PacketStamp::LEN]), None);
}

/// The header of a frame may lie in a later buffer; where it lies changes nothing.
#[test]
fn buffers_are_cut_anywhere() {
    let filter = ipv4();
    for indexed in [Indexed::ByPointer, Indexed::ByHelper] {
        let parts = XdpParts { queues: 1, filter: Some(&filter), indexed, frags: true, ..XdpParts::default() };
        let program = XdpProgram::new(&parts).unwrap();
        let mut machine = Machine::new(program.program());
        machine.set_socket(program.sockets(), 0, true);
        for (ethertype, expected) in [(0x0800, verdict::REDIRECT), (0x86dd, verdict::PASS)] {
            for first_len in 0..=60 {
                let outcome = machine.run(&Frame { first_len, ..frame(ethertype) }).unwrap();
                assert_eq!(outcome.verdict as i32, expected, "{first_len}");
            }
        }
    }
}

#[test]
fn the_listing_has_every_instruction_and_its_reason() {
    let filter = ipv4();
    let parts =
        XdpParts { queues: 2, filter: Some(&filter), clock: Some(StampClock::Monotonic), frags: true, ..XdpParts::default() };
    let program = XdpProgram::new(&parts).unwrap();
    let listing = program.listing();
    for expected in [
        "netscope_xdp: ",
        "map 0 netscope_socks: XskMap, 2 entries of 4 bytes",
        "takes frames of several buffers",
        "r0 = *(u16 *)(r7 + 12)",
        "; filter 0: A = packet[12:2]",
        "if w0 == 2048 (0x800) goto matched (",
        "matched:",
        "r1 = map netscope_socks",
        "call redirect_map",
        "call ktime_get_ns",
        "exit",
    ] {
        assert!(listing.contains(expected), "{expected} in\n{listing}");
    }
    assert!(!listing.contains("unknown"), "{listing}");
    // Each number stands for two instructions; all others have a line of their own.
    let pairs = listing.lines().filter(|line| line.contains("= map ")).count();
    let lines = listing.lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(lines + pairs, program.program().instructions().len());
}

fn fault(assemble: impl FnOnce(&mut Assembler)) -> Result<u64, ProgramFault> {
    let mut asm = Assembler::new();
    assemble(&mut asm);
    let program: Program = asm.finish("test").unwrap();
    Machine::new(&program).run(&frame(0)).map(|outcome| outcome.verdict)
}

#[test]
fn what_the_verifier_would_refuse_is_a_fault() {
    use Reg::{R0, R1, R2, R10};
    assert_eq!(fault(|asm| asm.exit("")), Err(ProgramFault::Uninitialised { at: 0 }));
    assert_eq!(fault(|asm| asm.load(Size::Byte, R0, R10, -1, "")), Err(ProgramFault::Uninitialised { at: 0 }));
    assert_eq!(fault(|asm| asm.load(Size::Byte, R0, R10, 0, "")), Err(ProgramFault::OutOfBounds { at: 0 }));
    assert_eq!(fault(|asm| asm.store(Size::Double, R10, -516, 0, "")), Err(ProgramFault::OutOfBounds { at: 0 }));
    assert_eq!(fault(|asm| asm.load(Size::Word, R0, R1, context::SIZE as i16, "")), Err(ProgramFault::OutOfBounds { at: 0 }));
    assert_eq!(fault(|asm| asm.mov(R10, 0, "")), Err(ProgramFault::Unmodelled { at: 0 }));
    assert_eq!(fault(|asm| asm.mov(R0, 0, "")), Err(ProgramFault::Unmodelled { at: 1 }), "no end");
    assert_eq!(fault(|asm| asm.call(Helper::CsumDiff, "")), Err(ProgramFault::Unmodelled { at: 0 }));
    let endless = |asm: &mut Assembler| {
        let top = asm.here("top");
        asm.jump(top, "");
    };
    assert_eq!(fault(endless), Err(ProgramFault::Endless));
    for (offset, is_inside) in [(0, true), (59, true), (60, false), (-1, false)] {
        let result = fault(|asm| {
            asm.load(Size::Word, R2, R1, context::DATA, "");
            asm.load(Size::Byte, R0, R2, offset, "");
            asm.exit("");
        });
        assert_eq!(result.is_ok(), is_inside, "{offset}: {result:?}");
    }
    // A call that moves the packet voids its pointers.
    let stale = fault(|asm| {
        asm.load(Size::Word, Reg::R7, R1, context::DATA, "");
        asm.mov(R2, -4, "");
        asm.call(Helper::XdpAdjustMeta, "");
        asm.load(Size::Byte, R0, Reg::R7, 0, "");
    });
    assert_eq!(stale, Err(ProgramFault::OutOfBounds { at: 3 }));
}

#[test]
fn arithmetic_is_that_of_rfc_9669() {
    use Reg::{R0, R1};
    let calculated = |is_wide: bool, alu: Alu, left: u64, right: u64| {
        fault(|asm| {
            asm.load_number(R0, left, "");
            asm.load_number(R1, right, "");
            if is_wide {
                asm.alu(alu, R0, R1, "")
            } else {
                asm.alu32(alu, R0, R1, "")
            }
            asm.exit("");
        })
        .unwrap()
    };
    let big = 0xffff_ffff_0000_0007;
    for (alu, right, wide, narrow) in [
        (Alu::Div, 0, 0, 0),
        (Alu::Mod, 0, big, 7),
        (Alu::Div, 2, big / 2, 3),
        (Alu::Mod, 5, big % 5, 2),
        (Alu::Lsh, 65, big << 1, 14),
        (Alu::Rsh, 33, big >> 33, 3),
        (Alu::Arsh, 32, u64::MAX, 7),
        (Alu::Neg, 0, big.wrapping_neg(), 0xffff_fff9),
        (Alu::Mul, big, big.wrapping_mul(big), 49),
        (Alu::Sub, 8, big - 8, 0xffff_ffff),
        (Alu::Mov, 1 << 40, 1 << 40, 0),
    ] {
        assert_eq!(calculated(true, alu, big, right), wide, "{alu:?}");
        assert_eq!(calculated(false, alu, big, right), narrow, "{alu:?}");
    }
}

#[test]
fn comparisons_know_their_width_and_sign() {
    let jumps = |is_wide: bool, cond: Cond, left: u64, right: i32| {
        fault(|asm| {
            let yes = asm.label("yes");
            asm.load_number(Reg::R1, left, "");
            asm.mov(Reg::R0, 1, "");
            if is_wide {
                asm.jump_if(cond, Reg::R1, right, yes, "")
            } else {
                asm.jump_if32(cond, Reg::R1, right, yes, "")
            }
            asm.mov(Reg::R0, 0, "");
            asm.place(yes);
            asm.exit("");
        })
        .unwrap()
            == 1
    };
    for (cond, left, right, wide, narrow) in [
        (Cond::Eq, 0xffff_ffff, -1, false, true),
        (Cond::Ne, 1 << 32, 0, true, false),
        (Cond::Gt, 0xffff_ffff, -2, false, true),
        (Cond::Lt, 5, -1, true, true),
        (Cond::Sgt, 0xffff_ffff, 0, true, false),
        (Cond::Slt, 0x8000_0000, 0, false, true),
        (Cond::Set, 1 << 35, -1, true, false),
        (Cond::Ge, 7, 7, true, true),
        (Cond::Le, 8, 7, false, false),
        (Cond::Sge, u64::MAX, 0, false, false),
        (Cond::Sle, u64::MAX, 0, true, true),
    ] {
        assert_eq!(jumps(true, cond, left, right), wide, "{cond:?} {left:#x} {right}");
        assert_eq!(jumps(false, cond, left, right), narrow, "{cond:?} {left:#x} {right}");
    }
}
