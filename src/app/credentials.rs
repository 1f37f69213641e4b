//! Passwords that are sent in the clear: that they were, never what.
//!
//! Owns the commands by which they are sent in FTP (RFC 959), POP3 (RFC 1939, RFC 5034), IMAP (RFC 9051), SMTP (RFC 4954) and Telnet. Knows no
//! flow. Invariants: no byte of a password leaves; it costs one pass over what was sent; a doubtful case is no password.

use super::recognise::AppProtocol;

/// Lines of a side that are looked at.
const LINES_MAX: usize = 256;
const TELNET_IAC: u8 = 255;
const TELNET_SB: u8 = 250;
const TELNET_SE: u8 = 240;

/// True when the client has sent a password, or what stands for one, that everybody can read. `client` and `server`: what both have sent from
/// the beginning, up to where TLS begins. An anonymous login to FTP is none.
pub fn credentials_are_clear(protocol: AppProtocol, client: &[u8], server: &[u8]) -> bool {
    match protocol {
        AppProtocol::Ftp => of_ftp(client),
        AppProtocol::Pop3 => of_lines(client, server, pop3_command, b"+"),
        AppProtocol::Imap => of_lines(client, server, imap_command, b"+"),
        AppProtocol::Smtp => of_lines(client, server, smtp_command, b"334"),
        AppProtocol::Telnet => of_telnet(client, server),
        _ => false,
    }
}

/// Lines that are whole, without their ends.
fn lines(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = stream.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    whole.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).take(LINES_MAX)
}

/// What stands behind a word, in letters of either case, and a space.
fn behind<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(word.len())?;
    let argument = rest.strip_prefix(b" ")?.trim_ascii();
    (head.eq_ignore_ascii_case(word) && !argument.is_empty()).then_some(argument)
}

fn of_ftp(client: &[u8]) -> bool {
    let mut is_anonymous = false;
    lines(client).any(|line| {
        if let Some(user) = behind(line, b"USER") {
            is_anonymous = user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp");
        }
        !is_anonymous && behind(line, b"PASS").is_some()
    })
}

/// What a command of a client means.
enum LoginCommand {
    /// It has the password in it.
    Password,
    /// So many of the next lines belong to it, the last of which is the password.
    Follows(u8),
    Other,
}

/// `PLAIN` or `LOGIN` behind the word for authentication, with or without a first answer.
fn mechanism(argument: &[u8]) -> LoginCommand {
    let mut words = argument.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let is_plain = match words.next() {
        Some(name) if name.eq_ignore_ascii_case(b"PLAIN") => true,
        Some(name) if name.eq_ignore_ascii_case(b"LOGIN") => false,
        _ => return LoginCommand::Other,
    };
    match words.next() {
        Some(answer) if is_base64(answer) && is_plain => LoginCommand::Password,
        // The user's name.
        Some(answer) if is_base64(answer) => LoginCommand::Follows(1),
        Some(_) => LoginCommand::Other,
        None => LoginCommand::Follows(if is_plain { 1 } else { 2 }),
    }
}

fn pop3_command(line: &[u8]) -> LoginCommand {
    match behind(line, b"PASS") {
        Some(_) => LoginCommand::Password,
        None => behind(line, b"AUTH").map_or(LoginCommand::Other, mechanism),
    }
}

fn smtp_command(line: &[u8]) -> LoginCommand {
    behind(line, b"AUTH").map_or(LoginCommand::Other, mechanism)
}

/// A tag stands in front of each command.
fn imap_command(line: &[u8]) -> LoginCommand {
    let Some(at) = line.iter().position(|&byte| byte == b' ') else { return LoginCommand::Other };
    let command = &line[at + 1..];
    match behind(command, b"LOGIN") {
        // Both may be literals: their lengths, and the bytes behind.
        Some(arguments) if arguments.contains(&b' ') || arguments.ends_with(b"}") => LoginCommand::Password,
        Some(_) => LoginCommand::Other,
        None => behind(command, b"AUTHENTICATE").map_or(LoginCommand::Other, mechanism),
    }
}

fn is_base64(text: &[u8]) -> bool {
    let (body, padding) = (text.trim_ascii_end(), text.iter().rev().take_while(|&&byte| byte == b'=').count());
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // A single `=` is an empty answer.
    body.len() >= 4 && body.len().is_multiple_of(4) && padding <= 2 && body[..body.len() - padding].iter().all(is_digit)
}

/// `asks`: how the server's lines begin that ask for the next line of a client that logs in. Where none of the server's bytes are there, that is not
/// asked for.
fn of_lines(client: &[u8], server: &[u8], command: fn(&[u8]) -> LoginCommand, asks: &[u8]) -> bool {
    let mut follows = 0;
    for line in lines(client) {
        if follows > 0 && is_base64(line) {
            follows -= 1;
            if follows == 0 && (server.is_empty() || lines(server).any(|line| is_asked(line, asks))) {
                return true;
            }
            continue;
        }
        follows = 0;
        match command(line) {
            LoginCommand::Password => return true,
            LoginCommand::Follows(count) => follows = count,
            LoginCommand::Other => {}
        }
    }
    false
}

/// `+OK` is no question.
fn is_asked(line: &[u8], asks: &[u8]) -> bool {
    line.strip_prefix(asks).is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b' '))
}

/// The server asked for a password and went on to the next line, and the client sent a line.
fn of_telnet(client: &[u8], server: &[u8]) -> bool {
    let said = without_commands(server);
    const PROMPT: &[u8] = b"assword:";
    let Some(at) = said.windows(PROMPT.len()).position(|window| window.eq_ignore_ascii_case(PROMPT)) else { return false };
    // A password is not echoed: nothing is on the line behind the question.
    let mut behind = said[at + PROMPT.len()..].split_inclusive(|&byte| byte == b'\n');
    let is_answered = behind.next().is_some_and(|line| line.ends_with(b"\n") && line.trim_ascii().is_empty());
    // The name and the password, each with its end.
    let sent = without_commands(client);
    let ends = sent.iter().filter(|&&byte| byte == b'\r').count();
    is_answered && ends >= 1 && sent.iter().any(u8::is_ascii_graphic)
}

/// Telnet's commands and options left out (RFC 854, RFC 855).
fn without_commands(stream: &[u8]) -> Vec<u8> {
    let (mut text, mut at) = (Vec::new(), 0);
    while let Some(&byte) = stream.get(at) {
        if byte != TELNET_IAC {
            text.push(byte);
            at += 1;
            continue;
        }
        at += match stream.get(at + 1) {
            Some(&TELNET_SB) => {
                let end = stream[at..].windows(2).position(|pair| pair == [TELNET_IAC, TELNET_SE]);
                end.map_or(stream.len() - at, |end| end + 2)
            }
            Some(251..=254) => 3,
            _ => 2,
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_clear(protocol: AppProtocol, client: &str, server: &str) -> bool {
        credentials_are_clear(protocol, client.as_bytes(), server.as_bytes())
    }

    #[test]
    fn logins_in_the_clear_are_seen() {
        for (protocol, client, server) in [
            (AppProtocol::Ftp, "USER bob\r\nPASS x\r\n", ""),
            (AppProtocol::Ftp, "user anonymous\r\nPASS a@b\r\nUSER bob\r\npass x\r\n", ""),
            (AppProtocol::Pop3, "USER bob\r\nPASS a b\r\n", "+OK\r\n"),
            (AppProtocol::Pop3, "AUTH PLAIN\r\nAGJvYgB4eHh4\r\n", "+OK\r\n+ \r\n"),
            (AppProtocol::Imap, "a1 LOGIN bob secret\r\n", "* OK\r\n"),
            (AppProtocol::Imap, "a1 login {3}\r\nbob {6}\r\nsecret\r\n", "* OK\r\n+ ok\r\n"),
            (AppProtocol::Imap, "a1 AUTHENTICATE PLAIN AGJvYgB4eHh4\r\n", ""),
            (AppProtocol::Smtp, "EHLO a\r\nAUTH PLAIN AGJvYgB4eHh4\r\n", ""),
            (AppProtocol::Smtp, "EHLO a\r\nAUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\n", "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"),
            (AppProtocol::Smtp, "EHLO a\r\nAUTH LOGIN Ym9i\r\nc2VjcmV0\r\n", ""),
            (AppProtocol::Telnet, "bob\r\0secret\r\0", "login: bob\r\nPassword: \r\nLast login"),
        ] {
            assert!(is_clear(protocol, client, server), "{protocol:?} {client}");
        }
    }

    #[test]
    fn what_is_no_password_is_not_taken_for_one() {
        for (protocol, client, server) in [
            (AppProtocol::Ftp, "USER anonymous\r\nPASS a@b\r\n", ""),
            (AppProtocol::Ftp, "USER bob\r\nPASS x", "the line is not whole"),
            (AppProtocol::Ftp, "USER bob\r\nPASV\r\nPASS\r\n", ""),
            (AppProtocol::Pop3, "APOP bob c4c9334bac560ecc979e58001b3e22fb\r\n", ""),
            (AppProtocol::Pop3, "AUTH CRAM-MD5\r\nYm9iIDEyMzQ=\r\n", "+ PDE+\r\n"),
            (AppProtocol::Imap, "a1 LOGOUT\r\na2 AUTHENTICATE GSSAPI\r\n", ""),
            (AppProtocol::Imap, "a1 AUTHENTICATE PLAIN\r\n*\r\n", "+ \r\n"),
            (AppProtocol::Smtp, "AUTH LOGIN\r\nQUIT\r\n", "538 Encryption required\r\n"),
            (AppProtocol::Smtp, "AUTH PLAIN =\r\n", ""),
            (AppProtocol::Smtp, "MAIL FROM:<a@b>\r\nRCPT TO:<PASS@b>\r\n", ""),
            (AppProtocol::Telnet, "bob\r\0", "login: bob\r\nPassword: "),
            (AppProtocol::Telnet, "", "Password:\r\n"),
            (AppProtocol::Telnet, "bob\r\0", "The password: see the manual\r\nlogin: "),
            (AppProtocol::Redis, "PASS x\r\n", ""),
        ] {
            assert!(!is_clear(protocol, client, server), "{protocol:?} {client}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(client in prop::collection::vec(any::<u8>(), 0..300), server in prop::collection::vec(any::<u8>(), 0..300)) {
            for protocol in [AppProtocol::Ftp, AppProtocol::Pop3, AppProtocol::Imap, AppProtocol::Smtp, AppProtocol::Telnet] {
                credentials_are_clear(protocol, &client, &server);
            }
        }
    }
}
