//! Opening on a kernel that lacks something: what falls back says so, what does not says what to do, and
//! nothing stays behind.
//!
//! Needs root, for a network namespace of its own; says so and passes without, except when `CI=true`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use crate::xdp::open::XdpOpener;
use crate::xdp::socket::{Seam, SocketStep};
use crate::xdp::{BusyPoll, HugePageUse, Opened, XdpMode, XdpOptions, open_by};
use crate::{Backend, Counters};

const NEEDED: &str = "making network namespaces needs root";

/// Runs `work` on a thread inside a namespace of its own, in which a pair of links is up; both end with the
/// thread.
fn in_namespace<T: Send>(mtu: u32, work: impl FnOnce() -> T + Send) -> Option<T> {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{NEEDED}");
        eprintln!("skipped: {NEEDED}");
        return None;
    }
    let script =
        format!("ip link add near0 mtu {mtu} type veth peer name far0 mtu {mtu} && ip link set near0 up && ip link set far0 up");
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
            assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
            work()
        });
        Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn options(mode: XdpMode) -> XdpOptions {
    XdpOptions { interface: "near0".to_owned(), frame_count: 64, mode, ..XdpOptions::default() }
}

fn open(options: XdpOptions, refuse: fn(SocketStep, u16) -> Option<i32>) -> Result<Opened, String> {
    let opening = XdpOpener::new(options, Seam(Some(refuse))).map_err(|error| error.to_string())?;
    open_by(opening).map_err(|error| error.to_string())
}

/// Whether anything was left at the interface of this thread's namespace.
fn is_clean() -> bool {
    let output = Command::new("ip").args(["-d", "link", "show", "near0"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    !shown.contains("xdp") && shown.contains("promiscuity 0 ")
}

#[track_caller]
fn said(opened: &Opened, part: &str) {
    assert_eq!(opened.said.iter().filter(|said| said.contains(part)).count(), 1, "{part}: {:?}", opened.said);
}

#[test]
fn what_cannot_be_done_without_ends_with_what_to_do() {
    type Case = (fn(SocketStep, u16) -> Option<i32>, &'static str);
    const CASES: [Case; 11] = [
        (|step, _| (step == SocketStep::Socket).then_some(libc::EAFNOSUPPORT), "CONFIG_XDP_SOCKETS"),
        (|step, _| (step == SocketStep::Socket).then_some(libc::EPERM), "CAP_BPF"),
        (|step, _| (step == SocketStep::Promiscuous).then_some(libc::EPERM), "setcap"),
        (|step, _| (step == SocketStep::Register).then_some(libc::ENOBUFS), "RLIMIT_MEMLOCK"),
        (|step, _| (step == SocketStep::Memory).then_some(libc::ENOMEM), "take fewer frames"),
        (
            |step, _| (step == SocketStep::CompletionRing).then_some(libc::ENOMEM),
            "making the completion ring failed: Cannot allocate memory",
        ),
        (|step, _| (step == SocketStep::RxRing).then_some(libc::ENOMEM), "rings of 64 and 64 places"),
        (|step, _| (step == SocketStep::Offsets).then_some(libc::ENOPROTOOPT), "Linux 5.4"),
        (|step, _| (step == SocketStep::Map).then_some(libc::EAGAIN), "mapping a ring failed"),
        (|step, _| (step == SocketStep::Bind).then_some(libc::EBUSY), "another AF_XDP socket has receive queue 0"),
        (|step, _| (step == SocketStep::Bind).then_some(libc::EINVAL), "is that queue still there"),
    ];
    in_namespace(1500, || {
        for (refuse, expected) in CASES {
            let error = open(options(XdpMode::Auto), refuse).err().expect("it is refused");
            assert!(error.starts_with("interface near0: ") && error.contains(expected), "{expected}: {error}");
            assert!(is_clean(), "{expected}");
        }
        assert!(open(options(XdpMode::Auto), |_, _| None).is_ok(), "the interface can be opened");
    });
}

#[test]
fn zero_copy_falls_back_to_one_copy() {
    in_namespace(1500, || {
        let refuse = |step, flags: u16| (step == SocketStep::Bind && flags & libc::XDP_ZEROCOPY != 0).then_some(libc::EINVAL);
        let opened = open(options(XdpMode::Auto), refuse).unwrap();
        said(&opened, "no zero copy with this driver (Invalid argument)");
        said(&opened, "native mode, one copy");
    });
}

/// The kernel gives the locked pages of a closed socket back a while later.
#[test]
fn memory_that_is_not_free_yet_is_waited_for() {
    static TRIES: AtomicU32 = AtomicU32::new(0); // alone: no other memory depends on its order
    in_namespace(1500, || {
        let refuse =
            |step, _| (step == SocketStep::Register && TRIES.fetch_add(1, Ordering::Relaxed) < 2).then_some(libc::ENOBUFS);
        assert!(open(options(XdpMode::Native), refuse).is_ok());
        assert_eq!(TRIES.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn packets_in_several_frames_need_a_kernel_that_has_them() {
    in_namespace(9000, || {
        let refuse = |step, flags: u16| (step == SocketStep::Bind && flags & libc::XDP_USE_SG != 0).then_some(libc::EINVAL);
        let opened = open(options(XdpMode::Native), refuse).unwrap();
        said(&opened, "those longer than 1792 bytes are counted as dropped by the kernel");
        let opened_with_all = {
            drop(opened);
            open(options(XdpMode::Native), |_, _| None).unwrap()
        };
        assert!(!opened_with_all.said.iter().any(|said| said.contains("several frames")));
    });
}

#[test]
fn a_kernel_without_need_wakeup_is_used_without() {
    in_namespace(1500, || {
        let refuse =
            |step, flags: u16| (step == SocketStep::Bind && flags & libc::XDP_USE_NEED_WAKEUP != 0).then_some(libc::EINVAL);
        assert!(open(options(XdpMode::Native), refuse).is_ok());
    });
}

#[test]
fn huge_pages_and_busy_polling_when_refused() {
    in_namespace(1500, || {
        let no_pages = |step, _| (step == SocketStep::HugePages).then_some(libc::ENOMEM);
        let opened = open(options(XdpMode::Native), no_pages).unwrap();
        said(&opened, "not enough huge pages");
        drop(opened);
        let required = XdpOptions { huge_pages: HugePageUse::Require, ..options(XdpMode::Native) };
        assert!(open(required, no_pages).err().expect("it is refused").contains("vm.nr_hugepages=1`"));
        let busy = || XdpOptions { busy_poll: Some(BusyPoll::default()), ..options(XdpMode::Native) };
        for (errno, expected) in [(libc::EPERM, "CAP_NET_ADMIN"), (libc::ENOPROTOOPT, "Linux 5.11")] {
            let refuse: fn(SocketStep, u16) -> Option<i32> = match errno {
                libc::EPERM => |step, _| (step == SocketStep::BusyPoll).then_some(libc::EPERM),
                _ => |step, _| (step == SocketStep::BusyPoll).then_some(libc::ENOPROTOOPT),
            };
            assert!(open(busy(), refuse).err().expect("it is refused").contains(expected));
        }
        assert!(is_clean());
    });
}

#[test]
fn a_filter_that_no_program_can_run_runs_in_user_space() {
    in_namespace(1500, || {
        let filter = Some("ip6 protochain 17".to_owned());
        let opened = open(XdpOptions { filter, ..options(XdpMode::Native) }, |_, _| None).unwrap();
        said(&opened, "the filter cannot be part of the XDP program");
        said(&opened, "taken from the host, too");
    });
}

#[test]
fn a_queue_that_another_socket_has_is_named() {
    in_namespace(1500, || {
        let opening = XdpOpener::new(options(XdpMode::Native), Seam::default()).unwrap();
        let (prepared, socket, _) = opening.interface(None, &mut Vec::new()).unwrap();
        drop(prepared); // its program goes, the socket stays at the queue
        let error = open(options(XdpMode::Auto), |_, _| None).err().expect("it is refused");
        assert!(error.contains("another AF_XDP socket has receive queue 0") && error.contains("ss --xdp"), "{error}");
        assert!(is_clean());
        // A socket that is being closed is waited for.
        let closing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(40));
            drop(socket);
        });
        assert!(open(options(XdpMode::Native), |_, _| None).is_ok());
        closing.join().unwrap();
    });
}

#[test]
fn a_program_that_somebody_detaches_is_missed() {
    in_namespace(1500, || {
        let mut backend = open(options(XdpMode::Native), |_, _| None).unwrap().queues.remove(0);
        backend.attachment().detach();
        let begun = Instant::now();
        let notice = loop {
            backend.poll(Duration::from_millis(20), &mut |_| ()).unwrap();
            if let Some(notice) = backend.notice() {
                break notice;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it was not noticed");
        };
        assert!(notice.starts_with("interface near0: somebody detached our XDP program"), "{notice}");
        std::thread::sleep(Duration::from_millis(1100));
        backend.poll(Duration::from_millis(20), &mut |_| ()).unwrap();
        assert_eq!(backend.notice(), None, "once");
    });
}

/// Sends frames of UDP over IPv4 into the end that is not opened, half of them to `port`.
fn send(interface: &str, port: u16) {
    let mut out = ::pcap::Capture::from_device(interface).unwrap().open().unwrap();
    for number in 0..20 {
        let mut frame =
            vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let to: u16 = if number % 2 == 0 { port } else { 9 };
        frame.extend([&[4, 0][..], &to.to_be_bytes(), &[0, 26, 0, 0], &[0; 18]].concat());
        out.sendpacket(frame.as_slice()).unwrap();
    }
}

const SCRIPT: &str = "for which in all default; do echo 1 >/proc/sys/net/ipv6/conf/$which/disable_ipv6; done
    ip link add near2 numrxqueues 2 numtxqueues 2 type veth peer name far2 numrxqueues 2 numtxqueues 2
    ip link set near2 up && ip link set far2 up";

/// A pair of links with two queues each.
fn add_two_queues() {
    assert!(Command::new("sh").args(["-ec", SCRIPT]).status().unwrap().success());
}

#[test]
fn nothing_before_the_last_socket_is_part_of_the_capture() {
    in_namespace(1500, || {
        add_two_queues();
        // Packets come before the first bind and before the second, when the first queue could have them.
        let noise = |step, _| {
            if step == SocketStep::Bind {
                send("far2", 53);
                std::thread::sleep(Duration::from_millis(20)); // where the kernel puts its work off
            }
            None
        };
        for mode in [XdpMode::Native, XdpMode::Generic] {
            let options =
                XdpOptions { interface: "near2".to_owned(), filter: Some("udp dst port 53".to_owned()), ..options(mode) };
            let mut opened = open(options, noise).unwrap();
            let mut lent = 0;
            for backend in &mut opened.queues {
                backend.poll(Duration::from_millis(30), &mut |batch| lent += batch.len()).unwrap();
                assert_eq!(backend.counters().unwrap(), Counters::default(), "{mode:?}");
            }
            assert_eq!(lent, 0, "{mode:?}");
            send("far2", 53);
            let (begun, mut sum) = (Instant::now(), Counters::default());
            while (lent, sum.received) != (10, 20) && begun.elapsed() < Duration::from_secs(20) {
                sum = Counters::default();
                for backend in &mut opened.queues {
                    backend.poll(Duration::from_millis(30), &mut |batch| lent += batch.len()).unwrap();
                    sum += &backend.counters().unwrap();
                }
            }
            assert_eq!((lent, sum), (10, Counters { received: 20, filtered: 10, ..Counters::default() }), "{mode:?}");
        }
    });
}
