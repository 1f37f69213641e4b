//! The first bytes of both sides, split by the first byte, the port by the next two: no panic, and texts have a bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::app::Parsed;
use netscope::app::recognise::{MARK_TEXT_MAX, recognise_datagram, recognise_stream};

fuzz_target!(|data: &[u8]| {
    let Some((&[at, high, low], rest)) = data.split_first_chunk() else { return };
    let (client, server) = rest.split_at(usize::from(at).min(rest.len()));
    let port = u16::from_be_bytes([high, low]);
    for answer in [recognise_stream(client, server, port), recognise_datagram(client, server, port)] {
        match answer {
            Parsed::Done(mark) => {
                assert!([mark.software, mark.object].iter().flatten().all(|text| text.len() <= MARK_TEXT_MAX));
            }
            Parsed::More { need } => assert!(need > client.len() + server.len()),
            Parsed::No => {}
        }
    }
});
