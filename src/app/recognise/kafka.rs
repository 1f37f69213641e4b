//! Apache Kafka (its protocol guide).
//!
//! Owns the header of the first request; the answer has to have its number.

use super::look::{Look, Looked, ensure};
use super::mark::{AppMark, AppProtocol};

const REQUEST_MAX: u32 = 100_000_000;
/// Highest kind of request, with room for new ones.
const KIND_MAX: u16 = 100;
const VERSION_MAX: u16 = 20;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    ensure((10..=REQUEST_MAX).contains(&look.u32()?))?;
    ensure(look.u16()? <= KIND_MAX && look.u16()? <= VERSION_MAX)?;
    let number = look.take(4)?;
    let mark = match look.u16()? {
        0xffff => AppMark::of(AppProtocol::Kafka),
        len => {
            ensure(len <= 256)?;
            let name = look.take(len.into())?;
            ensure(name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '))?;
            AppMark::of(AppProtocol::Kafka).software(name)
        }
    };
    let mut answer = Look::stream(server);
    ensure((4..=REQUEST_MAX).contains(&answer.u32()?))?;
    answer.expect(number)?;
    Ok(mark)
}
