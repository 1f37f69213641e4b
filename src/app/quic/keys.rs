//! The keys of Initial packets, which everyone can derive (RFC 9001 section 5).
//!
//! Owns derivation, header protection and decryption. No key of anybody comes into it.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::header::{LongKind, LongPacket};
use super::version::QuicVersion;

const KEY_LEN: usize = 16;
const IV_LEN: usize = 12;
const SECRET_LEN: usize = 32;
const SAMPLE_LEN: usize = 16;
/// Where the sample begins behind the beginning of the packet number.
const SAMPLE_AT: usize = 4;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuicSide {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Keys for the Initial packets of one side.
pub struct InitialKeys {
    packet: LessSafeKey,
    iv: [u8; IV_LEN],
    header: HeaderProtectionKey,
}

struct SecretLen(usize);

impl KeyType for SecretLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    const PREFIX: &[u8] = b"tls13 ";
    let lens = [(N as u16).to_be_bytes()[0], (N as u16).to_be_bytes()[1], (PREFIX.len() + label.len()) as u8];
    let mut bytes = [0; N];
    secret.expand(&[&lens, PREFIX, label, &[0]], SecretLen(N)).ok()?.fill(&mut bytes).ok()?;
    Some(bytes)
}

impl InitialKeys {
    /// By the connection ID that the client chose for the server first; `None` for a version that cannot be read.
    pub fn derive(version: QuicVersion, client_destination: &[u8], side: QuicSide) -> Option<Self> {
        let protection = version.protection()?;
        let initial = Salt::new(HKDF_SHA256, protection.salt).extract(client_destination);
        let label: &[u8] = match side {
            QuicSide::Client => b"client in",
            QuicSide::Server => b"server in",
        };
        let secret = Prk::new_less_safe(HKDF_SHA256, &expand::<SECRET_LEN>(&initial, label)?);
        let key = expand::<KEY_LEN>(&secret, protection.key_label)?;
        let header_key = expand::<KEY_LEN>(&secret, protection.header_label)?;
        Some(Self {
            packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand(&secret, protection.iv_label)?,
            header: HeaderProtectionKey::new(&AES_128, &header_key).ok()?,
        })
    }

    /// Puts the frames of an Initial packet into `plain`; `None` where the keys do not fit or the packet is another. The packet number is
    /// taken as it was sent, in full: that holds as long as a side sends few Initial packets.
    pub fn open(&self, packet: &LongPacket<'_>, plain: &mut Vec<u8>) -> Option<()> {
        if !matches!(packet.kind, LongKind::Initial { .. }) {
            return None;
        }
        let at = packet.number_at;
        let sample = packet.bytes.get(at + SAMPLE_AT..at + SAMPLE_AT + SAMPLE_LEN)?;
        let mask = self.header.new_mask(sample).ok()?;
        plain.clear();
        plain.extend_from_slice(packet.bytes);
        plain[0] ^= mask[0] & 0x0f;
        let number_len = usize::from(plain[0] & 3) + 1;
        let mut nonce = self.iv;
        for (index, mask) in mask[1..=number_len].iter().enumerate() {
            plain[at + index] ^= mask;
            nonce[IV_LEN - number_len + index] ^= plain[at + index];
        }
        let (header, sealed) = plain.split_at_mut(at + number_len);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = self.packet.open_in_place(nonce, Aad::from(&*header), sealed).ok()?.len();
        plain.copy_within(at + number_len..at + number_len + len, 0);
        plain.truncate(len);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::quic::tests::{
        RFC_CLIENT_FRAMES, RFC_DESTINATION, RFC_SERVER_FRAMES, RFC9001_CLIENT, RFC9001_SERVER, RFC9369_CLIENT, RFC9369_SERVER,
    };
    use crate::app::tls::tests::hex;

    fn opened(version: QuicVersion, side: QuicSide, packet: &str) -> Option<Vec<u8>> {
        let bytes = hex(packet);
        let (packet, left) = LongPacket::read(&bytes)?;
        assert!(left.is_empty() && packet.version == version);
        let mut plain = Vec::new();
        let keys = InitialKeys::derive(version, &RFC_DESTINATION, side)?;
        keys.open(&packet, &mut plain).map(|()| plain)
    }

    #[test]
    fn the_packets_of_rfc_9001_and_rfc_9369() {
        let mut client = hex(RFC_CLIENT_FRAMES);
        client.resize(1162, 0);
        let server = hex(RFC_SERVER_FRAMES);
        for (version, of_client, of_server) in
            [(QuicVersion::V1, RFC9001_CLIENT, RFC9001_SERVER), (QuicVersion::V2, RFC9369_CLIENT, RFC9369_SERVER)]
        {
            assert_eq!(opened(version, QuicSide::Client, of_client).as_ref(), Some(&client));
            assert_eq!(opened(version, QuicSide::Server, of_server).as_ref(), Some(&server));
            assert_eq!(opened(version, QuicSide::Server, of_client), None, "the other side's keys");
        }
    }

    #[test]
    fn a_changed_byte_does_not_open() {
        let mut bytes = hex(RFC9001_SERVER);
        let keys = InitialKeys::derive(QuicVersion::V1, &RFC_DESTINATION, QuicSide::Server).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            if let Some((packet, _)) = LongPacket::read(&bytes) {
                assert_eq!(keys.open(&packet, &mut Vec::new()), None, "{at}");
            }
            bytes[at] ^= 1;
        }
        assert!(InitialKeys::derive(QuicVersion(5), &[], QuicSide::Client).is_none());
    }

    #[test]
    fn short_packets_have_no_sample() {
        let keys = InitialKeys::derive(QuicVersion::V1, &[], QuicSide::Client).unwrap();
        for len in 0..40_u8 {
            let bytes = [&[0xc0, 0, 0, 0, 1, 0, 0, 0, len][..], &vec![0; len.into()]].concat();
            let (packet, _) = LongPacket::read(&bytes).unwrap();
            assert_eq!(keys.open(&packet, &mut Vec::new()), None);
        }
    }
}
