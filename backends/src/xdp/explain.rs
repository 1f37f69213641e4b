//! What to say when a step of opening fails.
//!
//! Owns the sentences. Asks nobody: what they name is given. Its one invariant: a sentence says what failed,
//! why, and what to do.

use super::socket::{SocketFault, SocketStep};

/// What sentences may name.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorContext {
    pub interface: String,
    pub queue: u32,
    /// Bytes of packet memory of one queue.
    pub memory_bytes: u64,
    /// Bytes that may be locked without CAP_IPC_LOCK; `None` where there is no limit or it is not known.
    pub memlock_bytes: Option<u64>,
    pub rx_entries: u32,
    pub fill_entries: u32,
    /// Bytes of a frame.
    pub frame_bytes: u32,
    /// Largest MTU whose packets fit in one frame each, where this interface's is larger.
    pub mtu_max: Option<u32>,
}

/// Which rights are needed, and how to get them.
pub(crate) const RIGHTS: &str = "AF_XDP needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF, and CAP_IPC_LOCK for its memory: run it with sudo, or \
     allow it once with `sudo setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock=eip $(command -v netscope)`";

const OTHERWISE: &str = "take --backend tpacket, which needs no such thing";

/// What failed, why, and what to do.
pub(crate) fn explain(fault: &SocketFault, facts: &ErrorContext) -> String {
    let (queue, mebibytes) = (facts.queue, facts.memory_bytes.div_ceil(1 << 20));
    match (fault.step, fault.errno()) {
        (SocketStep::Socket | SocketStep::Promiscuous | SocketStep::Bind, libc::EPERM | libc::EACCES) => {
            format!("no permission to capture ({}); {RIGHTS}", reason(fault))
        }
        (SocketStep::Socket, libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
            format!("this kernel is built without AF_XDP sockets (CONFIG_XDP_SOCKETS); {OTHERWISE}")
        }
        (SocketStep::Register, libc::ENOBUFS | libc::EPERM) => format!(
            "its {mebibytes} MiB of packet memory for a queue cannot be locked: {}run it with CAP_IPC_LOCK, raise the limit \
             (`ulimit -l unlimited`, or LimitMEMLOCK=infinity for a service), or take fewer frames",
            facts.memlock_bytes.map_or_else(String::new, |bytes| format!(
                "without CAP_IPC_LOCK no more than RLIMIT_MEMLOCK allows ({} KiB); ",
                bytes / 1024
            ))
        ),
        (SocketStep::HugePages, libc::ENOMEM) => format!(
            "there are not {0} free huge pages of 2 MiB for a queue; reserve them (`sudo sysctl vm.nr_hugepages={0}`, for each queue) \
             or do without",
            facts.memory_bytes.div_ceil(super::map::HUGE_PAGE_BYTES as u64)
        ),
        (SocketStep::Memory | SocketStep::Register | SocketStep::Map, libc::ENOMEM) => {
            format!("there is not enough memory for the {mebibytes} MiB of a queue's packets; take fewer frames")
        }
        (SocketStep::FillRing | SocketStep::RxRing, libc::ENOMEM | libc::EINVAL) => format!(
            "the kernel does not make rings of {} and {} places ({}); take fewer frames",
            facts.rx_entries,
            facts.fill_entries,
            reason(fault)
        ),
        (SocketStep::Offsets, libc::ENOPROTOOPT) => {
            format!("this kernel is too old for this use of AF_XDP (Linux 5.4 is needed); {OTHERWISE}")
        }
        (SocketStep::BusyPoll, libc::EPERM) => {
            format!("busy polling is not allowed: it needs CAP_NET_ADMIN; {RIGHTS}; or do without it")
        }
        (SocketStep::BusyPoll, libc::ENOPROTOOPT) => {
            "this kernel has no preferred busy polling (Linux 5.11 is needed); do without it".to_owned()
        }
        (SocketStep::Bind, libc::EBUSY) => format!(
            "another AF_XDP socket has receive queue {queue}; stop the program that has it (`ss --xdp -p` shows it) or take other queues"
        ),
        (SocketStep::Bind, libc::ENETDOWN) => {
            format!("it is down; bring it up first (`sudo ip link set {} up`)", facts.interface)
        }
        (SocketStep::Bind, libc::ENODEV | libc::ENXIO) => "it vanished while it was being opened".to_owned(),
        (SocketStep::Bind, libc::EINVAL) => format!(
            "the kernel refuses a socket at receive queue {queue} ({}): is that queue still there (`ethtool -l {}`)?",
            reason(fault),
            facts.interface
        ),
        (SocketStep::Bind, libc::EOPNOTSUPP) => {
            format!("its driver has no zero copy for this; {}take mode native or auto", smaller(facts))
        }
        (step, _) => format!("{} failed: {}", doing(step), reason(fault)),
    }
}

/// What may help where packets need several frames; empty where they do not.
pub(crate) fn smaller(facts: &ErrorContext) -> String {
    let Some(mtu) = facts.mtu_max else { return String::new() };
    let or_frames = if facts.frame_bytes < 4096 { " or frames of 4096 bytes" } else { "" };
    format!("not every driver has it for packets in several frames: an MTU of at most {mtu}{or_frames} may be the cure; ")
}

/// What the system says, without the number that Rust appends.
pub(crate) fn reason(fault: &SocketFault) -> String {
    let text = fault.error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

const fn doing(step: SocketStep) -> &'static str {
    match step {
        SocketStep::Memory | SocketStep::HugePages => "making the packet memory",
        SocketStep::Socket => "making an AF_XDP socket",
        SocketStep::Register => "registering the packet memory",
        SocketStep::CompletionRing => "making the completion ring",
        SocketStep::FillRing => "making the fill ring",
        SocketStep::RxRing => "making the rx ring",
        SocketStep::Offsets => "asking for the layout of the rings",
        SocketStep::Map => "mapping a ring",
        SocketStep::BusyPoll => "asking for busy polling",
        SocketStep::Bind => "binding the AF_XDP socket",
        SocketStep::Promiscuous => "entering promiscuous mode",
        SocketStep::Statistics => "reading the counters",
    }
}

/// Bytes this process may lock; `None` where there is no limit.
pub(crate) fn memlock_bytes() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // JUSTIFICATION: the standard library does not read limits.
    // SAFETY: `limit` is live and of the type the call writes.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(step: SocketStep, errno: i32) -> String {
        let facts = ErrorContext {
            interface: "eth9".to_owned(),
            queue: 3,
            memory_bytes: 64 << 20,
            memlock_bytes: Some(8 << 20),
            rx_entries: 1024,
            fill_entries: 2048,
            frame_bytes: 2048,
            mtu_max: None,
        };
        explain(&SocketFault::new(step, std::io::Error::from_raw_os_error(errno)), &facts)
    }

    #[test]
    fn large_packets_may_be_why_there_is_no_zero_copy() {
        let fault = SocketFault::new(SocketStep::Bind, std::io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        let said = |frame_bytes, mtu_max| explain(&fault, &ErrorContext { frame_bytes, mtu_max, ..ErrorContext::default() });
        assert!(said(2048, Some(1770)).contains("an MTU of at most 1770 or frames of 4096 bytes may be the cure"));
        assert!(said(4096, Some(3818)).contains("an MTU of at most 3818 may be the cure"));
        assert!(!said(2048, None).contains("MTU"));
    }

    #[test]
    fn each_says_why_and_what_to_do() {
        let cases: &[(SocketStep, i32, &[&str])] = &[
            (SocketStep::Socket, libc::EPERM, &["no permission", "CAP_BPF", "setcap cap_net_raw,cap_net_admin,cap_bpf"]),
            (SocketStep::Socket, libc::EAFNOSUPPORT, &["CONFIG_XDP_SOCKETS", "--backend tpacket"]),
            (
                SocketStep::Register,
                libc::ENOBUFS,
                &["64 MiB", "RLIMIT_MEMLOCK allows (8192 KiB)", "CAP_IPC_LOCK", "LimitMEMLOCK"],
            ),
            (SocketStep::Register, libc::ENOMEM, &["64 MiB", "fewer frames"]),
            (SocketStep::HugePages, libc::ENOMEM, &["32 free huge pages", "vm.nr_hugepages=32"]),
            (SocketStep::RxRing, libc::ENOMEM, &["1024 and 2048 places", "fewer frames"]),
            (SocketStep::Offsets, libc::ENOPROTOOPT, &["too old", "5.4"]),
            (SocketStep::BusyPoll, libc::EPERM, &["CAP_NET_ADMIN"]),
            (SocketStep::BusyPoll, libc::ENOPROTOOPT, &["5.11"]),
            (SocketStep::Bind, libc::EBUSY, &["another AF_XDP socket has receive queue 3", "ss --xdp"]),
            (SocketStep::Bind, libc::ENETDOWN, &["ip link set eth9 up"]),
            (SocketStep::Bind, libc::EINVAL, &["queue 3", "ethtool -l eth9"]),
            (SocketStep::Bind, libc::EOPNOTSUPP, &["zero copy", "mode native"]),
            (SocketStep::CompletionRing, libc::EIO, &["making the completion ring failed: Input/output error"]),
        ];
        for (step, errno, parts) in cases {
            let said = said(*step, *errno);
            assert!(parts.iter().all(|part| said.contains(part)), "{step:?} {errno}: {said}");
            assert!(!said.contains("os error"), "{said}");
        }
    }
}
