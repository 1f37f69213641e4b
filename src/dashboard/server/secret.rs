//! A text that is not to be shown: passwords and tokens of the settings.
//!
//! Owns how it is hidden. Invariant: neither `Debug` nor `Serialize` tells it.

use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// A password or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for comparing it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    /// A mark by which a change is seen, and which tells nothing: a keyed hash whose key nobody has after this process.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        static KEY: OnceLock<Option<hmac::Key>> = OnceLock::new();
        let key = KEY.get_or_init(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());
        let mut mark = "(hidden)".to_owned();
        for byte in key.iter().flat_map(|key| hmac::sign(key, self.0.as_bytes()).as_ref()[..8].to_vec()) {
            // Writing to a String cannot fail.
            let _ = write!(mark, "{byte:02x}");
        }
        serializer.serialize_str(&mark)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_told_and_its_change_is_seen() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?}"), "(hidden)");
        let mark = |secret: &Secret| serde_json::to_string(secret).unwrap();
        assert!(!mark(&secret).contains("horse"));
        assert_eq!(mark(&secret), mark(&Secret::new("correct horse")));
        assert_ne!(mark(&secret), mark(&Secret::new("correct house")));
        assert_eq!(serde_json::from_str::<Secret>("\"x\"").unwrap().reveal(), "x");
    }
}
