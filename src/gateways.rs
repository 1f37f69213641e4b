//! Gateways of interfaces, as the kernel's routing table has them.
//!
//! Owns the text of `/proc/net/route`. Where there is no such file, none is known.

use netscope::flow::HostAddress;
use std::fs;

/// The flag of a route that has a gateway (linux/route.h: RTF_GATEWAY).
const HAS_GATEWAY: u32 = 2;

/// The gateways behind these interfaces.
pub fn of_interfaces(interfaces: &[String]) -> Vec<HostAddress> {
    if interfaces.is_empty() {
        return Vec::new();
    }
    // No routing table, no gateway: they are of use but not needed.
    fs::read_to_string("/proc/net/route").map_or_else(|_| Vec::new(), |table| of_table(&table, interfaces))
}

/// `Iface Destination Gateway Flags ...`: addresses are hexadecimal, in the order of this machine's bytes.
fn of_table(table: &str, interfaces: &[String]) -> Vec<HostAddress> {
    let gateway = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let (gateway, flags) = (words.nth(1)?, words.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        let has_gateway = u32::from_str_radix(flags, 16).ok()? & HAS_GATEWAY != 0;
        let is_known = has_gateway && interfaces.iter().any(|interface| interface == name);
        is_known.then(|| HostAddress::v4(gateway.to_ne_bytes()))
    };
    table.lines().filter_map(gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn gateways_are_those_of_the_interface() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\n\
            eth0\t00000000\t0102A8C0\t0003\t0\neth0\t0002A8C0\t00000000\t0001\t0\neth1\t00000000\t0103A8C0\t0003\t0\n";
        assert_eq!(of_table(table, &["eth0".to_owned()]), [HostAddress::v4([192, 168, 2, 1])]);
        assert_eq!(of_table("", &["eth0".to_owned()]), []);
        assert_eq!(of_table("eth0 x", &["eth0".to_owned()]), []);
    }
}
