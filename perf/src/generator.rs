//! Interleaving of flows: a fixed number is alive at a time, a random one of them sends next. One allocation
//! at the start.

use crate::deep::Depth;
use crate::flow::{Craft, Shape, SyntheticFlow};
use crate::frame::FrameBuilder;
use crate::random::Random;
use std::fmt;

/// Kinds of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// TCP, 64 bytes on the wire (60 in a capture), handshakes and teardowns included.
    SmallPackets,
    /// TCP with few, small packets per flow: the table is what counts.
    ManyFlows,
    /// TCP to web ports: small requests, responses up to a full segment.
    HttpMix,
    /// TCP, data in full segments.
    BigPackets,
    /// UDP datagrams of DNS-like and media-like sizes, both ways.
    Udp,
    /// The web mix over IPv6.
    Ipv6,
    /// The web mix with an 802.1Q tag.
    Vlan,
    /// As [`Self::SmallPackets`], between addresses and ports that mirror each other's bits: XOR, sum and
    /// every linear hash with a symmetric key are the same for all flows.
    Colliding,
    /// UDP datagrams of 64 bytes in two fragments each. Not in [`Self::ALL`].
    Fragments,
    /// Frames that break a rule of IPv4, TCP or UDP, each in one of several ways. Not in [`Self::ALL`].
    Malformed,
    /// SYNs to one service; as many sources as flows. Not in [`Self::ALL`], as are those below.
    SynFlood,
    /// SYNs from one source to all ports of a host.
    PortSweep,
    /// Datagrams of 64 bytes, one way.
    UdpFlood,
    /// Large DNS answers that nobody asked for.
    DnsAmplification,
    /// As [`Self::SmallPackets`], and of each flow the beginning of the first request is missing.
    Gaps,
    /// Small datagrams behind many headers.
    Deep(Depth),
}

impl Profile {
    /// Profiles that are not what a sound host sends, with their names.
    pub const CRAFTED: &[(&str, Self)] = &[
        ("fragments", Self::Fragments),
        ("malformed", Self::Malformed),
        ("syn-flood", Self::SynFlood),
        ("port-sweep", Self::PortSweep),
        ("udp-flood", Self::UdpFlood),
        ("dns-amplification", Self::DnsAmplification),
        ("gaps", Self::Gaps),
        ("tunnels-1", Self::Deep(Depth::Tunnels(1))),
        ("extension-headers-8", Self::Deep(Depth::ExtensionHeaders(8))),
        ("extension-headers-120", Self::Deep(Depth::ExtensionHeaders(120))),
        ("padding-150", Self::Deep(Depth::Padding(150))),
        ("tags-16", Self::Deep(Depth::Tags(16))),
        ("tags-250", Self::Deep(Depth::Tags(250))),
        ("labels-16", Self::Deep(Depth::Labels(16))),
        ("labels-250", Self::Deep(Depth::Labels(250))),
        ("tunnels-4", Self::Deep(Depth::Tunnels(4))),
        ("tunnels-60", Self::Deep(Depth::Tunnels(60))),
    ];

    /// All sound profiles with the names they have on the command line.
    pub const ALL: &[(&str, Self)] = &[
        ("small-packets", Self::SmallPackets),
        ("many-flows", Self::ManyFlows),
        ("http-mix", Self::HttpMix),
        ("big-packets", Self::BigPackets),
        ("udp", Self::Udp),
        ("ipv6", Self::Ipv6),
        ("vlan", Self::Vlan),
        ("colliding", Self::Colliding),
    ];

    const fn shape(self) -> Shape {
        let web = Shape {
            udp: false,
            ipv6: false,
            vlan: false,
            craft: Craft::None,
            server_ports: &[80, 443, 8080, 8443],
            request: (60, 500),
            response: (200, 1460),
        };
        match self {
            Self::SmallPackets => Shape { request: (1, 6), response: (1, 6), ..web },
            Self::ManyFlows => Shape { request: (16, 120), response: (16, 200), ..web },
            Self::HttpMix => web,
            Self::BigPackets => Shape { request: (1460, 1460), response: (1460, 1460), ..web },
            Self::Udp => Shape { udp: true, server_ports: &[53, 123, 443, 3478], request: (24, 80), response: (40, 1200), ..web },
            Self::Ipv6 => Shape { ipv6: true, ..web },
            Self::Vlan => Shape { vlan: true, ..web },
            Self::Colliding => Shape { craft: Craft::Colliding, request: (1, 6), response: (1, 6), ..web },
            Self::Gaps => Shape { craft: Craft::Gap, request: (1, 6), response: (1, 6), ..web },
            Self::Fragments => Shape { udp: true, craft: Craft::Fragments, request: (56, 56), response: (56, 56), ..web },
            Self::SynFlood => Shape { craft: Craft::OneServer, server_ports: &[80], ..web },
            Self::PortSweep => Shape { craft: Craft::AllPorts, ..web },
            Self::UdpFlood => Shape { udp: true, craft: Craft::OneWay, request: (18, 18), ..web },
            Self::Deep(depth) => {
                let ipv6 = matches!(depth, Depth::ExtensionHeaders(_) | Depth::Padding(_));
                Shape {
                    udp: true,
                    ipv6,
                    craft: Craft::Deep(depth),
                    server_ports: &[7],
                    request: (18, 18),
                    response: (18, 18),
                    ..web
                }
            }
            Self::DnsAmplification => {
                Shape { udp: true, craft: Craft::Reflected, server_ports: &[53], response: (450, 512), ..web }
            }
            Self::Malformed => Shape { craft: Craft::Malformed, request: (1, 6), response: (1, 6), ..web },
        }
    }
}

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct GeneratorSettings {
    /// Kind of traffic.
    pub profile: Profile,
    /// Packets in all; at least `flows`, at most 2^32 - 1 per flow.
    pub packets: u64,
    /// Flows in all; at least 1, at most 2^38.
    pub flows: u64,
    /// Most flows alive at a time; 0 for all of them.
    pub live_flows: u64,
    /// Same seed, same bytes.
    pub seed: u64,
    /// Time of the first packet in ns since 1970.
    pub start_ns: u64,
    /// Mean distance of packets in ns.
    pub gap_ns: u64,
}

impl GeneratorSettings {
    /// Settings for this profile, the rest being plausible: all flows alive at once up to 100,000, 1 µs
    /// between packets.
    pub const fn new(profile: Profile, packets: u64, flows: u64, seed: u64) -> Self {
        Self { profile, packets, flows, live_flows: 100_000, seed, start_ns: 1_700_000_000_000_000_000, gap_ns: 1_000 }
    }
}

/// What was generated so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Packets built.
    pub packets: u64,
    /// Flows begun.
    pub flows: u64,
    /// Bytes of all frames.
    pub bytes: u64,
}

/// Impossible settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerateError {
    /// No flows, or more than have distinct addresses.
    Flows(u64),
    /// Fewer packets than flows, or more per flow than can be counted.
    Packets(u64),
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flows(flows) => write!(f, "flows must be between 1 and {FLOWS_MAX}, not {flows}"),
            Self::Packets(packets) => {
                write!(f, "packets must be at least the number of flows and below 2^32 per flow, not {packets}")
            }
        }
    }
}

impl std::error::Error for GenerateError {}

/// 2^14 client ports times 2^24 client addresses.
const FLOWS_MAX: u64 = 1 << 38;

/// An endless supply that ends: packets one after the other, in the order of their time.
pub struct Generator {
    settings: GeneratorSettings,
    shape: Shape,
    random: Random,
    frame: FrameBuilder,
    live: Vec<SyntheticFlow>,
    time_ns: u64,
    generated: Generated,
}

impl Generator {
    /// Reserves the memory for the live flows.
    ///
    /// # Errors
    /// Where the settings cannot be met exactly.
    pub fn new(settings: &GeneratorSettings) -> Result<Self, GenerateError> {
        if settings.flows == 0 || settings.flows > FLOWS_MAX {
            return Err(GenerateError::Flows(settings.flows));
        }
        if settings.packets < settings.flows || settings.packets / settings.flows >= u64::from(u32::MAX) {
            return Err(GenerateError::Packets(settings.packets));
        }
        let live_max = if settings.live_flows == 0 { settings.flows } else { settings.live_flows.min(settings.flows) };
        let mut generator = Self {
            settings: *settings,
            shape: settings.profile.shape(),
            random: Random::new(settings.seed),
            frame: FrameBuilder::new(),
            live: Vec::with_capacity(usize::try_from(live_max).unwrap_or(usize::MAX)),
            time_ns: settings.start_ns,
            generated: Generated::default(),
        };
        for _ in 0..live_max {
            if let Some(flow) = generator.begin_flow() {
                generator.live.push(flow);
            }
        }
        Ok(generator)
    }

    /// The next packet, its time in ns since 1970 and its bytes; `None` when all have been given.
    pub fn next_packet(&mut self) -> Option<(u64, &[u8])> {
        let chosen = usize::try_from(self.random.below(self.live.len() as u64)).ok()?;
        let flow = self.live.get_mut(chosen)?;
        flow.build(&self.shape, &mut self.random, &mut self.frame);
        if flow.is_over() {
            match self.begin_flow() {
                Some(next) => self.live[chosen] = next,
                None => drop(self.live.swap_remove(chosen)),
            }
        }
        let time_ns = self.time_ns;
        self.time_ns += self.random.below(2 * self.settings.gap_ns + 1);
        self.generated.packets += 1;
        self.generated.bytes += self.frame.bytes().len() as u64;
        Some((time_ns, self.frame.bytes()))
    }

    /// What was generated so far.
    pub const fn generated(&self) -> Generated {
        self.generated
    }

    /// The packets are dealt out evenly; the first flows get what is left over.
    fn begin_flow(&mut self) -> Option<SyntheticFlow> {
        let number = self.generated.flows;
        if number == self.settings.flows {
            return None;
        }
        self.generated.flows += 1;
        let (share, rest) = (self.settings.packets / self.settings.flows, self.settings.packets % self.settings.flows);
        let packets = u32::try_from(share + u64::from(number < rest)).ok()?;
        Some(SyntheticFlow::new(number, packets, self.settings.seed))
    }
}

#[cfg(test)]
mod tests;
