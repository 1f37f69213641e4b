//! JA3 and JA3S: fingerprints of hellos (github.com/salesforce/ja3, BSD 3-Clause).
//!
//! Owns which numbers they are made of and in which order.

use std::fmt::{self, Write};

use super::client_hello::ClientHello;
use super::extension::is_grease;
use super::server_hello::ServerHello;
use crate::app::digest::{Md5Sum, Md5Text};

/// A decimal number; the formatting machinery would take most of the time.
fn write_number(into: &mut impl Write, number: u16) -> fmt::Result {
    const LEN: usize = 5;
    let mut digits = [b'0'; LEN];
    let (mut rest, mut start) = (number, LEN);
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return into.write_str(std::str::from_utf8(&digits[start..]).map_err(|_| fmt::Error)?);
        }
    }
}

/// Decimal numbers with `-` between them.
fn write_numbers(into: &mut impl Write, numbers: impl Iterator<Item = u16>) -> fmt::Result {
    for (index, number) in numbers.enumerate() {
        if index > 0 {
            into.write_str("-")?;
        }
        write_number(into, number)?;
    }
    Ok(())
}

/// The text that JA3 is the MD5 sum of: version, ciphers, extensions, groups, point formats; GREASE is left out.
///
/// # Errors
///
/// Those of `into`.
pub fn write_ja3(hello: &ClientHello<'_>, into: &mut impl Write) -> fmt::Result {
    write_number(into, hello.version)?;
    into.write_str(",")?;
    write_numbers(into, hello.ciphers.without_grease())?;
    into.write_str(",")?;
    write_numbers(into, hello.extensions.iter().map(|(number, _)| number).filter(|&number| !is_grease(number)))?;
    into.write_str(",")?;
    write_numbers(into, hello.groups.without_grease())?;
    into.write_str(",")?;
    write_numbers(into, hello.point_formats.iter().map(|&format| format.into()))
}

/// The text that JA3S is the MD5 sum of: version, cipher, extensions.
///
/// # Errors
///
/// Those of `into`.
pub fn write_ja3s(hello: &ServerHello<'_>, into: &mut impl Write) -> fmt::Result {
    write_number(into, hello.legacy_version)?;
    into.write_str(",")?;
    write_number(into, hello.cipher)?;
    into.write_str(",")?;
    write_numbers(into, hello.extensions.iter().map(|(number, _)| number))
}

/// JA3 of a client.
pub fn ja3(hello: &ClientHello<'_>) -> Md5Sum {
    let mut text = Md5Text::default();
    // A sum takes any text.
    let _ = write_ja3(hello, &mut text);
    text.sum()
}

/// JA3S of a server's answer.
pub fn ja3s(hello: &ServerHello<'_>) -> Md5Sum {
    let mut text = Md5Text::default();
    // A sum takes any text.
    let _ = write_ja3s(hello, &mut text);
    text.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::reading::NumberList;
    use crate::app::tls::extension::Extensions;
    use crate::app::tls::tests::hex;

    fn numbers(list: &[u16]) -> Vec<u8> {
        list.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn empty_extensions(list: &[u16]) -> Vec<u8> {
        list.iter().flat_map(|number| [number.to_be_bytes(), [0, 0]]).flatten().collect()
    }

    fn text_of(hello: &ClientHello<'_>) -> String {
        let mut text = String::new();
        write_ja3(hello, &mut text).unwrap();
        text
    }

    #[test]
    fn the_published_examples() {
        let ciphers = numbers(&[0x0a0a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4]);
        let extensions = empty_extensions(&[0, 10, 0x1a1a, 11]);
        let groups = numbers(&[0xfafa, 23, 24, 25]);
        let hello = ClientHello {
            version: 769,
            ciphers: NumberList(&ciphers),
            extensions: Extensions(&extensions),
            groups: NumberList(&groups),
            point_formats: &[0],
            ..ClientHello::default()
        };
        assert_eq!(text_of(&hello), "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(ja3(&hello).to_string(), "ada70206e40642a3e4461f35503241d5");

        let ciphers = numbers(&[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99]);
        let hello = ClientHello { version: 769, ciphers: NumberList(&ciphers), ..ClientHello::default() };
        assert_eq!(text_of(&hello), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(ja3(&hello).to_string(), "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn numbers_of_every_length() {
        for number in [0, 9, 10, 99, 100, 4095, 65_535] {
            let mut text = String::new();
            write_number(&mut text, number).unwrap();
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn a_server_s_answer() {
        let message = hex(
            "0303543dd328b38b445686739d58fab733fa23838f575e0e5ad9a1b9baace6cc3b4100c02f000011ff01000100000b00040300010200230000",
        );
        let hello = ServerHello::read(&message).unwrap();
        let mut text = String::new();
        write_ja3s(&hello, &mut text).unwrap();
        assert_eq!(text, "771,49199,65281-11-35");
        assert_eq!(ja3s(&hello).to_string(), "ccc514751b175866924439bdbb5bba34");
    }
}
