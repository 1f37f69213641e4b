//! Makes a card's hash symmetric for a while.
//!
//! Owns the key that was there before. Its one invariant: a key that was changed is put back when the guard
//! is dropped, on the card it was taken from, whatever that is called then, and on no other. A card that was
//! taken out, or whose driver was loaded again, has a key of its own, and one that was moved to another
//! network namespace is out of reach: nothing is put back there. After SIGKILL and `exit` nothing puts it
//! back: [`SymmetricKey::cure`] does, or the driver's next load.

use std::io;

use super::ethtool::Ethtool;
use super::link::RouteNetlink;
use super::rss::{HashFunction, Rss, symmetric_key};
use super::{failed, ioctl};
use crate::BackendError;

/// A symmetric hash key in place; the old one comes back when this is dropped.
#[derive(Debug)]
pub struct SymmetricKey {
    interface: String,
    /// The kernel's number of it, which no rename changes and no other interface gets.
    index: u32,
    /// Empty when nothing was changed, or once it has been put back.
    old: Vec<u8>,
}

impl SymmetricKey {
    /// True when the key had to be changed.
    pub fn changed(&self) -> bool {
        !self.old.is_empty()
    }

    /// The command that puts the old key back, for when this process cannot; `None` when nothing was changed.
    pub fn cure(&self) -> Option<String> {
        self.changed().then(|| cure(&self.interface, &self.old))
    }

    /// Puts the old key back and says whether that worked, which `drop` cannot. There is nothing to do when
    /// the interface is gone: one of that name that came since has its own key.
    ///
    /// # Errors
    /// [`BackendError::Interface`] when the driver refuses it.
    pub fn restore(mut self) -> Result<(), BackendError> {
        let old = self.old.clone();
        self.put_back().map_err(|error| BackendError::Interface {
            interface: self.interface.clone(),
            what: format!("its old hash key could not be put back: {error}; `{}` does", cure(&self.interface, &old)),
        })
    }

    fn put_back(&mut self) -> io::Result<()> {
        let old = std::mem::take(&mut self.old);
        if old.is_empty() {
            return Ok(());
        }
        match RouteNetlink::open()?.name_of(self.index)? {
            Some(name) => {
                self.interface = name;
                ioctl::set_key(&self.interface, &old)
            }
            None => Ok(()),
        }
    }
}

fn cure(interface: &str, key: &[u8]) -> String {
    let key: Vec<_> = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("ethtool -X {interface} hkey {}", key.join(":"))
}

impl Drop for SymmetricKey {
    fn drop(&mut self) {
        // Nobody can be told here; `restore` is for those who want to know.
        let _ = self.put_back();
    }
}

/// Gives the hash of an interface a symmetric key, so that both directions of a flow come by one queue.
/// Changes nothing where they do already. Needs CAP_NET_ADMIN.
///
/// # Errors
/// [`BackendError::Interface`] when the driver shows no key, hashes by another function, or refuses or
/// forgets the key.
pub fn set_symmetric_key(interface: &str) -> Result<SymmetricKey, BackendError> {
    let refuse = |what: String| BackendError::Interface { interface: interface.to_owned(), what };
    let link = RouteNetlink::open().and_then(|mut route| route.link(interface)).map_err(|error| failed(interface, &error))?;
    let guard = |old| SymmetricKey { interface: interface.to_owned(), index: link.index, old };
    let mut ethtool = Ethtool::open(interface).map_err(|error| failed(interface, &error))?;
    let rss = ethtool.rss().map_err(|error| failed(interface, &error))?;
    let Some(old) = key_to_change(rss.as_ref()).map_err(refuse)? else {
        return Ok(guard(Vec::new()));
    };
    let new = symmetric_key(old.len());
    ioctl::set_key(interface, &new).map_err(|error| {
        refuse(format!(
            "the driver refuses a symmetric hash key: {error}; without it both directions of a flow may come by different queues"
        ))
    })?;
    let guard = guard(old);
    let now = ethtool.rss().map_err(|error| failed(interface, &error))?;
    if now.is_none_or(|rss| rss.key != new) {
        return Err(refuse("the driver took a symmetric hash key and does not use it".to_owned()));
    }
    Ok(guard)
}

/// The key in use, when it has to be changed; why it cannot be, otherwise.
fn key_to_change(rss: Option<&Rss>) -> Result<Option<Vec<u8>>, String> {
    let Some(rss) = rss else {
        return Err("the driver has no hash that could be set; leave --rss away, or use one queue (`ethtool -L IF combined 1`)"
            .to_owned());
    };
    if rss.is_symmetric() == Some(true) {
        return Ok(None);
    }
    match rss.function {
        None | Some(HashFunction::Toeplitz) if !rss.key.is_empty() => Ok(Some(rss.key.clone())),
        None | Some(HashFunction::Toeplitz) => {
            Err("the driver does not show its hash key, so none can be set and put back".to_owned())
        }
        Some(function) => {
            Err(format!("it hashes by {}, which no key makes symmetric; `ethtool -X IF hfunc toeplitz` first", function.name()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rss(function: HashFunction, key: Vec<u8>) -> Rss {
        Rss { function: Some(function), key, indirection: vec![0, 1], transform: 0 }
    }

    #[test]
    fn only_an_asymmetric_key_is_changed() {
        let asymmetric: Vec<u8> = (0..40).collect();
        assert_eq!(key_to_change(Some(&rss(HashFunction::Toeplitz, asymmetric.clone()))), Ok(Some(asymmetric)));
        assert_eq!(key_to_change(Some(&rss(HashFunction::Toeplitz, symmetric_key(40)))), Ok(None));
        assert_eq!(key_to_change(Some(&rss(HashFunction::Xor, Vec::new()))), Ok(None));
    }

    #[test]
    fn names_the_command_that_puts_the_old_key_back() {
        let unchanged = SymmetricKey { interface: "no such one".to_owned(), index: 0, old: Vec::new() };
        assert_eq!(unchanged.cure(), None);
        // Dropping it fails at an interface that is not there, as intended.
        let changed = SymmetricKey { interface: "no such one".to_owned(), index: 0, old: vec![0x0a, 0xff] };
        assert_eq!(changed.cure().as_deref(), Some("ethtool -X no such one hkey 0a:ff"));
    }

    #[test]
    fn the_old_key_follows_its_interface_and_goes_to_no_other() {
        use super::super::link::tests::{in_new_namespace, ip};
        in_new_namespace(|| {
            ip("link add card0 type veth peer name end0");
            let index = RouteNetlink::open().unwrap().link("card0").unwrap().index;
            let guard = || SymmetricKey { interface: "card0".to_owned(), index, old: vec![7; 40] };
            // A veth takes no key, so what is said names whom it was offered.
            ip("link set card0 name other0");
            let error = guard().restore().unwrap_err().to_string();
            assert!(error.contains("interface other0: its old hash key could not be put back"), "{error}");
            assert!(error.contains("`ethtool -X other0 hkey 07:07"), "{error}");
            ip("link delete other0");
            ip("link add card0 type veth peer name end0");
            assert!(guard().restore().is_ok(), "another interface of that name");
        });
    }

    #[test]
    fn says_why_it_cannot() {
        assert!(key_to_change(None).unwrap_err().contains("no hash"));
        assert!(key_to_change(Some(&rss(HashFunction::Crc32, vec![1; 40]))).unwrap_err().contains("crc32"));
        assert!(key_to_change(Some(&rss(HashFunction::Toeplitz, Vec::new()))).unwrap_err().contains("does not show"));
        let error = set_symmetric_key("lo").unwrap_err().to_string();
        assert!(error.contains("interface lo: the driver has no hash"), "{error}");
    }
}
