//! Data connections of FTP: PORT and the reply 227 (RFC 959), EPRT and the reply 229 (RFC 2428).
//!
//! Owns how a line tells a port. Invariant: a side announces ports of its own host alone, whatever address it writes, so nobody says what
//! the flows of third hosts are (RFC 2577 section 3; clients connect to the host of the session, too, whatever a reply says).

use super::{AnnouncedEnd, AnnouncedProtocol, address, number, whole_lines};

/// Longest line that is read.
const LINE_MAX: usize = 256;

/// Each line that announces is one connection: commands of the client, replies of the server.
pub(super) fn ends(payload: &[u8], is_from_client: bool, tell: &mut dyn FnMut(AnnouncedEnd)) {
    let port_of = if is_from_client { commanded } else { replied };
    for port in whole_lines(payload).filter(|line| line.len() <= LINE_MAX).filter_map(port_of) {
        tell(AnnouncedEnd { address: None, port, is_with_receiver: true, protocol: AnnouncedProtocol::FtpData });
    }
}

/// The port of `PORT` or `EPRT`.
fn commanded(line: &[u8]) -> Option<u16> {
    let (command, rest) = line.split_at_checked(5)?;
    match command {
        _ if command.eq_ignore_ascii_case(b"PORT ") => six(rest.trim_ascii()),
        _ if command.eq_ignore_ascii_case(b"EPRT ") => extended(rest.trim_ascii(), true),
        _ => None,
    }
}

/// The port of a reply 227 or 229.
fn replied(line: &[u8]) -> Option<u16> {
    if line.starts_with(b"227 ") {
        // The text is free, and some servers leave out the parentheses (RFC 1123 section 4.1.2.6).
        let start = line.iter().skip(4).position(u8::is_ascii_digit)? + 4;
        let len = line[start..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b','));
        six(&line[start..len.map_or(line.len(), |len| start + len)])
    } else if line.starts_with(b"229 ") {
        let start = line.iter().position(|&byte| byte == b'(')? + 1;
        let len = line[start..].iter().position(|&byte| byte == b')')?;
        extended(&line[start..start + len], false)
    } else {
        None
    }
}

/// The port behind the four numbers of an address, in two numbers.
fn six(text: &[u8]) -> Option<u16> {
    let mut numbers = text.split(|&byte| byte == b',').map(number::<u8>);
    let mut next = || numbers.next().flatten();
    let (_address, port) = ([next()?, next()?, next()?, next()?], [next()?, next()?]);
    numbers.next().is_none().then(|| u16::from_be_bytes(port))
}

/// Family, address and port between any character. A reply may have the port alone.
fn extended(text: &[u8], needs_address: bool) -> Option<u16> {
    let (&between, rest) = text.split_first()?;
    let mut parts = rest.split(|&byte| byte == between);
    let (family, host, port, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !end.is_empty() || parts.next().is_some() {
        return None;
    }
    let is_whole = match family {
        b"" => host.is_empty() && !needs_address,
        b"1" | b"2" => address(host)?.is_ipv4() == (family == b"1"),
        _ => false,
    };
    number(port).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use crate::app::announced::{ControlProtocol, told};

    fn of_client(text: &str) -> Vec<String> {
        told(ControlProtocol::Ftp, text.as_bytes(), true)
    }

    fn of_server(text: &str) -> Vec<String> {
        told(ControlProtocol::Ftp, text.as_bytes(), false)
    }

    #[test]
    fn commands_and_replies_announce_a_connection_to_who_sent_them() {
        for command in [
            "PORT 10,0,0,7,156,64\r\n",
            "port 10,0,0,7,156,64 \r\n",
            "PORT 192,0,2,99,156,64\r\n",
            "EPRT |1|10.0.0.7|40000|\r\n",
            "eprt !2!2001:db8::7!40000!\r\n",
        ] {
            assert_eq!(of_client(command), ["ftp_data sender 40000"], "{command:?}");
            assert_eq!(of_server(command), [""; 0], "a server commands nothing: {command:?}");
        }
        for reply in [
            "227 Entering Passive Mode (192,0,2,80,200,1).\r\n",
            "227 Entering Passive Mode (0,0,0,0,200,1).\r\n",
            "227 =192,0,2,80,200,1\r\n",
            "229 Entering Extended Passive Mode (|||51201|)\r\n",
            "200 PORT command successful\r\n227 Passive (192,0,2,80,200,1)\r\n",
        ] {
            assert_eq!(of_server(reply), ["ftp_data sender 51201"], "{reply:?}");
            assert_eq!(of_client(reply), [""; 0], "a client replies nothing: {reply:?}");
        }
    }

    #[test]
    fn what_is_no_end_announces_nothing() {
        for text in [
            "PORT 10,0,0,7,156\r\n",
            "PORT 10,0,0,7,156,64,1\r\n",
            "PORT 10,0,0,256,1,1\r\n",
            "PORT +1,0,0,7,1,1\r\n",
            "PORT 10,0,0,7,0,0\r\n",
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
            assert_eq!([of_client(text), of_server(text)], [const { Vec::<String>::new() }; 2], "{text:?}");
        }
        assert_eq!(of_server(&format!("227 {} (1,2,3,4,5,6)\r\n", "x".repeat(300))), [""; 0]);
    }
}
