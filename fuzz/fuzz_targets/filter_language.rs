//! Any text: a filter whose text parses to the same filter, or an error with a place in the text; no panic. The first two bytes are
//! where the text is completed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::query::{FlowFilter, NoLiveValues, PacketSubject, complete};
use netscope::wire::Dissected;

fuzz_target!(|data: &[u8]| {
    let (at, text) = data.split_at(data.len().min(2));
    let text = String::from_utf8_lossy(text);
    let len = text.chars().count();
    match FlowFilter::parse(&text) {
        Ok(filter) => {
            filter.matches_packet(&PacketSubject::new(&Dissected::NOTHING, 60));
            let printed = filter.to_string();
            assert_eq!(FlowFilter::parse(&printed).as_ref(), Ok(&filter), "{printed}");
        }
        Err(error) => {
            assert!((1..=len + 1).contains(&error.column) && error.len >= 1);
            assert!(error.to_string().contains('^'));
        }
    }
    let at = at.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
    let completion = complete(&text, at, &NoLiveValues);
    assert!(completion.from <= completion.to && completion.to <= len);
});
