//! A request and its answer: the checks in their order, then the route.
//!
//! Owns the order of the checks. Knows no socket. Invariant: nothing reaches the interface that did not pass all of them, and every answer has the
//! common headers.

use super::answer::{HttpRefusal, compressed, finish, is_compressible, mark_compressed, mark_varying, takes_gzip};
use super::assets::Asset;
use super::auth::{AuthRefusal, Identity};
use super::body::PageBody;
use super::connection::ConnectionState;
use super::counts::count;
use super::limits::{ANSWER_TIME, BODY_BYTES_MAX, BODY_TIME, REFUSED_IN_A_ROW_MAX, SESSION_TIME, STREAM_BYTES};
use super::path::{decode_path, decode_query};
use super::rate::ClientKey;
use super::site::Site;
use super::{handshake, socket};
use crate::dashboard::{ApiBody, ApiRequest, ApiResponse, Method};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, IF_NONE_MATCH,
    LOCATION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SET_COOKIE, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use hyper::{Method as HttpMethod, Request, Response, StatusCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FILES_METHODS: &str = "GET, HEAD";
const API_METHODS: &str = "GET, HEAD, POST, DELETE";
const SOCKET_WAIT: Duration = Duration::from_secs(5);

/// Answers a request.
pub(super) async fn answer(
    site: &Arc<Site>,
    connection: &Arc<ConnectionState>,
    request: Request<Incoming>,
) -> Response<PageBody> {
    count(&site.counters.requests);
    let _busy = connection.begin();
    let is_head = request.method() == HttpMethod::HEAD;
    let inner = request.uri().path().strip_prefix(site.prefix.as_str()).unwrap_or_default();
    let is_json = inner.starts_with("/api/") || inner == "/api";
    let answered = match Routed::check(site, connection, &request) {
        Ok(routed) => routed.answer(site, connection, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut answer = finish(answered.unwrap_or_else(|refusal| refusal.answer(is_json)), is_head);
    connection.watch(&answer.body_mut().begin(site.take_time));
    answer
}

/// A request whose head is a plain one.
struct Routed {
    /// Behind the prefix, decoded.
    path: String,
    host: String,
    /// For whom it counts.
    client: ClientKey,
    now: Instant,
}

impl Routed {
    /// All checks that need no credentials, the cheapest first.
    fn check(site: &Site, connection: &ConnectionState, request: &Request<Incoming>) -> Result<Self, HttpRefusal> {
        let (now, raw) = (Instant::now(), request.uri().path());
        let client = site.client(connection.peer, request.headers());
        let is_file = raw.strip_prefix(site.prefix.as_str()).is_some_and(|inner| inner.starts_with("/s/"));
        if !is_file {
            site.take_request(client, now).map_err(|wait| {
                let refusal = HttpRefusal::new(StatusCode::TOO_MANY_REQUESTS, "too many requests").retry_after(wait);
                let refused = connection.refuse();
                if refused == REFUSED_IN_A_ROW_MAX + 1 {
                    count(&site.counters.connections_ended_rate);
                    // HTTP/2 knows no header for it.
                    connection.end();
                }
                if refused > REFUSED_IN_A_ROW_MAX { refusal.close() } else { refusal }
            })?;
            connection.accept();
        }
        let host = host(request).ok_or_else(|| {
            count(&site.counters.hosts_refused);
            HttpRefusal::new(StatusCode::BAD_REQUEST, "a request names one host").close()
        })?;
        if !site.hosts.is_ours(&host) {
            count(&site.counters.hosts_refused);
            let message = "this host is not ours: ask for localhost or an address, or allow the name by --web-host (web.hosts)";
            return Err(HttpRefusal::new(StatusCode::MISDIRECTED_REQUEST, message));
        }
        check_framing(site, request)?;
        let not_plain = || {
            count(&site.counters.paths_refused);
            HttpRefusal::new(StatusCode::BAD_REQUEST, "this is no plain path")
        };
        let whole = decode_path(raw).ok_or_else(not_plain)?;
        let path = match whole.strip_prefix(site.prefix.as_str()) {
            Some("") => return Err(HttpRefusal::new(StatusCode::NOT_FOUND, format!("the page is at {}/", site.prefix))),
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => return Err(not_found()),
        };
        Ok(Self { path, host, client, now })
    }

    fn is_api(&self) -> bool {
        self.path.starts_with("/api/") || matches!(self.path.as_str(), "/api" | "/metrics")
    }

    async fn answer(
        self,
        site: &Arc<Site>,
        connection: &Arc<ConnectionState>,
        request: Request<Incoming>,
    ) -> Result<Response<PageBody>, HttpRefusal> {
        if self.path == "/login" && site.auth.is_on() {
            return log_in(site, self.client, &request, self.now);
        }
        let identity = site.auth.identify(request.headers(), self.client, self.now).await.map_err(refused)?;
        if self.is_api() || self.path == "/ws" {
            self.check_origin(site, &request, &identity)?;
        }
        match self.path.as_str() {
            _ if self.is_api() => ask_api(site, self, request, identity).await,
            "/ws" => open_socket(site, connection, request, &identity),
            path if !matches!(*request.method(), HttpMethod::GET | HttpMethod::HEAD) => {
                Err(if path == "/" || site.assets.get(path).is_some() { not_allowed(FILES_METHODS) } else { not_found() })
            }
            "/" => Ok(index(site, &request)),
            path => site.assets.get(path).map(|asset| file(asset, &request)).ok_or_else(not_found),
        }
    }

    /// Refuses what a page of another site made a browser send.
    fn check_origin(&self, site: &Site, request: &Request<Incoming>, identity: &Identity) -> Result<(), HttpRefusal> {
        let refuse = |message: &'static str| {
            count(&site.counters.origins_refused);
            Err(HttpRefusal::new(StatusCode::FORBIDDEN, message))
        };
        let headers = request.headers();
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next();
        let is_same = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| site.hosts.is_same_origin(origin, &self.host));
        if origins.next().is_some() || origin.is_some_and(|origin| !is_same(origin)) {
            return refuse("the page of another site may not ask this");
        }
        let is_ours = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
        if headers.get_all(SEC_FETCH_SITE).iter().any(|value| !is_ours(value)) {
            return refuse("another site may not cause this request");
        }
        let is_reading = matches!(*request.method(), HttpMethod::GET | HttpMethod::HEAD);
        if !is_reading && origin.is_none() && !identity.is_bearer {
            return refuse("a request that changes something comes from the page (Origin) or has a bearer token");
        }
        Ok(())
    }
}

/// The host that the request is for; `None` where there is none, or two that differ.
fn host(request: &Request<Incoming>) -> Option<String> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (header, second) = (hosts.next(), hosts.next());
    let header = header.map(|host| host.to_str().map(str::to_owned).ok());
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    match (header, authority) {
        _ if second.is_some() => None,
        (Some(header), None) => header,
        (None, authority) => authority,
        (Some(header), Some(authority)) => header.filter(|header| header.eq_ignore_ascii_case(&authority)),
    }
}

/// Refuses bodies that are too long, or whose length is not told.
fn check_framing(site: &Site, request: &Request<Incoming>) -> Result<(), HttpRefusal> {
    let refuse = |status: StatusCode, message: &'static str| {
        count(&site.counters.bodies_refused);
        Err(HttpRefusal::new(status, message).close())
    };
    // With a length next to it, two servers may disagree where a request ends (RFC 9112, section 6.3).
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return refuse(StatusCode::LENGTH_REQUIRED, "a body has to have a Content-Length");
    }
    if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "a body has 64 KiB at most");
    }
    Ok(())
}

fn not_found() -> HttpRefusal {
    HttpRefusal::new(StatusCode::NOT_FOUND, "there is nothing here")
}

fn not_allowed(methods: &'static str) -> HttpRefusal {
    HttpRefusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method does nothing here").allow(methods)
}

fn busy() -> HttpRefusal {
    HttpRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are being answered").retry_after(Duration::from_secs(1))
}

fn refused(refusal: AuthRefusal) -> HttpRefusal {
    let unauthorized = |message: &'static str| {
        let refusal = HttpRefusal::new(StatusCode::UNAUTHORIZED, message);
        refusal.header(WWW_AUTHENTICATE, "Basic realm=\"netscope\", charset=\"UTF-8\"")
    };
    match refusal {
        AuthRefusal::Missing => unauthorized("credentials are needed"),
        AuthRefusal::Wrong => unauthorized("these credentials are wrong"),
        AuthRefusal::Wait(wait) => {
            HttpRefusal::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong credentials came from there").retry_after(wait)
        }
        AuthRefusal::Busy => busy(),
    }
}

/// Follows a link to log in.
fn log_in(site: &Site, client: ClientKey, request: &Request<Incoming>, now: Instant) -> Result<Response<PageBody>, HttpRefusal> {
    if *request.method() != HttpMethod::GET {
        return Err(not_allowed("GET"));
    }
    let pairs = decode_query(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let token = pairs.iter().find(|(name, _)| name == "once").map(|(_, token)| token.as_str()).unwrap_or_default();
    let (name, session) = site.auth.log_in(token, client, now).map_err(|refusal| match refusal {
        AuthRefusal::Wrong => HttpRefusal::new(
            StatusCode::UNAUTHORIZED,
            "this link was used before or is too old: log in at the page, by name and password",
        ),
        other => refused(other),
    })?;
    let secure = if site.has_tls { "; Secure" } else { "" };
    let cookie =
        format!("{name}={session}; Path={}/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", site.prefix, SESSION_TIME.as_secs());
    let cookie =
        HeaderValue::from_str(&cookie).map_err(|_| HttpRefusal::new(StatusCode::BAD_REQUEST, "no session could be made"))?;
    let mut answer = Response::new(PageBody::full(Bytes::new(), None));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(SET_COOKIE, cookie);
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("./"));
    Ok(answer)
}

/// The page itself.
fn index(site: &Site, request: &Request<Incoming>) -> Response<PageBody> {
    let (asset, tag) = site.assets.index();
    let has_it = |value: &HeaderValue| {
        value.to_str().is_ok_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
    };
    let mut answer = if request.headers().get_all(IF_NONE_MATCH).iter().any(has_it) {
        let mut answer = Response::new(PageBody::full(Bytes::new(), None));
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        mark_varying(answer.headers_mut());
        answer
    } else {
        file(asset, request)
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// A file of the page, which never changes.
fn file(asset: &Asset, request: &Request<Incoming>) -> Response<PageBody> {
    let gzip = asset.gzip.as_ref().filter(|_| takes_gzip(request.headers()));
    let mut answer = Response::new(PageBody::full(gzip.unwrap_or(&asset.plain).clone(), None));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    mark_varying(headers);
    if gzip.is_some() {
        mark_compressed(headers);
    }
    answer
}

/// Hands a request to the interface.
async fn ask_api(
    site: &Site,
    routed: Routed,
    request: Request<Incoming>,
    identity: Identity,
) -> Result<Response<PageBody>, HttpRefusal> {
    let method = match *request.method() {
        HttpMethod::GET | HttpMethod::HEAD => Method::Get,
        HttpMethod::POST => Method::Post,
        HttpMethod::DELETE => Method::Delete,
        _ => return Err(not_allowed(API_METHODS)),
    };
    let query = decode_query(request.uri().query().unwrap_or_default()).ok_or_else(|| {
        count(&site.counters.paths_refused);
        HttpRefusal::new(StatusCode::BAD_REQUEST, "the query cannot be decoded")
    })?;
    let too_busy = || {
        count(&site.counters.requests_refused_busy);
        busy()
    };
    let gzip = takes_gzip(request.headers());
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = if method == Method::Get { Bytes::new() } else { read_body(site, request.into_body()).await? };
    let answering = Arc::new(Arc::clone(&site.answers).try_acquire_owned().map_err(|_| too_busy())?);
    let Identity { role, user, .. } = identity;
    let api_request = ApiRequest { method, path: routed.path, query, body, accept, role, user };
    let answer = timeout(ANSWER_TIME, site.api.answer(api_request)).await.map_err(|_| {
        count(&site.counters.requests_timed_out);
        HttpRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "the answer takes too long").retry_after(Duration::from_secs(1))
    })?;
    let ApiResponse { status, content_type, headers, body } = answer;
    let is_text = is_compressible(content_type);
    let (body, is_compressed) = match body {
        ApiBody::Stream(parts) => {
            let held = site.budget.hold(STREAM_BYTES).ok_or_else(too_busy)?;
            (PageBody::stream(parts, held), false)
        }
        ApiBody::Full(bytes) => {
            let small = if gzip && is_text { compressed(&bytes, &answering).await } else { None };
            let is_compressed = small.is_some();
            let bytes = small.unwrap_or(bytes);
            let held = site.budget.hold(bytes.len()).ok_or_else(too_busy)?;
            (PageBody::full(bytes, Some(held)), is_compressed)
        }
    };
    drop(answering);
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        // What is no header is left out: it cannot be sent.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            answer.headers_mut().append(name, value);
        }
    }
    if is_text {
        mark_varying(answer.headers_mut());
    }
    if is_compressed {
        mark_compressed(answer.headers_mut());
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(answer)
}

/// The body, which has to come soon.
async fn read_body(site: &Site, body: Incoming) -> Result<Bytes, HttpRefusal> {
    let refuse = |status: StatusCode, message: &'static str| {
        count(&site.counters.bodies_refused);
        HttpRefusal::new(status, message).close()
    };
    match timeout(BODY_TIME, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "a body has 64 KiB at most"))
        }
        Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "the body cannot be read")),
        Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// Makes a WebSocket of the connection.
fn open_socket(
    site: &Arc<Site>,
    connection: &Arc<ConnectionState>,
    mut request: Request<Incoming>,
    identity: &Identity,
) -> Result<Response<PageBody>, HttpRefusal> {
    let accept = handshake::accept(request.method(), request.version(), request.headers())?;
    let place = Arc::clone(&site.sockets).try_acquire_owned().map_err(|_| {
        count(&site.counters.sockets_refused);
        HttpRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many clients").retry_after(SOCKET_WAIT)
    })?;
    let upgrading = hyper::upgrade::on(&mut request);
    let (site, connection, role) = (Arc::clone(site), Arc::clone(connection), identity.role);
    tokio::spawn(async move {
        // A client that went away meanwhile is none.
        if let Ok(upgraded) = upgrading.await {
            socket::serve(site, upgraded, role).await;
        }
        drop((place, connection));
    });
    let mut answer = Response::new(PageBody::full(Bytes::new(), None));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(answer)
}
