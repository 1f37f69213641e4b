//! Data connections of FTP: PORT and the reply 227 (RFC 959), EPRT and the reply 229 (RFC 2428).

use super::{AnnouncedEnd, AnnouncedProtocol, address, number, whole_lines};
use std::net::{IpAddr, Ipv4Addr};

/// Longest line that is read.
const LINE_MAX: usize = 256;

/// Each line that announces is one connection.
pub(super) fn ends(payload: &[u8], tell: &mut dyn FnMut(AnnouncedEnd)) {
    for line in whole_lines(payload).filter(|line| line.len() <= LINE_MAX) {
        if let Some((address, port)) = end(line) {
            tell(AnnouncedEnd { address, port, is_with_receiver: true, protocol: AnnouncedProtocol::FtpData });
        }
    }
}

fn end(line: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (command, rest) = line.split_at_checked(5)?;
    match &command.to_ascii_uppercase()[..] {
        b"PORT " => six(rest.trim_ascii()).map(|(address, port)| (Some(address), port)),
        b"EPRT " => extended(rest.trim_ascii()).and_then(|(address, port)| Some((Some(address?), port))),
        // The text is free, and some servers leave out the parentheses (RFC 1123 section 4.1.2.6).
        _ if command.starts_with(b"227 ") => {
            let start = line.iter().skip(4).position(u8::is_ascii_digit)? + 4;
            let len = line[start..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b','));
            six(&line[start..len.map_or(line.len(), |len| start + len)]).map(|(address, port)| (Some(address), port))
        }
        _ if command.starts_with(b"229 ") => {
            let start = line.iter().position(|&byte| byte == b'(')? + 1;
            let len = line[start..].iter().position(|&byte| byte == b')')?;
            extended(&line[start..start + len])
        }
        _ => None,
    }
}

/// Four numbers of an address and two of a port.
fn six(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut numbers = text.split(|&byte| byte == b',').map(number::<u8>);
    let mut next = || numbers.next().flatten();
    let (address, port) = ([next()?, next()?, next()?, next()?], [next()?, next()?]);
    numbers.next().is_none().then(|| (Ipv4Addr::from(address).into(), u16::from_be_bytes(port)))
}

/// Family, address and port between any character; only the port is there in a reply.
fn extended(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (&between, rest) = text.split_first()?;
    let mut parts = rest.split(|&byte| byte == between);
    let (family, host, port, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !end.is_empty() || parts.next().is_some() {
        return None;
    }
    let found = match family {
        b"" if host.is_empty() => None,
        b"1" | b"2" => Some(address(host).filter(|found| found.is_ipv4() == (family == b"1"))?),
        _ => return None,
    };
    Some((found, number(port)?))
}

#[cfg(test)]
mod tests {
    use crate::app::announced::{ControlProtocol, told};

    fn ends(text: &str) -> Vec<String> {
        told(ControlProtocol::Ftp, text.as_bytes())
    }

    #[test]
    fn commands_and_replies_announce_a_connection() {
        assert_eq!(ends("PORT 10,0,0,7,156,64\r\n"), ["ftp_data 10.0.0.7 40000"]);
        assert_eq!(ends("port 10,0,0,7,156,64 \r\n"), ["ftp_data 10.0.0.7 40000"]);
        assert_eq!(ends("EPRT |1|10.0.0.7|40000|\r\n"), ["ftp_data 10.0.0.7 40000"]);
        assert_eq!(ends("EPRT !2!2001:db8::7!40000!\r\n"), ["ftp_data 2001:db8::7 40000"]);
        assert_eq!(ends("227 Entering Passive Mode (192,0,2,80,200,1).\r\n"), ["ftp_data 192.0.2.80 51201"]);
        assert_eq!(ends("227 =192,0,2,80,200,1\r\n"), ["ftp_data 192.0.2.80 51201"]);
        assert_eq!(ends("229 Entering Extended Passive Mode (|||51201|)\r\n"), ["ftp_data sender 51201"]);
        let several = "200 PORT command successful\r\n227 Passive (192,0,2,80,200,1)\r\n";
        assert_eq!(ends(several), ["ftp_data 192.0.2.80 51201"]);
    }

    #[test]
    fn what_is_no_end_announces_nothing() {
        for text in [
            "PORT 10,0,0,7,156\r\n",
            "PORT 10,0,0,7,156,64,1\r\n",
            "PORT 10,0,0,256,1,1\r\n",
            "PORT +1,0,0,7,1,1\r\n",
            "PORT 10,0,0,7,0,0\r\n",
            "PORT 0,0,0,0,4,0\r\n",
            "PORT 10,0,0,7,156,64",
            "EPRT |1|2001:db8::7|40000|\r\n",
            "EPRT |3|x|40000|\r\n",
            "EPRT |1|10.0.0.7|40000\r\n",
            "EPRT |||40000|\r\n",
            "227 \r\n",
            "229 none\r\n",
            "229 (|||0|)\r\n",
            "229 (|||65536|)\r\n",
            "230 (|||4000|)\r\n",
            "227",
            "\n",
        ] {
            assert_eq!(ends(text), [""; 0], "{text:?}");
        }
        assert_eq!(ends(&format!("227 {} (1,2,3,4,5,6)\r\n", "x".repeat(300))), [""; 0]);
    }
}
