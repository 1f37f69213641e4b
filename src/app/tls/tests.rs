//! Hellos that several tests read, and the means to build them.
//!
//! Owns fixtures alone.

/// A browser's ClientHello in a record, the one behind JA4's documented example; its last extension, padding, is put behind it.
const JA4_EXAMPLE: &str = "\
    1603010200010001fc0303b2c03e7ba990ef540c316a665d4d925f8e9079ac4b15687e587dc99016e75a6c20d0b0099243c9296a0c8415\
    3ea4ada7d87ad017f4211c2ea1350b0b3cc5514d5f00205a5a130113021303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035\
    01000193fafa000000000024002200001f636f6e74656e742d6175746f66696c6c2e676f6f676c65617069732e636f6d0033002b00293a\
    3a000100001d0020fb2cd8ef3d605b96ab03119ec4f30a6e2088cb1af86c41a81feace8706068c50000d00120010040308040401050308\
    0505010806060100230000000b00020100ff01000100000a000a00083a3a001d00170018001b0003020002446900050003026832001200\
    00002d000201010010000e000c02683208687474702f312e31000500050100000000002b0007060a0a03040303001700001a1a00010000\
    1500b8";
const JA4_EXAMPLE_LEN: usize = 517;

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(crate) fn ja4_example() -> Vec<u8> {
    let mut bytes = hex(JA4_EXAMPLE);
    bytes.resize(JA4_EXAMPLE_LEN, 0);
    bytes
}

/// The handshake message of [`ja4_example`], without its record.
pub(crate) fn client_hello_bytes() -> Vec<u8> {
    ja4_example().split_off(5)
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, high, mid, low] = (body.len() as u32).to_be_bytes();
    [&[kind, high, mid, low], body].concat()
}

/// Handshake bytes in records of `len` bytes each.
pub(crate) fn in_records(handshake: &[u8], len: usize) -> Vec<u8> {
    let record = |chunk: &[u8]| [&[22, 3, 1][..], &(chunk.len() as u16).to_be_bytes(), chunk].concat();
    handshake.chunks(len).flat_map(record).collect()
}
