//! The bytes of one side of HTTP/1 and SSH: no panic, and `More` asks for more than there is. What FTP and SIP announce: no panic, and a limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::app::{ControlPacket, ControlProtocol, Parsed, announced_ends};
use netscope::app::http1::{HttpOpening, HttpResponse};
use netscope::app::ssh::{SshBanner, SshKexInit, SshOpening};

fn checked<T>(answer: Parsed<T>, len: usize) -> Option<T> {
    if let Parsed::More { need } = answer {
        assert!(need > len);
    }
    answer.done()
}

fuzz_target!(|data: &[u8]| {
    for control in [ControlProtocol::Ftp, ControlProtocol::Sip, ControlProtocol::Tftp] {
        for is_from_client in [true, false] {
            let mut count = 0;
            let packet = ControlPacket { control, payload: data, source_port: 1, is_from_client };
            announced_ends(packet, &mut |end| count += usize::from(end.port != 0));
            assert!(count <= 32);
        }
    }
    checked(HttpOpening::read_stream(data), data.len());
    checked(HttpResponse::read_stream(data), data.len());
    checked(SshBanner::read_stream(data), data.len());
    if let Some(banner) = checked(SshBanner::read_stream_of_server(data), data.len()) {
        checked(SshOpening::read_stream(banner, data), data.len());
        if let Some(algorithms) = SshOpening::known(banner, data).algorithms {
            algorithms.hassh();
            SshKexInit::agreed(algorithms.key_exchange(), algorithms.host_keys());
        }
    }
});
