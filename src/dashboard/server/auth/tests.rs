//! Credentials that are right, wrong, missing, too many.

use super::*;
use crate::dashboard::server::password::hash_password;
use crate::dashboard::server::secret::Secret;
use crate::dashboard::server::settings::TokenSettings;
use std::net::{IpAddr, Ipv4Addr};

const TOKEN: &str = "0123456789abcdef";

fn text(text: &str) -> SecretSource {
    SecretSource::Text(Secret::new(text))
}

fn settings(password: SecretSource) -> ServerAuth {
    let token = TokenSettings { name: "grafana".to_owned(), token: text(TOKEN), role: Role::Look };
    ServerAuth { user: Some(("admin".to_owned(), password)), tokens: vec![token] }
}

fn authenticator(password: &str) -> Authenticator {
    Authenticator::new(Some(&settings(text(password))), 8080, Arc::default(), Instant::now()).unwrap()
}

fn client(last: u8) -> ClientKey {
    ClientKey::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
}

fn headers(authorization: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())])
}

fn basic_of(user: &str, password: &str) -> HeaderMap {
    headers(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn ask(auth: &Authenticator, headers: &HeaderMap, from: ClientKey) -> Result<Identity, AuthRefusal> {
    run(auth.identify(headers, from, Instant::now()))
}

#[test]
fn right_credentials_have_their_role() {
    for password in ["pass:word", &hash_password("pass:word").unwrap()] {
        let auth = authenticator(password);
        let person = Identity { role: Role::Download, user: Some("admin".to_owned()), is_bearer: false };
        for _ in 0..30 {
            assert_eq!(ask(&auth, &basic_of("admin", "pass:word"), client(1)), Ok(person.clone()), "known ones cost no try");
        }
        let program = Identity { role: Role::Look, user: Some("grafana".to_owned()), is_bearer: true };
        assert_eq!(ask(&auth, &headers(&format!("bEaReR {TOKEN}")), client(1)), Ok(program));
        assert_eq!(ask(&auth, &basic_of("admin", password), client(1)).is_ok(), password == "pass:word", "a hash is no password");
    }
    let open = Authenticator::new(None, 8080, Arc::default(), Instant::now()).unwrap();
    assert!(!open.is_on() && ask(&open, &HeaderMap::new(), client(1)).is_ok());
}

#[test]
fn all_others_are_refused() {
    let auth = authenticator("secret");
    assert_eq!(ask(&auth, &HeaderMap::new(), client(1)), Err(AuthRefusal::Missing));
    let mut two = basic_of("admin", "secret");
    two.append(AUTHORIZATION, "Basic eDp5".parse().unwrap());
    let long = format!("Basic {}", "a".repeat(CREDENTIALS_BYTES_MAX));
    let wrong = [
        basic_of("admin", "secre"),
        basic_of("admin", "secrets"),
        basic_of("Admin", "secret"),
        basic_of("", ""),
        headers("Basic !!!"),
        headers("Basic"),
        headers("Bearer 0123456789abcdeg"),
        headers("Digest x"),
        headers(&long),
        two,
    ];
    for (number, headers) in (10..).zip(&wrong) {
        assert_eq!(ask(&auth, headers, client(number)), Err(AuthRefusal::Wrong), "{headers:?}");
    }
    let counts = auth.counters.counts();
    assert_eq!((counts.unauthorized, counts.logins_failed), (1, wrong.len() as u64));
}

#[test]
fn wrong_credentials_are_limited_and_hinder_nobody_else() {
    let auth = authenticator("secret");
    let known = basic_of("admin", "secret");
    assert!(ask(&auth, &known, client(1)).is_ok());
    let mut refusals = (0..50).map(|number| ask(&auth, &basic_of("admin", &format!("{number}")), client(1)).unwrap_err());
    // The first one was right, and was not known before.
    assert!(refusals.by_ref().take(FAILURE_BURST as usize - 1).all(|refusal| refusal == AuthRefusal::Wrong));
    assert!(refusals.all(|refusal| matches!(refusal, AuthRefusal::Wait(wait) if wait.as_secs() <= u64::from(FAILURE_SECS))));
    assert!(ask(&auth, &known, client(1)).is_ok(), "who was right before is let in");
    assert!(ask(&auth, &headers(&format!("Bearer {TOKEN}")), client(1)).is_ok());
    assert_eq!(ask(&auth, &basic_of("admin", "x"), client(2)), Err(AuthRefusal::Wrong), "another client has its own tries");
}

#[test]
fn a_link_makes_a_session() {
    let (auth, now) = (authenticator("secret"), Instant::now());
    let token = auth.make_link(now).unwrap();
    assert_eq!(auth.log_in("wrong", client(1), now).unwrap_err(), AuthRefusal::Wrong);
    let (name, session) = auth.log_in(&token, client(1), now).unwrap();
    let cookie = |text: String| HeaderMap::from_iter([(COOKIE, text.parse().unwrap())]);
    assert!(ask(&auth, &cookie(format!("other=1; {name}={session}")), client(1)).is_ok());
    assert_eq!(ask(&auth, &cookie(format!("{name}={token}")), client(1)), Err(AuthRefusal::Missing));
    assert_eq!(ask(&auth, &cookie(format!("netscope_1={session}")), client(1)), Err(AuthRefusal::Missing));
    assert!(Authenticator::new(None, 8080, Arc::default(), now).unwrap().make_link(now).is_none());
}

#[test]
fn secrets_that_cannot_be_used_are_named() {
    let error = |settings: &ServerAuth| match Authenticator::new(Some(settings), 1, Arc::default(), Instant::now()) {
        Ok(_) => panic!("it is refused"),
        Err(error) => error.to_string(),
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let file = || settings(SecretSource::File(path.clone()));
    assert!(error(&file()).contains("--web-auth-pass-file") && error(&file()).contains("password"));
    std::fs::write(&path, "\n").unwrap();
    assert!(error(&file()).contains("is empty"), "{}", error(&file()));
    std::fs::write(&path, "one\ntwo\n").unwrap();
    assert!(error(&file()).contains("several lines"));
    assert!(error(&settings(text(""))).contains("web.auth.password is empty"));
    let mut short = settings(text("x"));
    short.tokens[0].token = text("short");
    assert!(error(&short).contains("grafana") && !error(&short).contains("short\""));
    let mut twice = settings(text("x"));
    twice.tokens.push(TokenSettings { name: "other".to_owned(), ..twice.tokens[0].clone() });
    assert!(error(&twice).contains("other"));
}
