//! The description of the interface (docs/openapi.json) against the interface: every route is described and every described one
//! answers, and every answer fits its schema.

use super::played::{Played, flows};
use crate::dashboard::api::router::{ROUTES, method_name};
use crate::dashboard::{ApiRequest, ApiResponse, Method, PageApi, PageHooks, Role};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const DESCRIPTION: &str = include_str!("../../../../docs/openapi.json");

fn description() -> Value {
    serde_json::from_str(DESCRIPTION).expect("docs/openapi.json is JSON")
}

/// A request to a described route, and the status it is to have.
struct Example {
    method: Method,
    /// As it is described.
    path: &'static str,
    id: String,
    query: Vec<(&'static str, String)>,
    body: &'static str,
    status: u16,
}

fn get(path: &'static str, query: &[(&'static str, &str)], status: u16) -> Example {
    let query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Example { method: Method::Get, path, id: String::new(), query, body: "", status }
}

fn examples(flow: &str, alert: &str) -> Vec<Example> {
    let acknowledge = |method, body, id: &str, status| Example {
        method,
        id: id.to_owned(),
        body,
        ..get("/api/v1/alerts/{id}/acknowledge", &[], status)
    };
    let one = |path, id: &str, status| Example { id: id.to_owned(), ..get(path, &[], status) };
    let mute = |body, status| Example { method: Method::Post, body, ..get("/api/v1/mutes", &[], status) };
    let unmute = |id, status| Example { method: Method::Delete, ..one("/api/v1/mutes/{id}", id, status) };
    vec![
        get("/api/health", &[], 200),
        get("/api/health", &[("x", "1")], 400),
        get("/api/v1/status", &[], 200),
        get("/api/v1/status", &[("x", "1")], 400),
        get("/api/v1/flows", &[], 200),
        get("/api/v1/flows", &[("columns", "client_ip,vlan"), ("order", "asc")], 200),
        get("/api/v1/flows", &[("columns", "tls_sni,dns_name,app_protocol")], 200),
        get("/api/v1/flows", &[("format", "csv")], 200),
        get("/api/v1/flows", &[("format", "json")], 200),
        get("/api/v1/flows", &[("filter", "port:")], 400),
        get("/api/v1/flows", &[("snapshot", "999")], 410),
        one("/api/v1/flows/{id}", flow, 200),
        one("/api/v1/flows/{id}", "6-10.9.9.9-1-10.9.9.10-2", 404),
        get("/api/v1/graph", &[("limit", "1")], 200),
        get("/api/v1/graph", &[("by", "client,name,app")], 200),
        get("/api/v1/graph", &[("by", "x")], 400),
        get("/api/v1/top", &[("by", "pair"), ("metric", "rate")], 200),
        get("/api/v1/top", &[("from", "1764500000"), ("to", "1764500100")], 200),
        get("/api/v1/top", &[("by", "name")], 200),
        get("/api/v1/top", &[("by", "app")], 200),
        get("/api/v1/top", &[("limit", "x")], 400),
        get("/api/v1/history", &[("metric", "bytes"), ("metric", "rtt_p99"), ("metric", "alerts")], 200),
        get("/api/v1/history", &[("metric", "x")], 400),
        get("/api/v1/alerts", &[], 200),
        get("/api/v1/alerts", &[("state", "x")], 400),
        acknowledge(Method::Post, "{\"note\":\"known\"}", alert, 200),
        acknowledge(Method::Post, "{", alert, 400),
        acknowledge(Method::Post, "", "x", 404),
        acknowledge(Method::Delete, "", alert, 200),
        acknowledge(Method::Delete, "", "x", 404),
        mute("{\"kind\":\"port_scan\",\"seconds\":60,\"reason\":\"known\"}", 201),
        mute("{}", 400),
        get("/api/v1/mutes", &[], 200),
        unmute("c1", 403),
        unmute("p1", 200),
        unmute("p1", 404),
        get("/api/v1/packets", &[], 200),
        get("/api/v1/packets", &[("limit", "0")], 400),
        one("/api/v1/packets/{id}", "200", 200),
        one("/api/v1/packets/{id}", "1", 410),
        one("/api/v1/packets/{id}", "9999", 404),
        get("/api/v1/capture", &[], 404),
        get("/api/v1/capture", &[("filter", "x")], 400),
        get("/api/v1/fields", &[], 200),
        get("/api/v1/complete", &[("filter", "po"), ("at", "2")], 200),
        get("/api/v1/complete", &[("at", "9")], 400),
        get("/api/v1/config", &[], 200),
        get("/api/v1/doctor", &[], 200),
        get("/metrics", &[], 200),
    ]
}

/// What is wrong with an answer by its description; nothing when it fits.
fn misfit(described: &Value, operation: &Value, response: &ApiResponse, body: &[u8]) -> Option<String> {
    let content = &operation["responses"][response.status.to_string()]["content"];
    let media_type = response.content_type.split(';').next().unwrap_or_default();
    let schema = &content[media_type]["schema"];
    if schema.is_null() {
        return Some(format!("{} with {media_type} is not described", response.status));
    }
    let value = match media_type {
        "application/json" => match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return Some(error.to_string()),
        },
        _ => Value::String(String::from_utf8_lossy(body).into_owned()),
    };
    let whole = json!({"allOf": [schema], "components": described["components"]});
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

#[test]
fn every_route_is_described_and_the_other_way_round() {
    let described = description();
    let paths = described["paths"].as_object().expect("paths");
    let of_description: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.keys().map(move |method| (path.clone(), method.to_ascii_uppercase()))
        })
        .collect();
    let of_router: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.path.to_owned(), method_name(route.method).to_owned())).collect();
    assert_eq!(of_description, of_router);
}

#[test]
fn every_described_route_answers_as_described() {
    let doctor: crate::dashboard::DoctorCall = Arc::new(|| Ok("{\"findings\": []}".to_owned()));
    let played = Played::full(PageHooks { doctor: Some(doctor), ..PageHooks::default() });
    let (_, list) = played.get("/api/v1/flows", &[]);
    let (_, alerts) = played.get("/api/v1/alerts", &[]);
    let (flow, alert) = (list["flows"][0]["id"].as_str().expect("an id"), alerts["alerts"][0]["id"].as_str().expect("an id"));
    let described = description();
    let mut answered: BTreeSet<(String, String, String)> = BTreeSet::new();
    for Example { method, path, id, query, body, status } in examples(flow, alert) {
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = played.ask(method, &path.replace("{id}", &id), &query, body, "");
        let name = format!("{} {path} {query:?}", method_name(method));
        assert_eq!(response.status, status, "{name}");
        let operation = &described["paths"][path][method_name(method).to_ascii_lowercase()];
        let (response_status, content_type) = (response.status, response.content_type);
        let bytes = played.body(response);
        let about = crate::dashboard::api::responding::full(response_status, content_type, Vec::new());
        if let Some(why) = misfit(&described, operation, &about, &bytes) {
            panic!("{name} does not fit: {why}\n{}", String::from_utf8_lossy(&bytes));
        }
        answered.insert((path.to_owned(), method_name(method).to_owned(), status.to_string()));
    }
    for route in ROUTES.iter().filter(|route| route.path != "/api/v1/capture") {
        let has_good = answered
            .iter()
            .any(|(path, method, status)| path == route.path && method == method_name(route.method) && status.starts_with('2'));
        assert!(has_good, "{} {} was not seen to work", method_name(route.method), route.path);
    }
}

#[test]
fn an_answer_that_does_not_fit_is_found() {
    let described = description();
    let operation = &described["paths"]["/api/v1/mutes"]["get"];
    let response = |status| crate::dashboard::api::responding::full(status, "application/json", Vec::new());
    assert!(misfit(&described, operation, &response(200), b"{\"mutes\":[{\"id\":1}]}").is_some());
    assert!(misfit(&described, operation, &response(418), b"{}").is_some());
    assert!(misfit(&described, operation, &response(200), b"{\"mutes\":[]}").is_none());
}

#[test]
fn messages_of_the_socket_have_the_shapes_of_the_description() {
    let played = Played::full(PageHooks::default());
    played.page.set_lookers(1);
    let described = description();
    let fits = |name: &str, value: &Value| {
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": described["components"]});
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    };
    let frame: Value = serde_json::from_slice(&played.page.frames().borrow().json).expect("JSON");
    fits("Tick", &frame["tick"]);
    frame["alerts"].as_array().expect("a list").iter().for_each(|alert| fits("Alert", alert));
    let hello: Value = serde_json::from_str(&played.page.hello(Role::Look)).expect("JSON");
    fits("Source", &hello["source"]);
    assert_eq!((&hello["role"], &hello["boot_id"]), (&json!("look"), &played.get("/api/v1/status", &[]).1["boot_id"]));
    played.end(flows());
    let frame: Value = serde_json::from_slice(&played.page.frames().borrow().json).expect("JSON");
    fits("Tick", &frame["tick"]);
}

#[test]
fn a_role_that_is_too_small_is_told_so() {
    let played = Played::new(super::played::facts(false), PageHooks::default());
    let request = ApiRequest {
        method: Method::Get,
        path: "/api/v1/capture".to_owned(),
        query: Vec::new(),
        body: Default::default(),
        accept: String::new(),
        role: Role::Look,
        user: None,
    };
    assert_eq!(played.wait(played.page.answer(request)).status, 403);
}
