//! Filters translated to eBPF against libpcap's own interpreter: by the interpreter of eBPF and, as root, in
//! the kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::filter::{ClassicInstruction, Filter};
use netscope_backends::{Backend, LinkType, Packet, Polled, Timestamp};
use netscope_bpf::classic::ClassicFilter;
#[cfg(target_os = "linux")]
use netscope_bpf::classic::FilterError;
use netscope_bpf::interpreter::{Frame, Machine};
use netscope_bpf::xdp::{Indexed, Unmatched, XdpParts, XdpProgram, verdict};
use proptest::prelude::*;

#[cfg(target_os = "linux")]
mod kernel;

/// Shapes of what people write; each primitive of pcap-filter(7) that Ethernet has stands here at least once.
const EXPRESSIONS: &[&str] = &[
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "arp",
    "rarp",
    "ip",
    "ip6",
    "ip or ip6",
    "sctp",
    "ip proto 47",
    "ip6 proto 58",
    "port 53",
    "tcp port 80 or tcp port 443",
    "udp port 53 and not host 8.8.8.8",
    "src port 443",
    "dst port 443",
    "portrange 1000-2000",
    "tcp src portrange 1-1023",
    "host 192.168.1.1",
    "src host 10.0.0.1 or dst host 10.0.0.2",
    "net 192.168.0.0/16",
    "src net 10.0.0.0/8 and not dst net 10.0.0.0/8",
    "net fe80::/10",
    "host ff02::1",
    "ip6 net 2000::/3 and tcp port 443",
    "ether host 00:00:00:00:00:00",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "ether multicast",
    "broadcast or multicast",
    "ip multicast",
    "ip6 multicast",
    "ether proto 0x88cc",
    "ether[0] & 1 = 0 and ip[16] >= 224",
    "greater 500",
    "less 100",
    "len > 1000 and udp",
    "len - 14 > ip[2:2]",
    "vlan",
    "vlan 100",
    "vlan and tcp port 80",
    "vlan and vlan",
    "mpls",
    "mpls and host 10.0.0.1",
    "pppoes",
    "pppoes and ip",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] == tcp-syn",
    "tcp[13] & 0x12 = 0x12",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "ip[6:2] & 0x1fff != 0",
    "ip[8] < 64",
    "ip[2:2] > 576",
    "icmp[icmptype] = icmp-echo or icmp[icmptype] = icmp-echoreply",
    "icmp6[icmp6type] = icmp6-neighborsolicit",
    "udp[8:4] = 0x01000000",
    "udp[len - 50] = 0",
    "ip[ip[0] & 0xf] > 7",
    "ether[ether[13] * 3 + 4:2] % 7 = 3",
    "ip[2:2] / 3 > 100 and ip[4:2] * 5 > 70000",
    "ip[4:2] / (ip[8] - 64) = 1",
    "ip[4:2] << (ip[8] & 31) > 5",
    "ip[4:2] >> ip[8] = 0",
    "-ip[4:2] > 5",
    "ip[4:2] ^ 0xffff > ip[2:2] | 0xff00",
    "ether[70:4] != 0",
    "ether[1400] > 127",
    "ether[40000:2] > 0",
    "ether[65530:4] = 0",
    "ether[70000] = 0",
    "",
];

unsafe extern "C" {
    fn pcap_offline_filter(program: *const RawProgram, header: *const RawHeader, bytes: *const u8) -> libc::c_int;
}

#[repr(C)]
struct RawProgram {
    len: libc::c_uint,
    instructions: *const ClassicInstruction,
}

#[repr(C)]
struct RawHeader {
    time: libc::timeval,
    captured_len: u32,
    wire_len: u32,
}

/// What libpcap says of a program that need not come from its compiler. The caller made it valid (see
/// [`arbitrary_program`]).
fn libpcap_matches(instructions: &[ClassicInstruction], bytes: &[u8]) -> bool {
    let program = RawProgram { len: instructions.len() as u32, instructions: instructions.as_ptr() };
    let len = bytes.len() as u32;
    let header = RawHeader { time: libc::timeval { tv_sec: 0, tv_usec: 0 }, captured_len: len, wire_len: len };
    // JUSTIFICATION: crate pcap runs only programs that its compiler made.
    // SAFETY: both structures have the layouts of libpcap and outlive the call; the program passed
    // `ClassicFilter::new`, which asks for what `bpf_validate` asks for; every load is checked against
    // `captured_len`, the length of the slice.
    unsafe { pcap_offline_filter(&raw const program, &raw const header, bytes.as_ptr()) != 0 }
}

/// Matching frames are redirected or (without a socket) passed, others dropped.
fn program(filter: &ClassicFilter, (frags, indexed): (bool, Indexed)) -> XdpProgram {
    let parts = XdpParts { queues: 1, filter: Some(filter), indexed, unmatched: Unmatched::Drop, frags, ..XdpParts::default() };
    XdpProgram::new(&parts).unwrap()
}

/// The ways to reach packet bytes; the first takes frames of one buffer only.
const WAYS: [(bool, Indexed); 3] = [(false, Indexed::ByPointer), (true, Indexed::ByPointer), (true, Indexed::ByHelper)];

/// What the interpreter says of a frame whose first buffer has `first_len` bytes.
#[track_caller]
fn interpreted(machine: &mut Machine<'_>, program: &XdpProgram, bytes: &[u8], first_len: usize) -> bool {
    machine.set_socket(program.sockets(), 0, true);
    let outcome = machine.run(&Frame { first_len, ..Frame::new(bytes) });
    let outcome = outcome.unwrap_or_else(|fault| panic!("{fault}\n{}", program.listing()));
    assert_eq!(outcome.bytes, bytes, "a filter changes nothing");
    match outcome.verdict as i32 {
        verdict::REDIRECT => true,
        verdict::DROP => false,
        other => panic!("verdict {other}\n{}", program.listing()),
    }
}

#[cfg(target_os = "linux")]
mod in_kernel {
    use super::*;
    use netscope_backends::bpf::Loaded;

    /// Frames that a test run takes: an Ethernet header at least.
    pub const LEN_MIN: usize = 14;
    /// Bytes that surely fit into one buffer of a test run.
    pub const ONE_BUFFER_MAX: usize = 3300;

    pub fn load(program: &XdpProgram) -> Loaded {
        Loaded::load(program.program()).unwrap_or_else(|error| panic!("{error}\n{}", program.listing()))
    }

    pub fn matches(loaded: &Loaded, bytes: &[u8]) -> bool {
        match loaded.test_run(bytes, None, 1).unwrap().verdict as i32 {
            verdict::PASS => true,
            verdict::DROP => false,
            other => panic!("verdict {other}"),
        }
    }
}

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let path = std::env::var_os("NETSCOPE_CORPUS").map_or_else(beside, PathBuf::from);
    if path.join("captures").is_dir() {
        return Some(path.join("captures"));
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no corpus at {} (NETSCOPE_CORPUS)", path.display());
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

/// Every frame of the corpus's Ethernet captures, equal ones once.
fn frames(captures: &Path) -> Vec<Vec<u8>> {
    let mut frames = std::collections::BTreeSet::new();
    for folder in ["", "derived", "malformed"] {
        let mut paths: Vec<_> = std::fs::read_dir(captures.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.is_file()) {
            let Ok(mut backend) = CaptureFile::open(&path, &FileOptions::default()).and_then(|file| file.backend()) else {
                continue;
            };
            loop {
                let polled = backend.poll(Duration::ZERO, &mut |batch| {
                    let ethernet = batch.iter().filter(|packet| packet.link_type == LinkType::ETHERNET);
                    frames.extend(ethernet.filter(|packet| packet.data.len() < 0xffff).map(|packet| packet.data.to_vec()));
                });
                if matches!(polled, Ok(Polled::End)) {
                    break;
                }
            }
        }
    }
    frames.into_iter().collect()
}

fn packet(data: &[u8]) -> Packet<'_> {
    Packet { data, time: Timestamp(0), wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
}

#[test]
fn what_cannot_be_translated_is_said() {
    for (expression, link_type, why) in [
        ("ip6 protochain 17", LinkType::ETHERNET, "jumps backward (a loop, as for protochain)"),
        ("inbound or tcp", LinkType::ETHERNET, "loads offset -4092, a fact that only a packet socket has"),
        ("udp", LinkType::LINUX_SLL2, "link type 276, XDP sees Ethernet only"),
    ] {
        let error = Filter::compile(expression, link_type).unwrap().for_driver().unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// Every expression on every frame, both by pointers and (the frame cut into buffers) by helper.
#[test]
fn expressions_on_the_corpus_agree_with_libpcap() {
    let Some(captures) = corpus() else { return };
    let frames = frames(&captures);
    assert!(frames.len() > 1000, "{}", frames.len());
    let (mut compared, mut matched) = (0_u64, 0_u64);
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let filter = Filter::compile(expression, LinkType::ETHERNET).unwrap_or_else(|error| panic!("{error}"));
        let translated = filter.for_driver().unwrap_or_else(|error| panic!("{expression}: {error}"));
        let programs = WAYS.map(|way| program(&translated, way));
        let mut machines = programs.each_ref().map(|program| Machine::new(program.program()));
        for (index, frame) in frames.iter().enumerate().skip(number % 3).step_by(3) {
            let expected = filter.matches(&packet(frame));
            let first_len = frame.len() * (index % 4) / 3;
            for (way, first_len) in [(0, frame.len()), (1, frame.len()), (1, first_len), (2, first_len)] {
                let ours = interpreted(&mut machines[way], &programs[way], frame, first_len);
                assert_eq!(ours, expected, "{expression} on {frame:02x?} ({first_len})");
                compared += 1;
            }
            matched += u64::from(expected);
        }
    }
    println!("{compared} comparisons of {} expressions on {} frames, {matched} frames matched", EXPRESSIONS.len(), frames.len());
    assert!(matched > 1000);
}

#[test]
#[cfg(target_os = "linux")]
fn expressions_in_the_kernel_agree_with_libpcap() {
    let (Some(captures), true) = (corpus(), kernel::has_root()) else { return };
    let frames = frames(&captures);
    let mut compared = 0_u64;
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let filter = Filter::compile(expression, LinkType::ETHERNET).unwrap();
        let translated = filter.for_driver().unwrap();
        let loaded = WAYS.map(|way| in_kernel::load(&program(&translated, way)));
        for frame in frames.iter().skip(number % 17).step_by(17).filter(|frame| frame.len() >= in_kernel::LEN_MIN) {
            let expected = filter.matches(&packet(frame));
            let [one_buffer, several @ ..] = &loaded;
            for loaded in several {
                assert_eq!(in_kernel::matches(loaded, frame), expected, "{expression} on {frame:02x?}");
                compared += 1;
            }
            // A test run puts what does not fit into a page into further buffers, which this one does not
            // take.
            if frame.len() <= in_kernel::ONE_BUFFER_MAX {
                assert_eq!(in_kernel::matches(one_buffer, frame), expected, "{expression} on {frame:02x?}");
                compared += 1;
            }
        }
    }
    println!("{compared} comparisons");
}

/// Filters of the greatest length pass the verifier too, or we say that they are too long.
#[test]
#[cfg(target_os = "linux")]
fn long_filters_pass_the_verifier() {
    if !kernel::has_root() {
        return;
    }
    let instruction = |code, jump_false, operand| ClassicInstruction { code, jump_true: 0, jump_false, operand };
    // X = 4 * (P[14] & 15), then over and over: A = P[..]; a match when it is this number.
    for load in [0x20_u16, 0x48] {
        let mut instructions = vec![instruction(0xb1, 0, 14)];
        for n in 0..1364 {
            instructions.extend([instruction(load, 0, n % 40), instruction(0x15, 1, n + 1), instruction(0x06, 0, 1)]);
        }
        instructions.push(instruction(0x06, 0, 0));
        let filter = ClassicFilter::new(&instructions, 1).unwrap();
        for way in WAYS {
            let (frags, indexed) = way;
            let parts = XdpParts { queues: 1, filter: Some(&filter), indexed, frags, ..XdpParts::default() };
            if frags && load == 0x48 {
                // Twice as long for frames of several buffers, twelve for one: no jump reaches over it.
                assert_eq!(XdpProgram::new(&parts).unwrap_err(), FilterError::TooLong { len: filter.len() });
                continue;
            }
            let program = program(&filter, way);
            let loaded = in_kernel::load(&program);
            println!("{} to {} instructions", filter.len(), program.program().instructions().len());
            for frame in [[0; 70], [1; 70]] {
                assert_eq!(in_kernel::matches(&loaded, &frame), libpcap_matches(&instructions, &frame));
            }
        }
    }
}

/// One random instruction: code and operand; jumps are made to fit where the program is put together.
fn arbitrary_instruction() -> impl Strategy<Value = ClassicInstruction> {
    let offset = prop_oneof![8 => 0..80_u32, 1 => 80..2000_u32, 1 => 65_500..70_000_u32];
    let number = prop_oneof![4 => 0..100_u32, 2 => any::<u32>(), 1 => Just(u32::MAX), 1 => Just(0x8000_0000_u32)];
    let size = prop_oneof![Just(0_u16), Just(8), Just(0x10)];
    let alu = prop_oneof![Just(0_u16), Just(0x10), Just(0x20), Just(0x30), Just(0x40), Just(0x50), Just(0x90), Just(0xa0)];
    let code = prop_oneof![
        6 => (size.clone(), offset.clone()).prop_map(|(size, offset)| (0x20 | size, offset)),
        3 => (size, offset.clone()).prop_map(|(size, offset)| (0x40 | size, offset)),
        2 => offset.prop_map(|offset| (0xb1, offset)),
        2 => prop_oneof![Just(0x00_u16), Just(0x01)].prop_flat_map(move |code| number.clone().prop_map(move |number| (code, number))),
        1 => prop_oneof![Just((0x80_u16, 0_u32)), Just((0x81, 0))],
        3 => (prop_oneof![Just(0x60_u16), Just(0x61), Just(0x02), Just(0x03)], 0..16_u32),
        4 => (alu.clone(), prop_oneof![1..50_u32, 1..=u32::MAX]).prop_map(|(alu, number)| (0x04 | alu, number)),
        3 => alu.prop_map(|alu| (0x0c | alu, 0)),
        2 => (prop_oneof![Just(0x64_u16), Just(0x74)], 0..32_u32),
        2 => prop_oneof![Just((0x6c_u16, 0_u32)), Just((0x7c, 0)), Just((0x84, 0))],
        6 => (prop_oneof![Just(0x15_u16), Just(0x25), Just(0x35), Just(0x45)], prop_oneof![0..300_u32, any::<u32>()]),
        3 => prop_oneof![Just((0x1d_u16, 0_u32)), Just((0x2d, 0)), Just((0x3d, 0)), Just((0x4d, 0))],
        1 => (Just(0x05_u16), 0..8_u32),
        1 => prop_oneof![Just((0x06_u16, 0_u32)), Just((0x06, 65535)), Just((0x16, 0))],
        2 => prop_oneof![Just((0x07_u16, 0_u32)), Just((0x87, 0))],
    ];
    (code, 0..6_u8, 0..6_u8).prop_map(|((code, operand), jump_true, jump_false)| ClassicInstruction {
        code,
        jump_true,
        jump_false,
        operand,
    })
}

/// A valid program. libpcap does not clear its memory, so all words are written first; the last instruction
/// returns A.
fn arbitrary_program(len_max: usize) -> impl Strategy<Value = Vec<ClassicInstruction>> {
    prop::collection::vec(arbitrary_instruction(), 1..len_max).prop_map(|mut body| {
        let last = body.len();
        for (at, instruction) in body.iter_mut().enumerate() {
            let most = (last - at - 1) as u32;
            instruction.jump_true = u32::from(instruction.jump_true).min(most) as u8;
            instruction.jump_false = u32::from(instruction.jump_false).min(most) as u8;
            if instruction.code == 0x05 {
                instruction.operand = instruction.operand.min(most);
            }
        }
        let mut program: Vec<_> =
            (0..16).map(|word| ClassicInstruction { code: 0x02, jump_true: 0, jump_false: 0, operand: word }).collect();
        program.append(&mut body);
        program.push(ClassicInstruction { code: 0x16, jump_true: 0, jump_false: 0, operand: 0 });
        program
    })
}

fn arbitrary_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..120),
        2 => prop::collection::vec(0..4_u8, 14..120),
        1 => prop::collection::vec(any::<u8>(), 120..3000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_agree_with_libpcap(
        instructions in arbitrary_program(60),
        frames in prop::collection::vec((arbitrary_frame(), 0.0..1.0_f64), 1..8),
    ) {
        let filter = ClassicFilter::new(&instructions, 1).unwrap();
        let programs = WAYS.map(|way| program(&filter, way));
        for (frame, part) in &frames {
            let expected = libpcap_matches(&instructions, frame);
            let first_len = (frame.len() as f64 * part) as usize;
            for (way, first_len) in [(0, frame.len()), (1, frame.len()), (1, first_len), (2, first_len)] {
                let mut machine = Machine::new(programs[way].program());
                let ours = interpreted(&mut machine, &programs[way], frame, first_len);
                prop_assert_eq!(ours, expected, "{:?}\n{}", frame, programs[way].listing());
            }
        }
    }
}

#[cfg(target_os = "linux")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_in_the_kernel_agree_with_libpcap(
        instructions in prop_oneof![9 => arbitrary_program(60).boxed(), 1 => arbitrary_program(600).boxed()],
        frames in prop::collection::vec(arbitrary_frame(), 4..16),
    ) {
        if !kernel::has_root() {
            return Ok(());
        }
        let filter = ClassicFilter::new(&instructions, 1).unwrap();
        for way in WAYS {
            let program = program(&filter, way);
            let loaded = in_kernel::load(&program);
            for frame in frames.iter().filter(|frame| frame.len() >= in_kernel::LEN_MIN) {
                let expected = libpcap_matches(&instructions, frame);
                prop_assert_eq!(in_kernel::matches(&loaded, frame), expected, "{:?}\n{}", frame, program.listing());
            }
        }
    }
}
