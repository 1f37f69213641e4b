//! Filter expressions in the language of pcap-filter(7).
//!
//! Owns compiling (by libpcap) and running (by libpcap's interpreter) a filter over packets that did not pass
//! through a kernel. Knows nothing of where packets come from. Its one invariant: a program only ever runs on
//! packets of the link type it was compiled for.

mod names;
mod size;

use std::sync::Mutex;

use netscope_bpf::classic::{ClassicFilter, FilterError};
#[cfg(target_os = "linux")]
use netscope_bpf::classic::{or_tag_beside, with_tag_beside};
use pcap::{BpfProgram, Capture, Linktype};

use crate::{BackendError, LinkType, Packet};

pub use netscope_bpf::classic::ClassicInstruction;
pub use size::TERMS_MAX;

/// `struct bpf_program` of libpcap.
#[repr(C)]
struct RawProgram {
    len: libc::c_uint,
    instructions: *const ClassicInstruction,
}

/// `struct pcap_pkthdr` of libpcap.
#[repr(C)]
struct RawHeader {
    time: libc::timeval,
    captured_len: u32,
    wire_len: u32,
}

unsafe extern "C" {
    fn pcap_offline_filter(program: *const RawProgram, header: *const RawHeader, bytes: *const u8) -> libc::c_int;
    #[cfg(target_os = "linux")]
    fn pcap_setfilter(handle: *mut libc::c_void, program: *const RawProgram) -> libc::c_int;
}

/// libpcap's compiler had global state before 1.8; compiling is rare, so it happens one at a time.
static COMPILER: Mutex<()> = Mutex::new(());

/// A compiled filter for one link type.
#[derive(Clone, Debug)]
pub struct Filter {
    link_type: LinkType,
    instructions: Box<[ClassicInstruction]>,
    is_optimized: bool,
}

impl Filter {
    /// Compiles `expression` for packets of `link_type`. An empty expression matches everything. A program of up to 6,000 instructions
    /// is optimized, a longer one, for which that would take seconds to minutes, is left as it is.
    ///
    /// # Errors
    /// [`BackendError::Filter`] with libpcap's reason when the expression is not valid, or not for this link
    /// type; and when it is too long ([`TERMS_MAX`]).
    pub fn compile(expression: &str, link_type: LinkType) -> Result<Self, BackendError> {
        let fail = |why| filter_error(expression, why);
        if let Some(why) = size::too_long(expression) {
            return Err(fail(why));
        }
        let _one_at_a_time = COMPILER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let dead = Capture::dead(Linktype(dlt_from_link_type(link_type))).map_err(|error| fail(pcap_reason(error)))?;
        let mut program = dead.compile(expression, false).map_err(|error| fail(pcap_reason(error)))?;
        let is_optimized = program.get_instructions().len() <= size::OPTIMIZED_LEN_MAX;
        if is_optimized {
            program = dead.compile(expression, true).map_err(|error| fail(pcap_reason(error)))?;
        }
        Ok(Self { link_type, instructions: copy_instructions(&program), is_optimized })
    }

    /// As [`Filter::compile`], and refuses before that what libpcap would look up: names of hosts and networks (DNS) and of Ethernet
    /// addresses (`/etc/ethers`). For expressions that come from elsewhere, and for threads that must not wait for a name server.
    /// Names of ports and protocols stay.
    ///
    /// # Errors
    /// [`BackendError::Filter`] also names the word.
    pub fn compile_without_names(expression: &str, link_type: LinkType) -> Result<Self, BackendError> {
        match names::looked_up(expression) {
            None => Self::compile(expression, link_type),
            Some(name) => {
                let what = match names::is_keyword_in_capitals(name) {
                    true => "words of the language are in lower case",
                    false => "names are not looked up here, give an address",
                };
                Err(filter_error(expression, format!("\"{name}\" is a name: {what}")))
            }
        }
    }

    /// The link type it was compiled for.
    pub const fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// The program, for a kernel to run. Its return value is the number of bytes to keep: 0 = no match.
    pub fn instructions(&self) -> &[ClassicInstruction] {
        &self.instructions
    }

    /// False for a program that was too long to be made shorter.
    pub(crate) const fn is_optimized(&self) -> bool {
        self.is_optimized
    }

    /// The filter as a part of an XDP program.
    ///
    /// # Errors
    /// Why that cannot be: it has to run in user space then.
    pub fn for_driver(&self) -> Result<ClassicFilter, FilterError> {
        ClassicFilter::new(&self.instructions, self.link_type.0)
    }

    /// The filter for a packet socket of Linux, which sees Ethernet frames without their outer VLAN tag: what it
    /// says of a frame is what [`Filter::matches`] says of the frame with its tag.
    ///
    /// # Errors
    /// Why that cannot be. One that is too long can run in user space.
    #[cfg(target_os = "linux")]
    pub(crate) fn for_socket(&self) -> Result<Vec<ClassicInstruction>, FilterError> {
        if self.link_type == LinkType::ETHERNET {
            return with_tag_beside(&self.instructions);
        }
        Ok(self.instructions.to_vec())
    }

    /// Has a live handle of this link type give what matches and, of what does not, packets whose VLAN tag is
    /// put back only after the filter. The error is a reason.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_or_tagged(&self, capture: &mut Capture<pcap::Active>) -> Result<(), String> {
        let instructions = or_tag_beside(&self.instructions);
        let program = RawProgram { len: instructions.len() as libc::c_uint, instructions: instructions.as_ptr() };
        // JUSTIFICATION: crate pcap sets only filters that it compiled itself.
        // SAFETY: the handle is live and borrowed; `program` has the layout of pcap/bpf.h and lives through the
        // call, which copies it and checks each instruction (pcap_setfilter(3PCAP)).
        let answer = unsafe { pcap_setfilter(capture.as_ptr().cast(), &raw const program) };
        if answer == 0 { Ok(()) } else { Err("libpcap refuses to run it on cooked packets".to_owned()) }
    }

    /// Whether `packet` matches; never true for a packet of another link type. `len`, `less` and `greater`
    /// see the length on the wire.
    #[inline]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        if packet.link_type != self.link_type {
            return false;
        }
        let program = RawProgram { len: self.instructions.len() as libc::c_uint, instructions: self.instructions.as_ptr() };
        let header = RawHeader {
            time: libc::timeval { tv_sec: 0, tv_usec: 0 },
            captured_len: u32::try_from(packet.data.len()).unwrap_or(u32::MAX),
            wire_len: packet.wire_len,
        };
        // JUSTIFICATION: the interpreter of libpcap is C; crate pcap offers it only with the captured length
        // in place of the length on the wire, which makes `greater` wrong for packets cut by a snap length.
        // SAFETY: `program` and `header` have the layouts of pcap/bpf.h and pcap/pcap.h (Apple's header has a
        // comment behind these fields, which a filter does not read) and outlive the call. The instructions
        // are those pcap_compile made (copied whole, never changed), so they are what the interpreter trusts.
        // `bytes` is valid for `captured_len` bytes, which is never more than the slice has, and the
        // interpreter checks every load against it.
        let kept = unsafe { pcap_offline_filter(&raw const program, &raw const header, packet.data.as_ptr()) };
        kept != 0
    }
}

/// What is said of an expression that is no filter.
pub(crate) fn filter_error(expression: &str, why: String) -> BackendError {
    BackendError::Filter { expression: shown(expression), why }
}

/// Most characters of an expression that an error shows.
const SHOWN_MAX: usize = 200;

/// An expression, cut where it is long.
fn shown(expression: &str) -> String {
    match expression.char_indices().nth(SHOWN_MAX) {
        None => expression.to_owned(),
        Some((end, _)) => format!("{} ...", &expression[..end]),
    }
}

fn copy_instructions(program: &BpfProgram) -> Box<[ClassicInstruction]> {
    let raw = program.get_instructions();
    // JUSTIFICATION: crate pcap shows the instructions as opaque wrappers; we need their fields, for the
    // kernel, and memory of our own, so that a filter can be cloned and shared.
    // SAFETY: `BpfInstruction` is a transparent wrapper of libpcap's `struct bpf_insn` {u16, u8, u8, u32},
    // the layout of `ClassicInstruction`; pointer and length are those of one live slice, borrowed for as
    // long as this one.
    let instructions = unsafe { std::slice::from_raw_parts(raw.as_ptr().cast::<ClassicInstruction>(), raw.len()) };
    instructions.into()
}

/// A filter for a source whose packets may have several link types: one program each, compiled when first
/// needed.
#[derive(Clone, Debug)]
pub struct FilterSet {
    expression: String,
    programs: Vec<(LinkType, Option<Filter>)>,
    last: usize,
    notice: Option<String>,
}

impl FilterSet {
    /// Compiles for the first link type, so that a wrong expression is an error before anything runs.
    ///
    /// # Errors
    /// As [`Filter::compile`].
    pub fn new(expression: &str, first: LinkType) -> Result<Self, BackendError> {
        let filter = Filter::compile(expression, first)?;
        Ok(Self::of(expression, first, filter))
    }

    /// As [`Filter::compile_without_names`]: nothing is looked up now, nor when packets of other link types come.
    ///
    /// # Errors
    /// As there.
    pub fn without_names(expression: &str, first: LinkType) -> Result<Self, BackendError> {
        let filter = Filter::compile_without_names(expression, first)?;
        Ok(Self::of(expression, first, filter))
    }

    fn of(expression: &str, first: LinkType, filter: Filter) -> Self {
        let notice = (!filter.is_optimized()).then(|| {
            "the filter is long, and each of its terms costs time for every packet: a list of addresses costs less by --filter-file"
                .to_owned()
        });
        Self { expression: expression.to_owned(), programs: vec![(first, Some(filter))], last: 0, notice }
    }

    /// Whether the packet matches. Where the expression makes no sense for a link type, its packets do not
    /// match.
    #[inline]
    pub fn matches(&mut self, packet: &Packet<'_>) -> bool {
        if let Some((link_type, Some(filter))) = self.programs.get(self.last)
            && *link_type == packet.link_type
        {
            return filter.matches(packet);
        }
        self.matches_other(packet)
    }

    #[cold]
    fn matches_other(&mut self, packet: &Packet<'_>) -> bool {
        self.last = match self.programs.iter().position(|(link_type, _)| *link_type == packet.link_type) {
            Some(index) => index,
            None => {
                let filter = Filter::compile(&self.expression, packet.link_type);
                if let Err(error) = &filter {
                    self.notice = Some(format!("packets of link type {} are left out: {error}", packet.link_type));
                }
                self.programs.push((packet.link_type, filter.ok()));
                self.programs.len() - 1
            }
        };
        matches!(self.programs.get(self.last), Some((_, Some(filter))) if filter.matches(packet))
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    pub(crate) fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

/// The reason libpcap gave, without crate pcap's words around it.
pub(crate) fn pcap_reason(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(reason) => reason,
        other => other.to_string(),
    }
}

/// DLT_RAW of Linux and macOS.
const DLT_RAW: i32 = 12;
/// LINKTYPE and DLT of classical IP over ATM.
const LINKTYPE_ATM_RFC1483: u16 = 100;
const DLT_ATM_RFC1483: i32 = 11;

/// The number libpcap uses at run time on Linux and macOS for a number of capture files (pcap-linktype(7)).
pub(crate) fn dlt_from_link_type(link_type: LinkType) -> i32 {
    match link_type {
        LinkType::RAW | LinkType::RAW_DLT12 | LinkType::RAW_DLT14 => DLT_RAW,
        LinkType(LINKTYPE_ATM_RFC1483) => DLT_ATM_RFC1483,
        LinkType(other) => i32::from(other),
    }
}

/// The reverse of [`dlt_from_link_type`].
pub(crate) fn link_type_from_dlt(dlt: i32) -> LinkType {
    match dlt {
        DLT_RAW => LinkType::RAW,
        DLT_ATM_RFC1483 => LinkType(LINKTYPE_ATM_RFC1483),
        other => LinkType(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    /// Ethernet, IPv4, UDP from port 53 to port 1000, 46 bytes.
    fn udp() -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 53, 3, 0xe8, 0, 12, 0, 0, 1, 2, 3, 4]);
        frame
    }

    fn packet(data: &[u8], link_type: LinkType) -> Packet<'_> {
        Packet { data, time: Timestamp(1), wire_len: data.len() as u32, link_type }
    }

    #[test]
    fn matches_by_port() {
        let frame = udp();
        let packet = packet(&frame, LinkType::ETHERNET);
        for (expression, expected) in [("udp port 53", true), ("tcp", false), ("host 10.0.0.2 and udp", true), ("", true)] {
            let filter = Filter::compile(expression, LinkType::ETHERNET).unwrap();
            assert_eq!(filter.matches(&packet), expected, "{expression}");
        }
    }

    #[test]
    fn sees_the_length_on_the_wire() {
        let frame = udp();
        let mut packet = packet(&frame, LinkType::ETHERNET);
        packet.wire_len = 1500;
        assert!(Filter::compile("greater 1000", LinkType::ETHERNET).unwrap().matches(&packet));
        assert!(!Filter::compile("less 1000", LinkType::ETHERNET).unwrap().matches(&packet));
    }

    #[test]
    fn raw_ip_has_another_number_at_run_time() {
        let frame = udp();
        let filter = Filter::compile("udp port 53", LinkType::RAW).unwrap();
        assert!(filter.matches(&packet(&frame[14..], LinkType::RAW)));
        for link_type in [LinkType::RAW, LinkType::ETHERNET, LinkType(LINKTYPE_ATM_RFC1483), LinkType::LINUX_SLL2] {
            assert_eq!(link_type_from_dlt(dlt_from_link_type(link_type)), link_type);
        }
    }

    #[test]
    fn every_truncation_is_harmless() {
        let frame = udp();
        let filter = Filter::compile("udp port 53", LinkType::ETHERNET).unwrap();
        for len in 0..frame.len() {
            let matched = filter.matches(&packet(&frame[..len], LinkType::ETHERNET));
            assert_eq!(matched, len >= 36, "{len}");
        }
    }

    #[test]
    fn a_wrong_expression_is_an_error_with_its_reason() {
        let error = Filter::compile("port and", LinkType::ETHERNET).unwrap_err();
        assert!(matches!(&error, BackendError::Filter { why, .. } if why.contains("syntax")), "{error}");
    }

    #[test]
    fn a_long_filter_is_not_optimized_and_means_the_same() {
        let hosts = |count: usize| (0..count).map(|i| format!("host 10.1.{}.{}", i / 250, i % 250 + 1)).collect::<Vec<_>>();
        let frame = udp();
        let packet = packet(&frame, LinkType::ETHERNET);
        for (count, is_optimized) in [(100, true), (300, false)] {
            let others = hosts(count).join(" or ");
            let filter = Filter::compile(&others, LinkType::ETHERNET).unwrap();
            assert_eq!((filter.is_optimized(), filter.matches(&packet)), (is_optimized, false), "{count}");
            let one_is_there = format!("{others} or host 10.0.0.1");
            assert!(Filter::compile(&one_is_there, LinkType::ETHERNET).unwrap().matches(&packet), "{count}");
        }
    }

    #[test]
    fn an_expression_of_too_many_terms_is_refused_and_not_shown_whole() {
        let expression = vec!["port 1"; TERMS_MAX + 1].join(" or ");
        let said = Filter::compile(&expression, LinkType::ETHERNET).unwrap_err().to_string();
        assert!(said.contains("1025 terms") && said.len() < 500, "{said}");
    }

    #[test]
    fn a_name_is_refused_by_name_where_none_is_looked_up() {
        for (expression, tip) in
            [("tcp and host sundown", "\"sundown\" is a name"), ("gateway snup", "give an address"), ("UDP", "lower case")]
        {
            let error = FilterSet::without_names(expression, LinkType::ETHERNET).unwrap_err();
            assert!(matches!(&error, BackendError::Filter { why, .. } if why.contains(tip)), "{error}");
        }
        let frame = udp();
        let mut set = FilterSet::without_names("udp port domain", LinkType::ETHERNET).unwrap();
        assert!(set.matches(&packet(&frame, LinkType::ETHERNET)) && set.matches(&packet(&frame[14..], LinkType::RAW)));
    }

    #[test]
    fn a_set_compiles_per_link_type() {
        let frame = udp();
        let mut set = FilterSet::new("udp port 53", LinkType::ETHERNET).unwrap();
        assert!(set.matches(&packet(&frame, LinkType::ETHERNET)));
        assert!(set.matches(&packet(&frame[14..], LinkType::IPV4)));
        assert!(set.matches(&packet(&frame, LinkType::ETHERNET)));
        assert!(!set.matches(&packet(&frame[14..], LinkType::ETHERNET)));
        assert_eq!(set.notice(), None);
    }

    #[test]
    fn a_set_tells_what_it_leaves_out() {
        let frame = udp();
        let mut set = FilterSet::new("ether host 2:0:0:0:0:1", LinkType::ETHERNET).unwrap();
        assert!(set.matches(&packet(&frame, LinkType::ETHERNET)));
        assert!(!set.matches(&packet(&frame[14..], LinkType::RAW)));
        assert!(set.notice().unwrap().contains("link type 101"));
        assert!(!set.matches(&packet(&frame[14..], LinkType::RAW)));
        assert_eq!(set.notice(), None);
    }
}
