//! Live capture by libpcap, on Linux and macOS.
//!
//! Owns one libpcap handle and its coming back after the interface went away. Knows no protocol. Its one
//! invariant: no packet is lent from libpcap's own memory.
//!
//! pcap_loop(3PCAP) lets a packet's bytes live until its callback returns, no longer: with TPACKET_V3 libpcap
//! gives a block back to the kernel after the callback of its last packet, with TPACKET_V2 (immediate mode) a
//! frame after every callback. A batch spans callbacks, so each packet is copied once into a [`PacketChunk`]
//! that stays in the cache.

use std::time::{Duration, Instant};

use pcap::{Active, Capture, Device, Precision, Stat};

use crate::chunk::PacketChunk;
use crate::file::PACKET_LEN_MAX;
use crate::filter::{link_type_from_dlt, pcap_reason};
use crate::live::{DELETED, LONG_FILTER, Notices, RETRY_INTERVAL, explain, interface_error, now};
use crate::wait::{Readiness, wait_readable};
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Timestamp};

mod filter;
pub(crate) mod interface;
#[cfg(test)]
mod tests;

use filter::{FILTERED_LEN, RestFilter, may_run_here};
pub use interface::{Interface, default_name as default_interface, list_interfaces};

/// Most packets taken from libpcap by one poll, so that a stop is noticed soon under any load.
const DISPATCH_MAX: usize = 16 * BATCH_MAX;

/// Asked for beyond the snap length and cut off again: in immediate mode libpcap reserves a frame whose
/// alignment may take some bytes of the packet.
const SNAPLEN_SLACK: usize = 16;

/// How often the kernel is asked for the last packets of an interface that is gone, and how much longer than it
/// gathers packets.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
const DRAIN_SLACK: Duration = Duration::from_millis(100);

/// How to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Name of the interface; libpcap's default one when none.
    pub interface: Option<String>,
    /// Also packets that are not for us.
    pub promiscuous: bool,
    /// Bytes kept per packet; 0 or more than [`PACKET_LEN_MAX`] means that.
    pub snaplen: u32,
    /// Longest time packets lie in the kernel's buffer before it hands them over, in milliseconds; at least
    /// 1. Without meaning in immediate mode.
    pub timeout_ms: u32,
    /// Size of the kernel's buffer in MiB; libpcap's default (2 MiB on Linux) when none.
    pub buffer_size_mb: Option<u32>,
    /// Each packet is handed over as soon as it arrives.
    pub immediate_mode: bool,
    /// Expression in the language of pcap-filter(7), run by the kernel. It means what it means for a file:
    /// `udp` matches packets without a VLAN tag, `vlan and udp` those with one.
    pub filter: Option<String>,
    /// When the interface is deleted: true looks for it every second and goes on when one of that name is
    /// there; false reports an error and ends.
    pub reopen: bool,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            interface: None,
            promiscuous: true,
            snaplen: 65_535,
            timeout_ms: 100,
            buffer_size_mb: None,
            immediate_mode: false,
            filter: None,
            reopen: true,
        }
    }
}

/// A live capture.
pub struct LiveBackend {
    options: LiveOptions,
    interface: String,
    link_type: LinkType,
    state: State,
    chunk: PacketChunk,
    /// Of handles before and of this one, as far as it was asked.
    counters: Counters,
    /// Packets handed over by libpcap.
    delivered: u64,
    notices: Notices,
}

enum State {
    Open(Handle),
    /// The interface is gone; when to look for it again.
    Gone(Instant),
    Ended,
}

struct Handle {
    capture: Capture<Active>,
    link_type: LinkType,
    /// Nanoseconds of one unit of the second time field.
    fraction_ns: u64,
    /// What libpcap counted when last asked. Its counters are 32 bits wide and wrap.
    last: Stat,
    /// Whether what libpcap counts as received is what it hands over and what the kernel dropped, no more.
    /// True on Linux, where the kernel adds its drops to what it received (packet_getsockopt in
    /// net/packet/af_packet.c), but not with a filter (packets that came before the filter was set count
    /// too), nor where the loopback takes part (each of its packets counts twice and libpcap leaves one out).
    /// BPF of macOS counts before the filter and without regard to whom packets are for.
    is_counting_ours: bool,
    /// Bytes kept per packet.
    snaplen: usize,
    rest: RestFilter,
    /// The interface went down; when to look whether it is up again.
    down: Option<Instant>,
    /// The interface is gone; until when its last packets are waited for.
    draining: Option<Instant>,
}

// Not offered by crate pcap.
unsafe extern "C" {
    fn pcap_get_tstamp_precision(handle: *mut libc::c_void) -> libc::c_int;
}
const PCAP_TSTAMP_PRECISION_NANO: libc::c_int = 1;

impl LiveBackend {
    /// Opens the interface and begins to capture.
    ///
    /// # Errors
    /// [`BackendError::Interface`] saying what to do: without permission, for an unknown name (listing the
    /// known ones), for an interface that is down. [`BackendError::Filter`] when the filter does not compile.
    pub fn open(options: LiveOptions) -> Result<Self, BackendError> {
        let interface = match &options.interface {
            Some(name) => name.clone(),
            None => interface::default_name()?,
        };
        let mut notices = Notices::default();
        let handle = Handle::open(&interface, &options, &mut notices)?;
        Ok(Self {
            link_type: handle.link_type,
            options,
            interface,
            state: State::Open(handle),
            chunk: PacketChunk::new(),
            counters: Counters::default(),
            delivered: 0,
            notices,
        })
    }

    /// Name of the interface that is captured from.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Takes what is there out of libpcap and lends it.
    fn dispatch(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<u32, pcap::Error> {
        let State::Open(Handle { capture, link_type, fraction_ns, snaplen, rest, .. }) = &mut self.state else {
            return Ok(0);
        };
        let Self { chunk, counters, .. } = self;
        let (link_type, fraction_ns, snaplen) = (*link_type, *fraction_ns, *snaplen);
        let mut lent = 0;
        let mut flush = |chunk: &mut PacketChunk| {
            chunk.visit(visit);
            lent += chunk.len() as u32;
            chunk.clear();
        };
        chunk.clear();
        let result = capture.dispatch(Some(DISPATCH_MAX), |raw| {
            let whole = packet(&raw, link_type, fraction_ns);
            if rest.leaves_out(&whole) {
                counters.filtered += 1;
                return;
            }
            let copied = Packet { data: whole.data.get(..snaplen).unwrap_or(whole.data), ..whole };
            if chunk.len() >= BATCH_MAX {
                flush(chunk);
            }
            if !chunk.push(&copied) {
                flush(chunk);
                if !chunk.push(&copied) {
                    counters.skipped += 1;
                }
            }
        });
        flush(chunk);
        self.delivered += u64::from(lent);
        // What was lent counts, whatever libpcap says after it; the error comes again with the next call.
        if lent > 0 { Ok(lent) } else { result.map(|_| 0) }
    }

    /// The interface went down, or is still down.
    fn watch_down(&mut self, readiness: Readiness) {
        let State::Open(handle) = &mut self.state else { return };
        match handle.down {
            None if readiness == Readiness::Error => {
                self.notices.went_down(&self.interface);
                handle.down = Some(Instant::now() + RETRY_INTERVAL);
            }
            Some(again) if Instant::now() >= again => {
                if interface::is_up(&self.interface) == Some(true) {
                    self.notices.is_up_again(&self.interface);
                    handle.down = None;
                } else {
                    handle.down = Some(Instant::now() + RETRY_INTERVAL);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, error: pcap::Error) -> Result<Polled, BackendError> {
        let reason = pcap_reason(error);
        if reason.contains("went down") {
            self.watch_down(Readiness::Error);
            return Ok(Polled::Idle(now()));
        }
        // The last counts, as far as the handle still gives them. What it received and did not hand over is
        // neither lent nor dropped by the kernel: it stays a difference.
        let _ = self.count();
        let is_gone = reason.contains("disappeared") || interface::is_up(&self.interface).is_none();
        if is_gone && self.waits_for_rest() {
            return Ok(Polled::Idle(now()));
        }
        if is_gone && self.options.reopen {
            self.notices.is_gone(&self.interface);
            self.state = State::Gone(Instant::now() + RETRY_INTERVAL);
            return Ok(Polled::Idle(now()));
        }
        self.state = State::Ended;
        let what = if is_gone { DELETED.to_owned() } else { format!("reading failed: {reason}") };
        Err(interface_error(&self.interface, what))
    }

    /// True as long as the kernel may still hand over packets of an interface that is gone: it does so when the
    /// time for which it gathers packets is over.
    fn waits_for_rest(&mut self) -> bool {
        let gathering = Duration::from_millis(self.options.timeout_ms.max(1).into());
        let State::Open(handle) = &mut self.state else { return false };
        let until = *handle.draining.get_or_insert_with(|| Instant::now() + gathering + DRAIN_SLACK);
        Instant::now() < until
    }

    /// Takes the last packets of an interface that is gone; poll(2) would only tell of its error.
    fn drain(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        std::thread::sleep(timeout.min(DRAIN_INTERVAL));
        match self.dispatch(visit) {
            Ok(0) if !self.waits_for_rest() => self.fail(pcap::Error::PcapError("The interface disappeared".to_owned())),
            Ok(lent) => Ok(if lent > 0 { Polled::Lent(lent) } else { Polled::Idle(now()) }),
            Err(error) => self.fail(error),
        }
    }

    fn look_for_interface(&mut self, again: Instant, timeout: Duration) -> Polled {
        std::thread::sleep(timeout.min(again.saturating_duration_since(Instant::now())));
        if Instant::now() < again {
            return Polled::Idle(now());
        }
        // It not being there yet, or not being up yet, is what we wait for.
        self.state = match Handle::open(&self.interface, &self.options, &mut Notices::default()) {
            Ok(handle) => {
                self.notices.is_back(&self.interface);
                State::Open(handle)
            }
            Err(_) => State::Gone(Instant::now() + RETRY_INTERVAL),
        };
        Polled::Idle(now())
    }

    /// Adds what libpcap counted since it was last asked.
    fn count(&mut self) -> Result<(), pcap::Error> {
        let State::Open(Handle { capture, last, is_counting_ours, .. }) = &mut self.state else {
            return Ok(());
        };
        let stat = capture.stats()?;
        let dropped = u64::from(stat.dropped.wrapping_sub(last.dropped));
        self.counters.kernel_drops += dropped;
        self.counters.interface_drops += u64::from(stat.if_dropped.wrapping_sub(last.if_dropped));
        self.counters.received = if *is_counting_ours {
            self.counters.received + u64::from(stat.received.wrapping_sub(last.received))
        } else {
            self.delivered + self.counters.filtered + self.counters.skipped + self.counters.kernel_drops
        };
        *last = stat;
        Ok(())
    }
}

impl Backend for LiveBackend {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let handle = match &self.state {
            State::Open(handle) => handle,
            State::Gone(again) => {
                let again = *again;
                return Ok(self.look_for_interface(again, timeout));
            }
            State::Ended => return Ok(Polled::End),
        };
        if handle.draining.is_some() {
            return self.drain(timeout, visit);
        }
        let readiness = wait_readable(&handle.capture, timeout)
            .map_err(|error| interface_error(&self.interface, format!("waiting for packets failed: {error}")))?;
        if readiness == Readiness::Nothing && handle.down.is_none() {
            return Ok(Polled::Idle(now()));
        }
        let lent = match self.dispatch(visit) {
            Ok(lent) => lent,
            Err(error) => return self.fail(error),
        };
        self.watch_down(readiness);
        Ok(if lent > 0 { Polled::Lent(lent) } else { Polled::Idle(now()) })
    }

    /// Has to be called before libpcap's 32-bit counters wrap: once in 4 294 967 295 packets.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        self.count()
            .map_err(|error| interface_error(&self.interface, format!("reading the counters failed: {}", pcap_reason(error))))?;
        Ok(self.counters)
    }

    fn notice(&mut self) -> Option<String> {
        self.notices.pop()
    }
}

impl Handle {
    fn open(interface: &str, options: &LiveOptions, notices: &mut Notices) -> Result<Self, BackendError> {
        let mut opened = activate(interface, options, options.promiscuous);
        // Crate pcap makes an error of libpcap's warning that there is no promiscuous mode (the device
        // "any").
        if opened.is_err() && options.promiscuous {
            let plain = activate(interface, options, false);
            if plain.is_ok() {
                notices.has_no_promiscuous_mode(interface);
                opened = plain;
            }
        }
        let fail = |what| interface_error(interface, what);
        let mut capture = opened.map_err(|error| fail(explain(interface, &pcap_reason(error))))?;
        let rest = match &options.filter {
            Some(expression) => filter::set(&mut capture, expression)?,
            None => RestFilter::default(),
        };
        if rest.is_whole() {
            notices.push(format!("interface {interface}: {LONG_FILTER}"));
        }
        let handle = capture.as_ptr().cast();
        // JUSTIFICATION: crate pcap asks for nanoseconds but does not tell whether they were granted.
        // SAFETY: the pointer is to the live handle that `capture` owns; the call only reads a field of it.
        let precision = unsafe { pcap_get_tstamp_precision(handle) };
        let fraction_ns = if precision == PCAP_TSTAMP_PRECISION_NANO { 1 } else { 1_000 };
        let link_type = link_type_from_dlt(capture.get_datalink().0);
        let is_loopback = || interface == "any" || interface::is_loopback(interface);
        let is_counting_ours = cfg!(target_os = "linux") && options.filter.is_none() && !is_loopback();
        let last = Stat { received: 0, dropped: 0, if_dropped: 0 };
        let snaplen = snaplen(options);
        Ok(Self { capture, link_type, fraction_ns, last, is_counting_ours, snaplen, rest, down: None, draining: None })
    }
}

/// Bytes to keep per packet.
fn snaplen(options: &LiveOptions) -> usize {
    match options.snaplen as usize {
        0 => PACKET_LEN_MAX,
        snaplen => snaplen.min(PACKET_LEN_MAX),
    }
}

fn activate(interface: &str, options: &LiveOptions, promiscuous: bool) -> Result<Capture<Active>, pcap::Error> {
    let is_filtered_here = options.filter.as_deref().is_some_and(|expression| may_run_here(interface, expression));
    let asked = snaplen(options).max(if is_filtered_here { FILTERED_LEN } else { 0 });
    let mut capture = Capture::from_device(Device::from(interface))?
        .promisc(promiscuous)
        .snaplen((asked + SNAPLEN_SLACK) as i32)
        .timeout(i32::try_from(options.timeout_ms.max(1)).unwrap_or(i32::MAX))
        .immediate_mode(options.immediate_mode)
        .precision(Precision::Nano);
    if let Some(mebibytes) = options.buffer_size_mb {
        let bytes = u64::from(mebibytes) << 20;
        capture = capture.buffer_size(i32::try_from(bytes).unwrap_or(i32::MAX));
    }
    // Waiting is ours, by poll(2): libpcap's own wait does not end on a silent link.
    capture.open()?.setnonblock()
}

#[inline]
fn packet<'a>(raw: &pcap::Packet<'a>, link_type: LinkType, fraction_ns: u64) -> Packet<'a> {
    let seconds = u64::try_from(raw.header.ts.tv_sec).unwrap_or(0);
    let fraction = u64::try_from(raw.header.ts.tv_usec).unwrap_or(0);
    Packet {
        data: raw.data,
        time: Timestamp::from_parts(seconds, fraction.saturating_mul(fraction_ns)),
        wire_len: raw.header.len,
        link_type,
    }
}
