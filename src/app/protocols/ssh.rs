//! SSH (RFC 4253): banners, algorithms, fingerprints.
//!
//! Owns which of it are facts.

use super::write_app;
use crate::app::ssh::{SshBanner, SshKexInit, SshOpening, SshStage};
use crate::app::{Conversation, FactBuffer, Parsed, Reading, StreamProtocol, Wanted};

/// The protocol.
pub(super) const SSH: StreamProtocol = StreamProtocol { is_spoken, read };

/// Its name in `app.protocol`.
pub(super) const NAME: &str = "ssh";

/// Number of its facts.
const OBJECT: u8 = 5;

/// Members of its object.
mod member {
    pub(super) const BANNER: u8 = 0;
    pub(super) const CLIENT: u8 = 1;
    pub(super) const SERVER: u8 = 2;
    pub(super) const HASSH: u8 = 3;
    pub(super) const HASSH_SERVER: u8 = 4;
    pub(super) const KEY_EXCHANGE: u8 = 5;
    pub(super) const HOST_KEY: u8 = 6;
    pub(super) const CIPHER: u8 = 7;
    pub(super) const STATE: u8 = 8;
}

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    match (SshBanner::read_stream(conversation.client), SshBanner::read_stream(conversation.server)) {
        (Parsed::Done(_), _) | (_, Parsed::Done(_)) => Parsed::Done(()),
        (Parsed::More { need }, _) if !conversation.client.is_empty() => Parsed::More { need },
        (_, Parsed::More { need }) if !conversation.server.is_empty() => Parsed::More { need },
        _ => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let client = side(SshBanner::read_stream(conversation.client), conversation.client);
    let server = side(SshBanner::read_stream_of_server(conversation.server), conversation.server);
    write_app(NAME, facts);
    let mut ssh = facts.object(OBJECT);
    ssh.list(
        member::BANNER,
        [&client, &server].into_iter().filter_map(SshSide::banner).map(|banner| banner.line).collect::<Vec<_>>(),
    );
    ssh.text(member::CLIENT, client.banner().map(|banner| banner.software).unwrap_or_default());
    ssh.text(member::SERVER, server.banner().map(|banner| banner.software).unwrap_or_default());
    let (offered, accepted) = (client.algorithms(), server.algorithms());
    if let Some(offered) = &offered {
        ssh.text(member::HASSH, &offered.hassh().hex());
    }
    if let Some(accepted) = &accepted {
        ssh.text(member::HASSH_SERVER, &accepted.hassh_server().hex());
    }
    if let (Some(offered), Some(accepted)) = (&offered, &accepted) {
        for (number, client, server) in [
            (member::KEY_EXCHANGE, offered.key_exchange(), accepted.key_exchange()),
            (member::HOST_KEY, offered.host_keys(), accepted.host_keys()),
            (member::CIPHER, offered.encryption_to_server(), accepted.encryption_to_server()),
        ] {
            ssh.text(number, SshKexInit::agreed(client, server).unwrap_or_default());
        }
    }
    let stage = [&client, &server].into_iter().filter_map(|side| side.opening).map(|opening| opening.stage).max_by_key(rank);
    ssh.text(member::STATE, stage.map(stage_name).unwrap_or_default().as_bytes());
    Reading { client: client.wanted, server: server.wanted }
}

struct SshSide<'a> {
    opening: Option<SshOpening<'a>>,
    wanted: Wanted,
}

impl<'a> SshSide<'a> {
    fn banner(&self) -> Option<SshBanner<'a>> {
        self.opening.map(|opening| opening.banner)
    }

    fn algorithms(&self) -> Option<SshKexInit<'a>> {
        self.opening.and_then(|opening| opening.algorithms)
    }
}

fn side<'a>(banner: Parsed<SshBanner<'a>>, stream: &'a [u8]) -> SshSide<'a> {
    match banner {
        Parsed::Done(banner) => match SshOpening::read_stream(banner, stream) {
            Parsed::Done(opening) => SshSide { opening: Some(opening), wanted: Wanted::Nothing },
            Parsed::More { need } => SshSide { opening: Some(SshOpening::known(banner, stream)), wanted: Wanted::Bytes(need) },
            Parsed::No => SshSide { opening: None, wanted: Wanted::Nothing },
        },
        Parsed::More { need } => SshSide { opening: None, wanted: Wanted::Bytes(need) },
        Parsed::No => SshSide { opening: None, wanted: Wanted::Nothing },
    }
}

const fn rank(stage: &SshStage) -> u8 {
    *stage as u8
}

const fn stage_name(stage: SshStage) -> &'static str {
    match stage {
        SshStage::Banner => "banner",
        SshStage::Algorithms => "algorithms",
        SshStage::Exchange => "key_exchange",
        SshStage::Encrypted => "encrypted",
        SshStage::Disconnected => "disconnected",
    }
}
