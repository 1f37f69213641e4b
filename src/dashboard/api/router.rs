//! Which path is answered by what.
//!
//! Owns the table of routes, which docs/openapi.json describes. Knows no answer.

use super::error::{ApiError, ErrorCode};
use crate::dashboard::{Method, Role};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// That the server answers.
    Health,
    /// How the run is.
    Status,
    /// A list of flows.
    Flows,
    /// One flow.
    Flow,
    /// Who talks to whom by what.
    Graph,
    /// The largest of something.
    Top,
    /// Numbers over time.
    History,
    /// A list of alerts.
    Alerts,
    /// Somebody has seen an alert.
    Acknowledge,
    /// Nobody has.
    Unacknowledge,
    /// The mute rules.
    Mutes,
    /// A new one.
    AddMute,
    /// One goes.
    RemoveMute,
    /// Sampled packets.
    Packets,
    /// One of them.
    Packet,
    /// Packets as a file.
    Capture,
    /// The columns of flows.
    Fields,
    /// What may stand in a filter.
    Complete,
    /// The configuration.
    Config,
    /// What a doctor finds.
    Doctor,
    /// Metrics for Prometheus.
    Metrics,
}

/// A path, with `{id}` for any text that is not empty.
#[derive(Clone, Copy, Debug)]
pub struct ApiRoute {
    /// How it is asked.
    pub method: Method,
    /// Where.
    pub path: &'static str,
    /// What it is.
    pub endpoint: Endpoint,
    /// Who may.
    pub role: Role,
}

const fn get(path: &'static str, endpoint: Endpoint) -> ApiRoute {
    ApiRoute { method: Method::Get, path, endpoint, role: Role::Look }
}

const fn post(path: &'static str, endpoint: Endpoint) -> ApiRoute {
    ApiRoute { method: Method::Post, path, endpoint, role: Role::Download }
}

const fn delete(path: &'static str, endpoint: Endpoint) -> ApiRoute {
    ApiRoute { method: Method::Delete, path, endpoint, role: Role::Download }
}

/// All routes.
pub const ROUTES: &[ApiRoute] = &[
    get("/api/health", Endpoint::Health),
    get("/api/v1/status", Endpoint::Status),
    get("/api/v1/flows", Endpoint::Flows),
    get("/api/v1/flows/{id}", Endpoint::Flow),
    get("/api/v1/graph", Endpoint::Graph),
    get("/api/v1/top", Endpoint::Top),
    get("/api/v1/history", Endpoint::History),
    get("/api/v1/alerts", Endpoint::Alerts),
    post("/api/v1/alerts/{id}/acknowledge", Endpoint::Acknowledge),
    delete("/api/v1/alerts/{id}/acknowledge", Endpoint::Unacknowledge),
    get("/api/v1/mutes", Endpoint::Mutes),
    post("/api/v1/mutes", Endpoint::AddMute),
    delete("/api/v1/mutes/{id}", Endpoint::RemoveMute),
    get("/api/v1/packets", Endpoint::Packets),
    get("/api/v1/packets/{id}", Endpoint::Packet),
    ApiRoute { role: Role::Download, ..get("/api/v1/capture", Endpoint::Capture) },
    get("/api/v1/fields", Endpoint::Fields),
    get("/api/v1/complete", Endpoint::Complete),
    get("/api/v1/config", Endpoint::Config),
    get("/api/v1/doctor", Endpoint::Doctor),
    get("/metrics", Endpoint::Metrics),
];

/// The name of a method.
pub const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

/// The `{id}` of a path that fits a pattern; empty where the pattern has none. An id may hold slashes, as keys of alerts do.
fn id_of<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((head, tail)) = pattern.split_once("{id}") else { return (pattern == path).then_some("") };
    path.strip_prefix(head)?.strip_suffix(tail).filter(|id| !id.is_empty())
}

/// What a request asks for, and the id in its path.
///
/// # Errors
/// When there is no such path, it does not take the method, or the role is too small.
pub fn endpoint(method: Method, path: &str, role: Role) -> Result<(Endpoint, &str), ApiError> {
    let mut allowed: Vec<&'static str> = Vec::new();
    for route in ROUTES {
        let Some(id) = id_of(route.path, path) else { continue };
        if route.method != method {
            allowed.push(method_name(route.method));
            continue;
        }
        if role < route.role {
            return Err(ApiError::new(ErrorCode::Forbidden, "this takes the role download"));
        }
        return Ok((route.endpoint, id));
    }
    if allowed.is_empty() {
        return Err(ApiError::not_found("there is no such path"));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    Err(ApiError::method_not_allowed(allowed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_endpoints() {
        let of = |method, path| endpoint(method, path, Role::Look).map_err(|error| error.code());
        assert_eq!(of(Method::Get, "/api/v1/flows"), Ok((Endpoint::Flows, "")));
        assert_eq!(of(Method::Get, "/api/v1/flows/6-a-b"), Ok((Endpoint::Flow, "6-a-b")));
        let id = "syn_flood:syn_flood 192.0.2.0/24:17";
        let path = format!("/api/v1/alerts/{id}/acknowledge");
        let acknowledged = endpoint(Method::Post, &path, Role::Download).map_err(|error| error.code());
        assert_eq!(acknowledged, Ok((Endpoint::Acknowledge, id)));
        assert_eq!(of(Method::Post, &path), Err("forbidden"), "who looks changes nothing");
        assert_eq!(of(Method::Get, &path), Err("method_not_allowed"));
        for nowhere in ["/api/v1/flows/", "/api/v2/flows", "/api", "/", "", "/api/v1/alerts//acknowledge", "/metrics/"] {
            assert_eq!(of(Method::Get, nowhere), Err("not_found"), "{nowhere}");
        }
        assert_eq!(of(Method::Get, "/api/v1/capture"), Err("forbidden"));
        assert!(endpoint(Method::Get, "/api/v1/capture", Role::Download).is_ok());
    }
}
