//! One opening of each protocol: what it tells, what its cuts say, and that no other protocol claims it.
//!
//! Owns the openings of the older half; `more` has the others.

mod more;

use super::look::Unread;
use super::*;
use proptest::prelude::*;

/// Protocol, over datagrams or not, both openings, and version, software, object as text.
struct Sample {
    protocol: AppProtocol,
    is_datagram: bool,
    client: Vec<u8>,
    server: Vec<u8>,
    told: [&'static str; 3],
}

fn sample(
    protocol: AppProtocol,
    is_datagram: bool,
    client: impl Into<Vec<u8>>,
    server: impl Into<Vec<u8>>,
    told: [&'static str; 3],
) -> Sample {
    Sample { protocol, is_datagram, client: client.into(), server: server.into(), told }
}

fn le(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn mysql_login() -> Vec<u8> {
    let body = [&le(0x20_8008)[..], &le(1 << 24), &[33], &[0; 23], b"root\0", &[3, 1, 2, 3], b"shop\0", b"plugin\0"].concat();
    [&[body.len() as u8, 0, 0, 1], &body[..]].concat()
}

fn smb2(command: u16, body: &[u8]) -> Vec<u8> {
    let mut header = [b"\xfeSMB\x40\0".to_vec(), vec![0; 58]].concat();
    header[12..14].copy_from_slice(&command.to_le_bytes());
    [&[0, 0, 0, (header.len() + body.len()) as u8], &header[..], body].concat()
}

/// A session request of NetBIOS, and SMB behind it.
fn netbios_session() -> Vec<u8> {
    [&[0x81, 0, 0, 68][..], &[b'A'; 68], b"\0\0\0\x54\xffSMB\x72"].concat()
}

fn rdp() -> Vec<u8> {
    let rest = [&b"Cookie: mstshash=secret\r\n"[..], &[1, 0, 8, 0, 3, 0, 0, 0]].concat();
    let len = rest.len() as u8 + 11;
    [&[3, 0, 0, len, len - 5, 0xe0, 0, 0, 0, 0, 0], &rest[..]].concat()
}

fn ike() -> Vec<u8> {
    [&[7; 8][..], &[0; 8], &[33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 36], &[0; 8]].concat()
}

fn streams() -> Vec<Sample> {
    use AppProtocol as P;
    let stream = |protocol, client: &[u8], server: &[u8], told| sample(protocol, false, client, server, told);
    vec![
        stream(P::Amqp, b"AMQP\0\0\x09\x01", b"", ["0-9-1", "", ""]),
        stream(
            P::BitTorrent,
            &[b"\x13BitTorrent protocol", &[0; 28][..], b"-qB4500-123456789012"].concat(),
            b"",
            ["", "qB4500", ""],
        ),
        stream(P::Cassandra, b"\x04\0\0\0\x05\0\0\0\0", b"\x84\0\0\0\x06\0\0\0\0", ["4", "", ""]),
        stream(P::Dnp3, &[5, 0x64, 5, 0xc0, 1, 0, 0, 4, 0xe9, 0x21], b"", ["", "", ""]),
        stream(P::Ftp, b"", b"220 (vsFTPd 3.0.5)\r\n", ["", "(vsFTPd 3.0.5)", ""]),
        stream(P::Ftp, b"USER secret\r\n", b"220 ready\r\n", ["", "ready", ""]),
        stream(P::Git, b"0033git-upload-pack /project.git\0host=example.com\0", b"", ["", "", "/project.git"]),
        stream(P::Imap, b"", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", ["", "Dovecot ready.", ""]),
        stream(P::Kafka, b"\0\0\0\x12\0\x12\0\x03\0\0\0\x07\0\x08producer\0\0", b"\0\0\0\x10\0\0\0\x07", ["", "producer", ""]),
        stream(P::Kerberos, &[0, 0, 0, 50, 0x6a, 48, 0x30, 46, 0xa1, 3, 2, 1, 5], b"", ["5", "", ""]),
        stream(P::Ldap, &[0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0], b"", ["3", "", ""]),
        stream(P::Ldap, &[0x30, 29, 2, 1, 1, 0x77, 24, 0x80, 22], b"", ["", "", ""]),
        stream(P::Memcached, b"version\r\n", b"VERSION 1.6.21\r\n", ["1.6.21", "", ""]),
        stream(P::Memcached, b"get secret\r\n", b"VALUE secret 0 1\r\n", ["", "", ""]),
        stream(P::Memcached, &[[0x80, 7].as_slice(), &[0; 22]].concat(), &[0x81, 7, 0], ["", "", ""]),
        stream(P::MongoDb, &[&le(60)[..], &le(1), &le(0), &le(2004), &le(0), b"admin.$cmd\0"].concat(), b"", ["", "", "admin"]),
        stream(P::MongoDb, &[&le(60)[..], &le(1), &le(0), &le(2013), &le(0), &[0]].concat(), b"", ["", "", ""]),
        stream(P::Mqtt, b"\x10\x20\0\x04MQTT\x05", b"", ["5.0", "", ""]),
        stream(P::Mqtt, b"\x10\x80\x01\0\x06MQIsdp\x03", b"", ["3.1", "", ""]),
        stream(P::MySql, &mysql_login(), b"\x4a\0\0\0\x0a8.0.36-log\0", ["8.0.36-log", "", "shop"]),
        stream(P::Nats, b"", b"INFO {\"server_id\":\"x\",\"version\":\"2.10.4\",\"port\":4222}\r\n", ["2.10.4", "", ""]),
        stream(P::Pop3, b"CAPA\r\n", b"+OK Dovecot ready. <1.2@x>\r\n", ["", "Dovecot ready.", ""]),
        stream(P::Rdp, &rdp(), b"", ["", "", ""]),
        stream(P::Redis, b"*2\r\n$3\r\nGET\r\n$6\r\nsecret\r\n", b"", ["", "", ""]),
        stream(
            P::Sip,
            b"OPTIONS sip:secret@example.com SIP/2.0\r\nUser-Agent: Linphone/5\r\n\r\n",
            b"",
            ["2.0", "Linphone/5", ""],
        ),
        stream(P::Smb, &smb2(0, &[0; 40]), &smb2(0, &[65, 0, 1, 0, 0x11, 3, 0, 0]), ["3.1.1", "", ""]),
        stream(P::Smb, b"\0\0\0\x54\xffSMB\x72", b"\0\0\0\x54\xffSMB\x72", ["1", "", ""]),
        stream(P::Smb, &netbios_session(), b"\x82\0\0\0\0\0\0\x54\xffSMB\x72", ["1", "", ""]),
        stream(P::Smtp, b"", b"220 mail.example.com ESMTP Postfix\r\n", ["", "mail.example.com ESMTP Postfix", ""]),
        stream(P::Smtp, b"EHLO x\r\n", b"220 ftp.example.com ready\r\n", ["", "ftp.example.com ready", ""]),
        stream(P::Stun, &[&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat(), b"", ["", "", ""]),
        stream(P::Vnc, b"", b"RFB 003.008\n", ["003.008", "", ""]),
        stream(P::Vnc, b"RFB 003.008\n", b"", ["003.008", "", ""]),
    ]
}

fn weak_streams() -> Vec<Sample> {
    use AppProtocol as P;
    let stream = |protocol, client: &[u8], server: &[u8], told| sample(protocol, false, client, server, told);
    let reset = [&[0, 14, 0x38][..], &[7; 8], &[0; 5]].concat();
    vec![
        stream(P::Modbus, &[0, 7, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1], &[0, 7, 0, 0, 0, 5, 1, 3, 2, 0, 0], ["", "", ""]),
        stream(P::OpenVpn, &reset, b"", ["", "", ""]),
        stream(P::Syslog, b"51 <165>1 2003-10-11T22:14:15Z", b"", ["1", "", ""]),
        stream(P::Telnet, b"", &[255, 253, 24], ["", "", ""]),
    ]
}

fn datagrams() -> Vec<Sample> {
    use AppProtocol as P;
    let datagram = |protocol, client: &[u8], server: &[u8], told| sample(protocol, true, client, server, told);
    let stun = [&[0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0x80, 0x22, 0, 6], b"coturn\0\0"].concat();
    let v3 = [0x30, 19, 2, 1, 3, 0x30, 14, 2, 1, 1, 2, 3, 0, 0xff, 0xe3, 4, 1, 4, 2, 1, 3];
    let vpn = [&[0x38][..], &[7; 8], &[0; 45]].concat();
    vec![
        datagram(P::BitTorrent, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", b"", ["", "", ""]),
        datagram(P::BitTorrent, &[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4], b"", ["", "", ""]),
        datagram(P::Dnp3, &[5, 0x64, 5, 0xc0, 1, 0, 0, 4, 0xe9, 0x21], b"", ["", "", ""]),
        datagram(P::Ike, &ike(), b"", ["2.0", "", ""]),
        datagram(P::Ike, &[&[0; 4], &ike()[..]].concat(), b"", ["2.0", "", ""]),
        datagram(P::Kerberos, &[0x6a, 9, 0x30, 7, 0xa1, 3, 2, 1, 5, 0, 0], b"", ["5", "", ""]),
        datagram(P::Ldap, &[0x30, 9, 2, 1, 1, 0x63, 4, 4, 0, 10, 1], b"", ["", "", ""]),
        datagram(P::OpenVpn, &[&[0x38][..], &[7; 8], &[0; 5]].concat(), b"", ["", "", ""]),
        datagram(P::OpenVpn, &vpn, &[&[0x40][..], &[9; 8]].concat(), ["", "", ""]),
        datagram(P::Rtcp, &[0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 202, 0, 2, 1, 2, 3, 4, 1, 0, 0, 0], b"", ["2", "", ""]),
        datagram(
            P::Sip,
            b"REGISTER sip:example.com SIP/2.0\r\nVia: x\r\nUser-Agent: Phone/1\r\n\r\n",
            b"",
            ["2.0", "Phone/1", ""],
        ),
        datagram(P::Snmp, b"\x30\x0e\x02\x01\x01\x04\x06secret\xa0\x01\0", b"", ["2c", "", ""]),
        datagram(P::Snmp, &v3, b"", ["3", "", ""]),
        datagram(P::Ssdp, b"M-SEARCH * HTTP/1.1\r\nMAN: x\r\nUSER-AGENT: Chrome/1\r\n\r\n", b"", ["", "Chrome/1", ""]),
        datagram(
            P::Ssdp,
            b"",
            b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nSERVER: Linux UPnP/1.0\r\n\r\n",
            ["", "Linux UPnP/1.0", ""],
        ),
        datagram(P::Stun, &stun, b"", ["", "coturn", ""]),
        datagram(P::Stun, &[&[0, 3, 0, 1, 0x21, 0x12, 0xa4, 0x42][..], &[7; 13]].concat(), b"", ["", "", ""]),
        datagram(P::Tftp, b"\0\x01boot/pxelinux.0\0octet\0", b"", ["", "", "boot/pxelinux.0"]),
        datagram(P::WireGuard, &[&[1, 0, 0, 0][..], &[7; 144]].concat(), b"", ["", "", ""]),
    ]
}

fn weak_datagrams() -> Vec<Sample> {
    use AppProtocol as P;
    let datagram = |protocol, client: &[u8], server: &[u8], told| sample(protocol, true, client, server, told);
    vec![
        datagram(P::Ntp, &[&[0x23, 0][..], &[0; 46]].concat(), b"", ["4", "", ""]),
        datagram(P::Radius, &[&[1, 9, 0, 25][..], &[7; 16], &[1, 5, b'b', b'o', b'b']].concat(), b"", ["", "", ""]),
        datagram(P::Rtp, &[&[0x80, 0][..], &[7; 170]].concat(), b"", ["2", "", ""]),
        datagram(P::Syslog, b"<34>Oct 11 22:14:15 host su: failed", b"", ["", "", ""]),
        datagram(P::Syslog, b"<165>1 2003-10-11T22:14:15Z host", b"", ["1", "", ""]),
    ]
}

fn table(is_datagram: bool) -> &'static [Recogniser] {
    if is_datagram { DATAGRAMS } else { STREAMS }
}

fn all() -> Vec<Sample> {
    [streams(), more::streams(), weak_streams(), datagrams(), more::datagrams(), weak_datagrams(), more::weak_datagrams()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_opening_tells_what_it_should_and_no_secret() {
    for Sample { protocol, is_datagram, client, server, told } in all() {
        let one = table(is_datagram).iter().find(|one| one.protocol == protocol).unwrap();
        let mark = (one.read)(&client, &server).unwrap_or_else(|why| panic!("{protocol:?}: {why:?}"));
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let shown = [mark.version.map(|version| version.to_string()).unwrap_or_default(), text(mark.software), text(mark.object)];
        assert_eq!((mark.protocol, shown), (protocol, told.map(str::to_owned)));
        assert!(told.iter().all(|text| !text.contains("secret")), "{protocol:?}");
    }
}

#[test]
fn no_strong_recogniser_claims_another_s_opening() {
    for Sample { protocol, is_datagram, client, server, .. } in all() {
        for one in table(is_datagram).iter().filter(|one| one.protocol != protocol && !one.is_weak) {
            assert!((one.read)(&client, &server).is_err(), "{:?} claims {protocol:?}", one.protocol);
        }
    }
}

#[test]
fn a_cut_of_a_stream_is_never_another_protocol_s() {
    for Sample { protocol, client, server, .. } in streams().into_iter().chain(more::streams()).chain(weak_streams()) {
        let one = STREAMS.iter().find(|one| one.protocol == protocol).unwrap();
        let cuts = (0..client.len()).map(|cut| (&client[..cut], &server[..]));
        for (client, server) in cuts.chain((0..server.len()).map(|cut| (&client[..], &server[..cut]))) {
            match parsed((one.read)(client, server), client, server) {
                Parsed::More { need } => assert_eq!(need, client.len() + server.len() + 1),
                Parsed::Done(mark) => assert_eq!(mark.protocol, protocol),
                Parsed::No => panic!("{protocol:?} refuses {client:?} {server:?}"),
            }
        }
    }
}

#[test]
fn ports_decide_over_the_weak_ones() {
    let telnet = [255, 253, 24];
    assert_eq!(recognise_stream(&[], &telnet, 23).done().map(|mark| mark.protocol.name()), Some("telnet"));
    assert_eq!(recognise_stream(&[], &telnet, 4000).done(), None);
    let rtp = [&[0x80, 0][..], &[7; 170]].concat();
    assert_eq!(recognise_datagram(&rtp, &[], 4000), Parsed::No);
    assert_eq!(recognise_stream(b"", b"", 1), Parsed::More { need: 1 });
    assert_eq!(recognise_stream(b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", b"\x01\x02\x03\x04\x05\x06", 1), Parsed::No);
    for Sample { protocol, is_datagram, client, server, .. } in
        [streams(), more::streams(), datagrams(), more::datagrams()].into_iter().flatten()
    {
        let found = if is_datagram { recognise_datagram(&client, &server, 1) } else { recognise_stream(&client, &server, 1) };
        assert_eq!(found.done().map(|mark| mark.protocol), Some(protocol));
    }
}

#[test]
fn what_waits_for_an_answer_is_known_without_it() {
    let known = |client: &[u8], server: &[u8], port| {
        let mark = recognise_stream(client, server, port).done()?;
        Some((mark.protocol, mark.version.map(|version| version.to_string()), mark.may_grow))
    };
    let version = Some("8.0.36-log".to_owned());
    assert_eq!(known(&[], b"\x4a\0\0\0\x0a8.0.36-log\0", 3306), Some((AppProtocol::MySql, version.clone(), true)));
    assert_eq!(known(&mysql_login(), b"\x4a\0\0\0\x0a8.0.36-log\0", 3306), Some((AppProtocol::MySql, version, false)));
    assert_eq!(known(&netbios_session(), &[], 139), Some((AppProtocol::Smb, None, true)));
    assert_eq!(known(b"\0\x07\0\0\0\x06\x01\x03\0\0\0\x01", &[], 502), Some((AppProtocol::Modbus, None, true)));
    let missed = known(b"RFB 003.008\n", b"\x07\x0d", 5900).map(|(protocol, ..)| protocol);
    assert_eq!(missed, Some(AppProtocol::Vnc), "the server's beginning was missed");
    assert_eq!(known(b"EHLO x\r\n", &[], 25), None);
    assert_eq!(known(b"USER x\r\n", b"331 go on\r\n", 1).map(|(protocol, ..)| protocol), Some(AppProtocol::Ftp), "no greeting");
}

#[test]
fn what_is_full_asks_for_no_more() {
    let long = [&b"0033git-upload-pack /"[..], &[b'a'; 2 * RECOGNISE_MAX]].concat();
    assert_eq!(recognise_stream(&long, &[b'a'; RECOGNISE_MAX], 9418), Parsed::No);
}

#[test]
fn each_protocol_has_a_sample_and_a_name_of_its_own() {
    let samples = all();
    let protocols: Vec<AppProtocol> = STREAMS.iter().chain(DATAGRAMS).map(|one| one.protocol).collect();
    for one in &protocols {
        assert!(samples.iter().any(|sample| sample.protocol == *one), "{one:?}");
    }
    let names: std::collections::BTreeSet<&str> = protocols.iter().map(|one| one.name()).collect();
    let distinct: std::collections::HashSet<AppProtocol> = protocols.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
}

/// What first bytes exclude stays excluded, whatever follows: the table of first bytes rests on it.
fn check_that_no_stays_no(client: &[u8], server: &[u8]) {
    for one in STREAMS {
        let is_no = |client: &[u8], server: &[u8]| (one.read)(client, server) == Err(Unread::No);
        let first = |bytes: &[u8]| bytes[..bytes.len().min(1)].to_vec();
        let is_excluded = is_no(&first(client), &first(server));
        assert!(!is_excluded || is_no(client, server), "{:?} of {client:?} and {server:?}", one.protocol);
    }
}

#[test]
fn the_first_bytes_exclude_nothing_that_is_spoken() {
    let all = all();
    for client in &all {
        for server in &all {
            check_that_no_stays_no(&client.client, &server.server);
            check_that_no_stays_no(&client.client, &server.client);
        }
    }
}

/// The same of what is said of datagrams.
fn check_datagrams(client: &[u8], server: &[u8]) {
    for one in DATAGRAMS {
        let (Some(&byte), looked) = (client.first().or(server.first()), (one.read)(client, server)) else { continue };
        let needs_client = asking::DATAGRAMS_NEED_CLIENT.contains(&one.protocol);
        let waits = client.is_empty() && needs_client;
        let what = one.protocol;
        assert!(
            waits || asking::may_begin_datagram(what, byte) || looked == Err(Unread::No),
            "{what:?} of {client:?}, {server:?}"
        );
        assert!(!waits || matches!(looked, Err(Unread::More)), "{what:?} of {server:?} alone: {looked:?}");
    }
}

#[test]
fn no_datagram_that_is_told_is_left_out() {
    for Sample { client, server, .. } in all() {
        check_datagrams(&client, &server);
        check_datagrams(&client, &[]);
        check_datagrams(&[], &server);
        check_datagrams(&server, &client);
    }
}

/// Those that are said to need a side tell nothing without it.
fn check_what_is_needed(one_side: &[u8]) {
    for one in STREAMS {
        let tells = |client, server| !matches!((one.read)(client, server), Err(Unread::More | Unread::No));
        let needs = |list: &[AppProtocol]| list.contains(&one.protocol);
        assert!(!needs(asking::NEED_SERVER) || !tells(one_side, &[]), "{:?} of {one_side:?} alone", one.protocol);
        assert!(!needs(asking::NEED_CLIENT) || !tells(&[], one_side), "{:?} of {one_side:?} alone", one.protocol);
    }
}

#[test]
fn what_needs_a_side_tells_nothing_without_it() {
    for Sample { client, server, .. } in all() {
        check_what_is_needed(&client);
        check_what_is_needed(&server);
    }
}

proptest! {
    #[test]
    fn first_bytes_exclude_for_good(which in 0_usize..200, client in prop::collection::vec(any::<u8>(), 0..40), server in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut samples = all();
        let which = which % samples.len();
        let sample = samples.swap_remove(which);
        check_that_no_stays_no(&client, &server);
        check_datagrams(&client, &server);
        check_datagrams(&[], &server);
        check_what_is_needed(&client);
        check_that_no_stays_no(&client, &sample.server);
        check_that_no_stays_no(&sample.client, &server);
    }

    #[test]
    fn any_damage_is_survived(which in 0_usize..200, changes in prop::collection::vec((0_usize..200, any::<u8>()), 0..5), cut in 0_usize..60) {
        let mut samples = all();
        let which = which % samples.len();
        let Sample { mut client, mut server, .. } = samples.swap_remove(which);
        for (at, byte) in changes {
            let side = if at % 2 == 0 || server.is_empty() { &mut client } else { &mut server };
            let len = side.len();
            if let Some(place) = side.get_mut(at / 2 % len.max(1)) {
                *place = byte;
            }
        }
        client.truncate(client.len().saturating_sub(cut / 2));
        for one in STREAMS.iter().chain(DATAGRAMS) {
            let _ = (one.read)(&client, &server);
            let _ = (one.read)(&server, &client);
        }
    }

    #[test]
    fn any_bytes_are_survived(client in prop::collection::vec(any::<u8>(), 0..120), server in prop::collection::vec(any::<u8>(), 0..120)) {
        for one in STREAMS.iter().chain(DATAGRAMS) {
            let _ = (one.read)(&client, &server);
        }
    }
}
