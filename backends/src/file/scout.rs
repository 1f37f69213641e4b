//! Looks ahead in a plain pcap file, along several chains of records side by side.
//!
//! Where a record begins is known only from the one before, so a walk over long records waits for memory once
//! per packet. From the known record on, the scout guesses where records begin further on, follows all of
//! these chains at once so that their waits overlap, and forgets what it read. The walk that lends then finds
//! headers in the cache.
//!
//! Owns the places of these looks. Knows records' lengths and no packet. Its one invariant: it asks for
//! memory and does nothing else, so a wrong guess changes nothing but time, and no byte is walked over twice.

use super::pcap::PcapWalker;
use crate::BATCH_MAX;
use crate::prefetch::prefetch_read;

/// Chains followed at once: about as many as a processor waits for lines, as each record asks for two.
pub(super) const CHAINS: usize = 8;

/// How far apart they begin. All of them together ask for about 120 KiB of mixed traffic, which stays in a
/// second-level cache.
pub(super) const CHAIN_LEN: usize = 64 << 10;

/// How close to the end of what was asked for the next look begins: what a batch of full frames takes.
const MARGIN_LEN: usize = 128 << 10;

/// How much of the capture goes by without a look after a wrong guess.
pub(super) const PAUSE_LEN: u64 = 4 << 20;

/// Mean length of the records of a batch from which on looking ahead pays. Shorter ones lie in lines that the
/// processor reads ahead by itself.
const RECORD_LEN_MIN: usize = 200;

/// Behind the beginning of a record: where the last byte of usual headers lies.
const HEADERS_LEN: usize = 66;

#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    start: usize,
    at: usize,
    /// No record that begins here or later is followed.
    end: usize,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScoutResult {
    /// Where the chain that began at the known record arrived, over all chains it met.
    pub(super) arrived: usize,
    /// Chains it went over, its own included.
    pub(super) met: usize,
    /// Most guesses were made, and all that were made are right.
    pub(super) is_right: bool,
}

#[derive(Debug, Default)]
pub(super) struct Scout {
    /// Where in the capture the lines asked for end.
    pub(super) at: u64,
    /// No look before this place.
    paused_until: u64,
    /// Whether the records of the last batch are long enough.
    is_wanted: bool,
}

impl Scout {
    /// Tells the length of a batch of records.
    #[inline]
    pub(super) const fn saw_batch(&mut self, len: usize) {
        self.is_wanted = len >= BATCH_MAX * RECORD_LEN_MIN;
    }

    /// Asks for what will soon be wanted of `rest`, whose first byte begins a record and is the capture's
    /// number `offset`. False when that did not happen: records are too short, or the last look went wrong a
    /// short while ago.
    #[inline]
    pub(super) fn look(&mut self, pcap: &PcapWalker, rest: &[u8], offset: u64) -> bool {
        if self.is_wanted && offset >= self.paused_until {
            // What does not fit lies far behind the end.
            let ahead = usize::try_from(self.at.saturating_sub(offset)).unwrap_or(usize::MAX);
            if ahead < MARGIN_LEN {
                let ScoutResult { arrived, is_right, .. } = follow(pcap, rest, ahead);
                self.at = offset + arrived as u64;
                if !is_right {
                    self.paused_until = self.at + PAUSE_LEN;
                }
            }
        }
        self.is_wanted && offset < self.at
    }
}

/// Follows the chain that begins at `start` and those guessed behind it, a record of each in turn.
#[inline(never)]
pub(super) fn follow(pcap: &PcapWalker, rest: &[u8], start: usize) -> ScoutResult {
    let mut chains = [Chain::default(); CHAINS];
    let mut len = 0;
    let end = start + CHAINS * CHAIN_LEN;
    let seconds = PcapWalker::plain_seconds(rest.get(start..).unwrap_or_default());
    let guesses = (1..CHAINS).filter_map(|number| pcap.find_plain(rest, start + number * CHAIN_LEN, seconds?));
    for (chain, start) in chains.iter_mut().zip(std::iter::once(start).chain(guesses)) {
        *chain = Chain { start, at: start, end };
        len += 1;
    }
    let chains = chains.get_mut(..len).unwrap_or_default();
    let mut end = end;
    for chain in chains.iter_mut().rev() {
        chain.end = end;
        end = chain.start;
    }
    let mut is_moving = true;
    while is_moving {
        is_moving = false;
        for chain in chains.iter_mut().filter(|chain| chain.at < chain.end) {
            let record = rest.get(chain.at..).unwrap_or_default();
            if let Some(byte) = record.get(HEADERS_LEN) {
                prefetch_read(byte);
            }
            match PcapWalker::plain_len(record) {
                Some(len) => chain.at += len,
                None => chain.end = 0,
            }
            is_moving = true;
        }
    }
    let (mut arrived, mut met) = (start, 0);
    for chain in chains.iter() {
        if chain.start != arrived {
            break;
        }
        arrived = chain.at;
        met += 1;
    }
    ScoutResult { arrived, met, is_right: met == len && met > CHAINS / 2 }
}
