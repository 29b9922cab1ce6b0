//! What a snapshot is written as: a snapshot file, or commands. Knows how a dataset is framed in either; never where its entries
//! come from, nor where the bytes go.

use baton_aof::{Annotation, BaseFormat, BaseWriter, Position};
use baton_base::{ShardId, WallMs};
use baton_config::Id;
use baton_rdb::{Encoder, Entry, Preamble};

use super::snapshot::Plan;
use crate::entries;
use crate::node::connection::COMPATIBLE_VERSION;

/// Names the shard whose data a file holds, so that nobody takes it for another one's after a restart. Readers of other
/// releases pass over it.
pub(crate) const SHARD_FACT: &[u8] = b"cluster-shard-id";
/// Stands for the source of slots that are coming: whoever reads a file is not shown it.
const NO_SOURCE: &[u8] = &[b'0'; 40];

/// One file in the making.
#[expect(clippy::large_enum_variant, reason = "there is one of it, on the stack of the thread that writes")]
pub(super) enum Form {
    /// A snapshot file.
    Snapshot(Encoder),
    /// Commands that make everything anew.
    Commands(BaseWriter),
}

impl Form {
    /// Writes what stands before the entries.
    pub(super) fn begin(plan: &Plan, now: WallMs) -> Form {
        match plan.aof_base {
            Some(BaseFormat::Commands) => Form::Commands(begin_commands(plan, now)),
            Some(BaseFormat::Rdb) | None => Form::Snapshot(begin_snapshot(plan, now)),
        }
    }

    /// Writes an entry.
    pub(super) fn entry(&mut self, entry: &Entry<'_>) {
        match self {
            Form::Snapshot(encoder) => encoder.entry(entry),
            Form::Commands(writer) => writer.entry(entry.db, entry.key, &entry.value, entry.expire_at),
        }
    }

    /// Writes what stands behind the entries.
    pub(super) fn finish(&mut self, plan: &Plan) {
        match self {
            Form::Snapshot(encoder) => encoder.finish(),
            Form::Commands(writer) => finish_commands(plan, writer),
        }
    }

    /// Bytes written and not drained yet.
    pub(super) fn pending_bytes(&self) -> usize {
        match self {
            Form::Snapshot(encoder) => encoder.pending_bytes(),
            Form::Commands(writer) => writer.pending_bytes(),
        }
    }

    /// Hands all pending bytes to `sink` and forgets them.
    pub(super) fn drain<R>(&mut self, sink: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Form::Snapshot(encoder) => encoder.drain(sink),
            Form::Commands(writer) => writer.drain(sink),
        }
    }
}

fn begin_snapshot(plan: &Plan, now: WallMs) -> Encoder {
    let mut encoder = Encoder::new(entries::encoder_options(&plan.settings, plan.version));
    encoder.preamble(&Preamble {
        server_version: COMPATIBLE_VERSION,
        created_at: now,
        used_memory_bytes: crate::os_memory::used_bytes(),
        replication: plan.point,
        is_aof_base: plan.aof_base.is_some(),
    });
    if let Some(shard) = &plan.shard {
        encoder.aux(SHARD_FACT, shard.as_bytes());
    }
    plan.functions.iter().for_each(|library| encoder.function(&library.code));
    plan.coming.iter().for_each(|(name, ranges)| encoder.slot_import(name.as_bytes(), ranges));
    for (db, keys, expires) in &plan.sizes {
        encoder.resize_db(db.0, *keys, *expires);
    }
    encoder
}

/// The commands' own facts are lines that others pass over. Slots that are coming stand there as the stream has them.
fn begin_commands(plan: &Plan, now: WallMs) -> BaseWriter {
    let mut writer = BaseWriter::new();
    if plan.settings.bool(Id::AofTimestampEnabled) {
        writer.annotation(Annotation::Time(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)));
    }
    if let Some(shard) = &plan.shard {
        writer.annotation(Annotation::Shard(ShardId::parse(shard.as_bytes()).ok()));
    }
    plan.functions.iter().for_each(|library| writer.function(&library.code));
    for (name, ranges) in &plan.coming {
        let slots: Vec<String> = ranges.iter().flat_map(|(a, b)| [a, b]).map(ToString::to_string).collect();
        let mut words: Vec<&[u8]> = vec![b"CLUSTER", b"SYNCSLOTS", b"ESTABLISH", b"SOURCE", NO_SOURCE, b"NAME"];
        words.extend([name.as_bytes(), b"SLOTSRANGE"]);
        words.extend(slots.iter().map(String::as_bytes));
        writer.command(&words);
    }
    writer
}

/// Commands are counted as those of the stream, so the place in it is told behind them.
fn finish_commands(plan: &Plan, writer: &mut BaseWriter) {
    if let Some(point) = plan.point {
        let position = Position { replid: point.id, offset: point.offset, stream_db: point.stream_db };
        writer.annotation(Annotation::Position(position));
    }
}
