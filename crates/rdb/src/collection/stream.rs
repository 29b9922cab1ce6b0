//! Streams (rdb 4: types 15, 19 and 21; rdb 6): nodes as they are, then the facts of the stream, then its groups.

use std::collections::BTreeMap;

use baton_values::{Collection, CollectionType as _, Listpack, Stream, StreamId};

use super::{CollectionReader, Input};
use crate::cursor::Stop;
use crate::encode::{StringEncoder, push_length};
use crate::format::VersionTarget;

const STREAM: u8 = 15;
const STREAM_2: u8 = 19;
const STREAM_3: u8 = 21;

/// Versions before this one have no times of activity.
const STREAM_3_SINCE: u16 = 11;
/// In the place of a count that nobody knows, and of a time that never was.
const UNKNOWN: u64 = u64::MAX;

/// What a stream is written as.
pub(super) fn type_written(target: VersionTarget) -> u8 {
    if target.number() >= STREAM_3_SINCE { STREAM_3 } else { STREAM_2 }
}

pub(super) fn push(out: &mut Vec<u8>, strings: &mut StringEncoder, stream: &Stream, target: VersionTarget) {
    push_length(out, stream.node_count());
    for (base, pack) in stream.nodes() {
        strings.bytes(out, &base.to_bytes());
        strings.bytes(out, pack.bytes());
    }
    push_length(out, stream.len());
    push_id(out, stream.last_id());
    push_id(out, stream.first_id());
    push_id(out, stream.max_deleted_id());
    push_length(out, stream.entries_added());
    push_length(out, stream.group_count());
    for group in stream.groups() {
        strings.bytes(out, group.name());
        push_id(out, group.last_id);
        push_length(out, group.entries_read.unwrap_or(UNKNOWN));
        push_length(out, group.pending_count());
        for pending in group.pending_from(StreamId::MIN) {
            out.extend_from_slice(&pending.id.to_bytes());
            out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
            push_length(out, pending.deliveries);
        }
        push_length(out, group.consumer_count());
        for consumer in group.consumers() {
            strings.bytes(out, consumer.name());
            out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
            if type_written(target) == STREAM_3 {
                out.extend_from_slice(&consumer.active_ms.unwrap_or(UNKNOWN).to_le_bytes());
            }
            push_length(out, consumer.pending_count());
            consumer.pending_from(StreamId::MIN).for_each(|id| out.extend_from_slice(&id.to_bytes()));
        }
    }
}

fn push_id(out: &mut Vec<u8>, id: StreamId) {
    push_length(out, id.ms);
    push_length(out, id.seq);
}

pub(super) fn reader_of(number: u8) -> Option<Box<dyn CollectionReader>> {
    let form = match number {
        STREAM => Form::First,
        STREAM_2 => Form::WithCounts,
        STREAM_3 => Form::WithActivity,
        _ => return None,
    };
    Some(Box::new(Reader { form, next: Part::NodeCount, stream: Stream::default(), group: OpenGroup::default() }))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    First,
    WithCounts,
    WithActivity,
}

/// What comes next; each with how many of its kind are to come.
#[derive(Clone, Copy)]
enum Part {
    NodeCount,
    Node(u64),
    Facts,
    Group(u64),
    Pending(u64),
    ConsumerCount,
    Consumer(u64),
    /// An entry that is pending for the latest consumer.
    Owned(u64),
    End,
}

/// The group that is being read.
#[derive(Default)]
struct OpenGroup {
    name: Vec<u8>,
    /// Groups behind this one.
    groups_left: u64,
    /// What is pending and has no consumer yet: when it was given away, and how often.
    unowned: BTreeMap<StreamId, (u64, u64)>,
    consumer: Vec<u8>,
    consumers_left: u64,
}

struct Reader {
    form: Form,
    next: Part,
    stream: Stream,
    group: OpenGroup,
}

impl CollectionReader for Reader {
    fn read_part(&mut self, input: &mut Input<'_>) -> Result<bool, Stop> {
        let next = match self.next {
            Part::NodeCount => Part::Node(input.length()?),
            Part::Node(left) => self.read_node(input, left)?,
            Part::Facts => self.read_facts(input)?,
            Part::Group(left) => self.read_group(input, left)?,
            Part::Pending(left) => self.read_pending(input, left)?,
            Part::ConsumerCount => Part::Consumer(input.length()?),
            Part::Consumer(left) => self.read_consumer(input, left)?,
            Part::Owned(left) => self.read_owned(input, left)?,
            Part::End => Part::End,
        };
        self.next = self.settled(next)?;
        Ok(matches!(self.next, Part::End))
    }

    fn take(&mut self) -> Collection {
        std::mem::take(&mut self.stream).into_collection()
    }
}

impl Reader {
    /// Passes over kinds of parts of which none are left.
    fn settled(&mut self, mut next: Part) -> Result<Part, Stop> {
        loop {
            next = match next {
                Part::Node(0) => Part::Facts,
                Part::Group(0) => Part::End,
                Part::Pending(0) => Part::ConsumerCount,
                Part::Consumer(0) if !self.group.unowned.is_empty() => {
                    return Err(Stop::corrupt("NACK entry without consumer"));
                }
                Part::Consumer(0) => Part::Group(self.group.groups_left),
                Part::Owned(0) => Part::Consumer(self.group.consumers_left),
                other => return Ok(other),
            };
        }
    }

    fn read_node(&mut self, input: &mut Input<'_>, left: u64) -> Result<Part, Stop> {
        let (key, pack) = (input.text()?, input.text()?);
        let key = <[u8; 16]>::try_from(&*key);
        let key = key.map_err(|_| Stop::corrupt("Stream node key entry is not the size of a stream ID"))?;
        let damaged = |_| Stop::corrupt("Stream listpack integrity check failed.");
        let pack = Listpack::from_bytes(pack.into_owned()).map_err(damaged)?;
        self.stream.push_node(StreamId::from_bytes(key), pack).map_err(damaged)?;
        Ok(Part::Node(left - 1))
    }

    fn read_facts(&mut self, input: &mut Input<'_>) -> Result<Part, Stop> {
        let (length, last_id) = (input.length()?, id(input)?);
        let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, length);
        if self.form >= Form::WithCounts {
            // The first id follows from the entries.
            id(input)?;
            (max_deleted_id, entries_added) = (id(input)?, input.length()?);
        }
        let groups = input.length()?;
        if length != self.stream.len() {
            return Err(Stop::corrupt("Stream length inconsistent with rax entries"));
        }
        if last_id < self.stream.last_id() {
            return Err(Stop::corrupt("Stream last ID is below that of its entries"));
        }
        self.stream.set_last_id(last_id);
        self.stream.set_max_deleted_id(max_deleted_id);
        self.stream.set_entries_added(entries_added);
        Ok(Part::Group(groups))
    }

    fn read_group(&mut self, input: &mut Input<'_>, left: u64) -> Result<Part, Stop> {
        let (name, last_id) = (input.text()?, id(input)?);
        let entries_read = match self.form {
            Form::First => self.stream.added_up_to(last_id),
            _ => Some(input.length()?).filter(|count| i64::try_from(*count).is_ok()),
        };
        let pending = input.length()?;
        if !self.stream.create_group(&name, last_id, entries_read) {
            return Err(Stop::corrupt("Duplicated consumer group name loading stream"));
        }
        self.group = OpenGroup { name: name.into_owned(), groups_left: left - 1, ..OpenGroup::default() };
        Ok(Part::Pending(pending))
    }

    fn read_pending(&mut self, input: &mut Input<'_>, left: u64) -> Result<Part, Stop> {
        let (id, delivered_ms, deliveries) = (raw_id(input)?, time(input)?.unwrap_or(0), input.length()?);
        if self.group.unowned.insert(id, (delivered_ms, deliveries)).is_some() {
            return Err(Stop::corrupt("Duplicated global PEL entry loading stream consumer group"));
        }
        Ok(Part::Pending(left - 1))
    }

    fn read_consumer(&mut self, input: &mut Input<'_>, left: u64) -> Result<Part, Stop> {
        let (name, seen) = (input.text()?, time(input)?.unwrap_or(0));
        let active = if self.form >= Form::WithActivity { time(input)? } else { Some(seen) };
        let pending = input.length()?;
        let is_new = self.stream.edit_group(&self.group.name, |group| {
            let is_new = group.create_consumer(&name, seen);
            group.set_times(&name, seen, active);
            is_new
        });
        if is_new != Some(true) {
            return Err(Stop::corrupt("Duplicate stream consumer detected"));
        }
        self.group.consumer = name.into_owned();
        self.group.consumers_left = left - 1;
        Ok(Part::Owned(pending))
    }

    fn read_owned(&mut self, input: &mut Input<'_>, left: u64) -> Result<Part, Stop> {
        let id = raw_id(input)?;
        // One that an earlier consumer has is missing here too.
        let given = self.group.unowned.remove(&id);
        let (delivered_ms, deliveries) =
            given.ok_or_else(|| Stop::corrupt("Consumer entry not found in group global PEL"))?;
        let consumer = &self.group.consumer;
        self.stream.edit_group(&self.group.name, |group| group.assign(id, consumer, delivered_ms, deliveries));
        Ok(Part::Owned(left - 1))
    }
}

/// An id as two lengths.
fn id(input: &mut Input<'_>) -> Result<StreamId, Stop> {
    Ok(StreamId::new(input.length()?, input.length()?))
}

/// An id as 16 bytes.
fn raw_id(input: &mut Input<'_>) -> Result<StreamId, Stop> {
    Ok(StreamId::from_bytes(input.cursor.array()?))
}

/// A time in milliseconds; none if it is before 1970, which stands for never.
fn time(input: &mut Input<'_>) -> Result<Option<u64>, Stop> {
    Ok(u64::try_from(i64::from_le_bytes(input.cursor.array()?)).ok())
}
