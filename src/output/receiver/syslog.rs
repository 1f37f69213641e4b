//! Syslog: how messages reach a socket of this machine or a server.
//!
//! Owns the connection. Knows no alert but what a message says. Invariants: a message is written whole to one connection, or the connection is given up;
//! every call is bounded in time. A stream has no receipts: what a server had accepted when it died is lost without being counted (RFC 6587, 3.1).

use super::syslog_message::SyslogHeader;
use super::syslog_target::HostPort;
use super::{
    AlertFormat, AlertMessage, AlertReceiver, AlertTransport, DeliverySettings, NotSent, OnDeliveryNotice, SyslogFacility,
    SyslogTarget, TlsSettings,
};
use crate::output::OutputError;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server that refuses our certificate says so within this time of the handshake.
const REFUSAL_WAIT: Duration = Duration::from_millis(200);

/// `[analysis.alerts.syslog]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Where messages go.
    pub target: SyslogTarget,
    /// What is behind the header.
    pub format: AlertFormat,
    /// Of the header.
    pub facility: SyslogFacility,
    /// Of the header.
    pub app_name: String,
    /// Name of the structured data, with the number of an enterprise.
    pub sd_id: String,
    /// Certificates, for TLS.
    pub tls: TlsSettings,
    /// Longest connect and longest write.
    pub timeout: Duration,
    /// How messages are delivered.
    pub delivery: DeliverySettings,
}

/// Opens the receiver.
pub struct Syslog;

impl Syslog {
    /// A receiver with these settings. Nothing is connected before the first alert.
    ///
    /// # Errors
    /// When certificates cannot be used or a thread cannot be started.
    pub fn open(
        settings: &SyslogSettings,
        community_id_seed: u16,
        notice: Arc<OnDeliveryNotice>,
    ) -> Result<AlertReceiver, OutputError> {
        let name = format!("syslog {}", settings.target);
        let tls = match &settings.target {
            SyslogTarget::Tls(_) => Some(settings.tls.client_config()?),
            _ => None,
        };
        let transport = SyslogTransport { target: settings.target.clone(), tls, timeout: settings.timeout, connection: None };
        let header = SyslogHeader {
            facility: settings.facility,
            host: nix::unistd::gethostname().map(|host| host.to_string_lossy().into_owned()).unwrap_or_default(),
            app_name: settings.app_name.clone(),
            process: std::process::id(),
            sd_id: settings.sd_id.clone(),
        };
        let format = settings.format;
        let encode = move |alert: &_, number| {
            let body = header.message(alert, &format.line(alert, community_id_seed)).into_bytes();
            AlertMessage { number, body, facts: Vec::new() }
        };
        AlertReceiver::start(name.clone(), Box::new(encode), vec![Box::new(transport)], settings.delivery, notice)
            .map_err(|source| OutputError::new("open", Path::new(&name), source))
    }
}

/// A way to a target that is there.
enum SyslogConnection {
    UnixDatagram(UnixDatagram),
    UnixStream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// The one way to the target.
struct SyslogTransport {
    target: SyslogTarget,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    connection: Option<SyslogConnection>,
}

impl AlertTransport for SyslogTransport {
    fn send(&mut self, message: &AlertMessage, _is_over: &dyn Fn() -> bool) -> Result<(), NotSent> {
        // One that was closed while nothing was said is no failure.
        let open = self.connection.take().and_then(|mut connection| (!connection.is_closed()).then_some(connection));
        let mut connection = match open {
            Some(connection) => connection,
            None => self.connect().map_err(NotSent::again)?,
        };
        match connection.write(&message.body) {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            // EMSGSIZE: it is too long for a datagram, now and later.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32) => {
                Err(NotSent::Refused(error.to_string()))
            }
            Err(error) => Err(NotSent::again(error)),
        }
    }
}

impl Drop for SyslogTransport {
    fn drop(&mut self) {
        if let Some(SyslogConnection::Tls(stream)) = &mut self.connection {
            stream.conn.send_close_notify();
            // All that was to be said was said; a server that has gone needs no farewell.
            let _gone = stream.flush();
        }
    }
}

impl SyslogTransport {
    fn connect(&self) -> io::Result<SyslogConnection> {
        match &self.target {
            SyslogTarget::Unix(path) => self.connect_unix(path),
            SyslogTarget::Udp(to) => {
                let address = addresses(to)?.into_iter().next().ok_or(io::ErrorKind::NotFound)?;
                let own: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(own)?;
                // So that "port unreachable" comes back as an error of the next message.
                socket.connect(address)?;
                socket.set_write_timeout(Some(self.timeout))?;
                Ok(SyslogConnection::Udp(socket))
            }
            SyslogTarget::Tcp(to) => self.connect_tcp(to).map(SyslogConnection::Tcp),
            SyslogTarget::Tls(to) => self.connect_tls(to),
        }
    }

    fn connect_unix(&self, path: &Path) -> io::Result<SyslogConnection> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            Ok(()) => {
                socket.set_write_timeout(Some(self.timeout))?;
                Ok(SyslogConnection::UnixDatagram(socket))
            }
            // It is a stream.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPROTOTYPE as i32) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(self.timeout))?;
                Ok(SyslogConnection::UnixStream(stream))
            }
            Err(error) => Err(error),
        }
    }

    fn connect_tcp(&self, to: &HostPort) -> io::Result<TcpStream> {
        let deadline = Instant::now() + self.timeout;
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{}: no address", to.host));
        for address in addresses(to)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(self.timeout))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_tls(&self, to: &HostPort) -> io::Result<SyslogConnection> {
        let config = self.tls.clone().ok_or(io::ErrorKind::Unsupported)?;
        let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
        let mut socket = self.connect_tcp(to)?;
        socket.set_read_timeout(Some(self.timeout))?;
        let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let mut stream = StreamOwned::new(session, socket);
        // In TLS 1.3 the server judges our certificate after our last word of the handshake.
        stream.sock.set_read_timeout(Some(REFUSAL_WAIT))?;
        match stream.conn.read_tls(&mut stream.sock) {
            Ok(0) => return Err(io::ErrorKind::ConnectionReset.into()),
            Ok(_) => _ = stream.conn.process_new_packets().map_err(io::Error::other)?,
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error),
        }
        stream.sock.set_read_timeout(Some(self.timeout))?;
        Ok(SyslogConnection::Tls(Box::new(stream)))
    }
}

fn addresses(to: &HostPort) -> io::Result<Vec<SocketAddr>> {
    Ok((to.host.as_str(), to.port).to_socket_addrs()?.collect())
}

/// True when there was only nothing to read.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// A message behind its length (RFC 6587, 3.4.1).
fn with_length(message: &[u8]) -> Vec<u8> {
    [message.len().to_string().as_bytes(), b" ", message].concat()
}

impl SyslogConnection {
    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let whole = |sent: usize| if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) };
        match self {
            Self::UnixDatagram(socket) => socket.send(message).and_then(whole),
            Self::Udp(socket) => socket.send(message).and_then(whole),
            // As syslog(3) and its servers have it: a line.
            Self::UnixStream(stream) => stream.write_all(&[message, b"\n"].concat()),
            Self::Tcp(stream) => stream.write_all(&with_length(message)),
            Self::Tls(stream) => {
                stream.write_all(&with_length(message))?;
                stream.flush()
            }
        }
    }

    /// True when the other side has ended the connection. Datagrams have none.
    fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Self::UnixDatagram(_) | Self::Udp(_) => false,
            Self::UnixStream(stream) => {
                let read = stream.set_nonblocking(true).and_then(|()| stream.read(&mut byte));
                is_end(&read) || stream.set_nonblocking(false).is_err()
            }
            Self::Tcp(stream) => {
                let read = stream.set_nonblocking(true).and_then(|()| stream.read(&mut byte));
                is_end(&read) || stream.set_nonblocking(false).is_err()
            }
            Self::Tls(stream) => {
                let read = stream.sock.set_nonblocking(true).and_then(|()| stream.conn.read_tls(&mut stream.sock));
                let is_broken = read.is_ok() && stream.conn.process_new_packets().map_or(true, |state| state.peer_has_closed());
                is_end(&read) || is_broken || stream.sock.set_nonblocking(false).is_err()
            }
        }
    }
}

/// True for the end of a stream and for a broken one. A syslog server says nothing, so there is at most a byte that nobody needs.
fn is_end(read: &io::Result<usize>) -> bool {
    match read {
        Ok(count) => *count == 0,
        Err(error) => !is_nothing(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead as _;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    const NEVER: &dyn Fn() -> bool = &|| false;

    fn transport(target: &str, timeout: Duration) -> SyslogTransport {
        SyslogTransport { target: target.parse().unwrap(), tls: None, timeout, connection: None }
    }

    fn message(body: &[u8]) -> AlertMessage {
        AlertMessage { number: 0, body: body.to_owned(), facts: Vec::new() }
    }

    /// Sends three messages to a server that closes the connection after the first one.
    fn send_three(target: &str, accept: impl Fn() -> Box<dyn io::Read>, first: &[u8]) -> String {
        let mut transport = transport(target, Duration::from_secs(20));
        transport.send(&message(b"one"), NEVER).unwrap();
        let mut stream = accept();
        let mut read = vec![0; first.len()];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, first);
        drop(stream);
        // A socket of this machine knows at once; loopback needs a moment.
        std::thread::sleep(Duration::from_millis(100));
        transport.send(&message(b"two"), NEVER).unwrap();
        transport.send(&message(b"three"), NEVER).unwrap();
        drop(transport);
        let mut text = String::new();
        accept().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_connection_that_the_server_closed_is_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", listener.local_addr().unwrap());
        let text = send_three(&target, || Box::new(listener.accept().unwrap().0), b"3 one");
        assert_eq!(text, "3 two5 three");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let listener = UnixListener::bind(&path).unwrap();
        let target = format!("unix:{}", path.display());
        let text = send_three(&target, || Box::new(listener.accept().unwrap().0), b"one\n");
        assert_eq!(text, "two\nthree\n");
    }

    #[test]
    fn a_server_that_does_not_read_costs_a_bounded_time_and_a_part_is_never_continued() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut transport = transport(&format!("tcp://{}", listener.local_addr().unwrap()), Duration::from_millis(200));
        let start = Instant::now();
        // More than all buffers on the way.
        let large = message(&vec![b'x'; 64 << 20]);
        assert!(matches!(transport.send(&large, NEVER), Err(NotSent::Again { .. })));
        assert!(start.elapsed() < Duration::from_secs(20));
        let (_unfinished, _) = listener.accept().unwrap();
        transport.send(&message(b"next"), NEVER).unwrap();
        drop(transport);
        let mut line = Vec::new();
        io::BufReader::new(listener.accept().unwrap().0).read_until(b'\n', &mut line).unwrap();
        assert_eq!(line, b"4 next", "on a connection of its own");
    }

    #[test]
    fn a_datagram_that_is_too_long_is_refused_for_good() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut transport = transport(&format!("udp://{}", socket.local_addr().unwrap()), Duration::from_secs(1));
        assert!(matches!(transport.send(&message(&vec![b'x'; 70_000]), NEVER), Err(NotSent::Refused(_))));
        transport.send(&message(b"short"), NEVER).unwrap();
        let mut buffer = [0; 16];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"short");
    }
}
