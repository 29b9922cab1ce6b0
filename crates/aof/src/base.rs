//! A base made of commands (`aof-use-rdb-preamble no`, aof 8): every entry as the commands that make it anew, in the forms that
//! upstream gives them. Bytes out of values; knows no file and no dataset.
//!
//! Commands don't tell when a consumer of a stream was last seen. Nor is there one for an entry that was deleted while it was pending
//! for a consumer, which upstream's readers forget: here it is added, claimed and deleted again, for a replica that goes on from such a base must
//! have what its primary has.

use std::collections::BTreeSet;

use baton_base::WallMs;
use baton_resp::Out;
use baton_values::{HashRef, ListRef, Scored, SetRef, Str, Stream, StreamId, Value, ZSetRef};

use crate::annotation::Annotation;

/// No command brings more elements than this, so that none of them keeps a server that reads the file busy for long.
const ELEMENTS_MAX: usize = 64;
/// A buffer that had to grow beyond this for a large value is given back once drained.
const BUFFER_KEEP_BYTES: usize = 1 << 20;

/// Writes one base. Call [`BaseWriter::drain`] whenever [`BaseWriter::pending_bytes`] has grown to a good write size.
#[derive(Debug, Default)]
pub struct BaseWriter {
    out: Out,
    /// The database that the commands before have selected.
    db: Option<u32>,
}

impl BaseWriter {
    /// Begins a file.
    pub fn new() -> BaseWriter {
        BaseWriter::default()
    }

    /// A line between commands.
    pub fn annotation(&mut self, said: Annotation) {
        said.write(&mut self.out.buf);
    }

    /// The source of a function library.
    pub fn function(&mut self, source: &[u8]) {
        self.command(&[b"FUNCTION", b"LOAD", source]);
    }

    /// A command as it is.
    pub fn command(&mut self, words: &[&[u8]]) {
        self.out.array(words.len());
        words.iter().for_each(|word| self.out.bulk(word));
    }

    /// An entry, after a change of database where it needs one.
    pub fn entry(&mut self, db: u32, key: &[u8], value: &Value<'_>, expire_at: Option<WallMs>) {
        if self.db != Some(db) {
            self.db = Some(db);
            self.command(&[b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
        }
        match value {
            Value::Str(text) => {
                self.head("SET", key, 1);
                self.text(*text);
            }
            Value::List(list) => self.list(key, *list),
            Value::Set(set) => self.set(key, *set),
            Value::Hash(hash) => self.hash(key, *hash),
            Value::ZSet(zset) => self.zset(key, *zset),
            Value::Stream(stream) => self.stream(key, stream),
            _ => unreachable!("every kind of value has a form in commands"),
        }
        if let Some(WallMs(at)) = expire_at {
            self.command(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
        }
    }

    /// Bytes written and not drained yet.
    pub fn pending_bytes(&self) -> usize {
        self.out.buf.len()
    }

    /// Hands all pending bytes to `sink` and forgets them.
    pub fn drain<R>(&mut self, sink: impl FnOnce(&[u8]) -> R) -> R {
        let result = sink(&self.out.buf);
        self.out.buf.clear();
        self.out.buf.shrink_to(BUFFER_KEEP_BYTES);
        result
    }

    fn list(&mut self, key: &[u8], list: ListRef<'_>) {
        in_batches(list.iter_from(0), |texts| {
            self.head("RPUSH", key, texts.len());
            texts.iter().for_each(|text| self.text(*text));
        });
    }

    fn set(&mut self, key: &[u8], set: SetRef<'_>) {
        in_batches(set.iter(), |members| {
            self.head("SADD", key, members.len());
            members.iter().for_each(|member| self.text(*member));
        });
    }

    fn zset(&mut self, key: &[u8], zset: ZSetRef<'_>) {
        in_batches(zset.iter_from(0), |elements| {
            self.head("ZADD", key, 2 * elements.len());
            for Scored { member, score } in elements {
                self.out.double(*score);
                self.text(*member);
            }
        });
    }

    /// Fields that end come first, each with its time. If all have ended by the time they are read, nothing is there then.
    fn hash(&mut self, key: &[u8], hash: HashRef<'_>) {
        if hash.next_due().is_some() {
            for (field, value) in hash.iter() {
                let Some(WallMs(at)) = value.expire_at else { continue };
                self.head("HSETEX", key, 6);
                self.out.bulk(b"PXAT");
                self.out.bulk(itoa::Buffer::new().format(at).as_bytes());
                self.out.bulk(b"FIELDS");
                self.out.bulk(b"1");
                self.text(field);
                self.text(value.text);
            }
        }
        in_batches(hash.iter().filter(|(_, value)| value.expire_at.is_none()), |pairs| {
            self.head("HMSET", key, 2 * pairs.len());
            for (field, value) in pairs {
                self.text(*field);
                self.text(value.text);
            }
        });
    }

    fn stream(&mut self, key: &[u8], stream: &Stream) {
        let deleted = deleted_but_pending(stream);
        if stream.is_empty() && deleted.is_empty() {
            // There is no other way to have a stream without entries.
            self.command(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
        }
        let mut stand_ins = deleted.iter().copied().peekable();
        for entry in stream.iter_from(0) {
            while let Some(id) = stand_ins.next_if(|id| *id < entry.id) {
                self.stand_in(key, id);
            }
            self.head("XADD", key, 1 + 2 * entry.len());
            self.id(entry.id);
            for (name, value) in entry.fields() {
                self.text(name);
                self.text(value);
            }
        }
        stand_ins.for_each(|id| self.stand_in(key, id));
        if deleted.is_empty() {
            self.counts(key, stream);
            return self.groups(key, stream);
        }
        self.groups(key, stream);
        in_batches(deleted.into_iter(), |ids| {
            self.head("XDEL", key, ids.len());
            ids.iter().for_each(|id| self.id(*id));
        });
        self.counts(key, stream);
    }

    /// An entry that is deleted once it was claimed.
    fn stand_in(&mut self, key: &[u8], id: StreamId) {
        self.head("XADD", key, 3);
        self.id(id);
        self.out.bulk(b"x");
        self.out.bulk(b"y");
    }

    fn counts(&mut self, key: &[u8], stream: &Stream) {
        self.head("XSETID", key, 5);
        self.id(stream.last_id());
        self.out.bulk(b"ENTRIESADDED");
        self.number(stream.entries_added());
        self.out.bulk(b"MAXDELETEDID");
        self.id(stream.max_deleted_id());
    }

    fn groups(&mut self, key: &[u8], stream: &Stream) {
        for group in stream.groups() {
            self.group_head("CREATE", key, group.name(), 3);
            self.id(group.last_id);
            self.out.bulk(b"ENTRIESREAD");
            match group.entries_read {
                Some(count) => self.number(count),
                None => self.out.bulk(b"-1"),
            }
            // Claims make the others.
            for consumer in group.consumers().filter(|consumer| consumer.pending_count() == 0) {
                self.group_head("CREATECONSUMER", key, group.name(), 1);
                self.out.bulk(consumer.name());
            }
            for pending in group.pending_from(StreamId::MIN) {
                self.head("XCLAIM", key, 10);
                self.out.bulk(group.name());
                self.out.bulk(pending.consumer());
                self.out.bulk(b"0");
                self.id(pending.id);
                self.out.bulk(b"TIME");
                self.number(pending.delivered_ms);
                self.out.bulk(b"RETRYCOUNT");
                self.number(pending.deliveries);
                self.out.bulk(b"JUSTID");
                self.out.bulk(b"FORCE");
            }
        }
    }

    /// The begin of a command on a key, of which so many words follow.
    fn head(&mut self, name: &str, key: &[u8], words: usize) {
        self.out.array(2 + words);
        self.out.bulk(name.as_bytes());
        self.out.bulk(key);
    }

    /// The same of an XGROUP command.
    fn group_head(&mut self, word: &str, key: &[u8], group: &[u8], words: usize) {
        self.out.array(4 + words);
        self.out.bulk(b"XGROUP");
        self.out.bulk(word.as_bytes());
        self.out.bulk(key);
        self.out.bulk(group);
    }

    fn text(&mut self, text: Str<'_>) {
        self.out.bulk(text.bytes(&mut itoa::Buffer::new()));
    }

    fn number(&mut self, n: u64) {
        self.out.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    fn id(&mut self, id: StreamId) {
        self.out.bulk(id.to_string().as_bytes());
    }
}

/// What consumers have not acknowledged, and nobody can read any more.
fn deleted_but_pending(stream: &Stream) -> BTreeSet<StreamId> {
    let pending = stream.groups().flat_map(|group| group.pending_from(StreamId::MIN)).map(|pending| pending.id);
    pending.filter(|id| stream.get(*id).is_none()).collect()
}

/// Gives the elements in pieces of so many as one command may bring.
fn in_batches<T>(elements: impl Iterator<Item = T>, mut write: impl FnMut(&[T])) {
    let mut batch = Vec::with_capacity(ELEMENTS_MAX);
    for element in elements {
        batch.push(element);
        if batch.len() == ELEMENTS_MAX {
            write(&batch);
            batch.clear();
        }
    }
    if !batch.is_empty() {
        write(&batch);
    }
}

#[cfg(test)]
mod tests;
