//! DHCP for IPv4 and IPv6: who asks for an address, and which one it gets.
//!
//! Owns which of it are facts, and their bound: on the way to all of a network the clients of it share one flow. Invariant: of each text at
//! most [`TEXTS_MAX`] are kept.

use super::write_app;
use crate::app::{DatagramInspector, DatagramProtocol, DatagramReading, DhcpNames, Dhcpv6Names, FactBuffer, SeenDatagram};

/// DHCP (RFC 2131).
pub(super) const DHCP: DatagramProtocol = DatagramProtocol { may_be: may_be_v4, begin: || Box::<DhcpFlow>::default() };
/// DHCP for IPv6 (RFC 8415).
pub(super) const DHCPV6: DatagramProtocol =
    DatagramProtocol { may_be: may_be_v6, begin: || Box::new(DhcpFlow { is_v6: true, ..DhcpFlow::default() }) };

/// Number of its facts.
pub(super) const OBJECT: u8 = 8;

/// Members of its object.
mod member {
    pub(super) const HOSTNAME: u8 = 0;
    pub(super) const VENDOR: u8 = 1;
    pub(super) const MESSAGE: u8 = 2;
    pub(super) const ADDRESS: u8 = 3;
    pub(super) const LEASE_S: u8 = 4;
}

/// Different texts of a kind that are kept.
const TEXTS_MAX: usize = 8;
/// Longest text.
const TEXT_MAX: usize = 128;
/// Messages of a flow that are read.
const MESSAGES_MAX: u16 = 256;

const SERVER_PORT_V6: u16 = 547;
const CLIENT_PORT_V6: u16 = 546;
/// Before the options: 236 bytes, and the number that says that options follow.
const OPTIONS_AT: usize = 240;

fn may_be_v4(datagram: &SeenDatagram<'_>) -> bool {
    matches!(datagram.payload, [1 | 2, ..]) && datagram.payload.get(OPTIONS_AT - 4..OPTIONS_AT) == Some(&[99, 130, 83, 99])
}

fn may_be_v6(datagram: &SeenDatagram<'_>) -> bool {
    let is_port = |port| matches!(port, SERVER_PORT_V6 | CLIENT_PORT_V6);
    is_port(datagram.server_port) && is_port(datagram.client_port) && matches!(datagram.payload, [1..=13, ..])
}

/// Texts without repetitions.
#[derive(Default)]
struct Texts(Vec<Vec<u8>>);

impl Texts {
    /// True where it is new.
    fn add(&mut self, text: Option<&[u8]>) -> bool {
        let Some(text) = text.map(|text| text.strip_suffix(&[0]).unwrap_or(text)).filter(|text| !text.is_empty()) else {
            return false;
        };
        let text = &text[..text.len().min(TEXT_MAX)];
        let is_new = self.0.len() < TEXTS_MAX && self.0.iter().all(|kept| kept != text);
        if is_new {
            self.0.push(text.to_vec());
        }
        is_new
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// What the messages of a flow said.
#[derive(Default)]
struct DhcpFlow {
    is_v6: bool,
    hostnames: Texts,
    vendors: Texts,
    messages: Texts,
    addresses: Texts,
    lease_secs: Option<u32>,
    seen: u16,
}

impl DhcpFlow {
    /// Whether there was something new; `None` for another protocol.
    fn take(&mut self, datagram: &SeenDatagram<'_>) -> Option<bool> {
        let (hostname, vendor, message, address, lease_secs) = if self.is_v6 {
            let names = Dhcpv6Names::read(datagram.payload, datagram.payload.len() < datagram.len)?;
            (names.hostname, names.vendor, Some(names.kind), None, None)
        } else {
            let names = DhcpNames::read(datagram.payload)?;
            let address = names.address.map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"));
            (names.hostname, names.vendor, names.kind.map(|kind| kind.name()), address, names.lease_secs)
        };
        let is_new = [
            self.hostnames.add(hostname),
            self.vendors.add(vendor),
            self.messages.add(message.map(str::as_bytes)),
            self.addresses.add(address.as_ref().map(String::as_bytes)),
            lease_secs.is_some_and(|secs| self.lease_secs.replace(secs) != Some(secs)),
        ];
        Some(is_new.contains(&true))
    }
}

impl DatagramInspector for DhcpFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        let is_first = self.seen == 0;
        let Some(is_new) = self.take(datagram) else { return DatagramReading::Foreign };
        self.seen += 1;
        if self.seen >= MESSAGES_MAX {
            DatagramReading::Done
        } else if is_first || is_new {
            DatagramReading::Told
        } else {
            DatagramReading::Watch
        }
    }

    fn kept_bytes(&self) -> usize {
        let texts = [&self.hostnames, &self.vendors, &self.messages, &self.addresses].into_iter().flat_map(|texts| &texts.0);
        texts.map(|text| text.capacity() + size_of::<Vec<u8>>()).sum()
    }

    fn write(&self, facts: &mut FactBuffer) {
        write_app(if self.is_v6 { "dhcpv6" } else { "dhcp" }, facts);
        let mut dhcp = facts.object(OBJECT);
        dhcp.list(member::HOSTNAME, self.hostnames.iter());
        dhcp.list(member::VENDOR, self.vendors.iter());
        dhcp.list(member::MESSAGE, self.messages.iter());
        dhcp.list(member::ADDRESS, self.addresses.iter());
        if let Some(secs) = self.lease_secs {
            dhcp.number(member::LEASE_S, secs.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{FactId, FactValue};

    fn message(op: u8, options: &[u8]) -> Vec<u8> {
        let mut fixed = vec![0; OPTIONS_AT - 4];
        (fixed[0], fixed[1], fixed[2]) = (op, 1, 6);
        [&fixed[..], &[99, 130, 83, 99], options].concat()
    }

    fn seen(payload: &[u8], ports: [u16; 2]) -> SeenDatagram<'_> {
        let [client_port, server_port] = ports;
        SeenDatagram { payload, len: payload.len(), is_clients: true, server_port, client_port, time_ns: 0 }
    }

    fn list(facts: &FactBuffer, member: u8) -> Vec<String> {
        let Some(FactValue::List(list)) = facts.facts().get(FactId { object: OBJECT, member }) else { return Vec::new() };
        list.iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn clients_that_share_a_flow_are_all_told_up_to_a_bound() {
        let mut flow = DhcpFlow::default();
        for number in 0..20 {
            let payload = message(1, &[53, 1, 3, 12, 3, b'p', b'c', b'a' + number, 50, 4, 192, 0, 2, number, 255]);
            assert!(may_be_v4(&seen(&payload, [68, 67])));
            let expected = if usize::from(number) < TEXTS_MAX { DatagramReading::Told } else { DatagramReading::Watch };
            assert_eq!(flow.datagram(&seen(&payload, [68, 67])), expected);
            assert_eq!(flow.datagram(&seen(&payload, [68, 67])), DatagramReading::Watch, "nothing new");
        }
        let answer = message(2, &[53, 1, 5, 51, 4, 0, 0, 14, 16]);
        assert_eq!(flow.datagram(&seen(&answer, [67, 68])), DatagramReading::Told);
        let mut facts = FactBuffer::default();
        flow.write(&mut facts);
        assert_eq!(list(&facts, member::HOSTNAME).len(), TEXTS_MAX);
        assert_eq!((list(&facts, member::HOSTNAME)[1].as_str(), list(&facts, member::ADDRESS)[1].as_str()), ("pcb", "192.0.2.1"));
        assert_eq!(list(&facts, member::MESSAGE), ["request", "ack"]);
        assert_eq!(facts.facts().get(FactId { object: OBJECT, member: member::LEASE_S }), Some(FactValue::Number(3600)));
    }

    #[test]
    fn what_is_none_is_left_to_others() {
        let cut = &message(1, &[])[..OPTIONS_AT - 1];
        assert!(!may_be_v4(&seen(cut, [68, 67])) && !may_be_v4(&seen(&message(3, &[]), [68, 67])));
        assert_eq!(DhcpFlow::default().datagram(&seen(cut, [68, 67])), DatagramReading::Foreign);
        let solicit = [1, 7, 7, 7, 0, 8, 0, 2, 0, 0];
        assert!(may_be_v6(&seen(&solicit, [546, 547])) && !may_be_v6(&seen(&solicit, [546, 53])));
        let mut flow = DhcpFlow { is_v6: true, ..DhcpFlow::default() };
        assert_eq!(flow.datagram(&seen(&solicit, [546, 547])), DatagramReading::Told);
        assert_eq!(flow.datagram(&seen(&solicit[..9], [546, 547])), DatagramReading::Foreign);
    }
}
