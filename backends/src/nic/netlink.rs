//! A netlink socket: a request in, the payloads of the answer out.
//!
//! Owns the conversation: sequence numbers, dumps that end with "done", errors as error numbers. Knows no
//! family. Its one invariant: it never waits longer than [`ANSWER_LIMIT`] for a datagram of the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::codec::{AttributeBytes, Attributes, DamagedMessage, NetlinkMessage, messages, u16_at, u32_at};

/// Seconds to wait for the kernel, which answers at once unless its network lock is held.
const ANSWER_LIMIT: i64 = 5;
/// The kernel fills datagrams of at most 32 KiB; a single answer (an indirection table) may be longer.
const DATAGRAM_MAX: usize = 1 << 18;
/// A dump that changed under our eyes is asked for again this often.
const ATTEMPTS: u32 = 4;

const FLAG_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const FLAG_DUMP: u16 = libc::NLM_F_DUMP as u16;
const FLAG_MULTI: u16 = libc::NLM_F_MULTI as u16;
const FLAG_DUMP_INTR: u16 = 0x10;
const MESSAGE_NOOP: u16 = libc::NLMSG_NOOP as u16;
const MESSAGE_ERROR: u16 = libc::NLMSG_ERROR as u16;
const MESSAGE_DONE: u16 = libc::NLMSG_DONE as u16;

/// One for all: `genlmsghdr` in front of every message of a generic family.
const GENERIC_HEADER: usize = 4;
const CONTROL_FAMILY: u16 = libc::GENL_ID_CTRL as u16;
const CONTROL_GET_FAMILY: u8 = 3;
const CONTROL_FAMILY_ID: u16 = libc::CTRL_ATTR_FAMILY_ID as u16;
const CONTROL_FAMILY_NAME: u16 = libc::CTRL_ATTR_FAMILY_NAME as u16;

/// How far an answer has come.
#[derive(Debug, Default, PartialEq, Eq)]
struct AnswerState {
    /// It is whole.
    is_done: bool,
    /// What a dump goes over changed meanwhile. The rest has to be read all the same: until its end the
    /// kernel starts no other.
    has_changed: bool,
    /// A part of it could not be read.
    is_damaged: bool,
}

/// A socket of one netlink protocol, in the network namespace of the thread that opened it.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens the socket; needs no privilege.
    pub fn open(protocol: SockProtocol) -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_LIMIT))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; DATAGRAM_MAX] })
    }

    /// Has the kernel heed what a dump is narrowed to, and not its kind alone. Kernels before 4.20 refuse,
    /// and send more, which the asker has to tell apart in any case.
    pub fn narrow_dumps(&self) {
        let (on, len): (libc::c_int, _) = (1, size_of::<libc::c_int>() as libc::socklen_t);
        // JUSTIFICATION: nix does not know this option.
        // SAFETY: the kernel reads `len` bytes at a live integer of that size.
        let _ = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_GET_STRICT_CHK,
                (&raw const on).cast(),
                len,
            )
        };
    }

    /// Asks about one thing; the payloads of the answer (usually one).
    pub fn get(&mut self, kind: u16, payload: &AttributeBytes) -> io::Result<Vec<Vec<u8>>> {
        let answer = self.ask(kind, 0, payload, &whole)?;
        answer.ok_or_else(|| io::Error::other("the kernel's answer changed while it was given"))
    }

    /// Asks about all things of a kind; the payloads of the answers.
    pub fn dump(&mut self, kind: u16, payload: &AttributeBytes) -> io::Result<Vec<Vec<u8>>> {
        self.dump_kept(kind, payload, whole)
    }

    /// Asks about all things of a kind; what `keep` makes of each payload. What it passes over takes no
    /// memory.
    pub fn dump_kept<T>(
        &mut self,
        kind: u16,
        payload: &AttributeBytes,
        keep: impl Fn(&[u8]) -> Result<Option<T>, DamagedMessage>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            if let Some(answer) = self.ask(kind, FLAG_DUMP, payload, &keep)? {
                return Ok(answer);
            }
        }
        Err(io::Error::other("the list in the kernel kept changing while it was read"))
    }

    /// `None` when a dump changed meanwhile.
    fn ask<T>(
        &mut self,
        kind: u16,
        flags: u16,
        payload: &AttributeBytes,
        keep: &impl Fn(&[u8]) -> Result<Option<T>, DamagedMessage>,
    ) -> io::Result<Option<Vec<T>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = payload.message(kind, FLAG_REQUEST | flags, self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &request, &kernel, MsgFlags::empty())?;
        let (mut answer, mut progress) = (Vec::new(), AnswerState::default());
        while !progress.is_done {
            // MSG_TRUNC: the length the datagram has, also where the buffer is shorter.
            let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC)?;
            let bytes = self.buffer.get(..length).ok_or_else(|| io::Error::other("an answer of the kernel is too long"))?;
            take(bytes, self.sequence, &mut progress, &mut |payload| {
                answer.extend(keep(payload)?);
                Ok(())
            })?;
        }
        if progress.is_damaged {
            return Err(io::Error::other(DamagedMessage));
        }
        Ok((!progress.has_changed).then_some(answer))
    }
}

/// Keeps all of a payload.
fn whole(payload: &[u8]) -> Result<Option<Vec<u8>>, DamagedMessage> {
    Ok(Some(payload.to_vec()))
}

/// Shows the payloads that answer `sequence` in a datagram.
fn take(
    bytes: &[u8],
    sequence: u32,
    progress: &mut AnswerState,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), DamagedMessage>,
) -> io::Result<()> {
    for message in messages(bytes).map_err(io::Error::other)? {
        if message.sequence != sequence || message.kind == MESSAGE_NOOP {
            continue;
        }
        progress.has_changed |= message.flags & FLAG_DUMP_INTR != 0;
        match message.kind {
            MESSAGE_ERROR | MESSAGE_DONE => {
                progress.is_done = true;
                return fail(&message);
            }
            _ => {
                progress.is_damaged |= visit(message.payload).is_err();
                progress.is_done |= message.flags & FLAG_MULTI == 0;
            }
        }
    }
    Ok(())
}

/// The error number in an error message or at the end of a dump (negative; 0 is an acknowledgement).
fn fail(message: &NetlinkMessage<'_>) -> io::Result<()> {
    match u32_at(message.payload, 0).map(u32::cast_signed) {
        Ok(0) => Ok(()),
        Ok(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        Err(_) if message.kind == MESSAGE_DONE => Ok(()),
        Err(damaged) => Err(io::Error::other(damaged)),
    }
}

/// A family of generic netlink.
pub struct Generic {
    netlink: Netlink,
    family: u16,
}

impl Generic {
    /// Looks the family up; an error of kind "not found" where the kernel has none of that name.
    pub fn open(name: &str) -> io::Result<Self> {
        let mut netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
        let request = header(CONTROL_GET_FAMILY).text(CONTROL_FAMILY_NAME, name);
        let answer = netlink.get(CONTROL_FAMILY, &request)?;
        let payload = answer.first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let attributes = Attributes::parse(payload, GENERIC_HEADER).map_err(io::Error::other)?;
        let id = attributes.get(CONTROL_FAMILY_ID).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let family = u16_at(id, 0).map_err(io::Error::other)?;
        Ok(Self { netlink, family })
    }

    /// Asks about one thing: the payload behind the generic header; `None` when the answer is empty.
    pub fn get(&mut self, command: u8, attributes: impl FnOnce(AttributeBytes) -> AttributeBytes) -> io::Result<Option<Vec<u8>>> {
        let answer = self.netlink.get(self.family, &attributes(header(command)))?;
        Ok(answer.into_iter().next().map(body))
    }

    /// Asks about all things of a kind.
    pub fn dump(&mut self, command: u8, attributes: impl FnOnce(AttributeBytes) -> AttributeBytes) -> io::Result<Vec<Vec<u8>>> {
        let answer = self.netlink.dump(self.family, &attributes(header(command)))?;
        Ok(answer.into_iter().map(body).collect())
    }
}

fn header(command: u8) -> AttributeBytes {
    AttributeBytes::new(&[command, 1, 0, 0])
}

fn body(mut payload: Vec<u8>) -> Vec<u8> {
    payload.drain(..GENERIC_HEADER.min(payload.len()));
    payload
}

/// What the kernel or the driver does not offer is `None`; anything else that fails is an error.
pub fn offered<T>(answer: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOENT | libc::EPROTONOSUPPORT)) => Ok(None),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(kind: u16, flags: u16, sequence: u32, value: u32) -> Vec<u8> {
        AttributeBytes::new(&value.to_ne_bytes()).message(kind, flags, sequence)
    }

    #[test]
    fn an_answer_ends_where_it_says_and_old_ones_are_passed_over() {
        let (mut progress, mut answer) = (AnswerState::default(), Vec::new());
        let mut visit = |payload: &[u8]| -> Result<(), DamagedMessage> {
            answer.push(u32_at(payload, 0)?);
            Ok(())
        };
        take(&say(20, 0, 1, 9), 2, &mut progress, &mut visit).unwrap();
        let part = [say(20, FLAG_MULTI, 2, 1), say(20, FLAG_MULTI, 2, 2)].concat();
        take(&part, 2, &mut progress, &mut visit).unwrap();
        assert_eq!(progress, AnswerState::default());
        take(&say(MESSAGE_DONE, FLAG_MULTI, 2, 0), 2, &mut progress, &mut visit).unwrap();
        assert_eq!(progress, AnswerState { is_done: true, ..AnswerState::default() });
        assert_eq!(answer, [1, 2]);
    }

    #[test]
    fn a_dump_that_changes_or_is_damaged_is_read_to_its_end() {
        let mut progress = AnswerState::default();
        let changed = say(20, FLAG_MULTI | FLAG_DUMP_INTR, 2, 1);
        take(&changed, 2, &mut progress, &mut |_| Err(DamagedMessage)).unwrap();
        assert_eq!(progress, AnswerState { has_changed: true, is_damaged: true, is_done: false });
        take(&say(20, FLAG_MULTI, 2, 2), 2, &mut progress, &mut |_| Ok(())).unwrap();
        assert!(!progress.is_done);
        take(&say(MESSAGE_DONE, FLAG_MULTI, 2, 0), 2, &mut progress, &mut |_| Ok(())).unwrap();
        assert_eq!(progress, AnswerState { has_changed: true, is_damaged: true, is_done: true });
    }

    #[test]
    fn after_a_damaged_dump_the_next_question_is_answered() {
        let mut netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
        let links = AttributeBytes::new(&[0; 16]);
        let damaged = netlink.dump_kept(libc::RTM_GETLINK, &links, |_| Err::<Option<()>, _>(DamagedMessage));
        assert!(damaged.is_err());
        assert!(!netlink.dump(libc::RTM_GETLINK, &links).unwrap().is_empty());
    }

    #[test]
    fn errors_carry_their_number() {
        let taken = |bytes: &[u8]| take(bytes, 1, &mut AnswerState::default(), &mut |_| Ok(()));
        let refusal = AttributeBytes::new(&(-libc::ENODEV).to_ne_bytes()).message(MESSAGE_ERROR, 0, 1);
        assert_eq!(taken(&refusal).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let lowest = AttributeBytes::new(&i32::MIN.to_ne_bytes()).message(MESSAGE_ERROR, 0, 1);
        assert!(taken(&lowest).is_err());
        let short = AttributeBytes::default().message(MESSAGE_ERROR, 0, 1);
        assert!(taken(&short).is_err(), "an error without its number");
    }

    #[test]
    fn the_kernel_knows_its_own_families() {
        assert!(Generic::open("nlctrl").is_ok());
        let error = Generic::open("no-such-family").err().expect("an error");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
