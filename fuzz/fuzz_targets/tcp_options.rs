//! Any option bytes: no panic, never more blocks than there is room for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::wire::parse_options;

fuzz_target!(|data: &[u8]| {
    let options = parse_options(data);
    let count = usize::from(options.sack_count);
    assert!(count <= options.sack.len());
    assert!(options.sack[count..].iter().all(|block| *block == (0, 0)));
});
