//! Answers put together: whole ones, and files that are streamed.
//!
//! Owns content types and the size of pieces. Knows no route.

use crate::dashboard::{ApiBody, ApiResponse};
use bytes::Bytes;
use serde_json::Value;
use std::io::{self, Write};
use tokio::sync::mpsc;

/// JSON.
pub const JSON: &str = "application/json";
/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// Bytes of a piece of a stream.
const PIECE: usize = 64 << 10;
/// Pieces of a stream that may wait for the client: a slow one holds up its own stream alone.
const PIECES_MAX: usize = 4;

/// A whole answer.
pub fn full(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> ApiResponse {
    ApiResponse { status, content_type, headers: Vec::new(), body: ApiBody::Full(body.into()) }
}

/// A JSON answer, 200.
pub fn json(value: &Value) -> ApiResponse {
    full(200, JSON, value.to_string())
}

/// A file that the client is to save, its bytes as `write` gives them on a thread that may wait: for the client, too, until the server cuts it off.
/// `place` is free again when that thread ends.
pub fn download<P: Send + 'static>(
    content_type: &'static str,
    file_name: &str,
    place: P,
    write: impl FnOnce(&mut PieceWriter) -> io::Result<()> + Send + 'static,
) -> ApiResponse {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut writer = PieceWriter { sender, piece: Vec::with_capacity(PIECE) };
        let written = write(&mut writer).and_then(|()| writer.pass_on());
        if let Err(error) = written {
            // A client that went away needs no reason.
            let _ = writer.sender.blocking_send(Err(error));
        }
    });
    let disposition = format!("attachment; filename=\"{file_name}\"");
    ApiResponse {
        status: 200,
        content_type,
        headers: vec![("Content-Disposition", disposition)],
        body: ApiBody::Stream(receiver),
    }
}

/// Passes what is written on in pieces; waits while the client has not taken those before.
pub struct PieceWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl PieceWriter {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.get(..PIECE).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.pass_on()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()
    }
}
