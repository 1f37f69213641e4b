//! `[web]` and its flags: defaults, ranges, what beats what, and every refusal by name.

use netscope::config::{Command, Settings, WebSettings, command};
use netscope::dashboard::{Role, SecretSource};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::tempdir;

/// Settings, or the refusal, with this configuration file and these flags.
fn with_file(text: &str, flags: &[&str]) -> Result<Settings, String> {
    let directory = tempdir().expect("a directory");
    let path = directory.path().join("netscope.toml");
    fs::write(&path, text).expect("it is written");
    let path = path.to_string_lossy().into_owned();
    let all = ["netscope", "--config", path.as_str()].into_iter().chain(flags.iter().copied());
    match command(all.map(Into::into)) {
        Ok(Command::Run(settings)) => Ok(*settings),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn web(text: &str, flags: &[&str]) -> WebSettings {
    with_file(text, flags).unwrap_or_else(|error| panic!("{error}")).web.expect("there is a page")
}

fn refusal(text: &str, flags: &[&str]) -> String {
    with_file(text, flags).map(|_| ()).expect_err(&format!("{text:?} {flags:?} is refused"))
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    assert_eq!(with_file("", &[]).expect("settings").web, None);
    let web = web("", &["--web"]);
    assert_eq!((web.server.bind.to_string().as_str(), web.server.port, web.server.clients_max), ("127.0.0.1", 8080, 64));
    assert_eq!((web.tick, web.top_n, web.packet_buffer), (Duration::from_secs(1), 10, 2000));
    assert_eq!((web.sample_rate, web.sample_per_second, web.payload_bytes), (Some(1), 200, 256));
    assert!(web.stay && web.server.tls.is_none() && web.server.auth.is_none() && web.server.prefix.is_empty());
    assert!(web.server.trusted_proxies.is_empty(), "no proxy is believed");
}

#[test]
fn flags_beat_the_file() {
    let text = "[web]\nenabled = true\nbind = \"::1\"\nport = 81\nhosts = [\"A.example\"]\nstay = false\nsample_rate = 0\n";
    let from_file = web(text, &[]);
    assert_eq!((from_file.server.bind.to_string().as_str(), from_file.server.port, from_file.stay), ("::1", 81, false));
    assert_eq!((from_file.server.hosts, from_file.sample_rate), (vec!["a.example".to_owned()], None));
    let flags = ["--web-bind", "localhost", "--web-port", "82", "--web-stay", "--web-host", "b", "--web-host", "c"];
    let both = web(text, &flags);
    assert_eq!((both.server.bind.to_string().as_str(), both.server.port, both.stay), ("127.0.0.1", 82, true));
    assert_eq!(both.server.hosts, ["b", "c"]);
    assert_eq!(with_file(text, &["--no-web"]).expect("settings").web, None);
    assert_eq!(web("", &["--web", "--web-prefix", "/a/b/"]).server.prefix, "/a/b");
    let proxies = web("[web]\ntrusted_proxies = [\"127.0.0.1\", \"2001:db8::/32\"]\n", &["--web"]).server.trusted_proxies;
    assert_eq!(proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1/32", "2001:db8::/32"]);
}

#[test]
fn the_page_and_the_statistics_have_one_interval() {
    let interval = |text: &str, flags: &[&str]| {
        let settings = with_file(text, flags).unwrap_or_else(|error| panic!("{error}"));
        (settings.stats.interval_ns / 1_000_000, settings.web.map(|web| web.tick.as_millis()))
    };
    assert_eq!(interval("[web]\ntick_ms = 50\n", &["--web"]), (50, Some(50)));
    assert_eq!(interval("[web]\ntick_ms = 50\n", &["--web", "--stats"]), (50, Some(50)));
    assert_eq!(interval("", &["--web", "--stats", "--stats-interval-ms", "500"]), (500, Some(500)));
    assert_eq!(interval("[stats]\ninterval_ms = 500\n", &["--web"]), (1000, Some(1000)), "nobody reads statistics");
    assert_eq!(interval("[web]\ntick_ms = 50\n[stats]\ninterval_ms = 500\n", &[]), (500, None));
    let said = refusal("[web]\ntick_ms = 50\n", &["--web", "--stats", "--stats-interval-ms", "500"]);
    assert!(said.contains("web.tick_ms") && said.contains("stats.interval_ms"), "{said}");
    assert!(refusal("[web]\ntick_ms = 15\n", &["--web"]).contains("web.tick_ms is 15: give a number from 16"));
    assert!(refusal("", &["--web", "--stats", "--stats-interval-ms", "10"]).contains("stats.interval_ms"));
}

#[test]
fn credentials() {
    let flags = ["--web", "--web-auth", "--web-auth-user", "admin"];
    let text = "[web.auth]\npassword = \"hunter2\"\n[[web.auth.tokens]]\nname = \"a\"\ntoken = \"0123456789abcdef\"\nrole = \"download\"\n";
    let settings = with_file(text, &flags).expect("settings");
    let debug = format!("{settings:?}");
    assert!(!debug.contains("hunter2") && !debug.contains("0123456789abcdef"), "secrets are not shown");
    let auth = settings.web.expect("a page").server.auth.expect("credentials");
    let (user, password) = auth.user.expect("a user");
    assert!(user == "admin" && matches!(password, SecretSource::Text(secret) if secret.reveal() == "hunter2"));
    assert_eq!((auth.tokens[0].name.as_str(), auth.tokens[0].role), ("a", Role::Download));
    let auth = web(text, &[&flags[..], &["--web-auth-pass-file", "p"]].concat()).server.auth.expect("credentials");
    assert_eq!(
        auth.user.expect("a user").1.path().map(|path| path.as_path()),
        Some(Path::new("p")),
        "the flag replaces the password"
    );
    let tokens = "[web.auth]\nenabled = true\n[[web.auth.tokens]]\nname = \"a\"\ntoken_file = \"t\"\n";
    let auth = web(tokens, &["--web"]).server.auth.expect("credentials");
    assert!(auth.user.is_none() && auth.tokens[0].role == Role::Look, "the smaller role, where none is given");
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let user = ["--web", "--web-auth", "--web-auth-user", "admin", "--web-auth-pass-file", "p"];
    let with_user = |more: &[&'static str]| [&user[..], more].concat();
    let cases: Vec<(&str, Vec<&str>, &str)> = vec![
        ("", vec!["--web-port", "80"], "add --web"),
        ("", vec!["--web-tls"], "add --web"),
        ("", vec!["--web", "--web-tls"], "--web-tls-cert"),
        ("", vec!["--web", "--web-tls-cert", "c", "--web-tls-key", "k"], "add --web-tls"),
        ("", vec!["--web", "--web-auth"], "--web-auth-user"),
        ("", vec!["--web", "--web-auth-user", "a"], "add --web-auth"),
        ("", vec!["--web", "--web-auth", "--web-auth-user", "a:b", "--web-auth-pass-file", "p"], "colon"),
        ("", with_user(&["--web-bind", "0.0.0.0"]), "--web-auth-without-tls"),
        ("", vec!["--web", "--web-bind", "eth0"], "web.bind"),
        ("[web]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", vec!["--web"], "web.trusted_proxies"),
        ("[web]\ntrusted_proxies = [\"proxy.example\"]\n", vec!["--web"], "web.trusted_proxies"),
        ("", vec!["--web", "--web-prefix", "netscope"], "web.prefix"),
        ("", vec!["--web", "--web-prefix", "/a/../b"], "web.prefix"),
        ("", vec!["--web", "--web-host", "http://x"], "web.hosts"),
        ("", vec!["--web", "--web-host", "x:80"], "web.hosts"),
        ("[web]\nclients = 0\n", vec!["--web"], "web.clients"),
        ("[web]\ntop_n = 1001\n", vec!["--web"], "web.top_n"),
        ("[web]\npacket_buffer = 0\n", vec!["--web"], "web.packet_buffer"),
        ("[web]\npayload_bytes = 65536\n", vec!["--web"], "web.payload_bytes"),
        ("[web]\nsample_per_second = 0\n", vec!["--web"], "web.sample_per_second"),
        (
            "[web.auth]\npassword = \"a\"\npassword_file = \"b\"\nenabled = true\nusername = \"c\"\n",
            vec!["--web"],
            "web.auth.password",
        ),
        ("[web.auth]\nenabled = true\n[[web.auth.tokens]]\ntoken = \"x\"\n", vec!["--web"], "web.auth.tokens"),
        ("[web.auth]\nenabled = true\n[[web.auth.tokens]]\nname = \"x\"\n", vec!["--web"], "token_file"),
    ];
    for (text, flags, name) in cases {
        let said = refusal(text, &flags);
        assert!(said.contains(name), "{text:?} {flags:?}: {said}");
    }
    let allowed = with_user(&["--web-bind", "0.0.0.0", "--web-auth-without-tls"]);
    assert!(web("", &allowed).server.auth.is_some());
    assert!(web("", &with_user(&["--web-bind", "::1"])).server.auth.is_some());
}
