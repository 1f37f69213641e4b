//! NetScope's XDP program in the kernel: verified, run on frames, attached, and gone again.
//!
//! Needs root; says so and passes without, except when `CI=true`.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netscope_backends::LinkType;
use netscope_backends::bpf::{BpfError, Ingress, Loaded, Mode, XdpLink, load_xdp, programs_at};
use netscope_backends::filter::Filter;
use netscope_bpf::interpreter::{Frame, Machine};
use netscope_bpf::xdp::{FromDriver, PacketStamp, StampClock, Unmatched, VerdictCounts, XdpParts, XdpProgram, context, verdict};
use netscope_bpf::{Assembler, Cond, Helper, Program, Reg, Size};

mod kernel;
mod namespace;

use kernel::has_root;
use namespace::{ifindex, inside, sh};

/// Ethernet, IPv4, UDP from port 53 to port 1000.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0, 53, 3, 0xe8, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame.resize(64, 0);
    frame
}

fn counts(loaded: &Loaded, program: &XdpProgram, queue: u32) -> VerdictCounts {
    VerdictCounts::from_words(&loaded.map(program.counters()).unwrap().sums(queue).unwrap())
}

fn load(program: &XdpProgram) -> Loaded {
    Loaded::load(program.program()).unwrap_or_else(|error| panic!("{error}\n{}", program.listing()))
}

/// Sends every frame to the interface `to`.
fn sender(to: u32) -> Program {
    let mut asm = Assembler::new();
    asm.mov(Reg::R1, to as i32, "the interface to send from");
    asm.mov(Reg::R2, 0, "");
    asm.call(Helper::Redirect, "");
    asm.exit("");
    asm.finish("test_sender").unwrap()
}

/// Waits until `condition` holds; panics after ten seconds.
#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every combination of parts passes the verifier, and kernel and interpreter agree on verdict, counters and
/// metadata.
#[test]
fn the_kernel_does_what_the_interpreter_does() {
    if !has_root() {
        return;
    }
    let filters =
        [None, Some("udp port 53"), Some("tcp port 80"), Some("vlan and ip[ip[0] & 15] > 3"), Some("less 10"), Some("")];
    let frame = frame();
    for filter in filters.map(|it| it.map(|it| Filter::compile(it, LinkType::ETHERNET).unwrap().for_driver().unwrap())) {
        for clock in [None, Some(StampClock::Tai), Some(StampClock::Monotonic)] {
            for (frags, unmatched) in [(false, Unmatched::Pass), (true, Unmatched::Pass), (false, Unmatched::Drop)] {
                let parts = XdpParts { queues: 4, filter: filter.as_ref(), unmatched, clock, frags, ..XdpParts::default() };
                let program = XdpProgram::new(&parts).unwrap();
                let loaded = load(&program);
                // One at a time: a signal interrupts a run between two repetitions.
                let [.., run] = [(); 3].map(|()| loaded.test_run(&frame, None, 1).unwrap());
                let mut machine = Machine::new(program.program());
                let model = [(); 3].map(|()| machine.run(&Frame::new(&frame)).unwrap());
                let told = format!("{parts:?}\n{}", program.listing());
                assert_eq!(u64::from(run.verdict), model[2].verdict, "{told}");
                let expected = VerdictCounts::from_words(&machine.words(program.counters(), 0));
                assert_eq!(counts(&loaded, &program, 0), expected, "{told}");
                assert_eq!(expected.total(), 3);
                assert_eq!(run.data[run.metadata_len..], frame, "{told}");
                assert_eq!(run.metadata_len, model[2].metadata.len(), "{told}");
            }
        }
    }
}

#[test]
fn the_stamp_is_the_clock() {
    if !has_root() {
        return;
    }
    for (clock, id) in [(StampClock::Tai, libc::CLOCK_TAI), (StampClock::Monotonic, libc::CLOCK_MONOTONIC)] {
        let program = XdpProgram::new(&XdpParts { queues: 1, clock: Some(clock), ..XdpParts::default() }).unwrap();
        let loaded = load(&program);
        let before = now(id);
        let run = loaded.test_run(&frame(), None, 1).unwrap();
        let after = now(id);
        let stamp = run.data[run.metadata_len - PacketStamp::LEN..].first_chunk().and_then(PacketStamp::read).unwrap();
        assert!((before..=after).contains(&stamp.time_ns), "{before} {stamp:?} {after}");
        assert_eq!(counts(&loaded, &program, 0).unstamped, 0);
    }
}

fn now(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // JUSTIFICATION: std does not read this clock.
    // SAFETY: `time` is valid for writing.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[test]
fn a_refused_program_says_why() {
    if !has_root() {
        return;
    }
    let mut asm = Assembler::new();
    asm.exit("R0 holds nothing");
    let error = Loaded::load(&asm.finish("broken").unwrap()).unwrap_err();
    assert!(matches!(error, BpfError::Verifier { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the kernel's verifier refuses program broken: R0 !read_ok");

    let mut asm = Assembler::new();
    let short = asm.label("short");
    asm.load(Size::Word, Reg::R2, Reg::R1, context::DATA, "");
    asm.load(Size::Word, Reg::R3, Reg::R1, context::DATA_END, "");
    asm.mov(Reg::R0, verdict::PASS, "");
    asm.jump_if(Cond::Ge, Reg::R2, Reg::R3, short, "only one byte is proven to be there");
    asm.load(Size::Word, Reg::R0, Reg::R2, 0, "");
    asm.place(short);
    asm.exit("");
    let error = Loaded::load(&asm.finish("too_bold").unwrap()).unwrap_err();
    assert!(error.to_string().contains("outside of the packet"), "{error}");
}

/// Every frame offered by the generator in the kernel is counted at the other end, on its queue.
#[test]
fn live_frames_are_counted_at_the_other_end() {
    const FRAMES: u32 = 6400;
    /// In one go, which no signal interrupts.
    const BATCH: u32 = 64;
    if !has_root() {
        return;
    }
    inside(|| {
        let filter = Filter::compile("not port 53", LinkType::ETHERNET).unwrap().for_driver().unwrap();
        let parts = XdpParts { queues: 2, filter: Some(&filter), unmatched: Unmatched::Drop, ..XdpParts::default() };
        let program = XdpProgram::new(&parts).unwrap();
        let loaded = load(&program);
        // The other end of a veth takes such frames in native mode only.
        let link = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap();
        let sender = Loaded::load(&sender(ifindex("veth1"))).unwrap();
        let ingress = Ingress { ifindex: ifindex("lo"), queue: 0 };
        for _ in 0..FRAMES / BATCH {
            sender.run_live(&frame(), ingress, BATCH, BATCH).unwrap();
        }
        let total = || (0..2).map(|queue| counts(&loaded, &program, queue).dropped).sum::<u64>();
        wait_for("all frames", || total() == u64::from(FRAMES));
        drop(link);
        assert_eq!(programs_at("veth0").unwrap(), [], "gone with the link");
    });
}

#[test]
fn a_program_that_is_there_is_named_and_stays() {
    if !has_root() {
        return;
    }
    inside(|| {
        let other = Loaded::load(&sender(1)).unwrap();
        for (theirs, name) in [(Mode::Native, "native"), (Mode::Generic, "generic")] {
            let link = XdpLink::attach(&other, "veth0", ifindex("veth0"), theirs).unwrap();
            let program_id = link.state().unwrap().program_id;
            let program = XdpProgram::new(&XdpParts::default()).unwrap();
            let loaded = load(&program);
            for ours in [Mode::Native, Mode::Generic] {
                let error = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), ours).unwrap_err();
                let expected = format!(
                    "interface veth0 already runs the XDP program test_sender (id {program_id}, {name}, held by BPF link {0}), which is \
                     never replaced; end its owner, or take it away: bpftool link detach id {0}",
                    link.id()
                );
                assert_eq!(error.to_string(), expected);
            }
            let error = XdpLink::attach_best(&loaded, "veth0", ifindex("veth0")).unwrap_err();
            assert!(matches!(error, BpfError::Occupied { .. }), "{error}");
            assert_eq!(link.state().unwrap().program_id, program_id);
        }
    });
}

#[test]
fn what_a_driver_refuses_is_explained() {
    if !has_root() {
        return;
    }
    inside(|| {
        let loaded = load(&XdpProgram::new(&XdpParts::default()).unwrap());
        let error = XdpLink::attach(&loaded, "lo", ifindex("lo"), Mode::Native).unwrap_err();
        assert!(error.to_string().contains("this driver cannot run XDP programs"), "{error}");
        let (link, why) = XdpLink::attach_best(&loaded, "lo", ifindex("lo")).unwrap();
        assert_eq!((link.mode(), why.and_then(|why| why.errno())), (Mode::Generic, Some(libc::EOPNOTSUPP)));
        let error = XdpLink::attach(&loaded, "gone", 4711, Mode::Native).unwrap_err();
        assert!(error.to_string().contains("no such interface"), "{error}");
        sh("ip link set dev veth1 mtu 9000");
        let error = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap_err();
        assert!(error.to_string().contains("the MTU is too large"), "{error}");
        let frags = load(&XdpProgram::new(&XdpParts { frags: true, ..XdpParts::default() }).unwrap());
        let link = XdpLink::attach(&frags, "veth0", ifindex("veth0"), Mode::Native).unwrap();
        sh("ip link delete dev veth0");
        assert_eq!(link.state().unwrap().ifindex, 0, "the interface is gone");
    });
}

/// Tells the test below that it is the process to be killed.
const VICTIM: &str = "NETSCOPE_TEST_VICTIM";

#[test]
fn a_killed_process_leaves_no_program() {
    if !has_root() {
        return;
    }
    if std::env::var_os(VICTIM).is_some() {
        let loaded = load(&XdpProgram::new(&XdpParts::default()).unwrap());
        let _link = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap();
        eprintln!("attached");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    inside(|| {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_leaves_no_program", "--nocapture"])
            .env(VICTIM, "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stderr.take().unwrap()).lines();
        let said: Vec<_> = lines.map_while(Result::ok).take_while(|line| line != "attached").collect();
        let attached = programs_at("veth0").unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert_eq!(attached.first().and_then(|it| it.name.as_deref()), Some("netscope_xdp"), "{said:?}");
        wait_for("the program to go", || programs_at("veth0").unwrap().is_empty());
    });
}

/// Three capabilities are enough for everything the capture needs; names of other programs need more and are
/// left out.
#[test]
fn three_capabilities_are_enough() {
    if !has_root() {
        return;
    }
    inside(|| {
        keep_capabilities(&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF]);
        for expression in
            ["udp port 53", "len > 20 and ip[ip[0] & 15] > 3 and ether[0:4] / ip[2:2] > 1", "vlan and tcp[tcpflags] = 2"]
        {
            let filter = Filter::compile(expression, LinkType::ETHERNET).unwrap().for_driver().unwrap();
            for frags in [false, true] {
                let parts =
                    XdpParts { queues: 2, filter: Some(&filter), clock: Some(StampClock::Tai), frags, ..XdpParts::default() };
                let (_, loaded) = load_xdp(&parts).unwrap();
                let _link = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap();
                let error = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap_err().to_string();
                assert!(error.contains("of unknown name (id ") && error.contains("ip link set dev veth0 xdpdrv off"), "{error}");
            }
        }
        keep_capabilities(&[CAP_NET_RAW]);
        let error = Loaded::load(XdpProgram::new(&XdpParts::default()).unwrap().program()).unwrap_err();
        assert!(error.to_string().contains("CAP_BPF, CAP_NET_ADMIN or CAP_NET_RAW"), "{error}");
    });
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_BPF: u32 = 39;

/// Gives up all other capabilities, for this thread alone.
fn keep_capabilities(kept: &[u32]) {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let word =
        |from: u32| kept.iter().filter(|cap| (from..from + 32).contains(cap)).fold(0_u32, |bits, cap| bits | 1 << (cap - from));
    let data = [word(0), word(0), 0, word(32), word(32), 0];
    // JUSTIFICATION: neither std nor libc has a function for capset(2).
    // SAFETY: header and data have the layout of version 3 (two words; twice effective, permitted,
    // inheritable).
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Every combination of parts that ask the driver passes the verifier and attaches; what a veth's driver
/// tells is put back, see the tests of AF_XDP. Such a program is for one interface, natively.
#[test]
fn programs_that_ask_the_driver_are_for_one_interface() {
    if !has_root() {
        return;
    }
    inside(|| {
        let expressions = [None, Some("udp port 53"), Some("vlan and ip[ip[0] & 15] > 3"), Some("less 10"), Some("")];
        let filters = expressions.map(|it| it.map(|it| Filter::compile(it, LinkType::ETHERNET).unwrap().for_driver().unwrap()));
        let program = |from_driver, filter, clock, frags| {
            let parts = XdpParts { queues: 2, filter, clock, frags, from_driver, ..XdpParts::default() };
            XdpProgram::new(&parts).unwrap()
        };
        let (both, tag) = (FromDriver { vlan_tag: true, time: true }, FromDriver { vlan_tag: true, time: false });
        for filter in filters.iter().map(Option::as_ref) {
            for (from_driver, clock) in
                [(tag, None), (both, Some(StampClock::Tai)), (FromDriver { vlan_tag: false, ..both }, Some(StampClock::Tai))]
            {
                for frags in [false, true] {
                    let program = program(from_driver, filter, clock, frags);
                    let loaded = Loaded::load_for(program.program(), ifindex("veth0"))
                        .unwrap_or_else(|error| panic!("{error}\n{}", program.listing()));
                    drop(XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap());
                }
            }
        }
        let program = program(both, None, Some(StampClock::Tai), true);
        let loaded = Loaded::load_for(program.program(), ifindex("veth0")).unwrap();
        assert!(XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Generic).is_err(), "not in generic mode");
        assert!(XdpLink::attach(&loaded, "veth1", ifindex("veth1"), Mode::Native).is_err(), "not elsewhere");
        assert!(loaded.test_run(&frame(), None, 1).is_err(), "not without its interface");
        let error = Loaded::load(program.program()).unwrap_err().to_string();
        assert!(error.contains("metadata kfuncs require device-bound program"), "{error}");
        let error = Loaded::load_for(program.program(), ifindex("lo")).unwrap_err();
        assert!(error.errno().is_some(), "a driver without answers: {error}");

        keep_capabilities(&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF]);
        let program =
            XdpProgram::new(&XdpParts { clock: Some(StampClock::Tai), from_driver: both, ..XdpParts::default() }).unwrap();
        let loaded = Loaded::load_for(program.program(), ifindex("veth0")).unwrap_or_else(|error| panic!("{error:?}"));
        let _link = XdpLink::attach(&loaded, "veth0", ifindex("veth0"), Mode::Native).unwrap();
    });
}
