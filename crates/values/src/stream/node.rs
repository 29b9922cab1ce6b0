//! One node of a stream: entries in a listpack, byte for byte as files have it (rdb 6).
//!
//! ```text
//! entries there | entries deleted | number of names | names | 0          the head
//! flags | id behind the base: ms, seq | values | elements before this    an entry with the names of the head
//! flags | ms, seq | number of fields | names and values | elements before this    any other entry
//! ```
//!
//! A deleted entry stays where it is and is only marked; a node goes when all its entries are.
//!
//! **Invariant.** The listpack of a node with entries is well-formed to the last element: what comes from outside gets here
//! through [`NodeLeaf::from_listpack`] only, which walks it whole.

use std::ops::Range;

use super::id::StreamId;
use crate::listpack::{Listpack, ListpackRef, Place};
use crate::text::Str;
use crate::tree::{Leaf, SplitAt};

/// Bytes of a node, at most, whatever the settings say.
const NODE_BYTES_MAX: usize = 1 << 30;

/// Marks of entries.
mod flag {
    pub(super) const DELETED: i64 = 1;
    pub(super) const SAME_NAMES: i64 = 2;
}

/// A node. One without entries has no head.
#[derive(Clone, Default)]
pub(super) struct NodeLeaf {
    /// The id from which those of the entries are counted; that of the first entry when the node was made.
    base: StreamId,
    /// Entries that are not deleted.
    live: u32,
    pack: Listpack,
}

/// How large a node may be: `stream-node-max-bytes` and `stream-node-max-entries`, of which 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeLimit {
    pub(super) bytes: usize,
    pub(super) entries: usize,
}

/// An entry of a stream.
#[derive(Clone, Copy)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    pack: ListpackRef<'a>,
    /// Where its names are, if they are not beside the values.
    names: Option<Place>,
    at: Place,
    len: usize,
}

/// An entry, deleted or not, and where it lies.
struct Item<'a> {
    entry: StreamEntry<'a>,
    flags: i64,
    start: Place,
    end: Place,
}

/// What stands before the entries.
#[derive(Clone, Copy)]
struct Head {
    names_count: usize,
    names: Place,
    end: Place,
}

impl<'a> StreamEntry<'a> {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no fields. No command makes such an entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names and values, as they were given.
    pub fn fields(&self) -> impl Iterator<Item = (Str<'a>, Str<'a>)> + use<'a> {
        let (pack, mut names, mut at) = (self.pack, self.names, self.at);
        (0..self.len).map(move |_| {
            let name = match &mut names {
                Some(names) => step(pack, names),
                None => step(pack, &mut at),
            };
            (name, step(pack, &mut at))
        })
    }
}

/// The element at a place, which moves on.
fn step<'a>(pack: ListpackRef<'a>, at: &mut Place) -> Str<'a> {
    let (text, next) = pack.read(*at);
    *at = next;
    text
}

fn skip(pack: ListpackRef<'_>, at: &mut Place, count: usize) {
    (0..count).for_each(|_| {
        step(pack, at);
    });
}

fn int(pack: ListpackRef<'_>, at: &mut Place) -> i64 {
    match step(pack, at) {
        Str::Int(n) => n,
        Str::Bytes(_) => panic!("a node was walked when it came in, and has numbers where they belong"),
    }
}

impl NodeLeaf {
    /// A node with one entry; `fields` are names and values in turn.
    pub(super) fn new(id: StreamId, fields: &[&[u8]]) -> NodeLeaf {
        let mut pack = Listpack::new();
        let names = fields.iter().step_by(2).map(|name| Str::of(name));
        let head = [0, 0, (fields.len() / 2) as i64].into_iter().map(Str::Int);
        pack.extend(head.chain(names).chain([Str::Int(0)]));
        let mut node = NodeLeaf { base: id, live: 0, pack };
        node.append(id, fields);
        node
    }

    /// A node that nobody looked at, and the id of its last entry; none if it has no entry that is not deleted.
    pub(super) fn from_listpack(base: StreamId, pack: Listpack) -> Option<Option<(NodeLeaf, StreamId)>> {
        let live = check::node(pack.as_ref())?;
        let mut node = NodeLeaf { base, live, pack };
        node.pack.fit();
        let mut last = None;
        for entry in node.entries() {
            let is_in_order = last.map_or(entry.id >= base, |last| entry.id > last);
            last = Some(is_in_order.then_some(entry.id)?);
        }
        Some(last.map(|last| (node, last)))
    }

    pub(super) fn base(&self) -> StreamId {
        self.base
    }

    /// The bytes as files have them.
    pub(super) fn pack(&self) -> ListpackRef<'_> {
        self.pack.as_ref()
    }

    /// Whether one more entry, with so many bytes of text, belongs into this node.
    pub(super) fn has_room(&self, text_bytes: usize, limit: NodeLimit) -> bool {
        let bytes_max = if limit.bytes == 0 { NODE_BYTES_MAX } else { limit.bytes.min(NODE_BYTES_MAX) };
        if self.pack().bytes().len().saturating_add(text_bytes) >= bytes_max {
            return false;
        }
        let Some(mut at) = self.pack().first() else { return false };
        limit.entries == 0 || int(self.pack(), &mut at) + int(self.pack(), &mut at) < limit.entries as i64
    }

    /// Gives unused memory back: the node is full.
    pub(super) fn close(&mut self) {
        self.pack.fit();
    }

    /// Adds an entry behind the last one; `fields` are names and values in turn.
    pub(super) fn append(&mut self, id: StreamId, fields: &[&[u8]]) {
        let (pack, head) = (self.pack(), self.head());
        let mut at = head.names;
        let count = fields.len() / 2;
        let is_same =
            count == head.names_count && fields.iter().step_by(2).all(|name| step(pack, &mut at) == Str::of(name));
        let (ms, seq) = id.delta(self.base);
        let flags = if is_same { flag::SAME_NAMES } else { 0 };
        let start = [flags, ms, seq].into_iter().map(Str::Int);
        if is_same {
            let values = fields.iter().skip(1).step_by(2).map(|value| Str::of(value));
            self.pack.extend(start.chain(values).chain([Str::Int(elements(count, true))]));
        } else {
            let texts = fields.iter().map(|text| Str::of(text));
            let counted = start.chain([Str::Int(count as i64)]);
            self.pack.extend(counted.chain(texts).chain([Str::Int(elements(count, false))]));
        }
        self.live += 1;
        self.write_counts(0);
    }

    /// Writes the number of entries into the head, and adds to that of deleted ones.
    fn write_counts(&mut self, deleted_more: i64) {
        let first = self.pack().first().expect("a node with entries has a head");
        let mut scratch = itoa::Buffer::new();
        self.pack.replace(first, scratch.format(self.live).as_bytes());
        if deleted_more > 0 {
            let (_, mut second) = self.pack().read(first);
            let place = second;
            let deleted = int(self.pack(), &mut second) + deleted_more;
            self.pack.replace(place, scratch.format(deleted).as_bytes());
        }
    }

    fn head(&self) -> Head {
        let pack = self.pack();
        let mut at = pack.first().expect("a node with entries has a head");
        skip(pack, &mut at, 2);
        let names_count = int(pack, &mut at) as usize;
        let names = at;
        skip(pack, &mut at, names_count + 1);
        Head { names_count, names, end: at }
    }

    /// The entry that begins at a place.
    fn item(&self, head: Head, start: Place) -> Item<'_> {
        let (pack, mut at) = (self.pack(), start);
        let flags = int(pack, &mut at);
        let id = self.base.plus((int(pack, &mut at), int(pack, &mut at)));
        let is_same = flags & flag::SAME_NAMES != 0;
        let len = if is_same { head.names_count } else { int(pack, &mut at) as usize };
        let entry = StreamEntry { id, pack, names: is_same.then_some(head.names), at, len };
        skip(pack, &mut at, if is_same { len } else { 2 * len } + 1);
        Item { entry, flags, start, end: at }
    }

    fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let head = (self.live > 0).then(|| self.head());
        let mut at = head.map(|head| head.end);
        let end = self.pack().end();
        std::iter::from_fn(move || {
            let item = self.item(head?, at.filter(|at| *at < end)?);
            at = Some(item.end);
            Some(item)
        })
        .filter(|item| item.flags & flag::DELETED == 0)
    }

    /// The entries that are not deleted, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = StreamEntry<'_>> {
        self.items().map(|item| item.entry)
    }

    /// All entries from the last one back, deleted ones as well.
    fn items_back(&self) -> impl Iterator<Item = Item<'_>> {
        let head = (self.live > 0).then(|| self.head());
        let mut behind = self.pack().end();
        std::iter::from_fn(move || {
            let (head, pack) = (head?, self.pack());
            if behind <= head.end {
                return None;
            }
            let last = pack.before(behind)?;
            let mut at = last;
            let start = (0..int(pack, &mut at)).try_fold(last, |at, _| pack.before(at))?;
            behind = start;
            Some(self.item(head, start))
        })
    }

    /// The entries that are not deleted, from the last one back.
    pub(super) fn entries_back(&self) -> impl Iterator<Item = StreamEntry<'_>> {
        self.items_back().filter(|item| item.flags & flag::DELETED == 0).map(|item| item.entry)
    }

    /// The id of the last entry, be it deleted.
    pub(super) fn last_id_ever(&self) -> StreamId {
        self.items_back().next().map_or(self.base, |item| item.entry.id)
    }

    /// Marks an entry as deleted; false if there is none with this id.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let found = self.items().find(|item| item.entry.id >= id).filter(|item| item.entry.id == id);
        let Some((flags, place)) = found.map(|item| (item.flags, item.start)) else { return false };
        self.mark(place, flags);
        self.settle(1);
        true
    }

    fn mark(&mut self, place: Place, flags: i64) {
        self.pack.replace(place, itoa::Buffer::new().format(flags | flag::DELETED).as_bytes());
    }

    /// Counts entries that were marked. A node without any left forgets them all.
    fn settle(&mut self, deleted: u32) {
        self.live -= deleted;
        if self.live == 0 {
            *self = NodeLeaf::default();
        } else {
            self.write_counts(i64::from(deleted));
        }
    }
}

/// The elements before the last one of an entry with so many fields.
fn elements(fields: usize, same_names: bool) -> i64 {
    3 + if same_names { fields } else { 1 + 2 * fields } as i64
}

impl Leaf for NodeLeaf {
    type Separator = StreamId;

    fn len(&self) -> usize {
        self.live as usize
    }

    fn heap_bytes(&self) -> usize {
        self.pack.heap_bytes()
    }

    /// How large a node becomes is decided when an entry is added; it is never split.
    fn is_over(&self) -> bool {
        false
    }

    fn is_under(&self) -> bool {
        false
    }

    fn fits(&self, _: &Self) -> bool {
        false
    }

    fn split(&mut self, _: SplitAt) -> (StreamId, Self) {
        unreachable!("no node is too large")
    }

    fn join(&mut self, _: Self) {
        unreachable!("no two nodes fit into one");
    }

    fn remove(&mut self, range: Range<usize>) {
        if range.len() == self.len() {
            *self = NodeLeaf::default();
            return;
        }
        let marks: Vec<(Place, i64)> =
            self.items().skip(range.start).take(range.len()).map(|item| (item.start, item.flags)).collect();
        // Marking changes no place: both forms of the flags take the same bytes.
        marks.iter().for_each(|(place, flags)| self.mark(*place, *flags));
        self.settle(marks.len() as u32);
    }
}

/// Looking at a listpack that claims to be a node.
mod check {
    use super::{ListpackRef, Place, Str, elements, flag};

    struct Walk<'a> {
        pack: ListpackRef<'a>,
        at: Place,
    }

    impl Walk<'_> {
        fn text(&mut self) -> Option<Str<'_>> {
            if self.at >= self.pack.end() {
                return None;
            }
            let (text, next) = self.pack.read(self.at);
            self.at = next;
            Some(text)
        }

        fn int(&mut self) -> Option<i64> {
            match self.text()? {
                Str::Int(n) => Some(n),
                Str::Bytes(_) => None,
            }
        }

        fn count(&mut self) -> Option<u32> {
            u32::try_from(self.int()?).ok()
        }

        fn skip(&mut self, count: u64) -> Option<()> {
            for _ in 0..count {
                self.text()?;
            }
            Some(())
        }
    }

    /// The number of entries that are not deleted; none if this is no node.
    pub(super) fn node(pack: ListpackRef<'_>) -> Option<u32> {
        let mut walk = Walk { pack, at: pack.first()? };
        let (live, deleted, names) = (walk.count()?, walk.count()?, walk.count()?);
        walk.skip(names.into())?;
        (walk.int()? == 0).then_some(())?;
        let mut marked = 0;
        for _ in 0..u64::from(live) + u64::from(deleted) {
            let flags = walk.int()?;
            // Only these marks exist, and with them changing one changes no other byte.
            (flags & !(flag::DELETED | flag::SAME_NAMES) == 0).then_some(())?;
            marked += u32::from(flags & flag::DELETED != 0);
            let _delta = (walk.int()?, walk.int()?);
            let is_same = flags & flag::SAME_NAMES != 0;
            let fields = if is_same { names } else { walk.count()? };
            walk.skip(if is_same { fields.into() } else { 2 * u64::from(fields) })?;
            (walk.int()? == elements(fields as usize, is_same)).then_some(())?;
        }
        (walk.at == pack.end() && marked == deleted).then_some(live)
    }
}
