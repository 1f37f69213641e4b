//! What is bounded, and that it is said where something is left out.

use super::played::{NOW, Played, SECOND, UDP_FRAME, facts, packet, report, settings};
use crate::aggregate::{FoundFlow, Output};
use crate::dashboard::api::downloads::FLOW_FILES_MAX;
use crate::dashboard::{Method, PageApi, PageHooks, PageSettings, Role, SocketReply};
use crate::engine::PacketConsumer;
use crate::flow::{FlowFacts, FlowRecord};
use crate::record::test_records::tcp_record;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A file that was read, with so many flows.
fn of_flows(count: u64) -> Played {
    let played = Played::new(facts(true), PageHooks::default());
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    let record = |number| FlowRecord { bytes: [number, 0], ..tcp_record() };
    played.end((0..count).map(|number| FoundFlow::new(record(number), false, FlowFacts::default())));
    played
}

/// A run of which so many packets were sampled, none of them to port 1.
fn of_packets(count: u64) -> Played {
    let settings = PageSettings { packet_buffer: 30_000, ..settings() };
    let played = Played::with_settings(settings, facts(false), PageHooks::default());
    let mut sampler = played.board.sampler();
    (1..=count).for_each(|number| sampler.packet(number, None, &packet(&UDP_FRAME)).expect("never fails"));
    played
}

#[test]
fn a_snapshot_without_the_rows_is_gone() {
    let played = of_flows(1500);
    let (_, first) = played.get("/api/v1/flows", &[("limit", "100")]);
    assert_eq!(first["matched"]["flows"], 1500);
    let number = first["snapshot"].as_str().expect("a number");
    let with = |offset: &str, format: &str| {
        let query = [("snapshot", number), ("offset", offset), ("limit", "100"), ("format", format)];
        let response = played.ask(Method::Get, "/api/v1/flows", &query, "", "");
        (response.status, played.body(response))
    };
    assert_eq!(with("900", "rows").0, 200, "the last ones that are kept");
    for (offset, format) in [("1000", "rows"), ("950", "rows"), ("1000", "json")] {
        let (status, body) = with(offset, format);
        let error: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((status, &error["error"]["code"]), (410, &json!("gone")), "{offset} {format}");
        let message = error["error"]["message"].as_str().expect("a text");
        assert!(message.contains("the first 1000 of 1500 flows"), "{message}");
    }
    let few = of_flows(50);
    let (_, all) = few.get("/api/v1/flows", &[("limit", "100")]);
    let (status, none) = few.get("/api/v1/flows", &[("snapshot", all["snapshot"].as_str().expect("a number")), ("offset", "60")]);
    assert_eq!((status, &none["flows"]), (200, &json!([])), "there are no more");
}

#[test]
fn downloads_that_nobody_takes_are_few() {
    let played = of_flows(10_000);
    let csv = || played.ask(Method::Get, "/api/v1/flows", &[("format", "csv")], "", "");
    let mut open: Vec<_> = (0..FLOW_FILES_MAX).map(|_| csv()).collect();
    assert!(open.iter().all(|response| response.status == 200));
    assert_eq!((csv().status, played.board.downloads.refused()), (503, 1));
    assert_eq!(played.get("/api/v1/flows", &[]).0, 200, "others are answered");
    open.pop();
    // Its thread sees that nobody is there at the next piece.
    let deadline = Instant::now() + Duration::from_secs(30);
    let last = loop {
        let response = csv();
        if response.status == 200 {
            break response;
        }
        assert!(Instant::now() < deadline, "the place stays taken");
    };
    assert_eq!(played.body(last).iter().filter(|byte| **byte == b'\n').count(), 10_001, "the file is whole");
}

#[test]
fn work_whose_client_left_keeps_its_place() {
    let played = Played::new(facts(false), PageHooks::default());
    let (go_on, places): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (sender, wait) = mpsc::channel::<()>();
            (sender, played.begin_heavy(move || _ = wait.recv()))
        })
        .unzip();
    drop(places);
    let next = Arc::clone(&played.board);
    let next = async move { next.heavy(|| Ok(())).await.is_ok() };
    assert_eq!(played.in_time(next, Duration::from_millis(300)), None, "both work still");
    drop(go_on);
    let next = Arc::clone(&played.board);
    assert_eq!(played.in_time(async move { next.heavy(|| Ok(())).await.is_ok() }, Duration::from_secs(30)), Some(true));
}

#[test]
fn a_frame_looks_at_so_many_packets_and_says_what_it_left_out() {
    let played = of_packets(0);
    played.page.set_lookers(1);
    let (mut none, mut all) = (played.page.session(Role::Look), played.page.session(Role::Look));
    let filtered = r#"{"type":"subscribe","packets":true,"filter":"port:1"}"#;
    assert!(matches!(none.message(filtered), SocketReply::Subscribed));
    assert!(matches!(all.message(r#"{"type":"subscribe","packets":true}"#), SocketReply::Subscribed));
    let mut sampler = played.board.sampler();
    (1..=2500).for_each(|number| sampler.packet(number, None, &packet(&UDP_FRAME)).expect("never fails"));
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    let shared = played.page.frames().borrow().clone();
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    assert_eq!(read(&shared.json)["packets_left_out"], 0);
    let frame = read(&none.frame(&shared));
    assert_eq!((&frame["packets"], &frame["packets_left_out"]), (&json!([]), &json!(500)));
    let frame = read(&all.frame(&shared));
    assert_eq!((frame["packets"].as_array().map(Vec::len), &frame["packets_left_out"]), (Some(100), &json!(2400)));
    assert_eq!(read(&all.frame(&shared))["packets_left_out"], 0, "nothing since");
}

#[test]
fn a_list_of_packets_says_where_it_stopped_looking() {
    let played = of_packets(20_500);
    let (_, list) = played.get("/api/v1/packets", &[("filter", "port:1")]);
    assert_eq!((&list["packets"], &list["whole"], &list["next"]), (&json!([]), &json!(false), &json!(501)));
    assert!(list["why"].as_str().is_some_and(|why| why.contains("20000 packets were looked at")), "{list}");
    let (_, rest) = played.get("/api/v1/packets", &[("filter", "port:1"), ("before", "501")]);
    assert_eq!((&rest["whole"], &rest["next"], &rest["why"]), (&json!(true), &Value::Null, &Value::Null));
    let (_, page) = played.get("/api/v1/packets", &[("limit", "5")]);
    assert_eq!((&page["whole"], &page["next"]), (&json!(true), &json!(20_496)), "as many as were asked for");
    let (_, last) = played.get("/api/v1/packets", &[("limit", "5"), ("before", "6")]);
    assert_eq!((last["packets"].as_array().map(Vec::len), &last["next"]), (Some(5), &Value::Null));
}

#[test]
fn peaks_are_there_however_far_the_end_is() {
    let played = Played::full(PageHooks::default());
    let now = NOW.0 / SECOND;
    let (from, to) = ((now - 3).to_string(), (now + 200_000).to_string());
    let query = [("metric", "bytes"), ("metric", "bytes_peak"), ("from", &from), ("to", &to), ("step", "60")];
    let (status, answer) = played.get("/api/v1/history", &query);
    let values = |name: &str| answer["series"][name]["values"].as_array().map(|values| values[..3].to_vec());
    assert_eq!((status, values("bytes_peak")), (200, values("bytes")));
    assert_eq!(values("bytes_peak"), Some(vec![Value::Null, json!(4000), Value::Null]));
    let late = [("metric", "bytes_peak"), ("from", to.as_str()), ("to", &(now + 200_010).to_string())];
    assert_eq!(played.get("/api/v1/history", &late).1["series"]["bytes_peak"]["values"], json!(vec![Value::Null; 10]));
}

#[test]
fn who_asks_while_the_last_table_is_made_waits_for_it() {
    let played = Played::new(facts(true), PageHooks::default());
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    played.refuse();
    let asked = played.begin("/api/v1/flows", &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            played.end([FoundFlow::new(tcp_record(), false, FlowFacts::default())]);
        });
        let response = played.wait(asked);
        assert_eq!(response.status, 200);
        let body: Value = serde_json::from_slice(&played.body(response)).expect("JSON");
        assert_eq!(body["matched"]["flows"], 1);
    });
    let live = Played::new(facts(false), PageHooks::default());
    live.refuse();
    assert_eq!(live.get("/api/v1/flows", &[]).0, 503, "a wire leaves no table");
}

#[test]
fn facts_are_not_asked_for_where_nobody_looks() {
    let played = Played::with_settings(PageSettings { has_facts: false, ..settings() }, facts(false), PageHooks::default());
    let (status, body) = played.get("/api/v1/flows", &[("filter", "sni:example.com")]);
    assert_eq!((status, &body["error"]["code"]), (400, &json!("bad_filter")));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("--no-dpi")), "{body}");
}

#[test]
fn who_asks_for_the_status_changes_nothing_of_it() {
    let played = Played::full(PageHooks::default());
    let share = || {
        std::thread::sleep(Duration::from_millis(20));
        played.get("/api/v1/status", &[]).1["tick"]["cpu_share"].clone()
    };
    let first = share();
    assert!(first.is_number(), "{first}");
    assert_eq!((share(), share()), (first.clone(), first));
}
