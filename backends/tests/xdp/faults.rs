//! What happens to an interface, and what others do to it.

use std::process::{Command, Stdio};
use std::time::Duration;

use netscope_backends::xdp::{BusyPoll, HugePageUse, XdpMode, XdpOptions};
use netscope_backends::{Backend, Polled};

use crate::netns::{NetNs, RECEIVER, SENDER, Wire};
use crate::wire::{
    LIMIT, datagrams, namespace, open_in, open_one, options, poll_once, read, refusal, send, try_open, udp, wait_for_notice,
};

/// Everything `ip` says of the receiving end.
fn shown(namespace: &NetNs) -> String {
    let output = namespace.command("ip").args(["-d", "link", "show", "dev", RECEIVER]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `ip` says nothing of XDP and promiscuous mode.
#[track_caller]
fn wait_until_clean(namespace: &NetNs) {
    let begun = std::time::Instant::now();
    loop {
        let shown = shown(namespace);
        if !shown.contains("xdp") && shown.contains("promiscuity 0 ") {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "left behind: {shown}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_stays_behind() {
    let Some(namespace) = namespace(2, 1500) else { return };
    for mode in crate::wire::MODES {
        let opened = open_in(&namespace, options(mode));
        let during = shown(&namespace);
        assert!(during.contains("xdp") && during.contains("promiscuity 1 "), "{during}");
        drop(opened);
        wait_until_clean(&namespace);
    }
    let opened = open_in(&namespace, XdpOptions { promiscuous: false, ..options(XdpMode::Native) });
    assert!(shown(&namespace).contains("promiscuity 0 "));
    drop(opened);
}

#[test]
fn a_program_that_is_there_is_named_and_stays() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let first = open_in(&namespace, options(XdpMode::Native));
    for mode in [XdpMode::Auto, XdpMode::Native, XdpMode::Generic] {
        let said = refusal(&namespace, options(mode));
        assert!(said.contains("already") && said.contains("netscope_xdp") && said.contains("id "), "{said}");
    }
    let mut first = first;
    send(&namespace, &datagrams(20));
    assert_eq!(read(&mut first.queues[0], 20).len(), 20, "the first one goes on");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let with = |change: &dyn Fn(&mut XdpOptions)| {
        let mut options = options(XdpMode::Native);
        change(&mut options);
        refusal(&namespace, options)
    };
    assert!(with(&|options| options.queues = Some(vec![2])).contains("no receive queue 2; it has 2: 0 to 1"));
    assert!(with(&|options| options.interface = "nosuch0".to_owned()).contains("no such interface; available:"));
    assert!(with(&|options| options.frame_bytes = 3000).contains("2048 or 4096"));
    let zero_copy = with(&|options| options.mode = XdpMode::ZeroCopy);
    assert!(zero_copy.contains("its driver has no zero copy"), "{zero_copy}");
    let filter = with(&|options| options.filter = Some("port and".to_owned()));
    assert!(filter.contains("invalid filter expression"), "{filter}");
    let huge = with(&|options| {
        options.huge_pages = HugePageUse::Require;
        options.frame_count = 1 << 20;
    });
    assert!(huge.contains("vm.nr_hugepages=1024"), "{huge}");
    wait_until_clean(&namespace);
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    assert!(with(&|_| ()).contains("ip link set veth0 up"));
}

#[test]
fn a_queue_that_is_taken_and_free_again() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for _ in 0..5 {
        // Taking a socket down takes the kernel a while, which opening waits for.
        let mut backend = open_one(&namespace, options(XdpMode::Native));
        send(&namespace, &datagrams(5));
        assert_eq!(read(&mut backend, 5).len(), 5);
    }
}

#[test]
fn a_veth_with_more_send_queues_than_receive_queues_says_so() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["link", "delete", RECEIVER]);
    let pair = ["link", "add", RECEIVER, "numrxqueues", "1", "numtxqueues", "1", "type", "veth", "peer", "name", SENDER];
    namespace.ip(&[&pair[..], &["numrxqueues", "4", "numtxqueues", "4"]].concat());
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    namespace.ip(&["link", "set", "dev", SENDER, "up"]);
    let said = refusal(&namespace, options(XdpMode::Native));
    assert!(said.contains("send queues") && said.contains("receive queues"), "{said}");
    let opened = open_in(&namespace, options(XdpMode::Auto));
    assert!(opened.said.iter().any(|said| said.contains("no native XDP") && said.contains("generic mode")), "{:?}", opened.said);
}

#[test]
fn down_and_up_again() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in crate::wire::MODES {
        let mut backend = open_one(&namespace, options(mode));
        namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
        assert_eq!(wait_for_notice(&mut backend, "down"), "interface veth0 went down; waiting for it to come up again");
        namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
        assert_eq!(wait_for_notice(&mut backend, "up again"), "interface veth0 is up again");
        send(&namespace, &datagrams(20));
        assert_eq!(read(&mut backend, 20).len(), 20, "{mode:?}");
        assert_eq!(backend.notice(), None);
    }
}

#[test]
fn renamed_it_goes_on() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Native));
    namespace.ip(&["link", "set", "dev", RECEIVER, "name", "other0"]);
    send(&namespace, &datagrams(20));
    assert_eq!(read(&mut backend, 20).len(), 20);
    let told = "interface veth0 is called other0 now; the capture goes on";
    assert_eq!(wait_for_notice(&mut backend, "is called"), told);
    backend.counters().unwrap();
    assert_eq!(backend.notice(), None, "once");
    namespace.ip(&["link", "set", "dev", "other0", "name", RECEIVER]);
    backend.counters().unwrap();
    assert_eq!(backend.notice().as_deref(), Some("interface other0 is called veth0 now; the capture goes on"));
    namespace.ip(&["link", "set", "dev", RECEIVER, "name", "other0"]);
    backend.counters().unwrap();
    namespace.ip(&["link", "set", "dev", "other0", "down"]);
    assert_eq!(wait_for_notice(&mut backend, "down"), "interface other0 went down; waiting for it to come up again");
}

#[test]
fn deleted_and_back_on_all_queues_and_the_ledger_closes() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let mut opened = open_in(&namespace, options(XdpMode::Native));
    send(&namespace, &datagrams(50));
    let lent: usize = crate::wire::read_all(&mut opened.queues, 50).iter().map(Vec::len).sum();
    namespace.ip(&["link", "delete", RECEIVER]);
    assert_eq!(wait_for_notice(&mut opened.queues[0], "gone"), "interface veth0 is gone; waiting for it to come back");
    namespace.add_wire(&Wire { queues: 2, mtu: 1500 });
    // The name is looked for in the namespace of the thread that polls.
    let opened = namespace.inside(|| {
        let [first, second] = &mut opened.queues[..] else { panic!("two queues") };
        assert_eq!(wait_for_notice(first, "back"), "interface veth0 is back");
        let begun = std::time::Instant::now();
        // The second one finds it by itself, and says nothing.
        while begun.elapsed() < Duration::from_millis(2500) {
            poll_once(second, Duration::from_millis(100));
        }
        assert_eq!((first.notice(), second.notice()), (None, None));
        opened
    });
    let mut opened = opened;
    crate::wire::send_flows(&namespace, 64, 2);
    let again = crate::wire::read_all(&mut opened.queues, 128);
    assert!(again.iter().all(|seen| !seen.is_empty()));
    let received: u64 = opened.queues.iter_mut().map(|backend| backend.counters().unwrap().received).sum();
    assert_eq!(received, lent as u64 + 128);
}

/// What `ip` calls a namespace.
fn name(namespace: &NetNs) -> String {
    let output = namespace.command("ip").args(["netns", "identify"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The kernel closes the sockets of an interface that leaves its namespace, while the program stays at it.
#[test]
fn moved_away_and_back_nothing_is_counted_twice() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let Some(elsewhere) = NetNs::with_veth() else { return };
    elsewhere.ip(&["link", "delete", RECEIVER]);
    let mut opened = open_in(&namespace, options(XdpMode::Native));
    crate::wire::send_flows(&namespace, 64, 1);
    let lent: usize = crate::wire::read_all(&mut opened.queues, 64).iter().map(Vec::len).sum();
    let before: u64 = opened.queues.iter_mut().map(|backend| backend.counters().unwrap().received).sum();
    assert_eq!(before, lent as u64);
    namespace.ip(&["link", "set", "dev", RECEIVER, "netns", &name(&elsewhere)]);
    // The second backend is not asked, so it still holds the program.
    let notice = wait_for_notice(&mut opened.queues[0], "queue 0");
    assert!(notice.contains("moved to another network namespace") && !notice.contains("gone"), "{notice}");
    elsewhere.ip(&["link", "set", "dev", RECEIVER, "netns", &name(&namespace)]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    let counts = namespace.inside(|| {
        assert_eq!(wait_for_notice(&mut opened.queues[0], "back"), "interface veth0 is back");
        opened.queues.iter_mut().map(|backend| backend.counters().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(counts.iter().map(|counts| counts.received).sum::<u64>(), before, "{counts:?}");
}

#[test]
fn what_comes_back_in_use_or_taken_is_told_of_and_left_alone() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Native));
    let again = || {
        namespace.ip(&["link", "delete", RECEIVER]);
        namespace.add_wire(&Wire { queues: 1, mtu: 1500 });
    };
    namespace.ip(&["link", "delete", RECEIVER]);
    namespace.add_wire(&Wire { queues: 1, mtu: 1500 });
    namespace.ip(&["address", "add", "192.0.2.7/24", "dev", RECEIVER]);
    let backend = namespace.inside(move || {
        let said = wait_for_notice(&mut backend, "cannot be opened again");
        assert!(said.contains("interface veth0 has the address 192.0.2.7/24") && said.contains("--xdp-insist"), "{said}");
        std::thread::sleep(Duration::from_millis(1100));
        assert!(poll_once(&mut backend, Duration::from_millis(20)).is_empty());
        assert_eq!(backend.notice(), None, "once");
        backend
    });
    assert!(!shown(&namespace).contains("xdp"));
    again();
    let mut other = open_in(&namespace, options(XdpMode::Native));
    let mut backend = backend;
    namespace.inside(|| {
        let said = wait_for_notice(&mut backend, "cannot be opened again");
        assert!(said.contains("already runs the XDP program"), "{said}");
    });
    send(&namespace, &datagrams(20));
    assert_eq!(read(&mut other.queues[0], 20).len(), 20, "the other goes on");
    drop(other);
    namespace.inside(|| wait_for_notice(&mut backend, "is back"));
}

#[test]
fn what_comes_back_worse_says_so() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Auto));
    namespace.ip(&["link", "delete", RECEIVER]);
    let pair = ["link", "add", RECEIVER, "numrxqueues", "1", "numtxqueues", "1", "type", "veth", "peer", "name", SENDER];
    namespace.ip(&[&pair[..], &["numrxqueues", "4", "numtxqueues", "4"]].concat());
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    namespace.ip(&["link", "set", "dev", SENDER, "up"]);
    let said: Vec<_> = namespace.inside(|| {
        wait_for_notice(&mut backend, "is back");
        std::iter::from_fn(|| backend.notice()).collect()
    });
    assert!(said.iter().any(|said| said.contains("no native XDP")), "{said:?}");
    assert!(said.iter().any(|said| said.ends_with("AF_XDP in generic mode, its one queue")), "{said:?}");
    assert!(!said.iter().any(|said| said.contains("packets' times")), "as before: {said:?}");
}

#[test]
fn what_the_host_uses_is_taken_only_by_insisting() {
    let Some(namespace) = namespace(1, 1500) else { return };
    namespace.ip(&["address", "add", "192.0.2.7/24", "dev", RECEIVER]);
    let said = refusal(&namespace, options(XdpMode::Native));
    assert!(said.starts_with("interface veth0 has the address 192.0.2.7/24: --backend xdp would take all packets"), "{said}");
    assert!(try_open(&namespace, XdpOptions { insist: true, ..options(XdpMode::Native) }).is_ok());
}

#[test]
fn deleted_without_coming_back_ends() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, XdpOptions { reopen: false, ..options(XdpMode::Native) });
    namespace.ip(&["link", "delete", RECEIVER]);
    let begun = std::time::Instant::now();
    let error = loop {
        assert!(begun.elapsed() < LIMIT);
        if let Err(error) = backend.poll(Duration::from_millis(20), &mut |_| panic!("nothing was sent")) {
            break error;
        }
    };
    assert_eq!(error.to_string(), "interface veth0: it was deleted, the capture has ended");
    assert_eq!(backend.poll(Duration::ZERO, &mut |_| ()).unwrap(), Polled::End);
}

#[test]
fn busy_polling_is_taken() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, XdpOptions { busy_poll: Some(BusyPoll::default()), ..options(XdpMode::Native) });
    send(&namespace, &datagrams(50));
    assert_eq!(read(&mut backend, 50).len(), 50);
}

#[test]
fn the_mtu_may_change() {
    let Some(namespace) = namespace(1, 9000) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Native));
    for mtu in ["1500", "9000"] {
        namespace.ip(&["link", "set", "dev", RECEIVER, "mtu", mtu]);
        namespace.ip(&["link", "set", "dev", SENDER, "mtu", mtu]);
        send(&namespace, &datagrams(20));
        assert_eq!(read(&mut backend, 20).len(), 20, "{mtu}");
    }
}

/// An interface opened for frames of the usual size meets larger ones: they are counted.
#[test]
fn packets_that_became_too_long_are_drops_of_the_kernel() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Generic));
    namespace.ip(&["link", "set", "dev", RECEIVER, "mtu", "9000"]);
    namespace.ip(&["link", "set", "dev", SENDER, "mtu", "9000"]);
    send(&namespace, &[1_700, 1_792, 1_793, 9_000, 60].map(|len: u32| udp(len, 53, len as usize - 42)));
    let seen = read(&mut backend, 3);
    assert_eq!(seen.iter().map(|packet| packet.wire_len).collect::<Vec<_>>(), [1_700, 1_792, 60]);
    let counters = backend.counters().unwrap();
    assert_eq!((counters.received, counters.kernel_drops, counters.fill_empty_drops), (5, 2, 0));
}

/// Set for the process in which [`hold`] does something.
const HOLD: &str = "NETSCOPE_TEST_HOLD";

/// Runs in a process of its own, with what the tests below allow it; does nothing among the other tests.
#[test]
fn hold() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let options = XdpOptions { frame_count: 16_384, ..options(XdpMode::Native) };
    let _opened = netscope_backends::xdp::open(options).unwrap_or_else(|error| panic!("{error}"));
    println!("holding");
    std::thread::sleep(LIMIT);
}

/// What [`hold`] says when `program` with `arguments` starts it.
fn held_under(namespace: &NetNs, program: &str, arguments: &[&str]) -> String {
    let own = std::env::current_exe().unwrap();
    let mut command = namespace.command("timeout"); // what is not refused holds it
    command.args(["20", program]).args(arguments).arg(own).args(["--exact", "--nocapture", "faults::hold"]);
    let output = command.env(HOLD, "1").output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(!output.status.success(), "it was not refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_rights_and_without_memory_it_says_which() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for missing in ["net_raw", "net_admin,-sys_admin", "bpf,-sys_admin"] {
        let said = held_under(&namespace, "setpriv", &[&format!("--bounding-set=-{missing}")]);
        assert!(said.contains("CAP_NET_RAW") && said.contains("CAP_NET_ADMIN") && said.contains("CAP_BPF"), "{missing}: {said}");
    }
    let said = held_under(&namespace, "setpriv", &["--bounding-set=-ipc_lock", "prlimit", "--memlock=8388608"]);
    assert!(said.contains("32 MiB of packet memory") && said.contains("RLIMIT_MEMLOCK allows (8192 KiB)"), "{said}");
    wait_until_clean(&namespace);
}

#[test]
fn the_killed_leave_nothing() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let program = std::env::current_exe().unwrap();
    let mut command: Command = namespace.command(program.to_str().unwrap());
    command.args(["--exact", "--nocapture", "faults::hold"]).env(HOLD, "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = std::time::Instant::now();
    while !(shown(&namespace).contains("xdp") && shown(&namespace).contains("promiscuity 1 ")) {
        assert!(begun.elapsed() < LIMIT, "the child does not hold it");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_clean(&namespace);
    assert!(try_open(&namespace, options(XdpMode::Native)).is_ok());
}
