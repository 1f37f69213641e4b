//! Alerts in Common Event Format (CEF, ArcSight; version 0).
//!
//! Owns the mapping, which docs/alerts.md describes, and the escapes. Invariant: no text ends a field early or begins another one.

use crate::detect::{Alert, AlertPhase, AlertSeverity, AlertSubject};
use std::fmt::Write as _;

/// A line without a line feed.
pub(super) fn line(alert: &Alert) -> String {
    let Alert { kind, variant, description, .. } = alert;
    let mut text = format!(
        "CEF:0|NetScope|netscope|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        header(&format!("{kind}.{variant}")),
        header(description),
        severity(alert.severity)
    );
    let mut fields = Extension(&mut text, true);
    fields.add("rt", alert.time.0 / 1_000_000);
    fields.add("start", alert.began.0 / 1_000_000);
    if let AlertPhase::End(why) = alert.phase {
        fields.add("end", alert.time.0 / 1_000_000);
        fields.add("reason", why.name());
    }
    fields.add("cat", kind);
    fields.add("act", alert.phase.name());
    fields.add("externalId", &alert.key);
    fields.add("msg", description);
    let mut networks = Vec::new();
    fields.subject(alert.attacker.as_ref(), ["src", "c6a2", "Source IPv6 Address", "spt"], &mut networks);
    fields.subject(alert.victim.as_ref(), ["dst", "c6a3", "Destination IPv6 Address", "dpt"], &mut networks);
    match alert.direction {
        Some("inbound") => fields.add("deviceDirection", 0),
        Some("outbound") => fields.add("deviceDirection", 1),
        _ => {}
    }
    if let Some((_, count)) = alert.counts.first() {
        fields.add("cnt", count);
    }
    let ports = alert.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let custom = [
        ("cs1", "technique", alert.technique.unwrap_or_default()),
        ("cs2", "direction", alert.direction.unwrap_or_default()),
        ("cs3", "ports", &ports),
        ("cs4", "network", networks.first().map_or("", String::as_str)),
    ];
    for (key, label, value) in custom.into_iter().filter(|(.., value)| !value.is_empty()) {
        fields.labelled(key, label, value);
    }
    for (key, (label, number)) in ["cn1", "cn2", "cn3"].into_iter().zip(&alert.distinct) {
        fields.labelled(key, label, &number.count.to_string());
    }
    text
}

/// From 0 to 10: 4 to 6 is medium, 7 and 8 high, 9 and 10 very high.
const fn severity(severity: AlertSeverity) -> u8 {
    match severity {
        AlertSeverity::Low => 3,
        AlertSeverity::Medium => 6,
        AlertSeverity::High => 9,
    }
}

/// A text of the header. It has no line breaks.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A value of the extension.
fn value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}

/// The fields behind the header.
struct Extension<'a>(&'a mut String, bool);

impl Extension<'_> {
    fn add(&mut self, key: &str, text: impl ToString) {
        let space = if std::mem::take(&mut self.1) { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{space}{key}={}", value(&text.to_string()));
    }

    fn labelled(&mut self, key: &str, label: &str, text: &str) {
        self.add(&format!("{key}Label"), label);
        self.add(key, text);
    }

    /// A host by these keys: an IPv4 address, an IPv6 address and its label, a port. A network has no key of its own.
    fn subject(&mut self, subject: Option<&AlertSubject>, keys: [&str; 4], networks: &mut Vec<String>) {
        let Some(subject) = subject else { return };
        let [v4, v6, label, port] = keys;
        match subject.prefix_len {
            Some(_) => networks.push(subject.to_string()),
            None if subject.host.is_v4() => self.add(v4, subject.host),
            None => self.labelled(v6, label, &subject.host.to_string()),
        }
        if let Some(number) = subject.port {
            self.add(port, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_alerts::{alert, ended, hostile, subject};
    use super::*;
    use proptest::prelude::*;

    /// Splits a line as a receiver does: seven fields of the header, and pairs.
    fn parse(line: &str) -> (Vec<String>, Vec<(String, String)>) {
        let (mut header, mut field, mut characters) = (Vec::new(), String::new(), line.chars());
        while header.len() < 7 {
            match characters.next().expect("seven fields") {
                '\\' => field.push(characters.next().expect("something is escaped")),
                '|' => header.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        // A key stands in front of each equals sign that is not escaped.
        let (mut pairs, mut key): (Vec<(String, String)>, Option<String>) = (Vec::new(), None);
        while let Some(c) = characters.next() {
            match c {
                '\\' => field.push(match characters.next().expect("something is escaped") {
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                }),
                '=' => {
                    let next = field.rsplit(' ').next().expect("a key").to_owned();
                    if let Some(key) = key.replace(next.clone()) {
                        pairs.push((key, field[..field.len() - next.len() - 1].to_owned()));
                    }
                    field.clear();
                }
                c => field.push(c),
            }
        }
        pairs.extend(key.map(|key| (key, field)));
        (header, pairs)
    }

    fn get<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
        pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn an_alert_has_the_fields_of_the_dictionary() {
        let (header, pairs) = parse(&line(&alert()));
        assert_eq!(header[..3], ["CEF:0", "NetScope", "netscope"]);
        assert_eq!(header[4..], ["syn_flood.single_source", "Single-source SYN flood on 192.0.2.80:443", "9"]);
        let values = ["rt", "src", "dst", "dpt", "deviceDirection", "cnt", "cs1Label", "cs1", "cn1Label", "cn1", "act", "end"]
            .map(|key| get(&pairs, key));
        let expected =
            ["1700000000123", "203.0.113.66", "192.0.2.80", "443", "0", "1500", "technique", "syn", "sources", "1", "begin"];
        assert_eq!(values[..11], expected.map(Some));
        assert_eq!(values[11], None);
        let (_, pairs) = parse(&line(&ended()));
        assert_eq!((get(&pairs, "end"), get(&pairs, "reason")), (Some("1700000000123"), Some("quiet")));
        let network = AlertSubject { prefix_len: Some(64), ..subject("2001:db8::", None) };
        let (_, pairs) = parse(&line(&Alert { victim: Some(network), attacker: Some(subject("2001:db8::9", None)), ..alert() }));
        assert_eq!((get(&pairs, "c6a2"), get(&pairs, "cs4")), (Some("2001:db8::9"), Some("2001:db8::/64")));
    }

    proptest! {
        #[test]
        fn hostile_text_stays_in_its_field(text in r"[ -~\n\r=|\\é]{0,60}") {
            let (header, pairs) = parse(&line(&hostile(&text)));
            prop_assert_eq!(&header[5], &text.replace(['\n', '\r'], " "));
            prop_assert_eq!(get(&pairs, "externalId"), Some(text.as_str()));
            prop_assert_eq!(get(&pairs, "msg"), Some(text.as_str()));
            prop_assert_eq!(get(&pairs, "src"), Some("203.0.113.66"));
            prop_assert_eq!(pairs.len(), parse(&line(&alert())).1.len());
        }
    }
}
