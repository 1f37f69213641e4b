//! Clients of a proxy that is trusted, and others that say they were one.

use super::*;

fn behind_a_proxy(proxies: &[&str]) -> TestServer {
    let user = Some(("admin".to_owned(), SecretSource::Text(Secret::new("secret".to_owned()))));
    let auth = Some(ServerAuth { user, tokens: Vec::new() });
    let trusted_proxies = proxies.iter().map(|text| text.parse().unwrap()).collect();
    TestServer::start(&ServerSettings { auth, trusted_proxies, ..settings() })
}

/// The status of wrong credentials from `client`, as the proxy says.
fn wrong(server: &TestServer, header: &str, client: &str) -> u16 {
    server.client().ask("GET /", &[("Authorization", "Basic YWRtaW46c2VjcmV1"), (header, client)], b"").status
}

#[test]
fn wrong_credentials_of_one_client_hinder_no_other() {
    let server = behind_a_proxy(&["127.0.0.0/8"]);
    let tries = |header: &str, client: &str| (0..30).find(|_| wrong(&server, header, client) == 429);
    assert!(tries("X-Forwarded-For", "192.0.2.1").is_some(), "it has to wait");
    assert_eq!(wrong(&server, "X-Forwarded-For", "192.0.2.2"), 401, "this one has not");
    assert_eq!(wrong(&server, "X-Forwarded-For", "192.0.2.2, 192.0.2.1"), 429, "what it writes in front does not help");
    assert_eq!(wrong(&server, "Forwarded", "for=192.0.2.1"), 429);
    let log_in = |client: &str| server.client().ask("GET /login?once=wrong", &[("X-Forwarded-For", client)], b"").status;
    assert_eq!((log_in("192.0.2.1"), log_in("192.0.2.2")), (429, 401), "links have the same tries");
    assert_eq!(server.counts().forwarded_unclear, 0);
    assert_eq!(wrong(&server, "X-Forwarded-For", "unknown"), 401, "it counts for the proxy");
    assert_eq!(server.counts().forwarded_unclear, 1);
}

#[test]
fn nobody_else_is_believed() {
    for proxies in [&[][..], &["192.0.2.0/24"]] {
        let server = behind_a_proxy(proxies);
        let each_time_another = |number: i32| wrong(&server, "X-Forwarded-For", &format!("192.0.2.{number}"));
        assert!((0..30).any(|number| each_time_another(number) == 429), "{proxies:?}");
        assert_eq!(wrong(&server, "Forwarded", "for=198.51.100.1"), 429);
        assert_eq!(server.counts().forwarded_unclear, 0);
    }
}
