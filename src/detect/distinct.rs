//! A set of hosts or ports that counts its members: exact while it is small, a sketch beside a sample when it is not.
//!
//! Owns members, their counts and the sketch. Invariant: what it holds is a function of what was inserted and how often, in whatever order and in however
//! many parts: up to [`DistinctSet::LISTED_MAX`] members are listed with exact counts; of more, those with the smallest ranks are, also with exact
//! counts, since such a member was never left out of any part.

use super::sketch::{ESTIMATE_ERROR, HyperLogLog};
use crate::flow::HostAddress;
use std::cmp::Reverse;
use std::slice;

/// A host, a port, or a port of a host. What is not meant is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// The host.
    pub host: HostAddress,
    /// The port.
    pub port: u16,
}

/// A listed member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListedMember {
    rank: u64,
    contact: Contact,
    count: u32,
}

/// A number of different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cardinality {
    /// How many.
    pub count: u64,
    /// False when a sketch estimates it.
    pub is_exact: bool,
}

impl Cardinality {
    /// Relative standard error: 0 when exact.
    pub const fn error(self) -> f64 {
        if self.is_exact { 0.0 } else { ESTIMATE_ERROR }
    }
}

/// Members in the order of ranks. One alone, as most sets have it, needs no memory of its own.
#[derive(Clone, Debug, Default)]
enum MemberList {
    #[default]
    Empty,
    One(ListedMember),
    Several(Vec<ListedMember>),
}

impl PartialEq for MemberList {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for MemberList {}

impl MemberList {
    fn as_slice(&self) -> &[ListedMember] {
        match self {
            Self::Empty => &[],
            Self::One(member) => slice::from_ref(member),
            Self::Several(members) => members,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [ListedMember] {
        match self {
            Self::Empty => &mut [],
            Self::One(member) => slice::from_mut(member),
            Self::Several(members) => members,
        }
    }

    fn insert(&mut self, at: usize, member: ListedMember) {
        match self {
            Self::Empty => *self = Self::One(member),
            Self::One(first) => {
                let mut members = Vec::with_capacity(4);
                members.push(*first);
                members.insert(at, member);
                *self = Self::Several(members);
            }
            Self::Several(members) => members.insert(at, member),
        }
    }

    fn pop(&mut self) {
        if let Self::Several(members) = self {
            members.pop();
        }
    }
}

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinctSet {
    listed: MemberList,
    sketch: Option<Box<HyperLogLog>>,
}

impl DistinctSet {
    /// Members that are counted exactly.
    pub const LISTED_MAX: usize = 64;
    /// Adds `count` times a member of this rank; what its memory grew by, in bytes.
    pub fn insert(&mut self, rank: u64, contact: Contact, count: u32) -> usize {
        let listed = self.listed.as_slice();
        if listed.len() == Self::LISTED_MAX
            && let Some(sketch) = &mut self.sketch
            && listed.last().is_some_and(|last| (last.rank, last.contact) < (rank, contact))
        {
            sketch.insert(rank);
            return 0;
        }
        let before = self.bytes();
        let at = match listed.binary_search_by(|member| (member.rank, member.contact).cmp(&(rank, contact))) {
            Ok(at) => {
                let known = &mut self.listed.as_mut_slice()[at];
                known.count = known.count.saturating_add(count);
                return 0;
            }
            Err(at) => at,
        };
        if listed.len() == Self::LISTED_MAX {
            let sketch = self.sketch.get_or_insert_with(|| {
                let mut sketch = Box::new(HyperLogLog::new());
                listed.iter().for_each(|member| sketch.insert(member.rank));
                sketch
            });
            sketch.insert(rank);
            if at == Self::LISTED_MAX {
                return self.bytes() - before;
            }
            self.listed.pop();
        } else if let Some(sketch) = &mut self.sketch {
            sketch.insert(rank);
        }
        self.listed.insert(at, ListedMember { rank, contact, count });
        self.bytes() - before
    }

    /// Adds the members of another set; what its memory grew by, in bytes.
    pub fn merge(&mut self, other: &Self) -> usize {
        let before = self.bytes();
        if let Some(theirs) = &other.sketch {
            match &mut self.sketch {
                Some(mine) => mine.merge(theirs),
                None => {
                    let mut sketch = theirs.clone();
                    self.listed.as_slice().iter().for_each(|member| sketch.insert(member.rank));
                    self.sketch = Some(sketch);
                }
            }
        }
        for member in other.listed.as_slice() {
            self.insert(member.rank, member.contact, member.count);
        }
        self.bytes() - before
    }

    /// Adds those members of another set that are in `within`, too; all of them where one of the two sets is not exact.
    pub fn merge_within(&mut self, other: &Self, within: &Self) {
        if within.sketch.is_some() || other.sketch.is_some() {
            self.merge(other);
            return;
        }
        for member in other.listed.as_slice() {
            let is_within = |of: &ListedMember| (of.rank, of.contact).cmp(&(member.rank, member.contact));
            if within.listed.as_slice().binary_search_by(is_within).is_ok() {
                self.insert(member.rank, member.contact, member.count);
            }
        }
    }

    /// How many members another set does not have; `None` where one of the two is not exact.
    pub fn count_beside(&self, other: &Self) -> Option<u64> {
        if self.sketch.is_some() || other.sketch.is_some() {
            return None;
        }
        let rank = |member: &ListedMember| (member.rank, member.contact);
        let mut others = other.listed.as_slice().iter().map(rank).peekable();
        let is_beside = |member: &&ListedMember| {
            while others.next_if(|other| *other < rank(member)).is_some() {}
            others.next_if_eq(&rank(member)).is_none()
        };
        Some(self.listed.as_slice().iter().filter(is_beside).count() as u64)
    }

    /// How many members there are.
    pub fn cardinality(&self) -> Cardinality {
        match &self.sketch {
            // Never fewer than are listed.
            Some(sketch) => {
                Cardinality { count: sketch.estimate().max(self.listed.as_slice().len() as u64 + 1), is_exact: false }
            }
            None => Cardinality { count: self.listed.as_slice().len() as u64, is_exact: true },
        }
    }

    /// [`DistinctSet::cardinality`], the number alone.
    pub fn count(&self) -> u64 {
        self.cardinality().count
    }

    /// Listed members with how often each was inserted, in the order of ranks: all, or an even sample.
    pub fn listed(&self) -> impl ExactSizeIterator<Item = (Contact, u32)> {
        self.listed.as_slice().iter().map(|member| (member.contact, member.count))
    }

    /// The same by their ranks.
    pub fn listed_ranks(&self) -> impl ExactSizeIterator<Item = (u64, u32)> {
        self.listed.as_slice().iter().map(|member| (member.rank, member.count))
    }

    /// Bytes of memory behind it; only grows while members are added.
    pub fn bytes(&self) -> usize {
        size_of_val(self.listed.as_slice()) + self.sketch.as_ref().map_or(0, |_| HyperLogLog::BYTES)
    }

    /// Forgets all members, and gives memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Members that an alert shows.
const SHOWN_MAX: usize = 10;

/// The hosts among the listed members that were inserted most often, most first: of all when the set is exact, else of an even sample.
pub fn top_listed(set: &DistinctSet) -> Vec<(HostAddress, u64)> {
    let mut top: Vec<_> = set.listed().map(|(contact, count)| (contact.host, u64::from(count))).collect();
    top.sort_unstable_by_key(|&(host, count)| (Reverse(count), host));
    top.truncate(SHOWN_MAX);
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;
    use proptest::prelude::*;

    fn contact(number: u16) -> Contact {
        Contact { host: HostAddress::v4([10, 0, 0, 1]), port: number }
    }

    fn set_of(ports: &[u16], hash: &EvidenceHash) -> DistinctSet {
        let mut set = DistinctSet::default();
        ports.iter().for_each(|&port| {
            set.insert(hash.rank(&contact(port)), contact(port), 1);
        });
        set
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same_set(
            ports in prop::collection::vec(0_u16..300, 0..400), shares in prop::collection::vec(0_usize..4, 400),
        ) {
            let hash = EvidenceHash::fixed();
            let whole = set_of(&ports, &hash);
            let parts: Vec<DistinctSet> = (0..4)
                .map(|part| {
                    let own: Vec<u16> = ports.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(port, _)| *port).collect();
                    set_of(&own, &hash)
                })
                .collect();
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut merged = DistinctSet::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            let reversed: Vec<u16> = ports.iter().rev().copied().collect();
            prop_assert_eq!(set_of(&reversed, &hash), whole);
        }
    }

    #[test]
    fn members_beside_another_set_are_counted_while_both_are_exact() {
        let hash = EvidenceHash::fixed();
        let (one, other) = (set_of(&[1, 2, 3, 4, 5], &hash), set_of(&[2, 5, 9], &hash));
        assert_eq!((one.count_beside(&other), other.count_beside(&one)), (Some(3), Some(1)));
        assert_eq!((one.count_beside(&one), one.count_beside(&DistinctSet::default())), (Some(0), Some(5)));
        let large = set_of(&(0..65).collect::<Vec<_>>(), &hash);
        assert_eq!((one.count_beside(&large), large.count_beside(&one)), (None, None));
    }

    #[test]
    fn exact_up_to_its_list_and_estimated_beyond() {
        let hash = EvidenceHash::fixed();
        let ports: Vec<u16> = (0..64).collect();
        let mut set = set_of(&ports, &hash);
        assert_eq!(set.cardinality(), Cardinality { count: 64, is_exact: true });
        set.insert(hash.rank(&contact(1)), contact(1), 5);
        assert_eq!(set.listed().find(|(member, _)| *member == contact(1)), Some((contact(1), 6)));
        set.insert(hash.rank(&contact(99)), contact(99), 1);
        assert!(!set.cardinality().is_exact && (60..72).contains(&set.count()), "{:?}", set.cardinality());
        set.clear();
        assert_eq!((set.bytes(), set.count()), (0, 0));
    }
}
