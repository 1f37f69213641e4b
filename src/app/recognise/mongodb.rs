//! MongoDB's wire protocol.
//!
//! Owns the message header and the database of an OP_QUERY.

use super::look::{Look, Looked, Unread, ensure};
use super::mark::{AppMark, AppProtocol};

const OP_QUERY: u32 = 2004;
const OP_COMPRESSED: u32 = 2012;
const OP_MSG: u32 = 2013;
const MESSAGE_MAX: u32 = 48_000_000;

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], _: &'a [u8]) -> Looked<'a> {
    let mut look = Look::stream(client);
    let len = look.u32_le()?;
    ensure((26..=MESSAGE_MAX).contains(&len))?;
    look.take(4)?;
    // It answers nothing.
    look.expect(&[0; 4])?;
    let mark = AppMark::of(AppProtocol::MongoDb);
    match look.u32_le()? {
        OP_QUERY => {
            look.take(4)?;
            let collection = look.until(0, 256)?;
            let dot = collection.iter().position(|&byte| byte == b'.');
            ensure(collection.is_ascii() && dot.is_some_and(|dot| dot > 0))?;
            Ok(mark.object(&collection[..dot.unwrap_or(0)]))
        }
        OP_MSG => {
            // Of the flags, the lower sixteen that are not known have to be 0; then comes a section with a document.
            ensure(look.u32_le()? & 0xfffc == 0)?;
            ensure(look.u8()? <= 1)?;
            Ok(mark)
        }
        OP_COMPRESSED => {
            ensure(matches!(look.u32_le()?, OP_QUERY | OP_MSG))?;
            Ok(mark)
        }
        _ => Err(Unread::No),
    }
}
