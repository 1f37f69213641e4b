//! What is bounded, and that it is said where something is left out.

use super::played::{NOW, Played, SECOND, UDP_FRAME, facts, packet, report, settings};
use crate::aggregate::Output;
use crate::dashboard::api::downloads::FLOW_FILES_MAX;
use crate::dashboard::{Method, PageApi, PageHooks, PageSettings, Role, SocketReply};
use crate::engine::PacketConsumer;
use crate::flow::FlowRecord;
use crate::record::test_records::tcp_record;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A file that was read, with so many flows.
fn of_flows(count: u64) -> Played {
    let played = Played::new(facts(true), PageHooks::default());
    played.board.output().shared_report(&Arc::new(report(NOW))).expect("never fails");
    played.end((0..count).map(|number| FlowRecord { bytes: [number, 0], ..tcp_record() }));
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
