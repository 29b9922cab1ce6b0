//! Deleting entries, and setting what a stream knows of those that were there.

use baton_store::Missing;
use baton_values::{Stream, StreamId};

use super::{ids, stream_of};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// XDEL key id [id ...].
pub(crate) fn xdel(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let Some(entry) = x.view.peek(&key) else {
        x.out.int(0);
        return Ok(());
    };
    stream_of(&entry)?;
    let ids: Vec<StreamId> = x.args.skip(2).iter().map(|text| ids::id(text, 0)).collect::<Result<_, _>>()?;
    let deleted = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let deleted = ids.iter().filter(|id| stream.delete(**id)).count() as u64;
        (deleted, deleted)
    })?;
    let deleted = deleted.unwrap_or(0);
    if deleted > 0 {
        x.notify(EventClass::STREAM, "xdel", &key);
    }
    x.out.int(deleted as i64);
    Ok(())
}

/// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id].
pub(crate) fn xsetid(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let last_id = ids::id(x.args.at(2), 0)?;
    let (mut added, mut max_deleted, mut at) = (None, None, 3);
    while let Some(word) = x.args.get(at) {
        let value = x.args.get(at + 1).ok_or(Fail::Syntax)?;
        if word.eq_ignore_ascii_case(b"ENTRIESADDED") {
            let count = u64::try_from(int(value)?);
            added = Some(count.map_err(|_| Fail::Text("ERR entries_added must be positive"))?);
        } else if word.eq_ignore_ascii_case(b"MAXDELETEDID") {
            let id = ids::id(value, 0)?;
            if last_id < id {
                let text = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
                return Err(Fail::Text(text));
            }
            max_deleted = Some(id).filter(|id| *id != StreamId::MIN);
        } else {
            return Err(Fail::Syntax);
        }
        at += 2;
    }
    let key = x.key(0, 1);
    let entry = x.view.peek(&key).ok_or(Fail::NoSuchKey)?;
    check(stream_of(&entry)?, last_id, added)?;
    x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        stream.set_last_id(last_id);
        stream.set_entries_added(added.unwrap_or(stream.entries_added()));
        stream.set_max_deleted_id(max_deleted.unwrap_or(stream.max_deleted_id()));
        (1, ())
    })?;
    x.notify(EventClass::STREAM, "xsetid", &key);
    x.out.ok();
    Ok(())
}

/// Whether a stream may have this last id, and this number of entries ever added.
fn check(stream: &Stream, last_id: StreamId, added: Option<u64>) -> Result<(), Fail> {
    if last_id < stream.max_deleted_id() {
        return Err(Fail::Text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"));
    }
    if stream.last().is_some_and(|last| last_id < last.id) {
        return Err(Fail::Text("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if added.is_some_and(|added| added < stream.len()) {
        let text = "ERR The entries_added specified in XSETID is smaller than the target stream length";
        return Err(Fail::Text(text));
    }
    Ok(())
}
