//! Settings, the program in the kernel, and what is said when a step of opening is refused.

use super::super::open::{OpenStep, TpacketOpener};
use super::super::program::fitted;
use super::super::{Fanout, TpacketOptions, open_by};
use crate::BackendError;
use crate::filter::Filter;
use crate::{LinkType, Packet, Timestamp};

fn loopback() -> TpacketOptions {
    TpacketOptions { interface: Some("lo".to_owned()), block_count: Some(2), ..TpacketOptions::default() }
}

/// What opening says when the kernel refuses this step with this error; `None` (told) without the right to
/// capture.
fn refused(step: OpenStep, number: i32, options: TpacketOptions) -> Option<String> {
    match open_by(&TpacketOpener { refuse: Some((step, number)) }, options, "lo".to_owned()) {
        Ok(_) => panic!("{step:?} was not refused"),
        Err(error) => {
            let text = error.to_string();
            if text.contains("no permission") && step != OpenStep::Socket && std::env::var("CI").as_deref() != Ok("true") {
                eprintln!("skipped: {text}");
                return None;
            }
            Some(text)
        }
    }
}

#[test]
fn each_refused_step_says_what_to_do() {
    let two = || TpacketOptions { workers: 2, ..loopback() };
    for (step, number, said) in [
        (OpenStep::Socket, libc::EPERM, &["no permission to capture", "CAP_NET_RAW", "setcap"][..]),
        (OpenStep::Socket, libc::EAFNOSUPPORT, &["no packet sockets", "--backend libpcap"]),
        (OpenStep::Version, libc::EINVAL, &["no TPACKET_V3 rings", "Linux 3.2", "--backend libpcap"]),
        (OpenStep::Ring, libc::ENOMEM, &["no memory for 2 rings of 2 blocks of 1024 KiB (4 MiB in all)", "ask for fewer"]),
        (OpenStep::Map, libc::EAGAIN, &["no memory for 2 rings", "ask for fewer"]),
        (OpenStep::Ring, libc::EINVAL, &["the kernel refuses 2 rings", "ask for other"]),
        (OpenStep::Fanout, libc::EINVAL, &["fanout group of 2 sockets", "ask for one worker"]),
        (OpenStep::Filter, libc::ENOMEM, &["refuses the filter", "shorter"]),
        (OpenStep::Lock, libc::ENOMEM, &["step Lock", "--backend libpcap"]),
    ] {
        let Some(text) = refused(step, number, two()) else { return };
        assert!(said.iter().all(|part| text.contains(part)), "{step:?}: {text}");
    }
}

/// Runs `work` on a thread in a network namespace of its own, in which only the loopback is; `None` (told)
/// without the right.
pub(in crate::tpacket) fn in_new_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let in_thread = || {
        // SAFETY: an integer; it changes nothing but the namespace of this thread, which ends with the
        // closure.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{}", std::io::Error::last_os_error());
            eprintln!("skipped: no new network namespace without root");
            return None;
        }
        let status = std::process::Command::new("ip").args(["link", "set", "dev", "lo", "up"]).status();
        assert!(status.is_ok_and(|status| status.success()), "ip link set lo up");
        Some(work())
    };
    std::thread::scope(|scope| scope.spawn(in_thread).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Packet sockets in the namespace of this thread.
fn packet_sockets() -> usize {
    std::fs::read_to_string("/proc/thread-self/net/packet").expect("procfs").lines().skip(1).count()
}

#[test]
fn a_refused_step_leaves_nothing_open() {
    in_new_namespace(|| {
        let two = || TpacketOptions { workers: 2, filter: Some("udp".to_owned()), ..loopback() };
        let open = open_by(&TpacketOpener { refuse: None }, two(), "lo".to_owned()).expect("root may");
        assert_eq!(packet_sockets(), 2);
        drop(open);
        for step in [
            OpenStep::Interface,
            OpenStep::Version,
            OpenStep::Lock,
            OpenStep::Ring,
            OpenStep::Map,
            OpenStep::Bind,
            OpenStep::Fanout,
            OpenStep::Filter,
        ] {
            refused(step, libc::ENOMEM, two());
            assert_eq!(packet_sockets(), 0, "{step:?}");
        }
    });
}

#[test]
fn impossible_settings_are_refused_by_name() {
    for (options, said) in [
        (TpacketOptions { workers: 0, ..loopback() }, "0 workers"),
        (TpacketOptions { workers: 257, ..loopback() }, "1 to 256"),
        (TpacketOptions { block_bytes: 65_536, ..loopback() }, "128 KiB at least"),
        (TpacketOptions { block_bytes: (1 << 20) + 4096, ..loopback() }, "multiple of 64 KiB"),
        (TpacketOptions { block_count: Some(1), ..loopback() }, "2 at least"),
        (TpacketOptions { block_count: Some(5000), ..loopback() }, "4 GiB"),
        (TpacketOptions { retire_ms: 0, ..loopback() }, "after 0 ms"),
        (TpacketOptions { retire_ms: 10_001, ..loopback() }, "1 to 10000 ms"),
    ] {
        let error = open_by(&TpacketOpener { refuse: None }, options, "lo".to_owned()).expect_err(said);
        assert!(matches!(&error, BackendError::Interface { what, .. } if what.contains(said)), "{error}");
    }
}

#[test]
fn the_default_is_64_mib_in_all() {
    let blocks = |workers| TpacketOptions { workers, ..TpacketOptions::default() }.blocks_per_ring();
    assert_eq!([1, 2, 4, 8, 16].map(blocks), [64, 32, 16, 8, 8]);
    assert_eq!(TpacketOptions::default().fanout, Fanout::Hash);
}

#[test]
fn a_program_keeps_the_snap_length_and_leaves_out_the_way_out() {
    let filter = Filter::compile("udp", LinkType::ETHERNET).expect("an expression");
    let program = fitted(Some(filter.instructions()), 96, false);
    assert_eq!(program.len(), filter.instructions().len());
    let returns: Vec<u32> = program.iter().filter(|step| step.code == 6).map(|step| step.operand).collect();
    assert!(returns.contains(&96) && returns.contains(&0) && returns.len() == 2, "{returns:?}");
    let program = fitted(None, 96, true);
    let words: Vec<_> = program.iter().map(|step| (step.code, step.jump_true, step.jump_false, step.operand)).collect();
    assert_eq!(words, [(0x20, 0, 0, 0xffff_f004), (0x15, 0, 1, 4), (6, 0, 0, 0), (6, 0, 0, 96)]);
    // A packet that is there as the filter's own compiler knows it.
    let packet = Packet { data: &[0; 60], time: Timestamp(0), wire_len: 60, link_type: LinkType::ETHERNET };
    assert!(!filter.matches(&packet));
}

#[test]
fn an_unknown_interface_lists_the_known_ones() {
    let options = TpacketOptions::default();
    let error = open_by(&TpacketOpener { refuse: None }, options, "netscope-none0".to_owned()).expect_err("no such interface");
    let text = error.to_string();
    assert!(text.contains("no permission") || (text.contains("available:") && text.contains("lo")), "{text}");
}

#[test]
fn all_interfaces_at_once_are_for_libpcap() {
    let error = open_by(&TpacketOpener { refuse: None }, TpacketOptions::default(), "any".to_owned()).expect_err("no interface");
    let text = error.to_string();
    assert!(text.contains("no permission") || text.contains("--backend libpcap"), "{text}");
}
