//! A netlink socket: a request in, the payloads of the answer out.
//!
//! Owns the conversation: sequence numbers, dumps that end with "done", errors as error numbers. Knows no family. Its one
//! invariant: it never waits longer than [`ANSWER_LIMIT`] for a datagram of the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::codec::{Attributes, Message, Payload, messages, u16_at, u32_at};

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

/// What one datagram came to.
enum Taken {
    /// More will follow.
    More,
    /// The answer is whole.
    Done,
    /// What a dump goes over changed meanwhile.
    Changed,
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

    /// Asks about one thing; the payloads of the answer (usually one).
    pub fn get(&mut self, kind: u16, payload: &Payload) -> io::Result<Vec<Vec<u8>>> {
        self.ask(kind, 0, payload)?.ok_or_else(|| io::Error::other("the kernel's answer changed while it was given"))
    }

    /// Asks about all things of a kind; the payloads of the answers.
    pub fn dump(&mut self, kind: u16, payload: &Payload) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..ATTEMPTS {
            if let Some(answer) = self.ask(kind, FLAG_DUMP, payload)? {
                return Ok(answer);
            }
        }
        Err(io::Error::other("the list in the kernel kept changing while it was read"))
    }

    /// `None` when a dump changed meanwhile.
    fn ask(&mut self, kind: u16, flags: u16, payload: &Payload) -> io::Result<Option<Vec<Vec<u8>>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = payload.message(kind, FLAG_REQUEST | flags, self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &request, &kernel, MsgFlags::empty())?;
        let (mut answer, mut changed) = (Vec::new(), false);
        loop {
            // MSG_TRUNC: the length the datagram has, also where the buffer is shorter.
            let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC)?;
            let bytes = self.buffer.get(..length).ok_or_else(|| io::Error::other("an answer of the kernel is too long"))?;
            match take(bytes, self.sequence, &mut answer)? {
                Taken::More => {}
                Taken::Changed => changed = true,
                Taken::Done => return Ok((!changed).then_some(answer)),
            }
            if changed {
                // The rest of this dump carries an old sequence number by the time it is read and is passed over.
                return Ok(None);
            }
        }
    }
}

/// Collects the payloads that answer `sequence` from a datagram.
fn take(bytes: &[u8], sequence: u32, answer: &mut Vec<Vec<u8>>) -> io::Result<Taken> {
    let mut taken = Taken::More;
    for message in messages(bytes).map_err(io::Error::other)? {
        if message.sequence != sequence || message.kind == MESSAGE_NOOP {
            continue;
        }
        if message.flags & FLAG_DUMP_INTR != 0 {
            return Ok(Taken::Changed);
        }
        match message.kind {
            MESSAGE_ERROR | MESSAGE_DONE => {
                fail(&message)?;
                return Ok(Taken::Done);
            }
            _ => {
                answer.push(message.payload.to_vec());
                if message.flags & FLAG_MULTI == 0 {
                    taken = Taken::Done;
                }
            }
        }
    }
    Ok(taken)
}

/// The error number in an error message or at the end of a dump (negative; 0 is an acknowledgement).
fn fail(message: &Message<'_>) -> io::Result<()> {
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
    pub fn get(&mut self, command: u8, attributes: impl FnOnce(Payload) -> Payload) -> io::Result<Option<Vec<u8>>> {
        let answer = self.netlink.get(self.family, &attributes(header(command)))?;
        Ok(answer.into_iter().next().map(body))
    }

    /// Asks about all things of a kind.
    pub fn dump(&mut self, command: u8, attributes: impl FnOnce(Payload) -> Payload) -> io::Result<Vec<Vec<u8>>> {
        let answer = self.netlink.dump(self.family, &attributes(header(command)))?;
        Ok(answer.into_iter().map(body).collect())
    }
}

fn header(command: u8) -> Payload {
    Payload::new(&[command, 1, 0, 0])
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

    #[test]
    fn an_answer_ends_where_it_says_and_old_ones_are_passed_over() {
        let say = |kind, flags, sequence, value: u32| Payload::new(&value.to_ne_bytes()).message(kind, flags, sequence);
        let mut answer = Vec::new();
        let stale = say(20, 0, 1, 9);
        assert!(matches!(take(&stale, 2, &mut answer), Ok(Taken::More)));
        let part = [say(20, FLAG_MULTI, 2, 1), say(20, FLAG_MULTI, 2, 2)].concat();
        assert!(matches!(take(&part, 2, &mut answer), Ok(Taken::More)));
        assert!(matches!(take(&say(MESSAGE_DONE, FLAG_MULTI, 2, 0), 2, &mut answer), Ok(Taken::Done)));
        assert_eq!(answer.len(), 2);
        let changed = say(20, FLAG_MULTI | FLAG_DUMP_INTR, 2, 1);
        assert!(matches!(take(&changed, 2, &mut answer), Ok(Taken::Changed)));
    }

    #[test]
    fn errors_carry_their_number() {
        let refusal = Payload::new(&(-libc::ENODEV).to_ne_bytes()).message(MESSAGE_ERROR, 0, 1);
        let error = take(&refusal, 1, &mut Vec::new()).err().expect("an error");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        let lowest = Payload::new(&i32::MIN.to_ne_bytes()).message(MESSAGE_ERROR, 0, 1);
        assert!(take(&lowest, 1, &mut Vec::new()).is_err());
        let short = Payload::default().message(MESSAGE_ERROR, 0, 1);
        assert!(take(&short, 1, &mut Vec::new()).is_err(), "an error without its number");
    }

    #[test]
    fn the_kernel_knows_its_own_families() {
        assert!(Generic::open("nlctrl").is_ok());
        let error = Generic::open("no-such-family").err().expect("an error");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
