//! Names of services by their port (IANA's Service Name and Transport Protocol Port Number Registry; `services/SOURCE.md` has its date).
//!
//! Owns the list. Knows no flow. Invariant: a name says what a port is registered for, and nothing of what is spoken there.

use super::text::FieldWord;
use std::sync::LazyLock;

const REGISTRY: &str = include_str!("services/iana.txt");
/// Protocols that the list has, with their numbers.
const PROTOCOLS: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];
/// Numbers that a port may have.
const PORTS: usize = 1 << 16;

static NAMES: LazyLock<ServiceNames> = LazyLock::new(|| ServiceNames::read(REGISTRY));

struct ServiceNames {
    names: Vec<FieldWord>,
    /// Of each protocol the place of each port's name, counted from 1; 0 of those without.
    places: [Box<[u16]>; PROTOCOLS.len()],
}

impl ServiceNames {
    /// Lines of a port, protocols and a name.
    fn read(registry: &str) -> Self {
        let mut all = Self { names: Vec::new(), places: PROTOCOLS.map(|_| vec![0; PORTS].into()) };
        for line in registry.lines() {
            let mut words = line.split(' ');
            let (Some(port), Some(protocols), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(port) = port.parse::<u16>() else { continue };
            all.names.push(FieldWord::of_name(name));
            let place = u16::try_from(all.names.len()).unwrap_or(0);
            for (places, (protocol, _)) in all.places.iter_mut().zip(PROTOCOLS) {
                if protocols.split(',').any(|own| own == protocol) {
                    places[usize::from(port)] = place;
                }
            }
        }
        all
    }
}

/// The name for which a port is registered with an IP protocol; `None` where there is none.
pub fn service_name(protocol: u8, port: u16) -> Option<&'static str> {
    service_word(protocol, port).map(FieldWord::as_str)
}

/// The same as records take it.
pub(super) fn service_word(protocol: u8, port: u16) -> Option<&'static FieldWord> {
    let at = PROTOCOLS.iter().position(|&(_, number)| number == protocol)?;
    let place = NAMES.places[at][usize::from(port)];
    NAMES.names.get(usize::from(place).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_whole_and_names_are_plain() {
        let names = ServiceNames::read(REGISTRY);
        assert_eq!(names.names.len(), REGISTRY.lines().count());
        assert!(names.names.len() > 6000 && names.names.len() < usize::from(u16::MAX));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        let own = REGISTRY.lines().filter_map(|line| line.split(' ').nth(2));
        assert!(own.zip(&names.names).all(|(own, word)| own.len() == word.as_str().len() && own.bytes().all(is_plain)));
        assert!(REGISTRY.lines().is_sorted_by_key(|line| line.split(' ').next().and_then(|port| port.parse::<u16>().ok())));
    }

    #[test]
    fn names_are_found_by_protocol_and_port() {
        assert_eq!(
            (service_name(6, 443), service_name(17, 443), service_name(132, 443)),
            (Some("https"), Some("https"), Some("https"))
        );
        assert_eq!((service_name(6, 22), service_name(6, 6379), service_name(17, 6379)), (Some("ssh"), Some("redis"), None));
        assert_eq!((service_name(6, 0), service_name(6, 65_535), service_name(1, 22)), (None, None, None));
    }
}
