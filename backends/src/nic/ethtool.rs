//! What ethtool knows of an interface, asked over generic netlink (`linux/ethtool_netlink.h`).
//!
//! Owns the messages CHANNELS_GET, RINGS_GET, FEATURES_GET and RSS_GET. Changes nothing. Its one invariant:
//! what the driver does not offer is `None`, never an error and never a guess.

use std::collections::BTreeSet;
use std::io;

use super::codec::{AttributeBytes, Attributes, DamagedMessage, u32_at};
use super::netlink::{Generic, offered};
use super::rss::{HashFunction, Rss};

const FAMILY: &str = "ethtool";
const FEATURES_GET: u8 = 11;
const RINGS_GET: u8 = 15;
const CHANNELS_GET: u8 = 17;
const RSS_GET: u8 = 38;

/// The request header is the first attribute of every message, and a name its second.
const HEADER: u16 = 1;
const HEADER_DEV_NAME: u16 = 2;

const FEATURES_ACTIVE: u16 = 4;
const FEATURES_NOCHANGE: u16 = 5;
const BITSET_BITS: u16 = 3;
const BITSET_BIT_NAME: u16 = 2;

/// Numbers of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// Queues that only receive, in use and at most.
    pub rx: (u32, u32),
    /// Queues that receive and send, in use and at most.
    pub combined: (u32, u32),
}

impl Channels {
    /// RX queues in use.
    pub const fn rx_queues(&self) -> u32 {
        self.rx.0.saturating_add(self.combined.0)
    }

    /// RX queues the device could use.
    pub const fn rx_queues_max(&self) -> u32 {
        self.rx.1.saturating_add(self.combined.1)
    }
}

/// Sizes of a queue's rings, in descriptors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// Receive ring, in use.
    pub rx: u32,
    /// Receive ring, at most.
    pub rx_max: u32,
    /// Transmit ring, in use.
    pub tx: u32,
    /// Transmit ring, at most.
    pub tx_max: u32,
}

/// Offloads, by the names the kernel has for them (`net/ethtool/common.c`), such as "rx-gro" or
/// "rx-vlan-hw-parse".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Switched on.
    pub active: BTreeSet<String>,
    /// That cannot be switched.
    pub fixed: BTreeSet<String>,
}

impl Features {
    /// Whether this one is on.
    pub fn is_active(&self, name: &str) -> bool {
        self.active.contains(name)
    }

    /// Whether `ethtool -K` can switch it.
    pub fn can_change(&self, name: &str) -> bool {
        !self.fixed.contains(name)
    }
}

/// A conversation with ethtool about one interface.
pub struct Ethtool {
    generic: Option<Generic>,
    interface: String,
}

impl Ethtool {
    /// Opens it. A kernel without the family (before 5.6) offers nothing, which is no error.
    pub fn open(interface: &str) -> io::Result<Self> {
        Ok(Self { generic: offered(Generic::open(FAMILY).map(Some))?, interface: interface.to_owned() })
    }

    fn get(&mut self, command: u8) -> io::Result<Option<Vec<u8>>> {
        let Some(generic) = &mut self.generic else { return Ok(None) };
        let header = AttributeBytes::default().text(HEADER_DEV_NAME, &self.interface);
        offered(generic.get(command, |request| request.nest(HEADER, &header)))
    }

    fn read<T>(
        &mut self,
        command: u8,
        parse: impl FnOnce(&Attributes<'_>) -> Result<T, DamagedMessage>,
    ) -> io::Result<Option<T>> {
        let Some(bytes) = self.get(command)? else { return Ok(None) };
        let read = Attributes::parse(&bytes, 0).and_then(|attributes| parse(&attributes));
        read.map(Some).map_err(io::Error::other)
    }

    /// Numbers of queues.
    pub fn channels(&mut self) -> io::Result<Option<Channels>> {
        self.read(CHANNELS_GET, |attributes| Ok(parse_channels(attributes)))
    }

    /// Sizes of the rings.
    pub fn rings(&mut self) -> io::Result<Option<Rings>> {
        self.read(RINGS_GET, |attributes| Ok(parse_rings(attributes))).map(|rings| rings.filter(|rings| rings.rx_max > 0))
    }

    /// Offloads.
    pub fn features(&mut self) -> io::Result<Option<Features>> {
        self.read(FEATURES_GET, parse_features)
    }

    /// Spreading of received packets; `None` too when the driver says nothing of hash, key and table.
    pub fn rss(&mut self) -> io::Result<Option<Rss>> {
        self.read(RSS_GET, parse_rss).map(Option::flatten)
    }
}

fn parse_channels(attributes: &Attributes<'_>) -> Channels {
    let number = |kind| attributes.u32(kind).unwrap_or_default();
    Channels { rx: (number(6), number(2)), combined: (number(9), number(5)) }
}

fn parse_rings(attributes: &Attributes<'_>) -> Rings {
    let number = |kind| attributes.u32(kind).unwrap_or_default();
    Rings { rx: number(6), rx_max: number(2), tx: number(9), tx_max: number(5) }
}

fn parse_features(attributes: &Attributes<'_>) -> Result<Features, DamagedMessage> {
    let names = |kind| bit_names(&attributes.nest(kind)?);
    Ok(Features { active: names(FEATURES_ACTIVE)?, fixed: names(FEATURES_NOCHANGE)? })
}

/// Names of the bits of a bit set in its long form. Sent without a mask, so every bit that is listed is set.
fn bit_names(bitset: &Attributes<'_>) -> Result<BTreeSet<String>, DamagedMessage> {
    let mut names = BTreeSet::new();
    for (_, bit) in bitset.nest(BITSET_BITS)?.iter() {
        names.extend(Attributes::parse(bit, 0)?.text(BITSET_BIT_NAME));
    }
    Ok(names)
}

fn parse_rss(attributes: &Attributes<'_>) -> Result<Option<Rss>, DamagedMessage> {
    let table = attributes.get(4).unwrap_or_default();
    if !table.len().is_multiple_of(4) {
        return Err(DamagedMessage);
    }
    let indirection = (0..table.len() / 4).map(|entry| u32_at(table, entry * 4)).collect::<Result<Vec<_>, _>>()?;
    let function = attributes.u32(3).filter(|bits| *bits != 0).map(HashFunction::from_bits);
    let key = attributes.get(5).unwrap_or_default().to_vec();
    let transform = attributes.u32(6).unwrap_or_default();
    if function.is_none() && key.is_empty() && indirection.is_empty() {
        return Ok(None);
    }
    Ok(Some(Rss { function, key, indirection, transform }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What `build` put together, as attributes.
    fn read<T>(payload: &AttributeBytes, parse: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let message = payload.message(0, 0, 0);
        parse(&Attributes::parse(&message[16..], 0).unwrap())
    }

    #[test]
    fn reads_queues_and_rings() {
        let channels = AttributeBytes::default().u32(5, 64).u32(9, 8);
        let channels = read(&channels, parse_channels);
        assert_eq!((channels.rx_queues(), channels.rx_queues_max()), (8, 64));
        let rings = AttributeBytes::default().u32(2, 4096).u32(5, 2048).u32(6, 512).u32(9, 256);
        assert_eq!(read(&rings, parse_rings), Rings { rx: 512, rx_max: 4096, tx: 256, tx_max: 2048 });
    }

    #[test]
    fn reads_names_of_features() {
        let bit = |name| AttributeBytes::default().u32(1, 0).text(BITSET_BIT_NAME, name);
        let bits = AttributeBytes::default().nest(1, &bit("rx-gro")).nest(1, &bit("rx-lro"));
        let set = AttributeBytes::default().u32(2, 64).nest(BITSET_BITS, &bits);
        let features = read(&AttributeBytes::default().nest(FEATURES_ACTIVE, &set), parse_features).unwrap();
        assert!(features.is_active("rx-gro") && features.is_active("rx-lro") && !features.is_active("rx-hashing"));
        assert!(features.can_change("rx-gro"));
    }

    #[test]
    fn reads_hash_key_and_table_and_knows_when_there_is_nothing() {
        let table: Vec<u8> = [0_u32, 1, 2, 3].into_iter().flat_map(u32::to_ne_bytes).collect();
        let rss = AttributeBytes::default().u32(3, 1).bytes(4, &table).bytes(5, &[0x6d; 40]).u32(6, 1);
        let rss = read(&rss, parse_rss).unwrap().unwrap();
        assert_eq!((rss.function, rss.transform, rss.key.len()), (Some(HashFunction::Toeplitz), 1, 40));
        assert_eq!(rss.indirection, [0, 1, 2, 3]);
        assert_eq!(read(&AttributeBytes::default().u32(2, 0), parse_rss), Ok(None));
        assert_eq!(read(&AttributeBytes::default().bytes(4, &[1, 2, 3]), parse_rss), Err(DamagedMessage));
    }

    #[test]
    fn the_loopback_has_features_and_no_queues_to_set() {
        let mut ethtool = Ethtool::open("lo").unwrap();
        assert!(ethtool.features().unwrap().expect("every interface has features").is_active("loopback"));
        assert_eq!(ethtool.channels().unwrap(), None);
        assert_eq!(ethtool.rings().unwrap(), None);
        assert_eq!(ethtool.rss().unwrap(), None);
        let missing = Ethtool::open("no-such-link").unwrap().features().unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV));
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(bytes in vec(any::<u8>(), 0..200), kind in 1_u16..8) {
            let whole = AttributeBytes::default().bytes(kind, &bytes);
            let _ = read(&whole, parse_features);
            let _ = read(&whole, parse_rss);
            let _ = read(&whole, |attributes| (parse_channels(attributes), parse_rings(attributes)));
        }
    }
}
