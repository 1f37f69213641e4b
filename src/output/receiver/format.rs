//! What names an alert's fields have: ours, those of CEF, those of the Elastic Common Schema, or none.
//!
//! Owns the choice. Invariant: an alert in any format is one line, without a line feed.

use super::{cef, ecs};
use crate::detect::Alert;
use crate::record::AlertObject;

/// A format of alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertFormat {
    /// The line that standard output has, without `[alert]`.
    Text,
    /// The object of `--alerts-jsonl`.
    #[default]
    Json,
    /// Common Event Format.
    Cef,
    /// The Elastic Common Schema, as JSON.
    Ecs,
}

impl AlertFormat {
    /// The alert in this format. Community ids have this seed.
    pub fn line(self, alert: &Alert, community_id_seed: u16) -> String {
        let line = match self {
            Self::Text => alert.description.clone(),
            // An object of texts and numbers can always be written.
            Self::Json => serde_json::to_string(&AlertObject::new(alert, community_id_seed)).unwrap_or_default(),
            Self::Cef => cef::line(alert),
            Self::Ecs => ecs::document(alert, community_id_seed).to_string(),
        };
        if line.chars().any(char::is_control) { line.replace(char::is_control, " ") } else { line }
    }

    /// What HTTP calls it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Ecs => "application/json",
            Self::Text | Self::Cef => "text/plain; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_alerts::{alert, hostile};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn each_format_says_the_same() {
        let flood = alert();
        assert_eq!(AlertFormat::Text.line(&flood, 0), flood.description);
        let ours: Value = serde_json::from_str(&AlertFormat::Json.line(&flood, 0)).expect("JSON");
        assert_eq!((&ours["kind"], &ours["victim"]["port"]), (&"syn_flood".into(), &443.into()));
        let ecs: Value = serde_json::from_str(&AlertFormat::Ecs.line(&flood, 0)).expect("JSON");
        assert_eq!(ecs["netscope"]["alert"], ours, "all of ours is there, too");
    }

    proptest! {
        #[test]
        fn hostile_text_stays_in_one_line(text: String) {
            for format in [AlertFormat::Text, AlertFormat::Json, AlertFormat::Cef, AlertFormat::Ecs] {
                let line = format.line(&hostile(&text), 0);
                prop_assert!(!line.contains(char::is_control), "{format:?}: {line:?}");
            }
            for format in [AlertFormat::Json, AlertFormat::Ecs] {
                let value: Value = serde_json::from_str(&format.line(&hostile(&text), 0)).expect("JSON");
                let ours = if format == AlertFormat::Ecs { &value["netscope"]["alert"] } else { &value };
                // DEL and the C1 controls, which JSON leaves as they are, are blanks; all else is as it was.
                let expected = text.replace(|c: char| c.is_control() && c >= '\u{7f}', " ");
                prop_assert_eq!(&ours["description"], &Value::from(expected));
            }
        }
    }
}
