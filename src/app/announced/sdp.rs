//! Streams that a message of SIP describes (RFC 4566, RFC 3605): an end for RTP and one for RTCP each.

use super::{AnnouncedEnd, AnnouncedProtocol, address, number, whole_lines};
use std::net::IpAddr;

/// A description while it is read.
#[derive(Clone, Copy)]
struct Media {
    port: u16,
    address: Option<IpAddr>,
    rtcp_port: Option<u16>,
}

impl Media {
    fn tell(self, tell: &mut dyn FnMut(AnnouncedEnd)) {
        let Some(address) = self.address else { return };
        let mut one = |port, protocol| tell(AnnouncedEnd { address: Some(address), port, is_with_receiver: false, protocol });
        one(self.port, AnnouncedProtocol::Rtp);
        if let Some(port) = self.rtcp_port.or(self.port.checked_add(1)).filter(|&port| port != self.port) {
            one(port, AnnouncedProtocol::Rtcp);
        }
    }
}

/// Each media line with a port is a stream to this port.
pub(super) fn ends(payload: &[u8], tell: &mut dyn FnMut(AnnouncedEnd)) {
    // A description ends with the datagram, without an end of the last line in some.
    let is_ended = payload.ends_with(b"\n");
    let last = payload.rsplit(|&byte| byte == b'\n').next().filter(|_| !is_ended);
    let mut lines = whole_lines(payload).chain(last).skip_while(|line| !line.is_empty()).skip(1);
    if lines.next() != Some(b"v=0") {
        return;
    }
    let (mut session, mut media) = (None, None::<Media>);
    for line in lines {
        let Some((kind, value)) = line.split_at_checked(2) else { continue };
        match (kind, &mut media) {
            (b"c=", None) => session = connection(value),
            (b"c=", Some(media)) => media.address = connection(value),
            (b"m=", _) => {
                if let Some(media) = media {
                    media.tell(tell);
                }
                media = stream(value, session);
            }
            (b"a=", Some(media)) => {
                if let Some(value) = value.strip_prefix(b"rtcp:") {
                    media.rtcp_port = number(value.split(|&byte| byte == b' ').next().unwrap_or_default());
                } else if value == b"rtcp-mux" {
                    media.rtcp_port = Some(media.port);
                }
            }
            _ => {}
        }
    }
    if let Some(media) = media {
        media.tell(tell);
    }
}

/// `IN IP4 address`, of a group with a time to live behind it.
fn connection(value: &[u8]) -> Option<IpAddr> {
    let host = value.strip_prefix(b"IN IP4 ").or_else(|| value.strip_prefix(b"IN IP6 "))?;
    address(host.split(|&byte| byte == b'/').next()?.trim_ascii())
}

/// `media port protocol formats`. `None` where it is none of RTP.
fn stream(value: &[u8], session: Option<IpAddr>) -> Option<Media> {
    let mut words = value.split(|&byte| byte == b' ');
    let (_kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
    if !protocol.starts_with(b"RTP/") && !protocol.starts_with(b"UDP/TLS/RTP/") {
        return None;
    }
    let port = number(port.split(|&byte| byte == b'/').next()?).filter(|&port| port != 0)?;
    Some(Media { port, address: session, rtcp_port: None })
}

#[cfg(test)]
mod tests {
    use crate::app::announced::{ControlProtocol, told};

    fn ends(body: &str) -> Vec<String> {
        let head = "INVITE sip:a@b SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n";
        told(ControlProtocol::Sip, format!("{head}{body}").as_bytes(), true)
    }

    #[test]
    fn each_stream_announces_its_port_and_the_next_one() {
        let session = "v=0\r\no=x 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n";
        assert_eq!(ends(&format!("{session}m=audio 8000 RTP/AVP 0\r\n")), ["rtp 10.0.0.7 8000", "rtcp 10.0.0.7 8001"]);
        assert_eq!(ends(&format!("{session}m=audio 8000 RTP/AVP 0")), ["rtp 10.0.0.7 8000", "rtcp 10.0.0.7 8001"]);
        let two = "m=audio 8000 RTP/AVP 0\r\na=rtcp:9000\r\nm=video 8002 RTP/SAVP 31\r\nc=IN IP6 2001:db8::7\r\na=rtcp-mux\r\n";
        let expected = ["rtp 10.0.0.7 8000", "rtcp 10.0.0.7 9000", "rtp 2001:db8::7 8002"];
        assert_eq!(ends(&format!("{session}{two}")), expected);
        assert_eq!(ends("v=0\nm=audio 8000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n"), ["rtp 224.2.1.1 8000", "rtcp 224.2.1.1 8001"]);
    }

    #[test]
    fn refused_and_other_streams_announce_nothing() {
        for body in [
            "v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 0 RTP/AVP 0\r\n",
            "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 8000 RTP/AVP 0\r\n",
            "v=0\r\nm=audio 8000 RTP/AVP 0\r\n",
            "v=0\r\nc=IN IP4 10.0.0.7\r\nm=image 8000 udptl t38\r\n",
            "v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 70000 RTP/AVP 0\r\n",
            "v=0\r\nc=IN IP4 host.example\r\nm=audio 8000 RTP/AVP 0\r\n",
            "c=IN IP4 10.0.0.7\r\nm=audio 8000 RTP/AVP 0\r\n",
            "",
        ] {
            assert_eq!(ends(body), [""; 0], "{body:?}");
        }
        let head_alone = b"INVITE sip:a@b SIP/2.0\r\nv=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 8000 RTP/AVP 0\r\n";
        assert_eq!(told(ControlProtocol::Sip, head_alone, true), [""; 0]);
    }
}
