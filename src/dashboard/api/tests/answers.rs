//! Answers to requests and messages: what they say, and that the same is asked once.

use super::played::{NOW, Played, UDP_FRAME, alert, facts, flows, history, packet, report, settings};
use crate::aggregate::{MuteRule, Output};
use crate::dashboard::{Method, PageApi, PageHooks, PageSettings, Role, SocketReply};
use crate::detect::{AlertEnd, AlertPhase};
use crate::engine::PacketConsumer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn frames_are_made_while_somebody_looks() {
    let played = Played::new(facts(false), PageHooks::default());
    let mut frames = played.page.frames();
    let mut output = played.board.output();
    output.shared_report(&Arc::new(report(NOW))).expect("never fails");
    let frame = frames.borrow_and_update().clone();
    assert_eq!((frame.seq, frame.json.len()), (1, 0), "nobody looks");
    played.page.set_lookers(1);
    let frame = frames.borrow_and_update().clone();
    let first = read(&frame.json);
    assert_eq!((&first["type"], &first["frame_seq"], &first["packets"]), (&json!("frame"), &json!(2), &json!([])));
    let tick = &first["tick"];
    assert_eq!(
        (&tick["bytes"], &tick["mbps"], &tick["state"], &tick["direction"]["in"]["bytes"]),
        (&json!(4000), &json!(0.032), &json!("live"), &json!(3000))
    );
    assert_eq!((&tick["top_flows"][0]["src_ip"], &tick["top_flows"][0]["dst_port"]), (&json!("10.0.0.2"), &json!(443)));
    assert_eq!(tick["ledger"]["waiting"], 7, "received by the kernel and not read yet");
    output.alert(&alert(AlertPhase::Begin)).expect("never fails");
    output.shared_report(&Arc::new(report(NOW))).expect("never fails");
    let second = read(&frames.borrow_and_update().json);
    assert_eq!((&second["alerts"][0]["state"], &second["tick"]["alerts_open"]["high"]), (&json!("open"), &json!(1)));
    output.alert(&alert(AlertPhase::End(AlertEnd::Quiet))).expect("never fails");
    output.shared_report(&Arc::new(report(NOW))).expect("never fails");
    let third = read(&frames.borrow_and_update().json);
    assert_eq!((&third["alerts"][0]["state"], &third["alerts"].as_array().map(Vec::len)), (&json!("ended"), &Some(1)));
    played.end(flows());
    let last = read(&frames.borrow_and_update().json);
    assert_eq!((&last["tick"]["state"], &last["alerts"]), (&json!("ended"), &json!([])));
}

#[test]
fn a_client_gets_the_packets_it_subscribed_to() {
    let played = Played::new(facts(false), PageHooks::default());
    played.page.set_lookers(1);
    let (mut all, mut web, mut none) =
        (played.page.session(Role::Look), played.page.session(Role::Look), played.page.session(Role::Look));
    assert!(matches!(all.message(r#"{"type":"subscribe","packets":true}"#), SocketReply::Subscribed));
    let web_only = r#"{"type":"subscribe","packets":true,"filter":"port:80","bpf":"udp port 443"}"#;
    assert!(matches!(web.message(web_only), SocketReply::Subscribed));
    let mut sampler = played.board.sampler();
    (1..=150).for_each(|number| sampler.packet(number, None, &packet(&UDP_FRAME)).expect("never fails"));
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    let frame = played.page.frames().borrow().clone();
    let packets = read(&all.frame(&frame))["packets"].clone();
    assert_eq!((packets.as_array().map(Vec::len), &packets[99]["id"]), (Some(100), &json!(150)), "the latest that have room");
    let first = &packets[0];
    assert_eq!(
        (&first["src"], &first["dst"], &first["protocol"]),
        (&json!("10.0.0.1:12345"), &json!("192.0.2.80:80"), &json!("UDP"))
    );
    assert!(first["info"].as_str().is_some_and(|info| info.starts_with("len=")), "{first}");
    assert_eq!(read(&all.frame(&frame))["packets"], json!([]), "each comes once");
    assert_eq!(read(&web.frame(&frame))["packets"], json!([]), "none fits");
    assert_eq!(none.frame(&frame), frame.json);
    let SocketReply::Message(detail) = none.message(r#"{"type":"get_packet_detail","id":150}"#) else { panic!("an answer") };
    let detail = read(detail.as_bytes());
    assert_eq!((&detail["gone"], &detail["captured"]), (&json!(false), &json!(46)));
    let SocketReply::Message(detail) = none.message(r#"{"type":"get_packet_detail","id":999}"#) else { panic!("an answer") };
    assert_eq!(read(detail.as_bytes()), json!({"type": "packet_detail", "id": 999, "gone": true, "layers": [], "hex_dump": ""}));
    let SocketReply::Message(pong) = none.message(r#"{"type":"perf_ping","client_ts":17.25}"#) else { panic!("an answer") };
    assert_eq!(read(pong.as_bytes())["client_ts"], 17.25);
    assert!(matches!(none.message(r#"{"type":"hidden","hidden":true}"#), SocketReply::Hidden(true)));
    let name = r#"{"type":"subscribe","packets":true,"bpf":"tcp or host sundown"}"#;
    let SocketReply::Message(error) = none.message(name) else { panic!("no name is looked up") };
    assert!(error.contains(r#"\"sundown\" is a name"#), "{error}");
    for wrong in ["", "{}", "[1]", r#"{"type":"subscribe","packets":true,"bpf":"port and"}"#, r#"{"type":"unknown"}"#] {
        let SocketReply::Message(error) = none.message(wrong) else { panic!("an error for {wrong}") };
        assert_eq!((&read(error.as_bytes())["type"], &read(error.as_bytes())["code"]), (&json!("error"), &json!("bad_request")));
    }
}

#[test]
fn flows_are_asked_for_once_and_paged_through() {
    let played = Played::full(PageHooks::default());
    let asked = || played.asked.load(Ordering::Relaxed);
    let (status, first) = played.get("/api/v1/flows", &[("limit", "2")]);
    assert_eq!((status, &first["matched"]["flows"], &first["whole"]), (200, &json!(3), &json!(true)));
    let rows = first["flows"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[0]["state"], &rows[0]["service"]), (2, &json!("live"), &json!("https")));
    assert!(rows[0]["rate_bps"].as_f64().is_some_and(|rate| rate > 0.0), "the report named it");
    (0..50).for_each(|_| assert_eq!(played.get("/api/v1/flows", &[("limit", "1")]).0, 200));
    assert_eq!(asked(), 1, "the same question");
    let snapshot = first["snapshot"].as_str().expect("a number");
    let (_, second) = played.get("/api/v1/flows", &[("offset", "2"), ("snapshot", snapshot)]);
    assert_eq!((second["flows"].as_array().map(Vec::len), asked()), (Some(1), 1));
    assert_eq!(played.get("/api/v1/flows", &[("snapshot", "4711")]).0, 410);
    let (_, udp) = played.get("/api/v1/flows", &[("filter", "proto:udp"), ("columns", "server_port,bytes_total")]);
    let front = json!({"id": udp["flows"][0]["id"], "state": "ended", "rate_bps": 0.0, "rate_to_server_bps": 0.0, "rate_to_client_bps": 0.0, "service": "domain",
        "server_port": 53, "bytes_total": 300});
    assert_eq!(udp["flows"], json!([front]));
    let (_, live) = played.get("/api/v1/flows", &[("scope", "live"), ("order", "asc"), ("sort", "bytes_total")]);
    assert_eq!(live["flows"].as_array().map(Vec::len), Some(1));
    let (status, error) = played.get("/api/v1/flows", &[("filter", "proto:udp bogus:1")]);
    assert_eq!((status, &error["error"]["code"], &error["error"]["column"]), (400, &json!("bad_filter"), &json!(11)));
    for wrong in [("limit", "1001"), ("limit", "0"), ("sort", "nonsense"), ("columns", "nonsense"), ("colour", "red")] {
        assert_eq!(played.get("/api/v1/flows", &[wrong]).0, 400, "{wrong:?}");
    }
    let csv = played.ask(Method::Get, "/api/v1/flows", &[("format", "csv")], "", "");
    assert_eq!((csv.status, csv.content_type), (200, "text/csv; charset=utf-8"));
    assert_eq!(String::from_utf8(played.body(csv)).expect("UTF-8").lines().count(), 4);
    let json = played.ask(Method::Get, "/api/v1/flows", &[("format", "json"), ("limit", "10000")], "", "");
    assert_eq!(read(&played.body(json)).as_array().map(Vec::len), Some(3));
}

#[test]
fn one_flow_has_its_alerts_and_its_course() {
    let played = Played::full(PageHooks::default());
    let (_, list) = played.get("/api/v1/flows", &[("filter", "proto:tcp")]);
    let id = list["flows"][0]["id"].as_str().expect("an id");
    let (status, flow) = played.get(&format!("/api/v1/flows/{id}"), &[]);
    assert_eq!((status, &flow["state"], &flow["flow"]["server_port"]), (200, &json!("live"), &json!(443)));
    assert_eq!(flow["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(flow["rates"].as_array().map(Vec::len), Some(2));
    assert_eq!(played.get("/api/v1/flows/17-10.0.0.1-1-10.0.0.2-2-3", &[]).0, 404);
    assert_eq!(played.get("/api/v1/flows/nonsense", &[]).0, 404);
}

#[test]
fn the_table_answers_after_the_end_of_a_file() {
    let played = Played::new(facts(true), PageHooks::default());
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    played.end(flows());
    let (status, answer) = played.get("/api/v1/flows", &[("sort", "bytes_total")]);
    assert_eq!((status, &answer["looked_at"], &answer["flows"][0]["state"]), (200, &json!(3), &json!("ended")));
    assert_eq!(played.asked.load(Ordering::Relaxed), 0);
    assert_eq!(played.get("/api/v1/history", &[("metric", "bytes")]).0, 200);
    assert_eq!(played.get("/api/v1/status", &[]).1["state"], "ended");
}

#[test]
fn top_and_graph_add_up() {
    let played = Played::full(PageHooks::default());
    let (_, hosts) = played.get("/api/v1/top", &[("by", "host"), ("metric", "bytes")]);
    assert_eq!((&hosts["rows"][0]["value"], &hosts["total"]["bytes"]), (&json!(5000), &json!(5692)));
    assert_eq!(hosts["rows"].as_array().map(Vec::len), Some(6));
    let (_, services) = played.get("/api/v1/top", &[("by", "service"), ("metric", "flows"), ("filter", "proto:udp")]);
    assert_eq!(
        (&services["rows"][0]["label"], &services["rows"][0]["filter"]),
        (&json!("domain"), &json!("(proto:udp) proto:udp dport:53"))
    );
    let from = (NOW.0 / 1_000_000_000 - 1).to_string();
    let (_, span) = played.get("/api/v1/top", &[("by", "service"), ("from", &from)]);
    assert_eq!((&span["rows"][0]["label"], &span["whole"]), (&json!("domain"), &json!(false)));
    assert_eq!(played.get("/api/v1/top", &[("by", "colour")]).0, 400);
    let (status, graph) = played.get("/api/v1/graph", &[]);
    let values: u64 = graph["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter(|node| node["column"] == "client")
        .map(|node| node["value"].as_u64().expect("a number"))
        .sum();
    assert_eq!((status, values), (200, 5692));
    assert_eq!(played.get("/api/v1/graph", &[("by", "client")]).0, 400);
}

#[test]
fn what_is_known_of_flows_is_asked_for_shown_and_added_up() {
    let played = Played::full(PageHooks::default());
    let (status, list) = played.get("/api/v1/flows", &[("filter", "sni:*.example.com")]);
    assert_eq!((status, &list["matched"]["flows"]), (200, &json!(1)));
    let flow = &list["flows"][0];
    assert_eq!((&flow["state"], &flow["tls"]), (&json!("live"), &json!({"sni": "www.example.com"})));
    assert_eq!((&flow["app"], flow.get("dns")), (&json!({"protocol": "tls"}), None));
    let (_, one) = played.get(&format!("/api/v1/flows/{}", flow["id"].as_str().expect("an id")), &[]);
    assert_eq!(one["flow"]["tls"], flow["tls"]);
    let (_, ended) = played.get("/api/v1/flows", &[("filter", "dns:mail*"), ("columns", "dns_name,tls_sni")]);
    let row = &ended["flows"][0];
    assert_eq!((&row["state"], &row["dns_name"], &row["tls_sni"]), (&json!("ended"), &json!(["mail.example.com"]), &Value::Null));
    let query = [("format", "csv"), ("columns", "protocol,app_protocol,tls_sni,dns_name"), ("sort", "bytes_total")];
    let csv = played.ask(Method::Get, "/api/v1/flows", &query, "", "");
    let expected = "protocol,app_protocol,tls_sni,dns_name\ntcp,tls,www.example.com,\nicmp,,,\nudp,dns,,mail.example.com\n";
    assert_eq!(String::from_utf8(played.body(csv)).expect("UTF-8"), expected);
    let (_, fields) = played.get("/api/v1/fields", &[]);
    let named = |name: &str| fields["fields"].as_array().expect("a list").iter().any(|field| field["name"] == name);
    assert!(["app_protocol", "tls_sni", "quic_sni", "http_host", "dns_name", "ssh_banner"].into_iter().all(named));
    let (_, names) = played.get("/api/v1/top", &[("by", "name"), ("metric", "bytes")]);
    let labels: Vec<&str> = names["rows"].as_array().expect("rows").iter().filter_map(|row| row["label"].as_str()).collect();
    assert_eq!((labels, &names["whole"]), (vec!["www.example.com", "no name", "mail.example.com"], &json!(true)));
    for row in names["rows"].as_array().expect("rows") {
        let filter = row["filter"].as_str().expect("a filter");
        assert_eq!(played.get("/api/v1/flows", &[("filter", filter)]).1["matched"]["bytes"], row["bytes"], "{filter}");
    }
    let (status, graph) = played.get("/api/v1/graph", &[("by", "app,name")]);
    let nodes: Vec<&str> = graph["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["id"].as_str()).collect();
    let expected = ["app:tls", "app:unknown", "app:dns", "name:www.example.com", "name:no name", "name:mail.example.com"];
    assert_eq!((status, nodes), (200, expected.to_vec()));
    // The same of the table that a file leaves.
    let played = Played::new(facts(true), PageHooks::default());
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    played.end(flows());
    let (_, left) = played.get("/api/v1/flows", &[("filter", "sni:www.*")]);
    assert_eq!((&left["matched"]["flows"], &left["flows"][0]["state"]), (&json!(1), &json!("ended")));
    assert_eq!(left["flows"][0]["tls"], flow["tls"]);
}

#[test]
fn history_has_named_series() {
    let played = Played::full(PageHooks::default());
    let to = (NOW.0 / 1_000_000_000).to_string();
    let from = (NOW.0 / 1_000_000_000 - 3).to_string();
    let query = [("metric", "bytes"), ("metric", "rtt_p50"), ("metric", "bytes_peak"), ("from", &from), ("to", &to)];
    let (status, answer) = played.get("/api/v1/history", &query);
    assert_eq!((status, &answer["step"]), (200, &json!(1)));
    assert_eq!(answer["series"]["bytes"], json!({"unit": "bytes", "values": [null, null, 4000]}));
    assert_eq!(answer["series"]["bytes_peak"]["values"], json!([null, null, 4000]));
    let rtt = answer["series"]["rtt_p50"]["values"][2].as_f64().expect("a number");
    assert!((1.9..2.2).contains(&rtt), "{rtt}");
    let (_, day) = played.get("/api/v1/history", &[("from", "1764460000")]);
    assert_eq!(day["step"], 60);
    assert_eq!(played.get("/api/v1/history", &[("metric", "nonsense")]).0, 400);
    assert_eq!(played.get("/api/v1/history", &[("from", "0"), ("step", "1")]).0, 400, "too many points");
    let none = PageSettings { has_history: true, ..settings() };
    assert!(none.has_history && history().memory() > 0);
}

#[test]
fn alerts_are_acknowledged_and_muted() {
    let hooks = PageHooks::default();
    let reloads = hooks.reloads.clone();
    let played = Played::full(hooks);
    let (_, list) = played.get("/api/v1/alerts", &[("state", "open"), ("severity", "high"), ("kind", "port_scan")]);
    assert_eq!((&list["total"], &list["per_hour"][0]["high"]), (&json!(1), &json!(1)));
    let id = list["alerts"][0]["id"].as_str().expect("an id");
    let path = format!("/api/v1/alerts/{id}/acknowledge");
    let (status, alert) = played.json(Method::Post, &path, &[], r#"{"note": "known"}"#);
    assert_eq!((status, &alert["acknowledged"]["by"], &alert["acknowledged"]["note"]), (200, &json!("ada"), &json!("known")));
    assert_eq!(played.json(Method::Delete, &path, &[], "").1["acknowledged"], Value::Null);
    assert_eq!(played.json(Method::Post, "/api/v1/alerts/no/acknowledge", &[], "").0, 404);
    assert_eq!(played.json(Method::Post, &path, &[], "{\"notes\": 1}").0, 400);
    assert_eq!(played.get("/api/v1/alerts", &[("kind", "nonsense")]).0, 400);
    let rule = r#"{"kind": "port_scan", "network": "10.0.0.0/8", "reason": "a scanner of ours", "seconds": 3600}"#;
    let (status, mute) = played.json(Method::Post, "/api/v1/mutes", &[], rule);
    assert_eq!(
        (status, &mute["id"], &mute["network"], &mute["from_config"]),
        (201, &json!("p1"), &json!("10.0.0.0/8"), &json!(false))
    );
    assert_eq!(played.get("/api/v1/mutes", &[]).1["mutes"].as_array().map(Vec::len), Some(1));
    let own = played.board.mutes().own();
    assert!(matches!(&own[..], [MuteRule { until: Some(until), .. }] if until.0 == NOW.0 + 3_600_000_000_000));
    assert!(format!("{reloads:?}").contains("a scanner of ours"), "the judge is told");
    for wrong in
        ["", "{}", r#"{"kind": "nonsense"}"#, r#"{"network": "x"}"#, r#"{"port": 70000}"#, r#"{"port": 1, "seconds": 0}"#]
    {
        assert_eq!(played.json(Method::Post, "/api/v1/mutes", &[], wrong).0, 400, "{wrong}");
    }
    assert_eq!(played.json(Method::Delete, "/api/v1/mutes/p1", &[], "").0, 200);
    assert_eq!(played.json(Method::Delete, "/api/v1/mutes/p1", &[], "").0, 404);
    assert_eq!(played.json(Method::Delete, "/api/v1/mutes/c1", &[], "").0, 403);
}

#[test]
fn packets_come_and_go() {
    let played = Played::full(PageHooks::default());
    let (_, list) = played.get("/api/v1/packets", &[("filter", "port:80"), ("limit", "5")]);
    assert_eq!((&list["packets"][0]["id"], &list["sampled"]["kept"]), (&json!(200), &json!(150)));
    let (_, older) = played.get("/api/v1/packets", &[("before", "196"), ("limit", "1")]);
    assert_eq!(older["packets"][0]["id"], 195);
    let (status, one) = played.get("/api/v1/packets/200", &[]);
    assert_eq!((status, &one["gone"], &one["layers"][1]["name"]), (200, &json!(false), &json!("Ethernet")));
    let (status, gone) = played.get("/api/v1/packets/3", &[]);
    assert_eq!((status, &gone["gone"], &gone["error"]["code"]), (410, &json!(true), &json!("gone")));
    assert_eq!((played.get("/api/v1/packets/999", &[]).0, played.get("/api/v1/packets/x", &[]).0), (404, 404));
}
