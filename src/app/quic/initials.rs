//! The Initial packets of a connection: opened, and their pieces put in order.
//!
//! Owns which keys fit. Its invariants: at most [`QUIC_HELLO_MAX`] bytes of each side are kept, and after [`OPEN_FAILURES_MAX`] packets
//! that no key opens none is tried again.

use super::frame::{QuicClose, QuicFrame, QuicFrames};
use super::header::{CONNECTION_ID_MAX, LongKind, LongPacket, QuicPacket, QuicPackets};
use super::keys::{InitialKeys, QuicSide};
use super::version::QuicVersion;
use crate::app::parsed::Parsed;
use crate::app::pieces::PieceBuffer;
use crate::app::tls::{ClientHello, HelloCarrier, ServerHello};

/// Bytes of handshake that are kept of each side; with post-quantum keys a ClientHello has 2 KiB.
pub const QUIC_HELLO_MAX: usize = 16 * 1024;
/// Packets that may fail to open before no more are tried.
pub const OPEN_FAILURES_MAX: u32 = 16;

/// A connection ID by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ConnectionId {
    bytes: [u8; CONNECTION_ID_MAX],
    len: u8,
}

impl ConnectionId {
    fn of(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; CONNECTION_ID_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, len: id.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Why a connection was closed, by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicCloseCode {
    /// Number of the error; 0x100 to 0x1ff are TLS alerts.
    pub error: u64,
    /// True where the application closed.
    pub is_application: bool,
    /// Who closed.
    pub side: QuicSide,
}

/// One side's keys and handshake.
struct InitialSide {
    keys: Option<(QuicVersion, ConnectionId, InitialKeys)>,
    handshake: PieceBuffer,
}

impl InitialSide {
    fn new() -> Self {
        Self { keys: None, handshake: PieceBuffer::new(QUIC_HELLO_MAX) }
    }

    /// Opens with the keys of `id`, which are derived where there are none yet.
    fn open(&mut self, packet: &LongPacket<'_>, id: ConnectionId, side: QuicSide, plain: &mut Vec<u8>) -> Option<()> {
        if !self.keys.as_ref().is_some_and(|(version, of, _)| (*version, *of) == (packet.version, id)) {
            let keys = InitialKeys::derive(packet.version, id.as_bytes(), side)?;
            keys.open(packet, plain)?;
            self.keys = Some((packet.version, id, keys));
            return Some(());
        }
        let (.., keys) = self.keys.as_ref()?;
        keys.open(packet, plain)
    }
}

/// What the Initial packets of one connection have told so far.
pub struct QuicInitials {
    client: InitialSide,
    server: InitialSide,
    /// The ID that the keys come from: the client's first choice, or the one of its Initial after a Retry.
    key_id: Option<ConnectionId>,
    version: Option<QuicVersion>,
    has_retried: bool,
    has_zero_rtt: bool,
    close: Option<QuicCloseCode>,
    failures: u32,
    plain: Vec<u8>,
}

impl Default for QuicInitials {
    fn default() -> Self {
        Self {
            client: InitialSide::new(),
            server: InitialSide::new(),
            key_id: None,
            version: None,
            has_retried: false,
            has_zero_rtt: false,
            close: None,
            failures: 0,
            plain: Vec::new(),
        }
    }
}

impl QuicInitials {
    /// Bytes of memory besides itself, keys left out.
    pub fn memory_bytes(&self) -> usize {
        self.client.handshake.memory_bytes() + self.server.handshake.memory_bytes() + self.plain.capacity()
    }

    /// Takes a datagram of one side. `Done` says that this side's hello is whole, `More` that another datagram is needed (its `need`
    /// means nothing), `No` that this is no QUIC of a version that can be read, or nothing of it could be opened.
    pub fn push(&mut self, datagram: &[u8], side: QuicSide) -> Parsed<()> {
        let mut is_any = false;
        for packet in QuicPackets::new(datagram) {
            let QuicPacket::Long(packet) = packet else { break };
            is_any |= match packet.kind {
                LongKind::Initial { .. } => self.push_initial(&packet, side),
                LongKind::Retry { .. } if side == QuicSide::Server => {
                    self.has_retried = true;
                    true
                }
                LongKind::ZeroRtt if side == QuicSide::Client => {
                    self.has_zero_rtt = true;
                    true
                }
                LongKind::Handshake => true,
                LongKind::VersionNegotiation { .. } => side == QuicSide::Server,
                _ => false,
            };
        }
        let is_whole = match side {
            QuicSide::Client => matches!(self.client_hello(), Parsed::Done(_)),
            QuicSide::Server => matches!(self.server_hello(), Parsed::Done(_)),
        };
        match (is_whole, is_any) {
            (true, _) => Parsed::Done(()),
            (false, true) => Parsed::More { need: datagram.len() + 1 },
            (false, false) => Parsed::No,
        }
    }

    /// True where the packet opened.
    fn push_initial(&mut self, packet: &LongPacket<'_>, side: QuicSide) -> bool {
        if self.failures >= OPEN_FAILURES_MAX {
            return false;
        }
        let Self { client, server, plain, .. } = self;
        let one = if side == QuicSide::Client { client } else { server };
        // First with the keys that were good before; a client's packet may have brought a new ID, as after a Retry.
        let own_id = ConnectionId::of(packet.destination).filter(|_| side == QuicSide::Client);
        let ids = [self.key_id, own_id.filter(|id| self.key_id != Some(*id))];
        let fitting = ids.into_iter().flatten().find(|id| one.open(packet, *id, side, plain).is_some());
        let Some(id) = fitting else {
            self.failures += 1;
            return false;
        };
        self.key_id = Some(id);
        self.version = Some(packet.version);
        self.take_frames(packet, side);
        true
    }

    /// Takes the frames of the packet that was opened last.
    fn take_frames(&mut self, packet: &LongPacket<'_>, side: QuicSide) {
        let Self { client, server, plain, close, .. } = self;
        let one = if side == QuicSide::Client { client } else { server };
        for frame in QuicFrames::new(plain, packet.version) {
            match frame {
                QuicFrame::Crypto { offset, data } => {
                    one.handshake.insert(offset, data);
                }
                QuicFrame::Close(told) => {
                    let QuicClose { error, is_application, .. } = told;
                    *close = close.or(Some(QuicCloseCode { error, is_application, side }));
                }
                _ => {}
            }
        }
    }

    /// The client's handshake bytes up to the first gap.
    pub fn client_handshake(&self) -> &[u8] {
        self.client.handshake.contiguous()
    }

    /// The client's hello. Google's `Q0nn` has none; see [`super::GoogleHello`].
    pub fn client_hello(&self) -> Parsed<ClientHello<'_>> {
        ClientHello::read_handshake(self.client_handshake(), HelloCarrier::Quic)
    }

    /// The server's answer.
    pub fn server_hello(&self) -> Parsed<ServerHello<'_>> {
        ServerHello::read_handshake(self.server.handshake.contiguous())
    }

    /// Version of the packet that was opened last.
    pub const fn version(&self) -> Option<QuicVersion> {
        self.version
    }

    /// Who closed the connection in an Initial packet, and why.
    pub const fn close(&self) -> Option<QuicCloseCode> {
        self.close
    }

    /// True where the server sent a Retry.
    pub const fn has_retried(&self) -> bool {
        self.has_retried
    }

    /// True where the client sent data before the server's answer.
    pub const fn has_zero_rtt(&self) -> bool {
        self.has_zero_rtt
    }

    /// Bytes of handshakes past [`QUIC_HELLO_MAX`], which were left out.
    pub const fn refused_bytes(&self) -> u64 {
        self.client.handshake.refused() + self.server.handshake.refused()
    }

    /// Initial packets that no key opened.
    pub const fn open_failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::quic::tests::{RFC_DESTINATION, RFC9001_CLIENT, RFC9001_SERVER, RFC9369_CLIENT, RFC9369_SERVER, seal};
    use crate::app::tls::tests::hex;
    use crate::app::tls::{Ja4, ja3};
    use proptest::prelude::*;

    #[test]
    fn the_connections_of_the_documents_are_read() {
        for (version, client, server) in
            [(QuicVersion::V1, RFC9001_CLIENT, RFC9001_SERVER), (QuicVersion::V2, RFC9369_CLIENT, RFC9369_SERVER)]
        {
            let mut initials = QuicInitials::default();
            assert_eq!(initials.push(&hex(server), QuicSide::Server), Parsed::No, "no key yet");
            assert_eq!(initials.push(&hex(client), QuicSide::Client), Parsed::Done(()));
            assert_eq!(initials.push(&hex(server), QuicSide::Server), Parsed::Done(()));
            let hello = initials.client_hello().done().unwrap();
            assert_eq!(hello.server_name, Some(&b"example.com"[..]));
            assert_eq!(hello.alpn.first(), Some(&b"alpn"[..]));
            assert!(hello.transport_parameters.is_some());
            assert_eq!(&Ja4::of(&hello).to_string()[..10], "q13d0211an");
            assert_eq!(ja3(&hello).to_string().len(), 32);
            assert_eq!(initials.server_hello().done().map(|hello| (hello.cipher, hello.is_1_3())), Some((0x1301, true)));
            assert_eq!((initials.version(), initials.close()), (Some(version), None));
        }
    }

    #[test]
    fn each_cut_of_a_datagram_is_survived() {
        let whole = hex(RFC9001_CLIENT);
        for len in 0..whole.len() {
            assert_eq!(QuicInitials::default().push(&whole[..len], QuicSide::Client), Parsed::No, "{len}");
        }
    }

    /// A hello in three frames of two packets, the later bytes first, then after a Retry with another ID.
    #[test]
    fn pieces_of_any_order_over_packets_and_ids() {
        let hello = crate::app::tls::tests::client_hello_bytes();
        let crypto = |from: usize, to: usize| {
            let len = ((to - from) as u16 | 0x4000).to_be_bytes();
            [&[6][..], &(from as u16 | 0x4000).to_be_bytes(), &len, &hello[from..to]].concat()
        };
        let mut initials = QuicInitials::default();
        let first = seal(&RFC_DESTINATION, &RFC_DESTINATION, &[crypto(400, hello.len()), crypto(100, 250)].concat());
        assert!(matches!(initials.push(&first, QuicSide::Client), Parsed::More { .. }));
        let retry = [&[0xf0, 0, 0, 0, 1, 0, 1, 9, 7][..], &[0; 16]].concat();
        assert!(matches!(initials.push(&retry, QuicSide::Server), Parsed::More { .. }));
        let second = seal(&[9], &[9], &[crypto(0, 110), vec![1], crypto(250, 400)].concat());
        assert_eq!(initials.push(&second, QuicSide::Client), Parsed::Done(()));
        assert!(initials.has_retried() && initials.client_handshake() == hello);
        // A later packet to the server's own ID still has the keys of the first one.
        let close = seal(&[9], &[5, 5], &[0x1c, 0x41, 0x28, 6, 0]);
        assert_eq!(initials.push(&close, QuicSide::Client), Parsed::Done(()));
        let code = QuicCloseCode { error: 0x128, is_application: false, side: QuicSide::Client };
        assert_eq!(initials.close(), Some(code));
    }

    #[test]
    fn failures_have_a_bound() {
        let mut initials = QuicInitials::default();
        let mut bad = hex(RFC9001_CLIENT);
        *bad.last_mut().unwrap() ^= 1;
        for _ in 0..OPEN_FAILURES_MAX + 5 {
            assert_eq!(initials.push(&bad, QuicSide::Client), Parsed::No);
        }
        assert_eq!(initials.open_failures(), OPEN_FAILURES_MAX);
        assert_eq!(initials.push(&hex(RFC9001_CLIENT), QuicSide::Client), Parsed::No);
    }

    proptest! {
        #[test]
        fn any_frames_are_survived(plain in prop::collection::vec(any::<u8>(), 4..300), side in any::<bool>()) {
            let mut initials = QuicInitials::default();
            initials.push(&seal(&RFC_DESTINATION, &RFC_DESTINATION, &plain), QuicSide::Client);
            let side = if side { QuicSide::Client } else { QuicSide::Server };
            initials.push(&plain, side);
        }
    }
}
