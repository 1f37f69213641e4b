//! What the driver tells, by the interpreter: tags put back and taken out, the hardware's time in the stamp.

use netscope_bpf::classic::{ClassicFilter, ClassicInstruction, ETHERNET};
use netscope_bpf::interpreter::{Frame, Machine};
use netscope_bpf::xdp::{FromDriver, Indexed, PacketStamp, StampClock, Unmatched, VerdictCounts, XdpParts, XdpProgram, verdict};
use netscope_bpf::{AssembleError, Kfunc};

/// The type at offset 12 is `ethertype` and, where there is one, the number at offset 14 is `tag`.
fn type_is(ethertype: u32, tag: Option<u32>) -> ClassicFilter {
    let instruction = |code, jump_true, jump_false, operand| ClassicInstruction { code, jump_true, jump_false, operand };
    let (load, equal, yes, no) = (|at| instruction(0x28, 0, 0, at), 0x15, instruction(6, 0, 0, 65535), instruction(6, 0, 0, 0));
    let filter = match tag {
        None => vec![load(12), instruction(equal, 0, 1, ethertype), yes, no],
        Some(tag) => vec![load(12), instruction(equal, 0, 3, ethertype), load(14), instruction(equal, 0, 1, tag), yes, no],
    };
    ClassicFilter::new(&filter, ETHERNET).unwrap()
}

fn untagged(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes
}

fn tagged(protocol: u16, tag: u16, len: usize) -> Vec<u8> {
    let plain = untagged(len);
    [&plain[..12], &protocol.to_be_bytes(), &tag.to_be_bytes(), &plain[12..]].concat()
}

const ALL: FromDriver = FromDriver { vlan_tag: true, time: true };

/// One way a frame can go.
#[derive(Clone, Copy, Debug)]
struct Way {
    len: usize,
    vlan_tag: Option<(u16, u16)>,
    /// The filter is for tag 5; else for IPv4.
    is_wanting_tag: bool,
    has_socket: bool,
    has_headroom: bool,
    takes_metadata: bool,
    is_dropping: bool,
    clock: Option<StampClock>,
    /// Bytes in the first buffer, where there are more.
    first_len: Option<usize>,
}

/// The socket gets the frame with its tag, the stack as it came.
fn check(way: Way) {
    let Way { len, vlan_tag, has_headroom, takes_metadata, clock, first_len, .. } = way;
    let filter = if way.is_wanting_tag { type_is(0x8100, Some(5)) } else { type_is(0x0800, None) };
    let unmatched = if way.is_dropping { Unmatched::Drop } else { Unmatched::Pass };
    let (frags, indexed) = (first_len.is_some(), Indexed::ByPointer);
    let parts = XdpParts { queues: 1, filter: Some(&filter), unmatched, clock, frags, from_driver: ALL, indexed };
    let program = XdpProgram::new(&parts).unwrap();
    let mut machine = Machine::new(program.program());
    machine.set_socket(program.sockets(), 0, way.has_socket);
    let plain = untagged(len);
    let frame = Frame { vlan_tag, has_headroom, takes_metadata, first_len: first_len.unwrap_or(len), ..Frame::new(&plain) };
    let outcome = machine.run(&frame).unwrap();

    let as_seen = match vlan_tag {
        Some((protocol, tag)) if has_headroom => tagged(protocol, tag, len),
        _ => plain.clone(),
    };
    let is_matching = if way.is_wanting_tag { as_seen.get(12..16) == Some(&[0x81, 0, 0, 5]) } else { as_seen[12..14] == [8, 0] };
    let expected = match (is_matching, way.has_socket) {
        (true, true) => (verdict::REDIRECT, as_seen),
        (false, _) if way.is_dropping => (verdict::DROP, as_seen),
        _ => (verdict::PASS, plain),
    };
    assert_eq!((outcome.verdict as i32, outcome.bytes), expected, "{way:?}");
    let counts = VerdictCounts::from_words(&machine.words(program.counters(), 0));
    let untagged = u64::from(vlan_tag.is_some() && !has_headroom);
    assert_eq!((counts.total(), counts.untagged), (1, untagged), "{way:?}");
    let has_stamp = is_matching && clock.is_some() && takes_metadata;
    assert_eq!(outcome.metadata.len(), if has_stamp { PacketStamp::LEN } else { 0 }, "{way:?}");
}

#[test]
fn the_socket_gets_the_tag_and_the_stack_does_not() {
    let tags = [None, Some((0x8100, 5)), Some((0x8100, 0xe006)), Some((0x88a8, 5))];
    for (len, first_len) in [(14, None), (15, None), (60, None), (60, Some(14)), (60, Some(20))] {
        for vlan_tag in tags {
            for bits in 0..64 {
                let bit = |number: u32| bits & (1 << number) != 0;
                check(Way {
                    len,
                    vlan_tag,
                    first_len,
                    is_wanting_tag: bit(0),
                    has_socket: bit(1),
                    has_headroom: bit(2),
                    takes_metadata: bit(3),
                    is_dropping: bit(4),
                    clock: bit(5).then_some(StampClock::Tai),
                });
            }
        }
    }
}

#[test]
fn the_stamp_has_both_times() {
    for (from_driver, hardware_ns, expected) in [
        (ALL, Some(77), 77),
        (ALL, None, 0),
        (FromDriver { time: false, ..ALL }, Some(77), 0),
        (FromDriver { vlan_tag: false, ..ALL }, Some(78), 78),
    ] {
        let program =
            XdpProgram::new(&XdpParts { queues: 1, clock: Some(StampClock::Tai), from_driver, ..XdpParts::default() }).unwrap();
        let mut machine = Machine::new(program.program());
        machine.set_socket(program.sockets(), 0, true);
        machine.time_ns = 1_000;
        let vlan_tag = Some((0x8100, 5));
        let outcome = machine.run(&Frame { hardware_ns, vlan_tag, ..Frame::new(&untagged(60)) }).unwrap();
        let stamp = PacketStamp::read(outcome.metadata.last_chunk().unwrap());
        assert_eq!(stamp, Some(PacketStamp { time_ns: 1_000, hardware_ns: expected }), "{from_driver:?}");
        assert_eq!(outcome.bytes.len(), if from_driver.vlan_tag { 64 } else { 60 });
    }
}

#[test]
fn functions_of_the_kernel_are_listed_and_asked_for_by_name() {
    let names = |from_driver, clock| {
        let program = XdpProgram::new(&XdpParts { clock, from_driver, ..XdpParts::default() }).unwrap();
        program.program().kfuncs()
    };
    assert_eq!(names(FromDriver::default(), Some(StampClock::Tai)), []);
    assert_eq!(names(ALL, None), [Kfunc::XdpRxVlanTag], "a time without a stamp goes nowhere");
    assert_eq!(names(ALL, Some(StampClock::Tai)), [Kfunc::XdpRxTimestamp, Kfunc::XdpRxVlanTag]);

    let program = XdpProgram::new(&XdpParts { from_driver: ALL, ..XdpParts::default() }).unwrap();
    let listing = program.listing();
    assert!(listing.contains("call bpf_xdp_metadata_rx_vlan_tag") && listing.contains("; tag: protocol"), "{listing}");
    assert!(!listing.contains("unknown") && !listing.contains("rx_timestamp"), "{listing}");
    let at = program.program().instructions().iter().position(|it| it.src == 2 && it.code == 0x85).unwrap();
    let words = program.program().resolve(&[3, 4], &[(Kfunc::XdpRxVlanTag, 4711)]).unwrap();
    assert_eq!(words[at], netscope_bpf::Instruction { code: 0x85, dst: 0, src: 2, offset: 0, immediate: 4711 }.encode());
    let missing = program.program().resolve(&[3, 4], &[(Kfunc::XdpRxTimestamp, 1)]).unwrap_err();
    assert_eq!(missing, AssembleError::KfuncMissing(Kfunc::XdpRxVlanTag));
    assert_eq!(missing.to_string(), "this kernel has no function bpf_xdp_metadata_rx_vlan_tag");
}
