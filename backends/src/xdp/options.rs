//! What can be set about an AF_XDP capture, and which settings make no sense.
//!
//! Owns the settings and their defaults. Asks no kernel. Its one invariant: settings that pass
//! [`XdpOptions::shape`] describe rings and frames that the kernel's interface can have.

use std::time::Duration;

use netscope_bpf::xdp::Unmatched;

use super::pace::NAP_MAX;
use super::receive::ReceiveShape;
use crate::BackendError;
use crate::file::PACKET_LEN_MAX;

/// Most queues of one interface that are opened.
pub const QUEUES_MAX: u32 = 4096;
/// Fewest frames of a queue: a driver keeps some hundred to itself.
const FRAME_COUNT_MIN: u32 = 64;
/// Most frames of a queue: 4 GiB of 4096 bytes each.
const FRAME_COUNT_MAX: u32 = 1 << 20;
/// Bytes the kernel keeps free in front of each packet (`XDP_PACKET_HEADROOM` of linux/bpf.h).
const HEADROOM: u32 = 256;
/// Bytes of an Ethernet header with two VLAN tags, which the MTU does not count.
const LINK_HEADER_MAX: u32 = 14 + 8;

/// How the kernel hands packets over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// The fastest that the driver takes: zero copy, else native, else generic.
    #[default]
    Auto,
    /// The driver writes packets into our memory.
    ZeroCopy,
    /// The driver runs the program, packets are copied into our memory.
    Native,
    /// The kernel's stack runs the program; any driver can, at a third to a half of the rate.
    Generic,
}

/// Whether huge pages hold the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePageUse {
    /// Reserved ones where there are enough, else what the kernel makes of ordinary memory.
    #[default]
    Auto,
    /// Reserved ones; that there are not enough is an error.
    Require,
    /// Ordinary memory.
    Off,
}

/// Where a packet's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// The clock is read once per batch of up to 64 packets, when they are taken from the ring.
    #[default]
    PerBatch,
    /// Each packet has a time of its own: the card's where the driver tells one that agrees with the system's
    /// clock to a second, else the XDP program's reading of the clock (80 to 140 ns each on the machine where
    /// it was measured).
    PerPacket,
}

/// Preferred busy polling (`SO_PREFER_BUSY_POLL`): our thread drives the driver instead of interrupts, and
/// uses its core fully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// Microseconds one call polls (`SO_BUSY_POLL`).
    pub timeout_us: u32,
    /// Most packets one call takes from the driver (`SO_BUSY_POLL_BUDGET`).
    pub budget: u32,
}

impl Default for BusyPoll {
    /// What the kernel's documentation of AF_XDP uses.
    fn default() -> Self {
        Self { timeout_us: 20, budget: 64 }
    }
}

/// How to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpOptions {
    /// Name of the interface.
    pub interface: String,
    /// Receive queues to take; all when none are named.
    pub queues: Option<Vec<u32>>,
    /// How packets are handed over.
    pub mode: XdpMode,
    /// Bytes of a frame, 2048 or 4096; 256 of them stay free in front of a packet. A longer packet takes
    /// several frames.
    pub frame_bytes: u32,
    /// Frames of each queue, 64 to 1048576.
    pub frame_count: u32,
    /// Frames that the kernel is given in advance at least; 0 = what the naps and interruptions seen so far
    /// demand. All of them bear the longest pause from the start, at the price of memory that no cache
    /// remembers.
    pub ready_count: u32,
    /// Places of each queue's rx ring, a power of two; as many as frames (rounded up to a power of two) when
    /// none.
    pub rx_ring: Option<u32>,
    /// Places of each queue's fill ring, a power of two and at least as many as frames; just that when none.
    pub fill_ring: Option<u32>,
    /// Busy polling; none for interrupts and naps.
    pub busy_poll: Option<BusyPoll>,
    /// Huge pages.
    pub huge_pages: HugePageUse,
    /// Where packets' times come from.
    pub times: Times,
    /// Expression in the language of pcap-filter(7).
    pub filter: Option<String>,
    /// What becomes of packets that do not match it.
    pub unmatched: Unmatched,
    /// Bytes kept per packet; 0 or more than [`PACKET_LEN_MAX`] means that.
    pub snaplen: u32,
    /// Also packets that are not for us; ends with the process, however it ends.
    pub promiscuous: bool,
    /// Takes the packets also of an interface that the host uses (an address, a default route, a bridge);
    /// without it that is an error.
    pub insist: bool,
    /// Longest nap while packets flow; zero wakes for every arrival.
    pub nap_max: Duration,
    /// When the interface is deleted: true looks for it every second and goes on when one of that name is
    /// there; false reports an error and ends.
    pub reopen: bool,
}

impl Default for XdpOptions {
    /// 32768 frames bear a pause of 2 ms on the fastest wire. Most are a reserve: the kernel is given as many
    /// as a nap needs (`level`).
    fn default() -> Self {
        Self {
            interface: String::new(),
            queues: None,
            mode: XdpMode::Auto,
            frame_bytes: 2048,
            frame_count: 32_768,
            ready_count: 0,
            rx_ring: None,
            fill_ring: None,
            busy_poll: None,
            huge_pages: HugePageUse::Auto,
            times: Times::PerBatch,
            filter: None,
            unmatched: Unmatched::Pass,
            snaplen: 65_535,
            promiscuous: true,
            insist: false,
            nap_max: NAP_MAX,
            reopen: true,
        }
    }
}

impl XdpOptions {
    /// Bytes of a packet that fit in one frame.
    pub const fn frame_room(&self) -> u32 {
        self.frame_bytes.saturating_sub(HEADROOM)
    }

    /// Largest MTU whose packets fit in one frame each.
    pub(super) const fn mtu_max(&self) -> u32 {
        self.frame_room().saturating_sub(LINK_HEADER_MAX)
    }

    /// Whether packets of an interface with this MTU may need several frames.
    pub const fn needs_fragments(&self, mtu: u32) -> bool {
        mtu > self.mtu_max()
    }

    /// Sizes of rings and memory.
    ///
    /// # Errors
    /// [`BackendError::Interface`] naming the setting and what it may be.
    pub(super) fn shape(&self, has_fragments: bool) -> Result<ReceiveShape, BackendError> {
        let fail = |what: String| Err(BackendError::Interface { interface: self.interface.clone(), what });
        if ![2048, 4096].contains(&self.frame_bytes) {
            return fail(format!("frames of {} bytes; AF_XDP takes 2048 or 4096", self.frame_bytes));
        }
        if !(FRAME_COUNT_MIN..=FRAME_COUNT_MAX).contains(&self.frame_count) {
            let count = self.frame_count;
            return fail(format!("{count} frames for a queue; it must be {FRAME_COUNT_MIN} to {FRAME_COUNT_MAX}"));
        }
        let places = self.frame_count.next_power_of_two();
        let (rx_entries, fill_entries) = (self.rx_ring.unwrap_or(places), self.fill_ring.unwrap_or(places));
        for (name, entries) in [("rx", rx_entries), ("fill", fill_entries)] {
            if !entries.is_power_of_two() || entries > FRAME_COUNT_MAX {
                return fail(format!("an {name} ring of {entries} places; it must be a power of two up to {FRAME_COUNT_MAX}"));
            }
        }
        if fill_entries < self.frame_count {
            let count = self.frame_count;
            return fail(format!("a fill ring of {fill_entries} places for {count} frames; it must have a place for each"));
        }
        let snaplen = match self.snaplen as usize {
            0 => PACKET_LEN_MAX,
            snaplen => snaplen.min(PACKET_LEN_MAX),
        };
        let (frame_count, frame_bytes) = (self.frame_count, self.frame_bytes);
        let has_stamps = self.times == Times::PerPacket;
        let ready_count = self.ready_count;
        Ok(ReceiveShape { rx_entries, fill_entries, frame_count, ready_count, frame_bytes, has_stamps, has_fragments, snaplen })
    }

    /// The queues to open on an interface that has `count` of them; in order, each once.
    ///
    /// # Errors
    /// [`BackendError::Interface`] saying which queue is not there and how many there are.
    pub(super) fn chosen_queues(&self, count: u32) -> Result<Vec<u32>, BackendError> {
        let fail = |what: String| BackendError::Interface { interface: self.interface.clone(), what };
        let Some(chosen) = &self.queues else { return Ok((0..count.min(QUEUES_MAX)).collect()) };
        let mut queues = chosen.clone();
        queues.sort_unstable();
        queues.dedup();
        if queues.is_empty() {
            return Err(fail("no queue is chosen; name at least one, or none for all".to_owned()));
        }
        match queues.iter().find(|queue| **queue >= count) {
            None => Ok(queues),
            Some(queue) => {
                let there = if count == 1 { "1 receive queue: 0".to_owned() } else { format!("{count}: 0 to {}", count - 1) };
                Err(fail(format!("it has no receive queue {queue}; it has {there}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> XdpOptions {
        XdpOptions { interface: "eth9".to_owned(), ..XdpOptions::default() }
    }

    #[test]
    fn defaults_make_sense() {
        let shape = options().shape(false).unwrap();
        assert_eq!((shape.rx_entries, shape.fill_entries, shape.frame_count), (32_768, 32_768, 32_768));
        let odd = XdpOptions { frame_count: 1000, snaplen: 0, ..options() }.shape(true).unwrap();
        assert_eq!((odd.rx_entries, odd.fill_entries, odd.snaplen), (1024, 1024, PACKET_LEN_MAX));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let cases = [
            (XdpOptions { frame_bytes: 1500, ..options() }, "frames of 1500 bytes; AF_XDP takes 2048 or 4096"),
            (XdpOptions { frame_count: 10, ..options() }, "10 frames for a queue; it must be 64 to 1048576"),
            (XdpOptions { rx_ring: Some(100), ..options() }, "an rx ring of 100 places; it must be a power of two"),
            (XdpOptions { fill_ring: Some(64), ..options() }, "a fill ring of 64 places for 32768 frames"),
        ];
        for (options, expected) in cases {
            let said = options.shape(false).unwrap_err().to_string();
            assert!(said.starts_with("interface eth9: ") && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn queues_are_checked_against_what_is_there() {
        assert_eq!(options().chosen_queues(3).unwrap(), [0, 1, 2]);
        let some = XdpOptions { queues: Some(vec![2, 0, 2]), ..options() };
        assert_eq!(some.chosen_queues(3).unwrap(), [0, 2]);
        let said = some.chosen_queues(2).unwrap_err().to_string();
        assert_eq!(said, "interface eth9: it has no receive queue 2; it has 2: 0 to 1");
        let said = some.chosen_queues(1).unwrap_err().to_string();
        assert_eq!(said, "interface eth9: it has no receive queue 2; it has 1 receive queue: 0");
        assert!(XdpOptions { queues: Some(Vec::new()), ..options() }.chosen_queues(1).is_err());
    }

    #[test]
    fn long_packets_need_fragments() {
        assert!(!options().needs_fragments(1500) && options().needs_fragments(1771) && options().needs_fragments(9000));
        assert!(!XdpOptions { frame_bytes: 4096, ..options() }.needs_fragments(3506));
    }
}
