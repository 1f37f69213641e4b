//! Texts and values from outside: only escaped JSON comes out.

use super::played::{NOW, Played, UDP_FRAME, alert, facts, packet, report};
use crate::aggregate::Output;
use crate::dashboard::{Method, PageApi, PageHooks, Role, SocketReply};
use crate::detect::{Alert, AlertPhase};
use crate::engine::PacketConsumer;
use netscope_backends::{LinkType, Packet};
use proptest::prelude::*;
use std::sync::Arc;

#[test]
fn texts_are_escaped_json() {
    let played = Played::new(facts(false), PageHooks::default());
    played.page.set_lookers(1);
    let long = "\u{202e}<img src=x>\u{1b}[31m\"\\\n".repeat(500);
    let mut output = played.board.output();
    let hostile = Alert { description: long.clone(), key: long.clone(), ..alert(AlertPhase::Begin) };
    output.alert(&hostile).expect("never fails");
    output.shared_report(&Arc::new(report(NOW))).expect("never fails");
    let frame = played.page.frames().borrow().clone();
    let raw = std::str::from_utf8(&frame.json).expect("UTF-8");
    assert!(!raw.contains('\u{1b}') && !raw.contains('\n'));
    let read: serde_json::Value = serde_json::from_str(raw).expect("JSON");
    assert_eq!(read["alerts"][0]["description"], long);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_request_has_an_answer(
        path in "(/api/v1/(flows|alerts|packets|mutes|graph|top|history|capture|complete)?)?.{0,40}",
        name in "(filter|sort|limit|offset|from|to|step|metric|by|at|columns|.{0,10})",
        value in ".{0,60}",
        body in ".{0,60}",
    ) {
        let played = Played::full(PageHooks::default());
        for method in [Method::Get, Method::Post, Method::Delete] {
            let response = played.ask(method, &path, &[(&name, &value)], &body, "");
            prop_assert!([200, 400, 403, 404, 405, 410, 503].contains(&response.status), "{}", response.status);
        }
    }

    #[test]
    fn any_message_and_any_packet_has_an_answer(text in ".{0,200}", data in prop::collection::vec(any::<u8>(), 0..200), link: u16) {
        let played = Played::new(facts(false), PageHooks::default());
        let mut sampler = played.board.sampler();
        let strange = Packet { data: &data, wire_len: 9, link_type: LinkType(link), ..packet(&UDP_FRAME) };
        sampler.packet(1, None, &strange).expect("never fails");
        let mut session = played.page.session(Role::Look);
        let quoted = serde_json::to_string(&text).expect("a text");
        for message in [
            text.clone(),
            format!("{{\"type\":\"subscribe\",\"packets\":true,\"filter\":{quoted}}}"),
            "{\"type\":\"get_packet_detail\",\"id\":1}".to_owned(),
        ] {
            if let SocketReply::Message(answer) = session.message(&message) {
                let is_json = serde_json::from_str::<serde_json::Value>(&answer).is_ok();
                let has_escape = answer.contains('\u{1b}');
                prop_assert!(is_json && !has_escape);
            }
        }
        let (status, list) = played.get("/api/v1/packets", &[]);
        prop_assert_eq!((status, list["packets"].as_array().map(Vec::len)), (200, Some(1)));
    }
}
