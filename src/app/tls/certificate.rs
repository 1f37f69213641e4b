//! What stands in a certificate (RFC 5280), read with `x509-parser`.
//!
//! Owns the bounds of what is told. No signature is checked, and nothing here says that a certificate is good.

use std::fmt::{self, Write};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Longest certificate that is read, in bytes of DER.
pub const CERTIFICATE_MAX: usize = 32 * 1024;
/// Longest text of a subject or an issuer, in bytes.
pub const CERTIFICATE_NAME_MAX: usize = 256;
/// Names out of `subjectAltName` that are told; the rest is counted.
pub const CERTIFICATE_NAMES_MAX: usize = 16;

/// Who a certificate is for, from whom, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Distinguished name, for example `C=DE, O=Example, CN=www.example.com`.
    pub subject: String,
    /// Distinguished name of who signed it.
    pub issuer: String,
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// Host names and addresses of `subjectAltName`, as text.
    pub names: Vec<String>,
    /// Names that are not told because there are more than [`CERTIFICATE_NAMES_MAX`].
    pub names_left_out: usize,
    /// Beginning of its validity, in seconds since 1970.
    pub not_before_secs: i64,
    /// End of its validity, in seconds since 1970.
    pub not_after_secs: i64,
    /// True where subject and issuer are the same bytes.
    pub is_self_issued: bool,
}

/// Text that ends, at a character's end, after [`CERTIFICATE_NAME_MAX`] bytes.
#[derive(Default)]
struct BoundedText(String);

impl Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = CERTIFICATE_NAME_MAX - self.0.len();
        let end = (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        // A text that is cut takes no more, so that nothing shorter comes behind the cut.
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn bounded(text: impl fmt::Display) -> String {
    let mut bounded = BoundedText::default();
    // A value that cannot be shown, or the bound, ends the text where it stands.
    let _ = write!(bounded, "{text}");
    bounded.0
}

impl CertificateFacts {
    /// Of a certificate's DER; `None` where it is none or longer than [`CERTIFICATE_MAX`].
    pub fn read(der: &[u8]) -> Option<Self> {
        if der.len() > CERTIFICATE_MAX {
            return None;
        }
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let general_names = alternative.map(|extension| &extension.value.general_names[..]).unwrap_or_default();
        let mut names: Vec<String> = general_names.iter().take(CERTIFICATE_NAMES_MAX + 1).filter_map(name_text).collect();
        names.truncate(CERTIFICATE_NAMES_MAX);
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let common_name = subject.iter_common_name().last().and_then(|name| name.as_str().ok()).map(bounded);
        Some(Self {
            subject: bounded(subject),
            issuer: bounded(issuer),
            common_name,
            names,
            names_left_out: general_names.len().saturating_sub(CERTIFICATE_NAMES_MAX),
            not_before_secs: certificate.validity().not_before.timestamp(),
            not_after_secs: certificate.validity().not_after.timestamp(),
            is_self_issued: subject.as_raw() == issuer.as_raw(),
        })
    }
}

/// A host name or an address; other kinds of name are left out.
fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match *name {
        GeneralName::DNSName(name) => Some(bounded(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
            v4.or_else(|_| v6()).ok().map(bounded)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::tests::hex;
    use proptest::prelude::*;

    /// Made by `openssl req -x509` with a P-256 key: O=Example, CN=www.example.com, valid for ten days, three names.
    const SELF_ISSUED: &str = "\
        308201f330820198a00302010202147a73844f5a19e8a53567f5afc026776ab9e4c4ae300a06082a8648ce3d040302302c3110300e0603\
        55040a0c074578616d706c653118301606035504030c0f7777772e6578616d706c652e636f6d301e170d3236313133303137333130375a\
        170d3236313231303137333130375a302c3110300e060355040a0c074578616d706c653118301606035504030c0f7777772e6578616d70\
        6c652e636f6d3059301306072a8648ce3d020106082a8648ce3d03010703420004434768f963316a02fc9f6132cf69008a516151e32af2\
        487809348bc1721b7b244d97a2213fb03cd8ccdd0b32ff413d831df88f02b5fdd291239d2efa8a7c7abda38197308194301d0603551d0e\
        04160414b5d6db0660c538d5da20719d6dc457505863769a301f0603551d23041830168014b5d6db0660c538d5da20719d6dc457505863\
        769a300f0603551d130101ff040530030101ff30410603551d11043a3038820f7777772e6578616d706c652e636f6d820d2a2e6578616d\
        706c652e6e65748704c0000207871020010db8000000000000000000000007300a06082a8648ce3d040302034900304602210086bf03cf\
        52b59d6ec9d33ae8707a1dfb4ed52789d969b8065ecd6625048d306a022100ee1e4596a103e99ae73721af9b6326291f2b46548dd6134c\
        0c3372747fd7b7cd";

    #[test]
    fn a_self_issued_certificate_is_told() {
        let facts = CertificateFacts::read(&hex(SELF_ISSUED)).unwrap();
        let expected = CertificateFacts {
            subject: "O=Example, CN=www.example.com".to_owned(),
            issuer: "O=Example, CN=www.example.com".to_owned(),
            common_name: Some("www.example.com".to_owned()),
            names: ["www.example.com", "*.example.net", "192.0.2.7", "2001:db8::7"].map(str::to_owned).to_vec(),
            names_left_out: 0,
            not_before_secs: 1_796_059_867,
            not_after_secs: 1_796_923_867,
            is_self_issued: true,
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn no_cut_is_a_certificate() {
        let der = hex(SELF_ISSUED);
        assert!((0..der.len()).all(|len| CertificateFacts::read(&der[..len]).is_none()));
        assert_eq!(CertificateFacts::read(&vec![0x30; CERTIFICATE_MAX + 1]), None);
    }

    #[test]
    fn texts_end_at_a_character() {
        let text = bounded("ä".repeat(CERTIFICATE_NAME_MAX) + "x");
        assert_eq!(text.len(), CERTIFICATE_NAME_MAX);
        assert_eq!(bounded(format!("x{}", "ä".repeat(CERTIFICATE_NAME_MAX))).len(), CERTIFICATE_NAME_MAX - 1);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(at in 0_usize..600, byte in any::<u8>()) {
            let mut der = hex(SELF_ISSUED);
            let at = at % der.len();
            der[at] = byte;
            CertificateFacts::read(&der);
        }
    }
}
