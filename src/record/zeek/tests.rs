//! Lines of records and facts made by hand, and of any that can be made.

use super::*;
use crate::flow::{FactSet, FlowRecord};
use crate::record::FACT_SCHEMA;
use crate::record::reference::any_record;
use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
use crate::record::test_told::told_table;
use proptest::prelude::*;
use serde_json::{Value, json};

fn local() -> LocalNetworks {
    LocalNetworks::private_and([])
}

fn written(push: impl FnOnce(&mut TextBuffer)) -> String {
    let (mut buffer, mut out) = (TextBuffer::default(), Vec::new());
    push(&mut buffer);
    buffer.write(&mut out).expect("memory takes all");
    String::from_utf8(out).expect("UTF-8")
}

fn lines(log: ZeekLog, format: ZeekFormat, record: &FlowRecord, facts: FactSet<'_>) -> Vec<String> {
    let exported = Exported::new(record, 0).with_facts(facts, FACT_SCHEMA);
    written(|out| push_zeek(out, log, format, &local(), &exported)).lines().map(str::to_owned).collect()
}

/// A line's values under the names of its columns, without those that are unset.
fn named(log: ZeekLog, line: &str) -> Value {
    let values: Vec<&str> = line.split('\t').collect();
    assert_eq!(values.len(), log.columns().len(), "{line}");
    let known = log.columns().iter().zip(values).filter(|(column, value)| *value != "-" && !matches!(column.name, "ts" | "uid"));
    known
        .filter(|(column, _)| !column.name.starts_with("id."))
        .map(|(column, value)| (column.name.to_owned(), json!(value)))
        .collect()
}

/// The only line of a log that the flow at this place of `told_table` gives.
fn told(log: ZeekLog, place: usize) -> Value {
    let (record, facts) = told_table().swap_remove(place);
    let [line] = <[String; 1]>::try_from(lines(log, ZeekFormat::Tsv, &record, facts.facts())).expect("a line");
    named(log, &line)
}

#[test]
fn the_head_names_columns_and_types() {
    let head = written(|out| push_zeek_head(out, ZeekLog::Ssh, ZeekFormat::Tsv, Timestamp(1_700_000_000_999_999_999)));
    let expected = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tssh\n#open\t2023-11-14-22-13-20\n\
                    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tversion\tauth_success\tauth_attempts\tdirection\tclient\t\
                    server\tcipher_alg\tmac_alg\tcompression_alg\tkex_alg\thost_key_alg\thost_key\thassh\thasshServer\n\
                    #types\ttime\tstring\taddr\tport\taddr\tport\tcount\tbool\tcount\tenum\tstring\tstring\tstring\tstring\tstring\tstring\t\
                    string\tstring\tstring\tstring\n";
    assert_eq!(head, expected);
    assert_eq!(written(|out| push_zeek_end(out, ZeekFormat::Tsv, Timestamp(0))), "#close\t1970-01-01-00-00-00\n");
    assert_eq!(written(|out| push_zeek_head(out, ZeekLog::Ssh, ZeekFormat::Json, Timestamp(0))), "");
    assert_eq!(written(|out| push_zeek_end(out, ZeekFormat::Json, Timestamp(0))), "");
}

#[test]
fn flows_begin_with_who_asks_whom() {
    let begin = |record: &FlowRecord| {
        let line = lines(ZeekLog::Conn, ZeekFormat::Tsv, record, FactSet::NONE).remove(0);
        let values: Vec<String> = line.split('\t').take(6).map(str::to_owned).collect();
        assert_eq!(values[1].as_bytes(), crate::flow::RecordId::of(record).letters());
        [0, 2, 3, 4, 5].map(|place| values[place].clone())
    };
    assert_eq!(begin(&tcp_record()), ["1700000000.000000", "10.0.0.2", "40000", "10.0.0.1", "443"]);
    assert_eq!(begin(&icmp_record()), ["1700000000.000000", "192.0.2.1", "8", "192.0.2.2", "0"]);
}

#[test]
fn conn_tells_what_the_record_knows() {
    let of = |record: &FlowRecord| named(ZeekLog::Conn, &lines(ZeekLog::Conn, ZeekFormat::Tsv, record, FactSet::NONE)[0]);
    let community_id = |record: &FlowRecord| Exported::new(record, 0).community_id().as_str().to_owned();
    assert_eq!(
        of(&tcp_record()),
        json!({
            "proto": "tcp", "duration": "2.500000", "orig_bytes": "640", "resp_bytes": "1200", "conn_state": "S2", "local_orig": "T",
            "local_resp": "T", "orig_pkts": "7", "resp_pkts": "10", "ip_proto": "6", "vlan": "100", "inner_vlan": "200",
            "community_id": community_id(&tcp_record()),
        }),
        "the client sent a FIN"
    );
    assert_eq!(
        of(&udp6_record()),
        json!({
            "proto": "udp", "conn_state": "SF", "local_orig": "F", "local_resp": "F", "history": "Dd", "orig_pkts": "1", "resp_pkts": "1",
            "ip_proto": "17", "community_id": community_id(&udp6_record()),
        })
    );
}

#[test]
fn applications_have_the_names_of_zeek() {
    assert_eq!(
        told(ZeekLog::Dns, 0),
        json!({
            "proto": "udp", "rtt": "0.001500", "query": "www.example.com", "qtype": "1", "qtype_name": "A", "rcode": "0",
            "rcode_name": "NOERROR", "TC": "F", "answers": "web.example.com,192.0.2.80,2001:db8::80",
        })
    );
    assert_eq!(
        told(ZeekLog::Ssl, 1),
        json!({
            "version": "TLSv12", "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "server_name": "-\\x09,\\x5cx09\\x0a\"\\xff\\x1b[31m\\xe2\\x80\\xae", "resumed": "F", "next_protocol": "h2",
            "subject": "CN=example.com", "issuer": "CN=ca, O=o", "ja3": "cd08e31494f9531f560d64c695473da9",
            "ja4": "t13d1516h2_8daaf6152771_e5627efa2ab1",
        })
    );
    assert_eq!(
        told(ZeekLog::Ssl, 2),
        json!({
            "version": "TLSv13", "cipher": "TLS_AES_128_GCM_SHA256", "server_name": "quic.example.com",
            "ja4": "q13d0312h3_55b375c5d22e_06cda9e17597",
        })
    );
    assert_eq!(told(ZeekLog::Quic, 2), json!({"version": "1", "server_name": "quic.example.com", "client_protocol": "h3"}));
    assert_eq!(told(ZeekLog::Conn, 2)["service"], "quic,ssl");
    assert_eq!(
        told(ZeekLog::Http, 3),
        json!({
            "trans_depth": "1", "method": "GET", "host": "example.com", "uri": "/a,b", "version": "1.1",
            "user_agent": "u".repeat(1024) + "…", "status_code": "404", "tags": "(empty)",
        })
    );
    assert_eq!(
        told(ZeekLog::Ssh, 4),
        json!({
            "version": "2", "client": "SSH-2.0-OpenSSH_9.6p1", "server": "SSH-2.0-dropbear", "cipher_alg": "aes128-ctr",
            "kex_alg": "curve25519-sha256", "host_key_alg": "ssh-ed25519", "hassh": "aae6b9604f6f3356543709a376d7f657",
            "hasshServer": "b2d2d3d9e7a9f7c5a1d0f1a5a7b7c2e1",
        })
    );
}

#[test]
fn several_names_of_one_flow_share_no_answer() {
    let mut facts = crate::flow::FactBuffer::default();
    assert!(facts.list(crate::record::fact_id("dns", "name"), [b"a.example".as_slice(), b"b.example"]));
    assert!(facts.list(crate::record::fact_id("dns", "type"), [b"A".as_slice(), b"AAAA"]));
    assert!(facts.list(crate::record::fact_id("dns", "answers"), [b"192.0.2.1".as_slice()]));
    assert!(facts.number(crate::record::fact_id("dns", "responses"), 2));
    let lines = lines(ZeekLog::Dns, ZeekFormat::Tsv, &udp6_record(), facts.facts());
    let expected = ["a.example", "b.example"].map(|name| json!({"proto": "udp", "query": name}));
    assert_eq!(lines.iter().map(|line| named(ZeekLog::Dns, line)).collect::<Vec<_>>(), expected);
}

#[test]
fn json_has_types_and_leaves_out_what_is_unset() {
    let (record, facts) = told_table().swap_remove(0);
    let line = lines(ZeekLog::Dns, ZeekFormat::Json, &record, facts.facts()).remove(0);
    let uid = String::from_utf8(crate::flow::RecordId::of(&record).letters().to_vec()).expect("ASCII");
    let expected = json!({
        "ts": 1_700_000_000.0, "uid": uid, "id.orig_h": "2001:db8::1", "id.orig_p": 53000, "id.resp_h": "2001:db8::53", "id.resp_p": 53,
        "proto": "udp", "rtt": 0.0015, "query": "www.example.com", "qtype": 1, "qtype_name": "A", "rcode": 0, "rcode_name": "NOERROR",
        "TC": false, "answers": ["web.example.com", "192.0.2.80", "2001:db8::80"],
    });
    assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON"), expected);
}

proptest! {
    #[test]
    fn any_record_with_any_facts_gives_whole_lines(record in any_record(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let table = told_table();
        let facts = table.iter().map(|(_, facts)| facts.facts()).chain([FactSet::of_bytes(&bytes)]);
        for (facts, log) in facts.flat_map(|facts| ZeekLog::ALL.map(|log| (facts, log))) {
            let count = zeek_count(log, &Exported::new(&record, 0).with_facts(facts, FACT_SCHEMA));
            let tsv = lines(log, ZeekFormat::Tsv, &record, facts);
            let json = lines(log, ZeekFormat::Json, &record, facts);
            prop_assert_eq!((tsv.len() as u64, json.len() as u64), (count, count));
            prop_assert!(tsv.iter().all(|line| line.split('\t').count() == log.columns().len()));
            prop_assert!(json.iter().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object())));
        }
    }
}
