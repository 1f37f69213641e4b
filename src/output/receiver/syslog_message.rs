//! Messages of RFC 5424.
//!
//! Owns the header, the structured data and their escapes. Knows no transport. Invariant: a message has no control character, so it is one line
//! whatever frames it.

use crate::detect::{Alert, AlertPhase, AlertSeverity};
use netscope_backends::Timestamp;

/// What kind of system a message comes from (RFC 5424, 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyslogFacility(u8);

/// Names of the facilities as syslog.conf(5) has them, by number; 12 to 15 have none there.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
    "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

impl SyslogFacility {
    /// For programs without a terminal.
    pub const DAEMON: Self = Self(3);

    /// By its name.
    pub fn of_name(name: &str) -> Option<Self> {
        let number = FACILITIES.iter().position(|known| *known == name)?;
        u8::try_from(number).ok().map(Self)
    }

    /// All names.
    pub fn names() -> String {
        FACILITIES.join(", ")
    }
}

/// What all messages of a run have.
#[derive(Clone, Debug)]
pub(super) struct SyslogHeader {
    pub(super) facility: SyslogFacility,
    pub(super) host: String,
    pub(super) app_name: String,
    pub(super) process: u32,
    /// Name of the structured data, with the number of an enterprise.
    pub(super) sd_id: String,
}

/// Longest names (RFC 5424, 6).
const HOST_LEN_MAX: usize = 255;
const APP_NAME_LEN_MAX: usize = 48;
const MSG_ID_LEN_MAX: usize = 32;

/// How bad it is: a high one is critical, a medium one a warning, a low one a notice; what is over is informational.
const fn severity(alert: &Alert) -> u8 {
    match (alert.phase, alert.severity) {
        (AlertPhase::End(_), _) => 6,
        (_, AlertSeverity::High) => 2,
        (_, AlertSeverity::Medium) => 4,
        (_, AlertSeverity::Low) => 5,
    }
}

impl SyslogHeader {
    /// A message about this alert.
    pub(super) fn message(&self, alert: &Alert, text: &str) -> String {
        let parameters = [
            ("kind", alert.kind),
            ("key", &alert.key),
            ("phase", alert.phase.name()),
            ("severity", alert.severity.name()),
            ("variant", alert.variant),
        ];
        let data: String = parameters.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))).collect();
        let message = format!(
            "<{}>1 {} {} {} {} {} [{}{data}] {text}",
            u16::from(self.facility.0) * 8 + u16::from(severity(alert)),
            rfc3339(alert.time),
            name(&self.host, HOST_LEN_MAX),
            name(&self.app_name, APP_NAME_LEN_MAX),
            self.process,
            name(alert.kind, MSG_ID_LEN_MAX),
            self.sd_id,
        );
        message.replace(char::is_control, " ")
    }
}

/// A name of the header: printable ASCII without blanks; `-` when there is nothing of it.
fn name(text: &str, len_max: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(len_max).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// A value of structured data (RFC 5424, 6.3.3).
fn escaped(value: &str) -> String {
    value.chars().flat_map(|c| matches!(c, '"' | '\\' | ']').then_some('\\').into_iter().chain([c])).collect()
}

/// True for a name of structured data that is an enterprise's own: `name@number` (RFC 5424, 6.3.2).
pub fn is_sd_id(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"' | '@'));
    let is_number = |number: &str| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.len() <= MSG_ID_LEN_MAX && text.split_once('@').is_some_and(|(name, number)| is_name(name) && is_number(number))
}

/// A time as RFC 3339 has it, in UTC, with microseconds: RFC 5424 allows no more.
pub(super) fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(time.0.into()) {
        Ok(known) => known.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        // None of a 64-bit number is beyond the year 9999.
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_alerts::{alert, ended, hostile};
    use super::*;
    use proptest::prelude::*;

    fn header() -> SyslogHeader {
        SyslogHeader {
            facility: SyslogFacility::of_name("local0").expect("a facility"),
            host: "sensor 1".to_owned(),
            app_name: "netscope".to_owned(),
            process: 42,
            sd_id: "netscope@32473".to_owned(),
        }
    }

    #[test]
    fn a_message_is_as_the_rfc_has_it() {
        assert_eq!(
            header().message(&alert(), "text"),
            "<130>1 2023-11-14T22:13:20.123456Z sensor1 netscope 42 syn_flood [netscope@32473 kind=\"syn_flood\" \
             key=\"syn_flood 192.0.2.80:443\" phase=\"begin\" severity=\"high\" variant=\"single_source\"] text"
        );
        let medium = Alert { severity: AlertSeverity::Medium, ..alert() };
        let low = Alert { severity: AlertSeverity::Low, ..alert() };
        let numbers = [medium, low, ended()].map(|alert| header().message(&alert, "")[..5].to_owned());
        assert_eq!(numbers, ["<132>", "<133>", "<134>"], "what is over is informational");
        assert_eq!(name("\u{7f}é", 10), "-");
    }

    #[test]
    fn facilities_and_names_of_structured_data() {
        assert_eq!(SyslogFacility::of_name("daemon"), Some(SyslogFacility::DAEMON));
        assert_eq!(SyslogFacility::of_name("local7"), Some(SyslogFacility(23)));
        assert_eq!(SyslogFacility::of_name("Daemon"), None);
        assert!(is_sd_id("netscope@32473") && is_sd_id("a@1.2"));
        assert!(
            ["netscope", "@1", "a@", "a b@1", "a]@1", "a=@1", "a\"@1", &"a@1".repeat(20)].into_iter().all(|text| !is_sd_id(text))
        );
    }

    /// The value of a parameter as a receiver reads it.
    fn parameter(message: &str, name: &str) -> String {
        let start = message.find(&format!(" {name}=\"")).expect("it is there") + name.len() + 3;
        let (mut value, mut characters) = (String::new(), message[start..].chars());
        loop {
            match characters.next().expect("the value ends") {
                '\\' => value.push(characters.next().expect("something is escaped")),
                '"' => return value,
                c => {
                    assert_ne!(c, ']', "it ends the structured data");
                    value.push(c);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_text_stays_in_its_value(text: String) {
            let message = header().message(&hostile(&text), &text);
            prop_assert!(!message.contains(char::is_control));
            let expected = text.replace(char::is_control, " ");
            prop_assert_eq!(parameter(&message, "key"), expected.clone());
            prop_assert_eq!(parameter(&message, "phase"), "begin");
            let end = format!("] {expected}");
            prop_assert!(message.ends_with(&end));
        }
    }
}
