//! The configuration in force, for those who look at a run: every key with its value, defaults included.
//!
//! Owns what is hidden in it. Knows no page. Invariant: no password, token, header or path of an URL is in it.

use super::options::Options;
use toml::{Table, Value};

/// Every key with its default.
const EXAMPLE: &str = include_str!("../../netscope.example.toml");
/// Keys whose values may hold secrets: section and key.
const HIDDEN: &[(&[&str], &str)] = &[
    (&["analysis", "alerts", "webhook"], "extra_headers"),
    (&["analysis", "alerts", "command"], "args"),
    (&["web", "auth"], "password"),
    (&["web", "auth"], "tokens"),
];
/// What stands in place of a secret.
const MARK: &str = "(hidden)";

/// What is said, over the defaults. Empty where the example cannot be read, which a test rules out.
pub fn in_force(options: &Options) -> Table {
    let mut all: Table = EXAMPLE.parse().unwrap_or_default();
    match Table::try_from(options) {
        Ok(said) => overlay(&mut all, said),
        // A name that is no UTF-8, say. The defaults alone would be taken for what is in force.
        Err(error) => all = Table::from_iter([("not_shown".to_owned(), Value::String(error.to_string()))]),
    }
    hide(&mut all);
    all
}

/// Puts `over` in place of what is there, key by key.
fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => overlay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn hide(all: &mut Table) {
    for (section, key) in HIDDEN {
        let table = section.iter().try_fold(&mut *all, |table, name| table.get_mut(*name).and_then(Value::as_table_mut));
        if let Some(value) = table.and_then(|table| table.get_mut(*key))
            && !is_empty(value)
        {
            *value = Value::String(MARK.to_owned());
        }
    }
    hide_urls(all);
}

fn is_empty(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Leaves scheme and host of each URL: the rest is often a key.
fn hide_urls(all: &mut Table) {
    for (key, value) in all.iter_mut() {
        match value {
            Value::Table(table) => hide_urls(table),
            Value::String(url) if key == "url" && !url.is_empty() => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let host = authority.rsplit('@').next().unwrap_or_default();
                *url = format!("{scheme}://{host}/{MARK}");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_over_the_defaults_and_secrets_stand_nowhere() {
        let text = "[capture]\nreplay_speed = 2.5\n[web.auth]\nusername = \"noc\"\npassword = \"correct horse\"\n\
                    [[web.auth.tokens]]\nname = \"grafana\"\ntoken = \"battery staple\"\nrole = \"look\"\n\
                    [analysis.alerts.webhook]\nurl = \"https://user:key@hooks.example/T0/secret?x=1\"\n";
        let options: Options = toml::from_str(text).expect("a configuration");
        let all = in_force(&options);
        let shown = toml::to_string(&all).expect("it can be written");
        assert_eq!(all["capture"]["replay_speed"].as_float(), Some(2.5));
        assert_eq!(all["capture"]["backend"].as_str(), Some("auto"), "a default");
        assert_eq!(all["web"]["auth"]["username"].as_str(), Some("noc"));
        for secret in ["correct", "battery", "/T0", "user:key", "x=1"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("https://hooks.example/(hidden)"), "{shown}");
    }
}
