//! What happens to an interface while it is captured from: down and up, deleted and back, renamed, another
//! MTU; and what must not be left behind.

use std::io::Write;
use std::time::{Duration, Instant};

use netscope_backends::tpacket::{TpacketBackend, TpacketOptions, open};
use netscope_backends::{Backend, Counters, LinkType, Polled};

use crate::netns::{NetNs, RECEIVER, Wire};
use crate::wire::{LIMIT, datagrams, open_in, open_one, options, poll_once, read, send, tun, udp, wait_for_notice};

#[test]
fn down_and_up_again() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, options());
    send(&namespace, &datagrams(10, 10));
    assert_eq!(read(&mut backend, 10).len(), 10);
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    let notice = wait_for_notice(&mut backend, "down");
    assert_eq!(notice, format!("interface {RECEIVER} went down; waiting for it to come up again"));
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    send(&namespace, &datagrams(10, 10));
    assert_eq!(read(&mut backend, 10).len(), 10);
    wait_for_notice(&mut backend, "is up again");
    assert_eq!(backend.counters().expect("the kernel tells").received, 20);
    assert_eq!(backend.notice(), None);
}

#[test]
fn another_mtu_and_another_name() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["link", "set", "dev", RECEIVER, "mtu", "1500"]);
    let mut backend = open_one(&namespace, options());
    namespace.ip(&["link", "set", "dev", RECEIVER, "mtu", "9000"]);
    let large = vec![udp([10, 0, 0, 1], [10, 0, 0, 2], [1, 2], 8900, &[])];
    send(&namespace, &large);
    assert_eq!(read(&mut backend, 1)[0].data, large[0]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "name", "other0"]);
    namespace.ip(&["link", "set", "dev", "other0", "up"]);
    send(&namespace, &datagrams(10, 10));
    assert_eq!(read(&mut backend, 10).len(), 10);
    assert_eq!(backend.counters().expect("the kernel tells").received, 11);
    assert_eq!(wait_for_notice(&mut backend, "is called"), "interface veth0 is called other0 now; the capture goes on");
    assert_eq!(backend.interface(), "other0");
}

/// Polls every socket until each has been asked `rounds` times; the packets that came.
fn poll_all(backends: &mut [TpacketBackend], rounds: usize) -> usize {
    let mut seen = 0;
    for _ in 0..rounds {
        seen += backends.iter_mut().map(|backend| poll_once(backend, Duration::from_millis(10)).len()).sum::<usize>();
    }
    seen
}

#[test]
fn deleted_and_back_with_all_sockets_in_one_group() {
    let Some(namespace) = NetNs::with_veth() else { return };
    // Coming back opens sockets, so this thread has to be inside.
    namespace.inside(|| {
        let mut backends = open(TpacketOptions { workers: 2, ..options() }).expect("root may");
        let first_id = backends[0].fanout_id();
        send(&namespace, &datagrams(100, 10));
        assert_eq!(poll_all(&mut backends, 10), 100);
        // Some are in blocks that are not closed yet when the interface goes.
        send(&namespace, &datagrams(50, 10));
        namespace.ip(&["link", "delete", "dev", RECEIVER]);
        let begun = Instant::now();
        let mut seen = 0;
        while backends.iter().any(|backend| backend.fanout_id().is_some()) {
            seen += poll_all(&mut backends, 1);
            assert!(begun.elapsed() < LIMIT, "it was not noticed");
        }
        assert_eq!(seen, 50);
        let notices: Vec<_> = std::iter::from_fn(|| backends[0].notice()).filter(|notice| notice.contains("gone")).collect();
        assert_eq!(notices, [format!("interface {RECEIVER} is gone; waiting for it to come back")]);
        namespace.add_wire(&Wire::default());
        while backends.iter().any(|backend| backend.fanout_id().is_none()) {
            assert_eq!(poll_all(&mut backends, 1), 0);
            assert!(begun.elapsed() < LIMIT, "it did not come back");
        }
        assert_eq!(backends[0].notice(), Some(format!("interface {RECEIVER} is back")));
        assert_eq!(backends[0].fanout_id(), backends[1].fanout_id());
        assert!(first_id.is_some());
        send(&namespace, &datagrams(100, 10));
        assert_eq!(poll_all(&mut backends, 10), 100);
        let received: u64 = backends.iter_mut().map(|backend| backend.counters().expect("the kernel tells").received).sum();
        let drops: u64 = backends.iter_mut().map(|backend| backend.counters().expect("the kernel tells").kernel_drops).sum();
        assert_eq!((received, drops), (250, 0));
        assert_eq!(backends[1].notice(), None);
    });
}

#[test]
fn deleted_for_good_is_an_error_and_the_end() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, TpacketOptions { reopen: false, ..options() });
    namespace.ip(&["link", "delete", "dev", RECEIVER]);
    let begun = Instant::now();
    let error = loop {
        match backend.poll(Duration::from_millis(20), &mut |_| {}) {
            Ok(_) => assert!(begun.elapsed() < LIMIT),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error, format!("interface {RECEIVER}: it was deleted, the capture has ended"));
    assert_eq!(backend.poll(Duration::ZERO, &mut |_| {}).expect("told once"), Polled::End);
}

fn promiscuity(namespace: &NetNs) -> String {
    let output = namespace.command("ip").args(["-d", "-o", "link", "show", "dev", RECEIVER]).output().expect("ip runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut words = text.split_whitespace().skip_while(|word| *word != "promiscuity");
    words.nth(1).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn promiscuous_mode_and_sockets_are_gone_after_closing() {
    let Some(namespace) = NetNs::with_veth() else { return };
    assert_eq!(promiscuity(&namespace), "0");
    let backends = open_in(&namespace, TpacketOptions { workers: 2, ..options() });
    assert_eq!(promiscuity(&namespace), "2");
    let plain = open_one(&namespace, TpacketOptions { promiscuous: false, ..options() });
    assert_eq!(promiscuity(&namespace), "2");
    let sockets = || {
        let text = namespace.inside(|| std::fs::read_to_string("/proc/thread-self/net/packet")).expect("procfs");
        text.lines().skip(1).count()
    };
    assert_eq!(sockets(), 3);
    drop(backends);
    drop(plain);
    assert_eq!((promiscuity(&namespace).as_str(), sockets()), ("0", 0));
}

/// Names the role of the process that is killed.
const HOLD: &str = "NETSCOPE_TEST_HOLD";

#[test]
fn a_killed_process_leaves_nothing() {
    if std::env::var_os(HOLD).is_some() {
        let _backends = open(TpacketOptions { workers: 2, ..options() }).expect("root may");
        std::thread::sleep(LIMIT);
        return;
    }
    let Some(namespace) = NetNs::with_veth() else { return };
    let program = std::env::current_exe().expect("this test");
    let mut command = namespace.command(program.to_str().expect("a path in UTF-8"));
    command.args(["--exact", "faults::a_killed_process_leaves_nothing"]).env(HOLD, "1");
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    let wait_for = |expected: &str| {
        while promiscuity(&namespace) != expected {
            assert!(begun.elapsed() < LIMIT, "promiscuity {} is not {expected}", promiscuity(&namespace));
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("2");
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    wait_for("0");
}

#[test]
fn packets_for_a_socket_nobody_came_for_are_counted_as_dropped() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.inside(|| {
        let mut backends = open(TpacketOptions { workers: 2, ..options() }).expect("root may");
        let begun = Instant::now();
        let mut lent = 0;
        // The second backend is not polled while the interface goes and comes back, twice.
        for _ in 0..2 {
            namespace.ip(&["link", "delete", "dev", RECEIVER]);
            while backends[0].fanout_id().is_some() {
                lent += poll_once(&mut backends[0], Duration::from_millis(10)).len();
                assert!(begun.elapsed() < LIMIT, "it was not noticed");
            }
            namespace.add_wire(&Wire::default());
            while backends[0].fanout_id().is_none() {
                poll_once(&mut backends[0], Duration::from_millis(10));
                assert!(begun.elapsed() < LIMIT, "it did not come back");
            }
            send(&namespace, &datagrams(100, 10));
        }
        // Now it is, and gets the socket of the second coming.
        let first_id = backends[1].fanout_id();
        while backends[1].fanout_id() == first_id || backends[1].fanout_id().is_none() {
            lent += poll_all(&mut backends, 1);
            assert!(begun.elapsed() < LIMIT, "it did not come back");
        }
        lent += poll_all(&mut backends, 10);
        let mut sum = Counters::default();
        for backend in &mut backends {
            sum += &backend.counters().expect("the kernel tells");
        }
        assert_eq!((sum.received, lent as u64 + sum.kernel_drops), (200, 200));
        assert!(sum.kernel_drops > 0 && sum.kernel_drops < 100, "{sum:?}");
    });
}

/// `struct __user_cap_header_struct` (linux/capability.h).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// Takes all rights from this thread. A program that it starts as root has them again.
fn give_up_rights() {
    let header = CapabilityHeader { version: 0x2008_0522, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: version 3 of the call reads a header and two times three words, all alive; it takes the
    // capabilities of this thread alone.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    assert_eq!(done, 0);
}

#[test]
fn without_the_right_it_says_how_to_get_it() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let text = namespace.inside(|| {
        give_up_rights();
        open(options()).expect_err("refused").to_string()
    });
    for part in ["no permission to capture", "root or CAP_NET_RAW", "setcap"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_cannot_be_opened_again_is_told_once() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.inside(|| {
        let mut backends = open(TpacketOptions { workers: 2, ..options() }).expect("root may");
        give_up_rights();
        namespace.ip(&["link", "delete", "dev", RECEIVER]);
        wait_for_notice(&mut backends[0], "is gone");
        namespace.add_wire(&Wire::default());
        let said = wait_for_notice(&mut backends[0], "cannot be opened again");
        assert!(said.contains(RECEIVER) && said.contains("no permission to capture"), "{said}");
        // Long enough for both to try once more.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2500) {
            poll_all(&mut backends, 1);
        }
        assert_eq!((backends[0].notice(), backends[1].notice()), (None, None));
    });
}

#[test]
fn another_kind_of_device_may_come_back() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let Some(raw) = tun(&namespace, "tun7", libc::IFF_TUN) else { return };
    namespace.ip(&["link", "set", "dev", "tun7", "up"]);
    namespace.inside(|| {
        let options = TpacketOptions { interface: Some("tun7".to_owned()), ..options() };
        let mut backend = open(options).expect("root may").remove(0);
        assert_eq!(backend.link_type(), LinkType::RAW);
        drop(raw);
        wait_for_notice(&mut backend, "is gone");
        let mut tap = tun(&namespace, "tun7", libc::IFF_TAP).expect("there was one");
        namespace.ip(&["link", "set", "dev", "tun7", "up"]);
        wait_for_notice(&mut backend, "is back");
        let said = wait_for_notice(&mut backend, "link type");
        assert_eq!(said, "interface tun7: its packets are of link type 1 now, no longer 101");
        assert_eq!(backend.link_type(), LinkType::ETHERNET);
        // The kernel takes the tag out, which comes back where it is known that this is Ethernet.
        let tagged = udp([10, 0, 0, 1], [10, 0, 0, 2], [1, 2], 20, &[0x81, 0, 0, 5]);
        tap.write_all(&tagged).expect("the device receives");
        assert_eq!(read(&mut backend, 1)[0].data, tagged);
    });
}

#[test]
fn another_interface_that_gets_the_number_is_not_taken_for_it() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, options());
    let output = namespace.command("ip").args(["-o", "link", "show", "dev", RECEIVER]).output().expect("ip runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (index, _) = text.split_once(':').expect("the number comes first");
    namespace.ip(&["link", "delete", "dev", RECEIVER]);
    namespace.ip(&["link", "add", "taker0", "index", index, "type", "veth", "peer", "name", "taker1"]);
    namespace.ip(&["link", "set", "dev", "taker0", "up"]);
    namespace.ip(&["link", "set", "dev", "taker1", "up"]);
    backend.counters().expect("the kernel tells");
    assert_eq!(backend.notice(), None);
    assert_eq!(backend.interface(), RECEIVER);
    wait_for_notice(&mut backend, "is gone");
}
