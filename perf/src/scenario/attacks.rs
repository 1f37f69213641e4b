//! Attacks: what each is made of, at which pace, and when it crosses its threshold.
//!
//! Owns the list, the intensities and the truth that is stated. Invariant: an attack is a row of equal parts at equal distances; as many of them as the
//! threshold says, within the window, are the attack.

mod floods;
mod hosts;
mod scans;

pub(super) use hosts::{dhcp_discover, dhcp_offer};

use super::busy::busy_traffic;
use super::script::{SEC, Script};
use std::net::Ipv4Addr;

/// Who is attacked.
pub const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// The one who attacks, where that is one.
pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// A host inside.
pub const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// The router of the inside.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// How much of an attack, compared with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intensity {
    /// 0.8 times.
    Below,
    /// 1.25 times.
    Above,
    /// 10 times.
    Tenfold,
    /// 100 times.
    Hundredfold,
}

impl Intensity {
    /// All of them, with their names on the command line.
    pub const ALL: &[(&str, Self)] =
        &[("below", Self::Below), ("above", Self::Above), ("10x", Self::Tenfold), ("100x", Self::Hundredfold)];

    /// Per cent of the threshold.
    pub const fn percent(self) -> u64 {
        match self {
            Self::Below => 80,
            Self::Above => 125,
            Self::Tenfold => 1_000,
            Self::Hundredfold => 10_000,
        }
    }

    /// As in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Below => "0.8 ×",
            Self::Above => "1.25 ×",
            Self::Tenfold => "10 ×",
            Self::Hundredfold => "100 ×",
        }
    }
}

/// What grows with the intensity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// More parts in the same time.
    Rate,
    /// As many parts a second, for longer.
    Length,
}

/// One kind of attack.
pub struct AttackKind {
    /// Its name on the command line.
    pub name: &'static str,
    /// The kind of the alert that tells of it.
    pub alert: &'static str,
    /// What sort of its kind; "" where that is left to the detector.
    pub variant: &'static str,
    /// By which packets; "" where there is only one way.
    pub technique: &'static str,
    /// What a part is, as in "200 connection attempts in 5 s".
    pub part: &'static str,
    /// Parts within the window that make the attack, by default.
    pub threshold: u64,
    /// Length of the window in ns, by default.
    pub window_ns: u64,
    /// What grows with the intensity.
    pub scaling: Scaling,
    /// Time from the beginning of a part until it is known what it was, in ns.
    pub settles_ns: u64,
    /// Makes a part, `at` ns after the start.
    fill: fn(&mut Script, u64, u32),
}

impl AttackKind {
    /// Kind of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ATTACKS.iter().copied().flatten().find(|kind| kind.name == name)
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ATTACKS.iter().copied().flatten()
    }
}

/// All kinds, by what they are.
pub const ATTACKS: &[&[AttackKind]] =
    &[floods::CONNECTIONS, scans::SCANS, floods::VOLUME, hosts::LOGINS, hosts::NEIGHBOURS, hosts::CHANNELS];

/// An attack at a pace.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What is done.
    pub kind: &'static AttackKind,
    /// How much of it.
    pub intensity: Intensity,
    /// Parts within the window that make it.
    pub threshold: u64,
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Among the traffic of others.
    pub is_busy: bool,
}

/// What is true of an attack's capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Time of the first part, in ns since 1970.
    pub began_ns: u64,
    /// When the threshold was reached, in ns since 1970; `None` where it was not.
    pub crossed_ns: Option<u64>,
    /// Parts.
    pub parts: u32,
}

impl Attack {
    /// When the first part begins, in ns after the script's start: there is other traffic before.
    const BEGINS_NS: u64 = 2_345 * 1_000_000;
    /// For so long it goes on after it crossed its threshold, in ns.
    const GOES_ON_NS: u64 = 5 * SEC / 2;

    /// An attack with the default threshold, alone.
    pub const fn new(kind: &'static AttackKind, intensity: Intensity) -> Self {
        Self { kind, intensity, threshold: kind.threshold, window_ns: kind.window_ns, is_busy: false }
    }

    /// Distance of two parts in ns.
    pub fn interval_ns(&self) -> u64 {
        let percent = match self.kind.scaling {
            Scaling::Rate => self.intensity.percent(),
            Scaling::Length => 100,
        };
        (u128::from(self.window_ns) * 100 / u128::from(self.threshold.max(1) * percent)).max(1) as u64
    }

    /// How many parts there are. Below the threshold they go on for two windows.
    fn parts(&self) -> u32 {
        let interval_ns = self.interval_ns();
        let parts = match self.kind.scaling {
            Scaling::Rate if self.intensity == Intensity::Below => 2 * self.window_ns / interval_ns,
            Scaling::Rate => self.threshold + (Self::GOES_ON_NS + self.kind.settles_ns).div_ceil(interval_ns),
            Scaling::Length => self.threshold * self.intensity.percent() / 100,
        };
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    /// Its packets, and what is true of them. Two more follow in the end, of hosts that have nothing to do with it: the capture goes on when the attack is over.
    pub fn script(&self) -> (Script, Truth) {
        let mut script = Script::default();
        let (interval_ns, parts) = (self.interval_ns(), self.parts());
        let at = |part: u32| Self::BEGINS_NS + u64::from(part) * interval_ns;
        (0..parts).for_each(|part| (self.kind.fill)(&mut script, at(part), part));
        let end = at(parts).max(at(0) + Self::GOES_ON_NS) + self.kind.settles_ns;
        let (client, server) = ((Ipv4Addr::new(10, 7, 7, 7), 5_353), (Ipv4Addr::new(10, 7, 7, 8), 53));
        for at in [0, end + Self::GOES_ON_NS] {
            script.datagram(at, client, server, 30);
            script.datagram(at + 1_000_000, server, client, 90);
        }
        if self.is_busy {
            busy_traffic(&mut script, end);
        }
        let reaches = match self.kind.scaling {
            Scaling::Rate => self.intensity != Intensity::Below,
            Scaling::Length => u64::from(parts) >= self.threshold,
        };
        let last = u32::try_from(self.threshold.saturating_sub(1)).unwrap_or(u32::MAX);
        let crossed_ns = reaches.then(|| Script::START_NS + at(last) + self.kind.settles_ns);
        (script, Truth { began_ns: Script::START_NS + at(0), crossed_ns, parts })
    }
}
