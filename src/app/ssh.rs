//! SSH before it encrypts (RFC 4253): banners, lists of algorithms, the shape of the key exchange, HASSH.
//!
//! Owns their layout. Nothing here asks which algorithms are good.

use super::digest::{Md5Sum, Md5Text};
use super::parsed::{Parsed, begins};
use super::reading::ByteReader;

/// Longest banner (RFC 4253 section 4.2), its end included.
pub const SSH_BANNER_MAX: usize = 255;
/// Bytes of lines that a server may send in front of its banner.
pub const SSH_LINES_MAX: usize = 4096;
/// Longest packet (RFC 4253 section 6.1).
const PACKET_MAX: usize = 35_000;
/// Packets that are looked at behind a banner.
const PACKETS_MAX: usize = 32;
/// Lists of a KEXINIT message.
const LISTS: usize = 10;

const MAGIC: &[u8] = b"SSH-";
const COOKIE_LEN: usize = 16;

const DISCONNECT: u8 = 1;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// The line that a side introduces itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshBanner<'a> {
    /// The whole line without its end.
    pub line: &'a [u8],
    /// Protocol version, for example `2.0` or `1.99`.
    pub protocol: &'a [u8],
    /// Name and version of the program, without the comment.
    pub software: &'a [u8],
    /// What stands behind the first space.
    pub comment: Option<&'a [u8]>,
    /// Lines in front of it, which only a server may send.
    pub lines_before: usize,
    /// Bytes that it took, its end and the lines in front included.
    pub len: usize,
}

impl<'a> SshBanner<'a> {
    /// Of the bytes that one side has sent so far.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<Self> {
        Self::read(stream, 0, 0)
    }

    /// Of the bytes that a server has sent so far, other lines in front allowed. Any protocol of lines looks like that for a while: ask
    /// only where the client is known to speak SSH.
    pub fn read_stream_of_server(stream: &'a [u8]) -> Parsed<Self> {
        let (mut at, mut lines) = (0, 0);
        loop {
            if at >= SSH_LINES_MAX {
                return Parsed::No;
            }
            match begins(&stream[at..], MAGIC) {
                Parsed::Done(()) => return Self::read(stream, at, lines),
                Parsed::More { need } => return Parsed::More { need: at + need },
                Parsed::No => {}
            }
            let limit = stream.len().min(SSH_LINES_MAX);
            let Some(end) = stream[..limit].get(at..).and_then(|left| left.iter().position(|&byte| byte == b'\n')) else {
                return if stream.len() < SSH_LINES_MAX { Parsed::More { need: stream.len() + 1 } } else { Parsed::No };
            };
            at += end + 1;
            lines += 1;
        }
    }

    fn read(stream: &'a [u8], at: usize, lines_before: usize) -> Parsed<Self> {
        let banner = &stream[at..];
        match begins(banner, MAGIC) {
            Parsed::Done(()) => {}
            other => return other.and_then(|()| Parsed::No),
        }
        let window = &banner[..banner.len().min(SSH_BANNER_MAX)];
        let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
            let is_open = banner.len() < SSH_BANNER_MAX && !window.contains(&0);
            return if is_open { Parsed::More { need: stream.len() + 1 } } else { Parsed::No };
        };
        let line = banner[..end].strip_suffix(b"\r").unwrap_or(&banner[..end]);
        let Some(dash) = line[MAGIC.len()..].iter().position(|&byte| byte == b'-') else { return Parsed::No };
        let (protocol, rest) = line[MAGIC.len()..].split_at(dash);
        if protocol.is_empty() || !protocol.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
            return Parsed::No;
        }
        let mut parts = rest[1..].splitn(2, |&byte| byte == b' ');
        let software = parts.next().unwrap_or_default();
        Parsed::Done(Self { line, protocol, software, comment: parts.next(), lines_before, len: at + end + 1 })
    }
}

/// Names with commas between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlgorithmList<'a>(pub &'a [u8]);

impl<'a> AlgorithmList<'a> {
    /// Each name, the preferred one first.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.0.split(|&byte| byte == b',').filter(|name| !name.is_empty())
    }
}

/// What a side can do (RFC 4253 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshKexInit<'a> {
    /// `kex_algorithms` to `languages_server_to_client`, in the message's order.
    lists: [AlgorithmList<'a>; LISTS],
}

impl<'a> SshKexInit<'a> {
    /// Of a message behind its kind; `None` where it is cut.
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut reader = ByteReader::new(message);
        reader.take(COOKIE_LEN)?;
        let mut lists = [AlgorithmList::default(); LISTS];
        for list in &mut lists {
            let len = usize::try_from(reader.u32()?).ok()?;
            list.0 = reader.take(len)?;
        }
        Some(Self { lists })
    }

    /// Key exchange.
    pub const fn key_exchange(&self) -> AlgorithmList<'a> {
        self.lists[0]
    }

    /// Keys of hosts.
    pub const fn host_keys(&self) -> AlgorithmList<'a> {
        self.lists[1]
    }

    /// Encryption from client to server.
    pub const fn encryption_to_server(&self) -> AlgorithmList<'a> {
        self.lists[2]
    }

    /// Encryption from server to client.
    pub const fn encryption_to_client(&self) -> AlgorithmList<'a> {
        self.lists[3]
    }

    /// Authentication of messages from client to server.
    pub const fn mac_to_server(&self) -> AlgorithmList<'a> {
        self.lists[4]
    }

    /// Authentication of messages from server to client.
    pub const fn mac_to_client(&self) -> AlgorithmList<'a> {
        self.lists[5]
    }

    /// Compression from client to server.
    pub const fn compression_to_server(&self) -> AlgorithmList<'a> {
        self.lists[6]
    }

    /// Compression from server to client.
    pub const fn compression_to_client(&self) -> AlgorithmList<'a> {
        self.lists[7]
    }

    fn hash(lists: [AlgorithmList<'_>; 4]) -> Md5Sum {
        let mut text = Md5Text::default();
        for (index, list) in lists.into_iter().enumerate() {
            text.push(if index == 0 { b"" } else { b";" });
            text.push(list.0);
        }
        text.sum()
    }

    /// HASSH, where a client sent it (github.com/salesforce/hassh, BSD 3-Clause).
    pub fn hassh(&self) -> Md5Sum {
        Self::hash([self.key_exchange(), self.encryption_to_server(), self.mac_to_server(), self.compression_to_server()])
    }

    /// b1c6c0d56317555b85c7005a3de29325erver, where a server sent it.
    pub fn hassh_server(&self) -> Md5Sum {
        Self::hash([self.key_exchange(), self.encryption_to_client(), self.mac_to_client(), self.compression_to_client()])
    }

    /// The algorithm that both sides take: the client's first that the server has (RFC 4253 section 7.1).
    pub fn agreed(client: AlgorithmList<'a>, server: AlgorithmList<'_>) -> Option<&'a [u8]> {
        // Both are a packet's at most; more names than this are nobody's.
        const NAMES_MAX: usize = 128;
        client.iter().take(NAMES_MAX).find(|name| server.iter().take(NAMES_MAX).any(|other| other == *name))
    }
}

/// How far a side's key exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshStage {
    /// Its banner alone.
    Banner,
    /// It told its algorithms.
    Algorithms,
    /// It sent messages of the key exchange.
    Exchange,
    /// It encrypts from here on.
    Encrypted,
    /// It left.
    Disconnected,
}

/// What one side sent in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshOpening<'a> {
    /// Its banner.
    pub banner: SshBanner<'a>,
    /// Its algorithms; version 1 has none.
    pub algorithms: Option<SshKexInit<'a>>,
    /// How far it came.
    pub stage: SshStage,
    /// Packets in the clear behind the banner.
    pub packets: usize,
}

impl<'a> SshOpening<'a> {
    /// Of a banner and the stream that it was read from. Done where the side encrypts, left, or is followed no further; `More` until then,
    /// and [`Self::known`] tells what there is.
    pub fn read_stream(banner: SshBanner<'a>, stream: &'a [u8]) -> Parsed<Self> {
        let (opening, need) = Self::walk(banner, stream);
        match need {
            Some(need) => Parsed::More { need },
            None => Parsed::Done(opening),
        }
    }

    /// What is known of a side that is not done.
    pub fn known(banner: SshBanner<'a>, stream: &'a [u8]) -> Self {
        Self::walk(banner, stream).0
    }

    /// What is known, and the length of the stream from which on there is more.
    fn walk(banner: SshBanner<'a>, stream: &'a [u8]) -> (Self, Option<usize>) {
        let mut opening = Self { banner, algorithms: None, stage: SshStage::Banner, packets: 0 };
        let mut at = banner.len;
        for _ in 0..PACKETS_MAX {
            let mut reader = ByteReader::new(&stream[at..]);
            let Some(len) = reader.u32() else { return (opening, Some(at + 4)) };
            let len = len as usize;
            if !(2..=PACKET_MAX).contains(&len) {
                return (opening, None);
            }
            let Some(packet) = reader.take(len) else { return (opening, Some(at + 4 + len)) };
            at += 4 + len;
            let padding = usize::from(packet[0]);
            let Some((&kind, message)) = packet[1..].len().checked_sub(padding).and_then(|len| packet[1..][..len].split_first())
            else {
                return (opening, None);
            };
            opening.packets += 1;
            match kind {
                DISCONNECT => {
                    opening.stage = SshStage::Disconnected;
                    return (opening, None);
                }
                KEXINIT if opening.algorithms.is_none() => {
                    opening.algorithms = SshKexInit::read(message);
                    opening.stage = SshStage::Algorithms;
                }
                NEWKEYS => {
                    opening.stage = SshStage::Encrypted;
                    return (opening, None);
                }
                30..=49 => opening.stage = SshStage::Exchange,
                _ => {}
            }
        }
        (opening, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lists of Cyberduck 6.7.1 as HASSH's description prints them.
    const CYBERDUCK: [&str; 4] = [
        "curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp521,\
         ecdh-sha2-nistp384,ecdh-sha2-nistp256,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1,\
         diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,diffie-hellman-group15-sha512,\
         diffie-hellman-group16-sha512,diffie-hellman-group17-sha512,diffie-hellman-group18-sha512,\
         diffie-hellman-group14-sha256@ssh.com,diffie-hellman-group15-sha256,\
         diffie-hellman-group15-sha256@ssh.com,diffie-hellman-group15-sha384@ssh.com,\
         diffie-hellman-group16-sha256,diffie-hellman-group16-sha384@ssh.com,\
         diffie-hellman-group16-sha512@ssh.com,diffie-hellman-group18-sha512@ssh.com",
        "aes128-cbc,aes128-ctr,aes192-cbc,aes192-ctr,aes256-cbc,aes256-ctr,blowfish-cbc,blowfish-ctr,\
         cast128-cbc,cast128-ctr,idea-cbc,idea-ctr,serpent128-cbc,serpent128-ctr,serpent192-cbc,\
         serpent192-ctr,serpent256-cbc,serpent256-ctr,3des-cbc,3des-ctr,twofish128-cbc,twofish128-ctr,\
         twofish192-cbc,twofish192-ctr,twofish256-cbc,twofish256-ctr,twofish-cbc,arcfour,arcfour128,\
         arcfour256",
        "hmac-sha1,hmac-sha1-96,hmac-md5,hmac-md5-96,hmac-sha2-256,hmac-sha2-512",
        "zlib@openssh.com,zlib,none",
    ];

    fn packet(kind: u8, message: &[u8]) -> Vec<u8> {
        let padding = 4;
        let len = (message.len() + 2 + padding) as u32;
        [&len.to_be_bytes()[..], &[padding as u8, kind], message, &[0; 4]].concat()
    }

    fn kexinit(client: [&str; 4], server: [&str; 4]) -> Vec<u8> {
        let lists = [client[0], "ssh-rsa", client[1], server[1], client[2], server[2], client[3], server[3], "", ""];
        let lists = lists.map(|list| [&(list.len() as u32).to_be_bytes()[..], list.as_bytes()].concat());
        packet(KEXINIT, &[&[7; COOKIE_LEN][..], &lists.concat(), &[0; 5]].concat())
    }

    const SERVER: [&str; 4] = [CYBERDUCK[0], "aes128-ctr,aes256-ctr", "hmac-sha2-256", "none"];

    fn stream() -> Vec<u8> {
        let banner = b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13\r\n".to_vec();
        [banner, kexinit(CYBERDUCK, SERVER), packet(30, &[1; 36]), packet(NEWKEYS, &[]), vec![0xff; 9]].concat()
    }

    #[test]
    fn banners() {
        let stream = stream();
        let banner = SshBanner::read_stream(&stream).done().unwrap();
        assert_eq!((banner.protocol, banner.software), (&b"2.0"[..], &b"OpenSSH_9.6p1"[..]));
        assert_eq!((banner.comment, banner.lines_before, banner.len), (Some(&b"Ubuntu-3ubuntu13"[..]), 0, 40));
        for cut in 0..banner.len {
            assert!(matches!(SshBanner::read_stream(&stream[..cut]), Parsed::More { need } if need > cut && need <= banner.len));
        }
        let old = SshBanner::read_stream(b"SSH-1.99-3.2.9 x y\n").done().unwrap();
        assert_eq!((old.protocol, old.software, old.comment), (&b"1.99"[..], &b"3.2.9"[..], Some(&b"x y"[..])));
        for none in [&b"SSH-\n"[..], b"SSH-x-y\n", b"SSX", b"SSH-2.0-\0", &[b"SSH-2.0-".to_vec(), vec![b'a'; 300]].concat()] {
            assert_eq!(SshBanner::read_stream(none), Parsed::No, "{none:?}");
        }
    }

    #[test]
    fn lines_in_front_of_a_banner() {
        let stream = b"Welcome\r\nto us\nSSH-2.0-x\r\n";
        let banner = SshBanner::read_stream_of_server(stream).done().unwrap();
        assert_eq!((banner.software, banner.lines_before, banner.len), (&b"x"[..], 2, stream.len()));
        for cut in 0..stream.len() {
            assert!(matches!(SshBanner::read_stream_of_server(&stream[..cut]), Parsed::More { need } if need > cut), "{cut}");
        }
        assert_eq!(SshBanner::read_stream_of_server(&[b'a'; SSH_LINES_MAX]), Parsed::No);
        assert_eq!(SshBanner::read_stream_of_server(&[b'\n'; SSH_LINES_MAX]), Parsed::No);
        assert_eq!(SshBanner::read_stream(stream), Parsed::No);
    }

    #[test]
    fn the_published_hassh() {
        let stream = stream();
        let banner = SshBanner::read_stream(&stream).done().unwrap();
        let opening = SshOpening::read_stream(banner, &stream).done().unwrap();
        let algorithms = opening.algorithms.unwrap();
        assert_eq!(algorithms.hassh().to_string(), "8a8ae540028bf433cd68356c1b9e8d5b");
        assert_eq!((opening.stage, opening.packets), (SshStage::Encrypted, 3));
        assert_eq!(algorithms.host_keys().iter().collect::<Vec<_>>(), [b"ssh-rsa"]);
        assert_ne!(algorithms.hassh(), algorithms.hassh_server());
        let both = SshKexInit::agreed(algorithms.encryption_to_server(), algorithms.encryption_to_client());
        assert_eq!(both, Some(&b"aes128-ctr"[..]));
    }

    #[test]
    fn the_published_lists_of_a_server() {
        let openssh_5_3 = [
            "diffie-hellman-group-exchange-sha256,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
            "aes128-ctr,aes192-ctr,aes256-ctr,arcfour256,arcfour128,aes128-cbc,3des-cbc,blowfish-cbc,cast128-cbc,aes192-cbc,aes256-cbc,\
             arcfour,rijndael-cbc@lysator.liu.se",
            "hmac-md5,hmac-sha1,umac-64@openssh.com,hmac-ripemd160,hmac-ripemd160@openssh.com,hmac-sha1-96,hmac-md5-96",
            "none,zlib@openssh.com",
        ];
        let stream = kexinit(["", "x", "y", "z"], openssh_5_3);
        let algorithms = SshKexInit::read(&stream[6..]).unwrap();
        let algorithms = SshKexInit {
            lists: [&[AlgorithmList(openssh_5_3[0].as_bytes())], &algorithms.lists[1..]].concat().try_into().unwrap(),
        };
        assert_eq!(algorithms.hassh_server().to_string(), "b1c6c0d56317555b85c7005a3de29325");
    }

    #[test]
    fn every_cut_tells_what_is_known_and_asks_for_more() {
        let stream = stream();
        let whole = stream.len() - 9;
        let banner = SshBanner::read_stream(&stream).done().unwrap();
        let mut stages = Vec::new();
        for cut in banner.len..whole {
            let part = &stream[..cut];
            assert!(
                matches!(SshOpening::read_stream(banner, part), Parsed::More { need } if need > cut && need <= whole),
                "{cut}"
            );
            stages.push(SshOpening::known(banner, part).stage);
        }
        stages.dedup();
        assert_eq!(stages, [SshStage::Banner, SshStage::Algorithms, SshStage::Exchange]);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(changes in prop::collection::vec((0_usize..2000, any::<u8>()), 1..9)) {
            let mut stream = stream();
            let len = stream.len();
            changes.into_iter().for_each(|(at, byte)| stream[at % len] = byte);
            let _ = SshBanner::read_stream_of_server(&stream);
            let banner = SshBanner::read_stream(&stream).done();
            if let Some(algorithms) = banner.and_then(|banner| SshOpening::known(banner, &stream).algorithms) {
                SshKexInit::agreed(algorithms.mac_to_server(), algorithms.mac_to_client());
            }
        }
    }
}
