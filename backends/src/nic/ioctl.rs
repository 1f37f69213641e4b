//! The two things that ethtool over netlink lacks on the kernels we support: a driver's name, and setting the
//! hash key.
//!
//! Owns SIOCETHTOOL (`linux/ethtool.h`: `ethtool_drvinfo`, `ethtool_rxfh`). Its one invariant: the buffer the
//! kernel writes to is as long as the command's structure with the sizes that stand in it.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::codec::u32_at;

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const GET_DRIVER: u32 = 0x03;
const GET_RSS: u32 = 0x46;
const SET_RSS: u32 = 0x47;
/// `ETH_RXFH_INDIR_NO_CHANGE`.
const TABLE_UNCHANGED: u32 = u32::MAX;

/// Bytes of `struct ethtool_drvinfo`: a number, five texts of 32 bytes, 12 reserved bytes, five numbers.
const DRIVER_BYTES: usize = 4 + 5 * TEXT_BYTES + 12 + 5 * 4;
const TEXT_BYTES: usize = 32;
/// Bytes of `struct ethtool_rxfh` before the table.
const RSS_BYTES: usize = 24;
/// Longest key that is set. Drivers have 40 to 180 bytes.
const KEY_MAX: usize = 1024;

/// A driver, as it describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Its name, such as "ixgbe".
    pub name: String,
    /// Its version; the kernel's for most.
    pub version: String,
    /// Version of the card's firmware.
    pub firmware: String,
    /// Where on its bus the device is.
    pub bus_address: String,
}

/// Name and versions of the driver; `None` where it does not say.
pub fn driver(interface: &str) -> io::Result<Option<Driver>> {
    let mut buffer = vec![0; DRIVER_BYTES];
    buffer[..4].copy_from_slice(&GET_DRIVER.to_ne_bytes());
    match exchange(interface, &mut buffer) {
        Ok(()) => Ok(Some(parse_driver(&buffer))),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse_driver(bytes: &[u8]) -> Driver {
    let text = |number: usize| {
        let from = 4 + number * TEXT_BYTES;
        let field = bytes.get(from..from + TEXT_BYTES).unwrap_or_default();
        String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    };
    Driver { name: text(0), version: text(1), firmware: text(2), bus_address: text(3) }
}

/// Sets the key of the hash and leaves table, function and transformation as they are. Needs CAP_NET_ADMIN.
pub fn set_key(interface: &str, key: &[u8]) -> io::Result<()> {
    if key.len() > KEY_MAX {
        return Err(io::Error::other(format!("a hash key of {} bytes is longer than any card has", key.len())));
    }
    // The transformation has no "unchanged" on all kernels, so it is set to what it is. Sizes 0 ask for
    // nothing but the head.
    let mut head = vec![0; RSS_BYTES];
    head[..4].copy_from_slice(&GET_RSS.to_ne_bytes());
    exchange(interface, &mut head)?;
    let own = usize::try_from(u32_at(&head, 12).map_err(io::Error::other)?).unwrap_or_default();
    if own != key.len() {
        return Err(io::Error::other(format!("the card takes keys of {own} bytes, not of {}", key.len())));
    }
    exchange(interface, &mut set_request(&head, key))
}

/// `ethtool_rxfh` that sets the key alone; `head` is what the kernel answered.
fn set_request(head: &[u8], key: &[u8]) -> Vec<u8> {
    let transform = head.get(17).copied().unwrap_or_default();
    let key_bytes = u32::try_from(key.len()).unwrap_or_default(); // at most KEY_MAX
    let numbers = [SET_RSS, 0, TABLE_UNCHANGED, key_bytes].map(u32::to_ne_bytes);
    [numbers.as_flattened(), &[0, transform, 0, 0, 0, 0, 0, 0], key].concat()
}

/// Bytes that the kernel reads and writes for the command at the start of `buffer`; `None` for any other
/// command.
fn bytes_touched(buffer: &[u8]) -> Option<usize> {
    let number = |at| u32_at(buffer, at).ok();
    match number(0)? {
        GET_DRIVER => Some(DRIVER_BYTES),
        GET_RSS | SET_RSS => {
            let entries = number(8).filter(|entries| *entries != TABLE_UNCHANGED).unwrap_or_default();
            let table = usize::try_from(entries).ok()?.checked_mul(4)?;
            RSS_BYTES.checked_add(table)?.checked_add(usize::try_from(number(12)?).ok()?)
        }
        _ => None,
    }
}

/// Lets the kernel read `buffer`, which begins with a command, and write its answer over it.
fn exchange(interface: &str, buffer: &mut [u8]) -> io::Result<()> {
    if bytes_touched(buffer).is_none_or(|bytes| bytes > buffer.len()) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let name = interface.as_bytes();
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(&0) {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]); // signed on x86, unsigned on ARM
    }
    let data = buffer.as_mut_ptr().cast();
    let mut request = libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } };
    // JUSTIFICATION: ethtool's ioctl has no safe wrapper in std or nix.
    // SAFETY: the socket is open; `request` lives through the call, its name ends with a zero (checked
    // above), and its pointer is that of `buffer`, which is borrowed mutably and at least as long as what the
    // kernel reads and writes for the command in it (checked above against the structures of
    // linux/ethtool.h).
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_drivers_words() {
        let mut bytes = vec![0; DRIVER_BYTES];
        for (number, text) in ["ixgbe", "6.18", "0x8000", "0000:03:00.0"].into_iter().enumerate() {
            bytes[4 + number * 32..][..text.len()].copy_from_slice(text.as_bytes());
        }
        let driver = parse_driver(&bytes);
        assert_eq!(
            [driver.name, driver.version, driver.firmware, driver.bus_address],
            ["ixgbe", "6.18", "0x8000", "0000:03:00.0"]
        );
        assert_eq!(parse_driver(&[0xff; 40]).bus_address, "", "short bytes");
    }

    #[test]
    fn a_request_sets_the_key_and_keeps_the_rest() {
        let mut head = vec![0; RSS_BYTES];
        head[17] = 1;
        let request = set_request(&head, &[7; 40]);
        assert_eq!(request.len(), RSS_BYTES + 40);
        assert_eq!((u32_at(&request, 0), u32_at(&request, 8), u32_at(&request, 12)), (Ok(SET_RSS), Ok(u32::MAX), Ok(40)));
        assert_eq!((request[16], request[17], &request[24..]), (0, 1, &[7; 40][..]));
    }

    #[test]
    fn a_buffer_shorter_than_its_command_says_does_not_reach_the_kernel() {
        let request = set_request(&[0; RSS_BYTES], &[7; 40]);
        assert_eq!(bytes_touched(&request), Some(64));
        let mut table = request.clone();
        table[8..12].copy_from_slice(&128_u32.to_ne_bytes());
        assert_eq!(bytes_touched(&table), Some(64 + 512));
        for mut short in [table, request[..63].to_vec(), GET_DRIVER.to_ne_bytes().to_vec(), vec![1, 0], vec![0xff; 300]] {
            assert_eq!(exchange("lo", &mut short).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
    }

    #[test]
    fn refuses_names_no_interface_can_have() {
        for name in ["", "a-name-of-more-than-fifteen", "a\0b"] {
            assert_eq!(driver(name).unwrap_err().raw_os_error(), Some(libc::ENODEV), "{name}");
        }
        assert_eq!(driver("no-such-link").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert!(set_key("lo", &[0; KEY_MAX + 1]).is_err());
    }

    #[test]
    fn the_loopback_has_no_key_to_set() {
        assert!(set_key("lo", &[0; 40]).is_err());
        assert!(driver("lo").unwrap().is_none_or(|driver| !driver.name.is_empty()));
    }
}
