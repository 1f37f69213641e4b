//! What passes and what is refused; libpcap is the judge of what is a name.

use super::*;
use crate::filter::Filter;
use crate::{BackendError, LinkType};
use proptest::prelude::*;

/// Everything that pcap-filter(7) shows as an example or an equivalent, but for what has names of hosts or networks: by a link type
/// that takes it.
const EXAMPLES: &[(LinkType, &[&str])] = &[
    (
        LinkType::ETHERNET,
        &[
            "net 128.3",
            "port 20",
            "portrange 6000-6008",
            "dst net 128.3",
            "src or dst port ftp-data",
            "src and dst port 20",
            "arp net 128.3",
            "tcp port 21",
            "udp portrange 7000-7009",
            "port ftp",
            "not port ftp and not port ftp-data",
            "tcp dst port ftp or ftp-data or domain",
            "tcp dst port ftp or tcp dst port ftp-data or tcp dst port domain",
            "tcp dst port (ftp or ftp-data or not domain)",
            "ether proto \\ip and host 10.0.0.1",
            "ether dst 00:11:22:33:44:55",
            "ether src 00.11.22.33.44.aa",
            "ether host 0-11-22-33-44-5",
            "ether host 0011.2233.44ff",
            "ether host aabbccddeeff",
            "net 192.168.1.0",
            "net 192.168.1",
            "net 172.16",
            "net 10",
            "net 10.0.0.0 mask 255.0.0.0",
            "net 10.0.0.0/8",
            "src net 2001:db8::/32",
            "host ::1 or fe80::1 or ::ffff:1.2.3.4",
            "ip6 host 2001:db8:0:0:0:0:0:1",
            "dst port 513",
            "port domain",
            "src portrange 10-20",
            "portrange ftp-domain",
            "less 100 or greater 1000",
            "len <= 100 or length >= 1000",
            "ip proto 1",
            "ip proto \\icmp",
            "ip proto \\tcp or \\udp",
            "ip6 proto 58",
            "ip6 proto ipv6-icmp",
            "proto \\sctp",
            "ah or esp or pim or sctp or tcp or udp",
            "icmp or icmp6 or igmp or vrrp or carp or igrp",
            "ip6 protochain 6",
            "ip protochain \\tcp",
            "protochain 6",
            "ether broadcast",
            "broadcast",
            "ether multicast",
            "ether[0] & 1 != 0",
            "ip multicast",
            "ip6 multicast",
            "ether proto \\arp",
            "ether proto loopback",
            "fddi proto \\arp",
            "ether proto 0x88cc",
            "ip or ip6 or arp or rarp or atalk or aarp or decnet or iso or stp or ipx or netbeui",
            "lat or moprc or mopdl or sca",
            "llc",
            "llc i or llc s or llc u or llc rr or llc rnr or llc rej or llc ui or llc ua or llc disc or llc sabme",
            "llc test or llc xid or llc frmr",
            "vlan 100 && vlan 200",
            "vlan && vlan 300 && ip",
            "mpls 100000 && mpls 1024",
            "mpls && mpls 1024 && host 192.9.200.1",
            "pppoed",
            "pppoes 0x27 && ip",
            "geneve 0xb && ip",
            "iso proto \\clnp",
            "iso proto \\esis",
            "clnp or esis or isis or es-is or is-is",
            "l1 or l2 or iih or lsp or snp or csnp or psnp",
            "ip[0] & 0xf != 5",
            "ip[6:2] & 0x1fff = 0",
            "tcp[0] = 1",
            "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0.0.0/8",
            "tcp[tcpflags:1] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)",
            "tcp[tcpflags] & (tcp-push|tcp-urg|tcp-ece|tcp-cwr) << 1 >> 1 = 2 + 3 - 1 * 4 / 5",
            "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
            "ether[0] & 1 = 0 and ip[16] >= 224",
            "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
            "icmp6[icmp6type] != icmp6-echo and icmp6[icmp6type] != icmp6-echoreply",
            "icmp[icmpcode] = 0 || !(icmp6[icmp6code] = 0)",
            "ip and not net 10",
            "host 10.1.2.3 and not (port http or https)",
            "",
        ],
    ),
    (LinkType(113), &["inbound", "outbound and tcp"]),
    (
        LinkType(105),
        &[
            "wlan ra 0:1:2:3:4:5 or wlan ta 0:1:2:3:4:5",
            "wlan addr1 0:1:2:3:4:5 or wlan addr2 0:2:3:4:5:6 or wlan addr3 0:2:3:4:5:6 or wlan addr4 0:2:3:4:5:6",
            "type mgt or type ctl or type data",
            "type mgt subtype assoc-req or type mgt subtype probe-resp or type mgt subtype deauth",
            "type ctl subtype ps-poll or type data subtype qos-data-cf-ack-poll",
            "subtype beacon or subtype cf-end-ack",
            "dir nods or dir tods or direction fromds or dir dstods or dir 1",
        ],
    ),
    (
        LinkType(117),
        &[
            "ifname em0 or on vtnet0.1",
            "rnr 1 or rulenum 2 or srnr 3 or subrulenum 4",
            "reason match or reason bad-offset or reason normalize",
            "rset abc or ruleset abc",
            "action pass or action block or action scrub",
        ],
    ),
    (
        LinkType(123),
        &[
            "vpi 1 or vci 2 or oamf4sc or oamf4ec or oamf4 or oam or metac or bcc or sc or ilmic",
            "connectmsg or metaconnect",
            "lane",
        ],
    ),
    (LinkType(140), &["fisu or lssu or lsu or msu", "sio 1 or opc 2 or dpc 3 or sls 4"]),
];

/// libpcap's reason; empty where there is none.
fn reason(expression: &str, link_type: LinkType) -> String {
    match Filter::compile(expression, link_type) {
        Ok(_) => String::new(),
        Err(BackendError::Filter { why, .. }) => why,
        Err(error) => panic!("{error}"),
    }
}

/// True when libpcap has tried to look up a name: it says so as it fails, for these names are nobody's.
fn has_looked_up(why: &str) -> bool {
    why.contains("unknown host")
        || why.contains("unknown network")
        || why.contains("unknown ether host")
        || why.contains("unknown decnet")
}

#[test]
fn each_example_of_the_manual_page_passes_and_compiles() {
    for (link_type, expressions) in EXAMPLES {
        for expression in *expressions {
            assert_eq!(looked_up(expression), None, "{expression}");
            let why = reason(expression, *link_type);
            assert!(why.is_empty() || why.contains("not supported"), "{expression} at {link_type}: {why}");
        }
    }
}

#[test]
fn each_word_is_one_of_libpcap_too() {
    for word in [BEFORE_LOCAL_NAMES, BEFORE_OWN_NAME, JOINING, KEYWORDS].concat() {
        assert_eq!(looked_up(word), None, "{word}");
        assert!(!has_looked_up(&reason(&format!("host {word}"), LinkType::ETHERNET)), "{word} is a host to libpcap");
    }
    assert!(has_looked_up(&reason("host nobody.invalid", LinkType::ETHERNET)), "so a host is told apart");
}

#[test]
fn names_are_refused_wherever_they_stand() {
    for (expression, name) in [
        ("host sundown", "sundown"),
        ("sundown", "sundown"),
        ("host helios and (hot or ace)", "helios"),
        ("host 10.0.0.1 and (hot or ace)", "hot"),
        ("ip host 1.2.3.4 and not helios", "helios"),
        ("net ucb-ether", "ucb-ether"),
        ("gateway snup and (port ftp or ftp-data)", "snup"),
        ("ip and not net localnet", "localnet"),
        ("tcp[tcpflags] & tcp-syn != 0 and not src and dst net localnet", "localnet"),
        ("src foo", "foo"),
        ("dst host foo.example.com", "foo.example.com"),
        ("ether host printer", "printer"),
        ("ether src printer", "printer"),
        ("wlan addr1 printer", "printer"),
        ("decnet host vax", "vax"),
        ("port http or host www", "www"),
        ("port http or src www", "www"),
        ("port http and tcp and www", "www"),
        ("port 80 or 10.0.0.1 or www", "www"),
        ("(port http or host 1.2.3.4) or www", "www"),
        ("host \\tcp", "tcp"),
        ("type mgt or www", "www"),
        ("ifname em0 or em1", "em1"),
        ("host 1.2.3.4.5", "1.2.3.4.5"),
        ("host 10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
        ("host 10.", "10."),
        ("host 0x", "0x"),
        ("host ab:cd:www", "ab:cd:www"),
        ("host ::1:www", "::1:www"),
        ("host ::0xab", "::0xab"),
        ("port ab:cd:www", "ab:cd:www"),
        ("host a:www", "a"),
        ("TCP", "TCP"),
        ("host $abc", "abc"),
        ("host _x", "x"),
        ("ip[x:2] = 1", "x"),
        ("tcp-synx", "tcp-synx"),
        ("host é or x", "x"),
    ] {
        assert_eq!(looked_up(expression), Some(name), "{expression}");
    }
    assert!(is_keyword_in_capitals("TCP") && !is_keyword_in_capitals("tcp") && !is_keyword_in_capitals("WWW"));
}

#[test]
fn each_form_of_an_address_is_one_to_libpcap_too() {
    let mut forms: Vec<String> = Vec::new();
    let groups = |count: usize| vec!["fade"; count].join(":");
    for (most, tail) in [(8, ""), (6, "1.2.3.4")] {
        let with_tail = |head: String| match (tail, head.ends_with(':') || head.is_empty()) {
            ("", _) => head,
            (tail, true) => head + tail,
            (tail, false) => format!("{head}:{tail}"),
        };
        forms.push(with_tail(groups(most)));
        for before in 0..most {
            forms.extend((0..most - before).map(|behind| with_tail(format!("{}::{}", groups(before), groups(behind)))));
        }
    }
    assert_eq!(forms.len(), 1 + 36 + 1 + 21);
    for form in &forms {
        assert_eq!(looked_up(&format!("host {form} or net {form}/64")), None, "{form}");
        assert_eq!(reason(&format!("host {form}"), LinkType::ETHERNET), "", "{form}");
    }
    for form in
        ["a:b:c:d:e:f", "aa-bb-cc-dd-ee-ff", "a.b.c.d.e.f", "1.2.3.4.5.6", "aabb.ccdd.eeff", "fadefadefade", "123456789012"]
    {
        assert_eq!(looked_up(&format!("ether host {form}")), None, "{form}");
        assert_eq!(reason(&format!("ether host {form}"), LinkType::ETHERNET), "", "{form}");
    }
}

/// Words, names and signs, whatever they make together.
fn parts() -> impl Strategy<Value = Vec<String>> {
    let words: Vec<&str> = [BEFORE_LOCAL_NAMES, BEFORE_OWN_NAME, JOINING, KEYWORDS].concat();
    const SIGNS: [&str; 23] =
        ["(", ")", "!", "&&", "||", "[", "]", "/", "=", "!=", "<", "&", "|", "-", "+", ":", "::", "\\", "$", ".", "_", "%", "^"];
    const VALUES: [&str; 11] =
        ["80", "0x1f", "1.2.3.4", "10.1", "::1", "fe80::", "1:2:3:4:5:6", "abcdabcdabcd", "1-2", "ab", "dead"];
    let part = prop_oneof![
        4 => prop::sample::select(words).prop_map(str::to_owned),
        2 => prop::sample::select(&["host", "net", "port", "proto", "src", "or", "and", "not", "("][..]).prop_map(str::to_owned),
        2 => prop::sample::select(&SIGNS[..]).prop_map(str::to_owned),
        2 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        1 => Just("nobody.invalid".to_owned()),
    ];
    prop::collection::vec((part, prop::sample::select(&["", " "][..])), 1..10)
        .prop_map(|parts| parts.into_iter().map(|(part, space)| part + space).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn libpcap_looks_up_nothing_in_what_passes(parts in parts()) {
        let expression = parts.concat();
        if looked_up(&expression).is_none() {
            for link_type in [LinkType::ETHERNET, LinkType::RAW] {
                let why = reason(&expression, link_type);
                prop_assert!(!has_looked_up(&why), "{expression:?}: {why}");
            }
        }
    }

    #[test]
    fn any_text_is_cut_to_its_end(text in "\\PC{0,60}") {
        // No panic, and what is refused is a part of the text.
        if let Some(name) = looked_up(&text) {
            prop_assert!(text.contains(name));
        }
    }
}
