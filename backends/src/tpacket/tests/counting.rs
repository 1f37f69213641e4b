//! Counting, seen from inside the backend: what the kernel counted is fetched in time.

use super::*;
use crate::tpacket::tests::in_new_namespace;
use crate::tpacket::{TpacketOptions, open};

const DATAGRAMS: u64 = 10;

#[test]
fn the_counters_of_the_kernel_are_read_though_nobody_asks() {
    in_new_namespace(|| {
        let options = TpacketOptions { interface: Some("lo".to_owned()), block_count: Some(2), ..TpacketOptions::default() };
        let mut backend = open(options).expect("root may").remove(0);
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        for _ in 0..DATAGRAMS {
            receiver.send_to(b"to itself", receiver.local_addr().expect("bound")).expect("the loopback is up");
        }
        backend.counted = Instant::now();
        backend.poll(Duration::ZERO, &mut |_| {}).expect("no error");
        assert_eq!(backend.counters.received, 0, "not yet");
        backend.counted -= COUNT_INTERVAL;
        backend.poll(Duration::ZERO, &mut |_| {}).expect("no error");
        assert_eq!(backend.counters.received, DATAGRAMS);
        assert!(backend.counted.elapsed() < COUNT_INTERVAL);
    });
}
