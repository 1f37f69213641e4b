//! Passwords: their hashes as PHC strings (argon2id, RFC 9106), and the comparison with what a client says.
//!
//! Owns the parameters. Knows no request. Invariants: a comparison takes the same time whatever differs; no password and no hash is told in an error.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// KiB that a hash may ask for; OWASP's recommendation, which is the crate's default, is 19 MiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// What a hash in PHC format begins with.
const PHC_START: &str = "$argon2";

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// There is none.
    #[error("is empty: give a password")]
    Empty,
    /// It begins as a hash and is none.
    #[error("begins as a hash (PHC string) and cannot be read as one: make it by `netscope hash-password`")]
    BadHash,
    /// The hash would take too much memory.
    #[error("asks for more than 1 GiB of memory for each login: make it by `netscope hash-password`")]
    Costly,
    /// The system gives no random numbers, or not enough memory.
    #[error("cannot be hashed: the system gives no random numbers or not enough memory")]
    System,
}

/// The hash of a password as a PHC string, with a new salt.
///
/// # Errors
/// For an empty password, and where the system gives no random numbers.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty);
    }
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| PasswordError::System)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| PasswordError::System)?;
    Ok(hash.to_string())
}

/// What passwords of clients are compared with.
pub(super) enum KnownPassword {
    /// A keyed hash of one that was given in clear.
    Tag(hmac::Tag),
    /// A PHC string; comparing takes tens of milliseconds and megabytes.
    Hash(String),
}

impl KnownPassword {
    /// From a password or its hash.
    pub(super) fn new(text: &str, key: &hmac::Key) -> Result<Self, PasswordError> {
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if !text.starts_with(PHC_START) {
            return Ok(Self::Tag(hmac::sign(key, text.as_bytes())));
        }
        let hash = PasswordHash::new(text).map_err(|_| PasswordError::BadHash)?;
        let costs = Params::try_from(&hash).map_err(|_| PasswordError::BadHash)?;
        if hash.hash.is_none() {
            return Err(PasswordError::BadHash);
        }
        if costs.m_cost() > MEMORY_KIB_MAX { Err(PasswordError::Costly) } else { Ok(Self::Hash(text.to_owned())) }
    }

    /// True when comparing belongs on a thread that may wait.
    pub(super) const fn is_slow(&self) -> bool {
        matches!(self, Self::Hash(_))
    }

    /// True for the right password.
    pub(super) fn is(&self, password: &str, key: &hmac::Key) -> bool {
        match self {
            Self::Tag(tag) => hmac::verify(key, password.as_bytes(), tag.as_ref()).is_ok(),
            Self::Hash(text) => {
                PasswordHash::new(text).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_compared_in_clear_and_by_its_hash() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$") && !hash.contains("horse"), "{hash}");
        assert_ne!(hash, hash_password("correct horse").unwrap(), "a salt of its own");
        for text in [hash.as_str(), "correct horse"] {
            let known = KnownPassword::new(text, &key).unwrap();
            assert!(known.is("correct horse", &key));
            assert!(!known.is("correct house", &key) && !known.is("", &key) && !known.is(&hash, &key));
        }
        assert!(KnownPassword::new(&hash, &key).unwrap().is_slow());
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let refused = |text: &str| KnownPassword::new(text, &key).err();
        assert_eq!(refused(""), Some(PasswordError::Empty));
        assert_eq!(hash_password(""), Err(PasswordError::Empty));
        assert_eq!(refused("$argon2id$v=19$m=1"), Some(PasswordError::BadHash));
        assert_eq!(refused("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0"), Some(PasswordError::BadHash), "without a hash");
        let hash = hash_password("x").unwrap();
        assert_eq!(refused(&hash.replace("m=19456", "m=4194304")), Some(PasswordError::Costly));
    }
}
