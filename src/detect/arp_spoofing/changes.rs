//! How often an address went from one station to another, at the least.
//!
//! Owns the count. Its evidence is in which parts of the window each of them claimed the address, which does not depend on the order of packets; within a
//! part they claimed it in the order that needs the fewest changes.

/// `units`: of each station the parts of the window in which it claimed the address, the earliest first.
pub(super) fn changes(units: &[u64]) -> u64 {
    let count = units.len();
    // Of each station: the fewest changes after which it is the last to have claimed the address.
    let mut fewest: Option<Vec<u64>> = None;
    for bit in 0..u64::BITS {
        let present: Vec<bool> = units.iter().map(|units| units >> bit & 1 == 1).collect();
        let present_count = present.iter().filter(|present| **present).count() as u64;
        if present_count == 0 {
            continue;
        }
        // The fewest changes by which a station is the first of this part.
        let first: Vec<Option<u64>> = (0..count)
            .map(|station| {
                let before = |fewest: &Vec<u64>| {
                    let from = fewest.iter().enumerate().filter(|(_, so_far)| **so_far != u64::MAX);
                    from.map(|(last, so_far)| so_far + u64::from(last != station)).min().unwrap_or(0)
                };
                present[station].then(|| fewest.as_ref().map_or(0, before))
            })
            .collect();
        let last = |station: usize| {
            let is_begin = |begin: usize| present_count == 1 || begin != station;
            let begins = first.iter().enumerate().filter(|(begin, _)| is_begin(*begin)).filter_map(|(_, so_far)| *so_far);
            begins.min().map_or(u64::MAX, |so_far| so_far + present_count - 1)
        };
        fewest = Some((0..count).map(|station| if present[station] { last(station) } else { u64::MAX }).collect());
    }
    fewest.and_then(|fewest| fewest.into_iter().min()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_changes_that_explain_what_was_seen() {
        assert_eq!(changes(&[]), 0);
        assert_eq!(changes(&[0b1111]), 0);
        assert_eq!(changes(&[0b0011, 0b1100]), 1, "replaced");
        assert_eq!(changes(&[0b0011, 0b1110]), 1, "both in one part");
        assert_eq!(changes(&[0b1001, 0b0110]), 2, "there and back");
        assert_eq!(changes(&[0b1010, 0b0101]), 3);
        assert_eq!(changes(&[0b0111, 0b0111]), 3, "both in each of three parts");
        assert_eq!(changes(&[0b1111_1111, 0b0001_0000]), 2, "once in the middle of the other's");
        assert_eq!(changes(&[0b001, 0b001, 0b001]), 2);
        assert_eq!(changes(&[u64::MAX, u64::MAX]), 64);
    }
}
