//! Colours of a line.
//!
//! Owns which part has which. Its invariant: a colour repeats what the letters say, and every one is of the sixteen that a
//! terminal's own scheme defines, so that it is legible on light and on dark.

/// ANSI sequences that begin a colour (ECMA-48 SGR); empty where there are none.
pub(super) struct Palette {
    /// Number and time.
    pub dim: &'static str,
    pub tcp: &'static str,
    pub udp: &'static str,
    /// ICMP, IGMP.
    pub control: &'static str,
    /// Every other protocol.
    pub other: &'static str,
    /// Something a reader may want to look at.
    pub mark: &'static str,
    /// Something that is lost, sent again or wrong.
    pub alarm: &'static str,
    /// A date.
    pub bold: &'static str,
}

impl Palette {
    /// Ends any colour.
    pub const RESET: &'static str = "\x1b[0m";

    pub const PLAIN: Self = Self { dim: "", tcp: "", udp: "", control: "", other: "", mark: "", alarm: "", bold: "" };

    pub const COLOR: Self = Self {
        dim: "\x1b[2m",
        tcp: "\x1b[32m",
        udp: "\x1b[36m",
        control: "\x1b[35m",
        other: "\x1b[34m",
        mark: "\x1b[33m",
        alarm: "\x1b[1;31m",
        bold: "\x1b[1m",
    };
}
