//! Datagrams of QUIC, and the frames of an opened packet: no panic, and what is kept has a bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::app::PieceBuffer;
use netscope::app::quic::{
    GoogleHello, QUIC_HELLO_MAX, QuicFrame, QuicFrames, QuicInitials, QuicPackets, QuicSide, QuicVersion, TransportParameters,
};

fuzz_target!(|data: &[u8]| {
    assert!(QuicPackets::new(data).count() <= data.len());
    let mut initials = QuicInitials::default();
    let (first, second) = data.split_at(data.len() / 2);
    for (datagram, side) in [(data, QuicSide::Client), (first, QuicSide::Client), (second, QuicSide::Server)] {
        let _ = initials.push(datagram, side);
    }
    let mut pieces = PieceBuffer::new(QUIC_HELLO_MAX);
    for frame in QuicFrames::new(data, QuicVersion::V1) {
        if let QuicFrame::Crypto { offset, data } = frame {
            pieces.insert(offset, data);
        }
    }
    assert!(pieces.contiguous().len() <= QUIC_HELLO_MAX);
    GoogleHello::read(data);
    GoogleHello::of_message(QuicVersion::V1, data);
    TransportParameters::read(data);
});
