//! FTP (RFC 959).
//!
//! Owns the greeting and the first command. Either side begins with a letter or a digit. Mail has the same code, so the text or the command decides.

use super::look::{Look, Looked, ensure, names};
use super::mark::{AppMark, AppProtocol};

const COMMANDS: [&[u8]; 10] =
    [b"USER ", b"AUTH ", b"FEAT\r\n", b"SYST\r\n", b"OPTS ", b"HOST ", b"CLNT ", b"QUIT\r\n", b"NOOP\r\n", b"PBSZ "];

/// What mail does not know: where the greeting was missed they tell, together with an answer.
const IN_SESSION: [&[u8]; 12] = [
    b"USER ",
    b"PASS ",
    b"SYST\r\n",
    b"FEAT\r\n",
    b"PASV\r\n",
    b"EPSV\r\n",
    b"PORT ",
    b"TYPE ",
    b"CWD ",
    b"PWD\r\n",
    b"RETR ",
    b"STOR ",
];

/// Of a stream.
pub(super) fn read<'a>(client: &'a [u8], server: &'a [u8]) -> Looked<'a> {
    if server.iter().zip(b"220").any(|(byte, greeting)| byte != greeting) {
        Look::stream(client).expect_one(&IN_SESSION)?;
        return answer(server);
    }
    let mut look = Look::stream(server);
    look.expect(b"220")?;
    look.expect_one(&[b" ", b"-"])?;
    let text = look.line()?;
    if !names(text, b"FTP") || names(text, b"SMTP") {
        Look::stream(client).expect_one(&COMMANDS)?;
    }
    Ok(AppMark::of(AppProtocol::Ftp).software(text.trim_ascii()))
}

/// Three digits, the first of which says how it went.
fn answer(server: &[u8]) -> Looked<'_> {
    let mut look = Look::stream(server);
    let code = look.take(3)?;
    ensure(matches!(code, [b'1'..=b'5', b'0'..=b'5', b'0'..=b'9']))?;
    look.expect_one(&[b" ", b"-"])?;
    Ok(AppMark::of(AppProtocol::Ftp))
}
