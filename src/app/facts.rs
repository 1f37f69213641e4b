//! Facts of a flow that are not numbers of every record: names, versions, fingerprints, as inspection finds
//! them.
//!
//! Owns their form in memory: the facts of a record are one run of bytes, so they are copied, moved and freed
//! as one. Knows no protocol and no name: a fact has a number, and its name is chosen where it is shown.
//! Invariants: reading never panics, whatever the bytes are; a record's facts take at most [`FACTS_LEN_MAX`]
//! bytes, an arena's at most its limit.

use std::borrow::Cow;

/// Bytes that the facts of one record take, at most. A fact takes five more than its value.
pub const FACTS_LEN_MAX: usize = 4096;

/// Where the facts of a record are, in the arena that goes with the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactRef(u32);

impl FactRef {
    /// No facts.
    pub const NONE: Self = Self(0);

    /// The reference to what has this index in some list. `None` where indices run out.
    pub fn to_index(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).map(Self)
    }

    /// The index; `None` when there are no facts.
    pub fn index(self) -> Option<usize> {
        self.0.checked_sub(1).map(|index| index as usize)
    }
}

/// Which fact it is: the object it belongs to (a protocol, as a rule), and which of its members it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactId {
    /// Number of the object.
    pub object: u8,
    /// Number of the member in the object.
    pub member: u8,
}

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactValue<'a> {
    /// Text out of packets: untrusted, any bytes.
    Text(&'a [u8]),
    /// A number.
    Number(u64),
    /// True or false.
    Boolean(bool),
    /// Several texts.
    List(FactList<'a>),
}

/// Several texts, in the form in which they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactList<'a>(&'a [u8]);

impl<'a> FactList<'a> {
    /// The texts, in the order in which they were given.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut left = self.0;
        std::iter::from_fn(move || sized(&mut left))
    }
}

/// Takes a length of two bytes and as many bytes.
fn sized<'a>(left: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = left.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    *left = rest;
    Some(bytes)
}

/// The facts of one record.
///
/// They are one run of bytes, or a run with holes, which are filled, one by one, by those of a second run: many records have the first one
/// in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct FactSet<'a> {
    run: &'a [u8],
    fillings: &'a [u8],
}

/// In the place of a fact that is in the other run. No object has this number.
const HOLE: u8 = u8::MAX;

const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const BOOLEAN: u8 = 2;
const LIST: u8 = 3;

impl<'a> FactSet<'a> {
    /// No facts.
    pub const NONE: Self = Self { run: &[], fillings: &[] };

    /// True when there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.run.is_empty()
    }

    /// All of them, in the order in which they were given.
    pub fn iter(self) -> impl Iterator<Item = (FactId, FactValue<'a>)> {
        self.pieces().map_while(read)
    }

    /// The form in which each of them is kept.
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let Self { mut run, mut fillings } = self;
        std::iter::from_fn(move || {
            let from = match run {
                [HOLE, rest @ ..] => {
                    run = rest;
                    &mut fillings
                }
                _ => &mut run,
            };
            let &[_, _, _, low, high] = from.first_chunk()?;
            let (piece, rest) = from.split_at_checked(HEAD_LEN + usize::from(u16::from_le_bytes([low, high])))?;
            *from = rest;
            Some(piece)
        })
    }

    /// The first fact of this name.
    pub fn get(self, id: FactId) -> Option<FactValue<'a>> {
        self.iter().find(|(found, _)| *found == id).map(|(_, value)| value)
    }

    /// Bytes of the form in which they are kept, as one run.
    pub fn len(self) -> usize {
        if self.fillings.is_empty() { self.run.len() } else { self.pieces().map(<[u8]>::len).sum() }
    }

    /// The form in which they are kept, as one run.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        if self.fillings.is_empty() { Cow::Borrowed(self.run) } else { Cow::Owned(self.pieces().flatten().copied().collect()) }
    }

    /// Adds that form to bytes.
    pub fn write(self, bytes: &mut Vec<u8>) {
        if self.fillings.is_empty() {
            bytes.extend_from_slice(self.run);
        } else {
            self.pieces().for_each(|piece| bytes.extend_from_slice(piece));
        }
    }

    /// Facts that were kept in that form.
    pub const fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { run: bytes, fillings: &[] }
    }

    /// Adds the facts for which `is_own` is false to `run`, with holes for the others, which it adds to `fillings`.
    pub fn split(self, is_own: impl Fn(FactId) -> bool, run: &mut Vec<u8>, fillings: &mut Vec<u8>) {
        for piece in self.pieces() {
            match piece {
                &[object, member, ..] if is_own(FactId { object, member }) => {
                    run.push(HOLE);
                    fillings.extend_from_slice(piece);
                }
                _ => run.extend_from_slice(piece),
            }
        }
    }

    /// Facts that were split.
    pub const fn of_runs(run: &'a [u8], fillings: &'a [u8]) -> Self {
        Self { run, fillings }
    }
}

impl PartialEq for FactSet<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.pieces().eq(other.pieces())
    }
}

impl Eq for FactSet<'_> {}

/// Bytes before a fact's value: object, member, form and length.
const HEAD_LEN: usize = 5;

/// A fact from the form in which it is kept.
fn read(piece: &[u8]) -> Option<(FactId, FactValue<'_>)> {
    let (&[object, member, form, _, _], value) = piece.split_first_chunk()?;
    let value = match form {
        TEXT => FactValue::Text(value),
        NUMBER => FactValue::Number(u64::from_le_bytes(value.try_into().ok()?)),
        BOOLEAN => FactValue::Boolean(value.first().is_some_and(|&byte| byte != 0)),
        LIST => FactValue::List(FactList(value)),
        _ => return None,
    };
    Some((FactId { object, member }, value))
}

/// Facts that belong to somebody. Nothing is allocated where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowFacts(Box<[u8]>);

impl FlowFacts {
    /// The facts.
    pub fn facts(&self) -> FactSet<'_> {
        FactSet::of_bytes(&self.0)
    }

    /// Bytes of memory.
    pub const fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

impl From<FactSet<'_>> for FlowFacts {
    fn from(facts: FactSet<'_>) -> Self {
        Self(facts.bytes().into())
    }
}

/// The facts of a record while they are found.
#[derive(Clone, Debug, Default)]
pub struct FactBuffer {
    bytes: Vec<u8>,
    left_out: u32,
    /// The facts as they were found before.
    before: Vec<u8>,
    /// The client has sent nothing since.
    is_client_same: bool,
}

impl PartialEq for FactBuffer {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, self.left_out) == (&other.bytes, other.left_out)
    }
}

impl Eq for FactBuffer {}

impl FactBuffer {
    /// Forgets all of them; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.before.clear();
        self.left_out = 0;
        self.is_client_same = false;
    }

    /// The facts are found again, with more bytes. `is_client_same`: none of them are the client's, so what is made of its bytes alone is the
    /// same and can be kept ([`FactWriter::keep`]).
    pub fn find_again(&mut self, is_client_same: bool) {
        std::mem::swap(&mut self.bytes, &mut self.before);
        self.bytes.clear();
        self.left_out = 0;
        self.is_client_same = is_client_same;
    }

    /// Facts that found no room.
    pub const fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Bytes of memory.
    pub const fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.before.capacity()
    }

    /// Facts of one object are added by this. What finds no room is counted.
    pub const fn object(&mut self, object: u8) -> FactWriter<'_> {
        FactWriter { buffer: self, object }
    }

    /// All of them.
    pub fn facts(&self) -> FactSet<'_> {
        FactSet::of_bytes(&self.bytes)
    }

    /// Adds facts of another buffer, whatever room there is.
    pub fn copy(&mut self, facts: FactSet<'_>) {
        facts.write(&mut self.bytes);
    }

    /// Adds a text. False when the record has no room for it, here and below; then nothing is added.
    #[must_use]
    pub fn text(&mut self, id: FactId, text: &[u8]) -> bool {
        self.add(id, TEXT, |bytes| bytes.extend_from_slice(text))
    }

    /// Adds a number.
    #[must_use]
    pub fn number(&mut self, id: FactId, number: u64) -> bool {
        self.add(id, NUMBER, |bytes| bytes.extend_from_slice(&number.to_le_bytes()))
    }

    /// Adds a truth.
    #[must_use]
    pub fn boolean(&mut self, id: FactId, value: bool) -> bool {
        self.add(id, BOOLEAN, |bytes| bytes.push(value.into()))
    }

    /// Adds several texts.
    #[must_use]
    pub fn list<'t>(&mut self, id: FactId, texts: impl IntoIterator<Item = &'t [u8]>) -> bool {
        self.add(id, LIST, |bytes| {
            for text in texts {
                // One that is longer takes more room than there is, so it is left out whole.
                bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
                bytes.extend_from_slice(text);
            }
        })
    }

    fn add(&mut self, id: FactId, form: u8, value: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[id.object, id.member, form, 0, 0]);
        let value_start = self.bytes.len();
        value(&mut self.bytes);
        let value_len = self.bytes.len() - value_start;
        if self.bytes.len() > FACTS_LEN_MAX {
            self.bytes.truncate(start);
            self.left_out += 1;
            return false;
        }
        if let Some(len) = self.bytes.get_mut(value_start - 2..value_start) {
            // Below 2^16, as all of it is.
            len.copy_from_slice(&(value_len as u16).to_le_bytes());
        }
        true
    }
}

/// Adds the facts of one object.
pub struct FactWriter<'a> {
    buffer: &'a mut FactBuffer,
    object: u8,
}

impl FactWriter<'_> {
    const fn id(&self, member: u8) -> FactId {
        FactId { object: self.object, member }
    }

    /// A text, unless it is empty.
    pub fn text(&mut self, member: u8, text: &[u8]) {
        let id = self.id(member);
        // Counted there.
        let _has_room = text.is_empty() || self.buffer.text(id, text);
    }

    /// A number.
    pub fn number(&mut self, member: u8, number: u64) {
        let id = self.id(member);
        let _has_room = self.buffer.number(id, number);
    }

    /// The text that was found before in what the client alone has sent, where it has sent nothing since. False where it has to be found.
    pub fn keep(&mut self, member: u8) -> bool {
        let id = self.id(member);
        let FactBuffer { before, is_client_same: true, .. } = &mut *self.buffer else { return false };
        let before = std::mem::take(before);
        let kept = match FactSet::of_bytes(&before).get(id) {
            Some(FactValue::Text(text)) => {
                // Counted there.
                let _has_room = self.buffer.text(id, text);
                true
            }
            _ => false,
        };
        self.buffer.before = before;
        kept
    }

    /// A truth that is told where it is so.
    pub fn flag(&mut self, member: u8, is_so: bool) {
        let id = self.id(member);
        let _has_room = !is_so || self.buffer.boolean(id, true);
    }

    /// Several texts, unless there is none.
    pub fn list<'t>(&mut self, member: u8, texts: impl IntoIterator<Item = &'t [u8]>) {
        let mut texts = texts.into_iter().peekable();
        let id = self.id(member);
        let _has_room = texts.peek().is_none() || self.buffer.list(id, texts);
    }
}

/// The facts of many records, that are kept and forgotten together.
#[derive(Debug)]
pub struct FactArena {
    bytes: Vec<u8>,
    len_max: usize,
}

impl Default for FactArena {
    /// For a box of ended flows.
    fn default() -> Self {
        Self::new(Self::BOX_LEN_MAX)
    }
}

impl FactArena {
    /// Bytes of facts that go with a box of ended flows: 256 for each of 256 flows.
    pub const BOX_LEN_MAX: usize = 64 << 10;

    /// An arena of at most `len_max` bytes. It takes memory when the first fact comes, and keeps it.
    pub const fn new(len_max: usize) -> Self {
        Self { bytes: Vec::new(), len_max }
    }

    /// Copies facts into it; `None` when there is no room. A record's length takes two bytes more.
    pub fn push(&mut self, facts: FactSet<'_>) -> Option<FactRef> {
        if facts.is_empty() {
            return Some(FactRef::NONE);
        }
        let len = facts.len();
        let start = self.bytes.len();
        let len_bytes = u16::try_from(len).ok()?.to_le_bytes();
        if len + 2 > self.len_max.saturating_sub(start) {
            return None;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(self.len_max.min(Self::BOX_LEN_MAX));
        }
        self.bytes.extend_from_slice(&len_bytes);
        facts.write(&mut self.bytes);
        FactRef::to_index(start)
    }

    /// The facts of a record; none for a reference of another arena.
    pub fn get(&self, facts: FactRef) -> FactSet<'_> {
        let mut left = facts.index().and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        FactSet::of_bytes(sized(&mut left).unwrap_or_default())
    }

    /// Forgets all of them; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: FactId = FactId { object: 3, member: 250 };

    #[test]
    fn facts_come_back_in_order() {
        let mut buffer = FactBuffer::default();
        assert!(buffer.text(ID, b"a\0\xff"));
        assert!(buffer.number(FactId { object: 0, member: 0 }, u64::MAX));
        assert!(buffer.list(ID, [b"h2".as_slice(), b"", b"http/1.1"]));
        assert!(buffer.boolean(ID, true));
        let facts: Vec<_> = buffer.facts().iter().collect();
        assert_eq!(facts.len(), 4);
        assert_eq!(facts[0], (ID, FactValue::Text(b"a\0\xff")));
        assert_eq!(facts[1].1, FactValue::Number(u64::MAX));
        let FactValue::List(list) = facts[2].1 else { panic!("a list") };
        assert!(list.iter().eq([b"h2".as_slice(), b"", b"http/1.1"]));
        assert_eq!(buffer.facts().get(ID), Some(FactValue::Text(b"a\0\xff")), "the first one");
        assert_eq!(buffer.facts().get(FactId { object: 9, member: 9 }), None);
    }

    #[test]
    fn a_record_and_an_arena_have_a_limit() {
        let mut buffer = FactBuffer::default();
        assert!(!buffer.text(ID, &[b'x'; FACTS_LEN_MAX - 4]));
        assert!(!buffer.list(ID, [[b'x'; 65_536 + 3].as_slice()]));
        assert!(buffer.facts().is_empty());
        assert!(buffer.text(ID, &[b'x'; 95]));
        assert_eq!(buffer.facts().len(), 100);
        let mut arena = FactArena::new(300);
        for round in 0..3 {
            let places =
                [arena.push(buffer.facts()), arena.push(FactSet::NONE), arena.push(buffer.facts()), arena.push(buffer.facts())];
            let [Some(first), Some(FactRef::NONE), Some(second), None] = places else { panic!("round {round}: {places:?}") };
            assert!([first, second].iter().all(|&place| arena.get(place) == buffer.facts()));
            assert!(arena.get(FactRef::NONE).is_empty());
            arena.clear();
            assert!(arena.get(first).is_empty());
        }
    }

    #[test]
    fn owned_facts_are_the_same() {
        let mut buffer = FactBuffer::default();
        assert!(buffer.text(ID, b"www"));
        let owned = FlowFacts::from(buffer.facts());
        assert_eq!((owned.facts(), owned.memory_bytes()), (buffer.facts(), 8));
        assert_eq!(FlowFacts::from(FactSet::NONE), FlowFacts::default());
        assert!(FlowFacts::default().facts().is_empty());
    }

    /// Facts of any kind, and which of them are apart.
    fn any_facts() -> impl Strategy<Value = (FactBuffer, Vec<u8>)> {
        let texts = prop::collection::vec((0..4_u8, prop::collection::vec(any::<u8>(), 0..9)), 0..9);
        (texts, prop::collection::vec(0..4_u8, 0..4)).prop_map(|(texts, apart)| {
            let mut facts = FactBuffer::default();
            for (member, text) in &texts {
                assert!(facts.text(FactId { object: 7, member: *member }, text));
            }
            (facts, apart)
        })
    }

    proptest! {
        #[test]
        fn facts_that_were_split_are_the_same((whole, apart) in any_facts()) {
            let (mut run, mut fillings) = (Vec::new(), Vec::new());
            whole.facts().split(|id| apart.contains(&id.member), &mut run, &mut fillings);
            let split = FactSet::of_runs(&run, &fillings);
            prop_assert_eq!(split, whole.facts());
            prop_assert!(split.iter().eq(whole.facts().iter()));
            prop_assert_eq!((split.len(), split.bytes()), (whole.facts().len(), whole.facts().bytes()));
            prop_assert_eq!(FlowFacts::from(split), FlowFacts::from(whole.facts()));
            let mut arena = FactArena::default();
            let place = arena.push(split).expect("room");
            prop_assert_eq!(arena.get(place), whole.facts());
            let is_apart = whole.facts().iter().any(|(id, _)| apart.contains(&id.member));
            prop_assert_eq!(fillings.is_empty(), !is_apart);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for facts in [FactSet::of_bytes(&bytes), FactSet::of_runs(&bytes, &bytes)] {
                for (_, value) in facts.iter() {
                    if let FactValue::List(list) = value {
                        prop_assert!(list.iter().map(<[u8]>::len).sum::<usize>() <= bytes.len());
                    }
                }
            }
        }
    }
}
