//! Names in filter expressions that libpcap would look up: of hosts, networks and Ethernet addresses.
//!
//! Owns the words of pcap-filter(7). Knows no program. Invariant: in an expression that passes, libpcap finds no name but those of
//! ports and protocols, which it reads from files of this host, and words that it compares itself; so it asks no name server.
//!
//! The words are cut as libpcap's scanner cuts them. What is not surely harmless is refused, so an expression may be refused that
//! libpcap would not understand either.

use std::net::Ipv6Addr;

/// Words behind which a name is that of a port or a protocol; so it is in a list that goes on behind it (`port http or https`).
const BEFORE_LOCAL_NAMES: &[&str] = &["port", "portrange", "proto", "protochain"];
/// Words behind which one name is compared by libpcap itself.
const BEFORE_OWN_NAME: &[&str] =
    &["on", "ifname", "rset", "ruleset", "reason", "action", "type", "subtype", "direction", "dir", "llc"];
/// Words that join primitives.
const JOINING: &[&str] = &["and", "or", "not"];
/// The other words. A word that libpcap knows and this list does not is refused; the other way round it would be a host's name.
/// That of libpcap 1.9 and later.
const KEYWORDS: &[&str] = &[
    "dst",
    "src",
    "link",
    "ether",
    "ppp",
    "slip",
    "fddi",
    "tr",
    "wlan",
    "arp",
    "rarp",
    "ip",
    "sctp",
    "tcp",
    "udp",
    "icmp",
    "igmp",
    "igrp",
    "pim",
    "vrrp",
    "carp",
    "radio",
    "ip6",
    "icmp6",
    "ah",
    "esp",
    "atalk",
    "aarp",
    "decnet",
    "lat",
    "sca",
    "moprc",
    "mopdl",
    "iso",
    "esis",
    "es-is",
    "isis",
    "is-is",
    "l1",
    "l2",
    "iih",
    "lsp",
    "snp",
    "csnp",
    "psnp",
    "clnp",
    "stp",
    "ipx",
    "netbeui",
    "host",
    "net",
    "mask",
    "gateway",
    "address1",
    "addr1",
    "address2",
    "addr2",
    "address3",
    "addr3",
    "address4",
    "addr4",
    "ra",
    "ta",
    "less",
    "greater",
    "byte",
    "broadcast",
    "multicast",
    "len",
    "length",
    "inbound",
    "outbound",
    "vlan",
    "mpls",
    "pppoed",
    "pppoes",
    "geneve",
    "lane",
    "metac",
    "bcc",
    "oam",
    "oamf4",
    "oamf4ec",
    "oamf4sc",
    "sc",
    "ilmic",
    "vpi",
    "vci",
    "connectmsg",
    "metaconnect",
    "rnr",
    "rulenum",
    "srnr",
    "subrulenum",
    "fisu",
    "lssu",
    "lsu",
    "msu",
    "hfisu",
    "hlssu",
    "hmsu",
    "sio",
    "opc",
    "dpc",
    "sls",
    "hsio",
    "hopc",
    "hdpc",
    "hsls",
    "icmptype",
    "icmpcode",
    "icmp-echoreply",
    "icmp-unreach",
    "icmp-sourcequench",
    "icmp-redirect",
    "icmp-echo",
    "icmp-routeradvert",
    "icmp-routersolicit",
    "icmp-timxceed",
    "icmp-paramprob",
    "icmp-tstamp",
    "icmp-tstampreply",
    "icmp-ireq",
    "icmp-ireqreply",
    "icmp-maskreq",
    "icmp-maskreply",
    "icmp6type",
    "icmp6code",
    "icmp6-destinationunreach",
    "icmp6-packettoobig",
    "icmp6-timeexceeded",
    "icmp6-parameterproblem",
    "icmp6-echo",
    "icmp6-echoreply",
    "icmp6-multicastlistenerquery",
    "icmp6-multicastlistenerreportv1",
    "icmp6-multicastlistenerdone",
    "icmp6-routersolicit",
    "icmp6-routeradvert",
    "icmp6-neighborsolicit",
    "icmp6-neighboradvert",
    "icmp6-redirect",
    "icmp6-routerrenum",
    "icmp6-nodeinformationquery",
    "icmp6-nodeinformationresponse",
    "icmp6-ineighbordiscoverysolicit",
    "icmp6-ineighbordiscoveryadvert",
    "icmp6-multicastlistenerreportv2",
    "icmp6-homeagentdiscoveryrequest",
    "icmp6-homeagentdiscoveryreply",
    "icmp6-mobileprefixsolicit",
    "icmp6-mobileprefixadvert",
    "icmp6-certpathsolicit",
    "icmp6-certpathadvert",
    "icmp6-multicastrouteradvert",
    "icmp6-multicastroutersolicit",
    "icmp6-multicastrouterterm",
    "tcpflags",
    "tcp-fin",
    "tcp-syn",
    "tcp-rst",
    "tcp-push",
    "tcp-ack",
    "tcp-urg",
    "tcp-ece",
    "tcp-cwr",
];

/// What a part of an expression is, as far as names go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A word of the language, or a name.
    Word(&'a str),
    /// Never a word of the language: written behind a backslash.
    Name(&'a str),
    /// Nothing that libpcap understands, or it cuts it elsewhere.
    Doubtful(&'a str),
    Number,
    Address,
    /// `&&`, `||`, `!` or a parenthesis.
    Joining,
    /// Anything else.
    Other,
}

/// The first part of an expression that libpcap would look up, or may; `None`: there is none.
pub(super) fn looked_up(expression: &str) -> Option<&str> {
    // What a name is that comes now: of a port or a protocol, for so long or once.
    let (mut is_local, mut is_own) = (false, false);
    let mut rest = expression;
    while let Some((token, behind)) = next_token(rest) {
        let was_own = std::mem::replace(&mut is_own, false);
        match token {
            Token::Word(word) if BEFORE_LOCAL_NAMES.contains(&word) => is_local = true,
            Token::Word(word) if BEFORE_OWN_NAME.contains(&word) => (is_local, is_own) = (false, true),
            Token::Word(word) if JOINING.contains(&word) => {}
            Token::Word(word) if KEYWORDS.contains(&word) => is_local = false,
            Token::Word(name) | Token::Name(name) => {
                if !is_local && !was_own {
                    return Some(name);
                }
            }
            Token::Doubtful(what) => return Some(what),
            Token::Number | Token::Joining => {}
            Token::Address | Token::Other => is_local = false,
        }
        rest = behind;
    }
    None
}

/// True for a word that is one of the language in lower case only.
pub(super) fn is_keyword_in_capitals(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower != word && [BEFORE_LOCAL_NAMES, BEFORE_OWN_NAME, JOINING, KEYWORDS].iter().any(|words| words.contains(&lower.as_str()))
}

/// The first part of a text, and what is behind it.
fn next_token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = text.trim_start_matches([' ', '\r', '\n', '\t']);
    let first = text.chars().next()?;
    let (token, len) = match first {
        '\\' => {
            let len = text.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(text.len());
            (Token::Name(&text[1..len]), len)
        }
        '&' | '|' if text[1..].starts_with(first) => (Token::Joining, 2),
        '!' if !text[1..].starts_with('=') => (Token::Joining, 1),
        '(' | ')' => (Token::Joining, 1),
        '$' if is_byte(&text[1..run(&text[1..], "") + 1]) => (Token::Address, run(&text[1..], "") + 1),
        ':' | '0'..='9' | 'A'..='Z' | 'a'..='z' => colons_and_words(text),
        other => (Token::Other, other.len_utf8()),
    };
    Some((token, &text[len..]))
}

/// An address, or the first word of what begins here.
fn colons_and_words(text: &str) -> (Token<'_>, usize) {
    let whole = run(text, "._-:");
    let candidate = &text[..whole];
    if candidate.parse::<Ipv6Addr>().is_ok() || is_mac(candidate) {
        return (Token::Address, whole);
    }
    match candidate.matches(':').count() {
        // Where an address ends in something else, the scanner may cut elsewhere than is done here.
        2.. => return (Token::Doubtful(candidate), whole),
        1 if candidate.starts_with(':') => return (Token::Other, 1),
        _ => {}
    }
    let word = text[..run(text, "._-")].trim_end_matches(['-', '_']);
    let token = if is_mac(word) || is_dotted(word) {
        Token::Address
    } else if is_number(word) {
        Token::Number
    } else {
        Token::Word(word)
    };
    (token, word.len())
}

/// Length of the letters, digits and these others that a text begins with.
fn run(text: &str, others: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && !others.contains(c)).unwrap_or(text.len())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One or two hexadecimal digits.
fn is_byte(text: &str) -> bool {
    matches!(text.len(), 1 | 2) && is_hex(text)
}

fn is_mac(text: &str) -> bool {
    let of_bytes = |separator| {
        let mut parts = text.split(separator);
        parts.by_ref().take(6).filter(|part| is_byte(part)).count() == 6 && parts.next().is_none()
    };
    let of_words = || {
        let mut parts = text.split('.');
        parts.by_ref().take(3).filter(|part| part.len() == 4 && is_hex(part)).count() == 3 && parts.next().is_none()
    };
    text.len() == 12 && is_hex(text) || of_bytes(':') || of_bytes('-') || of_bytes('.') || of_words()
}

fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => !digits.is_empty() && is_hex(digits),
        None => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Two to four numbers with dots between them.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_number) && (2..=4).contains(&text.split('.').count())
}

#[cfg(test)]
mod tests;
