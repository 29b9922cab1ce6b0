//! XGROUP: making, moving and removing groups and their consumers.

use baton_store::{Key, Missing};
use baton_values::{Stream, StreamId};

use super::{bad_subcommand, deliver, ids, no_group_of, stream_of};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

const NO_KEY: Fail = Fail::Text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// Options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(x: &Exec<'_, '_>, may_make: bool) -> Result<Options, Fail> {
        let mut options = Options::default();
        let mut at = 5;
        while let Some(word) = x.args.get(at) {
            if may_make && word.eq_ignore_ascii_case(b"MKSTREAM") {
                options.make_stream = true;
                at += 1;
            } else if let Some(value) = x.args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"ENTRIESREAD")) {
                options.entries_read = match int(value)? {
                    -1 => None,
                    count => Some(
                        u64::try_from(count)
                            .map_err(|_| Fail::Text("ERR value for ENTRIESREAD must be positive or -1"))?,
                    ),
                };
                at += 2;
            } else {
                return Err(bad_subcommand("XGROUP", x.args.at(1)));
            }
        }
        Ok(options)
    }
}

/// Checks that the key holds a stream with the group, if one has to be there.
fn check(x: &mut Exec<'_, '_>, key: &Key<'_>, group: Option<&[u8]>) -> Result<(), Fail> {
    let entry = x.view.peek(key).ok_or(NO_KEY)?;
    let stream = stream_of(&entry)?;
    match group {
        Some(group) if stream.group(group).is_none() => Err(no_group_of(key.bytes, group)),
        _ => Ok(()),
    }
}

/// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read].
pub(crate) fn xgroup_create(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let options = Options::parse(x, true)?;
    let (key, name) = (x.key(0, 2), x.args.at(3));
    let entry = x.view.peek(&key);
    let stream = entry.as_ref().map(stream_of).transpose()?;
    if stream.is_none() && !options.make_stream {
        return Err(NO_KEY);
    }
    let last_id = match x.args.at(4) {
        b"$" => stream.map_or(StreamId::MIN, Stream::last_id),
        text => ids::id(text, 0)?,
    };
    x.notify_if_new(&key);
    let is_new = x.view.edit(&key, Missing::Create, |stream: &mut Stream| {
        let is_new = stream.create_group(name, last_id, options.entries_read);
        (u64::from(is_new), is_new)
    })?;
    if is_new != Some(true) {
        return Err(Fail::Text("BUSYGROUP Consumer Group name already exists"));
    }
    x.notify(EventClass::STREAM, "xgroup-create", &key);
    x.out.ok();
    Ok(())
}

/// XGROUP SETID key group id | $ [ENTRIESREAD entries-read].
pub(crate) fn xgroup_setid(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let options = Options::parse(x, false)?;
    let (key, name) = (x.key(0, 2), x.args.at(3));
    check(x, &key, Some(name))?;
    let id = match x.args.at(4) {
        b"$" => None,
        text => Some(ids::bound(text, 0)?),
    };
    x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let last_id = id.unwrap_or(stream.last_id());
        stream.edit_group(name, |group| (group.last_id, group.entries_read) = (last_id, options.entries_read));
        (1, ())
    })?;
    x.notify(EventClass::STREAM, "xgroup-setid", &key);
    x.out.ok();
    Ok(())
}

/// XGROUP DESTROY key group.
pub(crate) fn xgroup_destroy(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, name) = (x.key(0, 2), x.args.at(3));
    check(x, &key, None)?;
    let is_gone = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let is_gone = stream.destroy_group(name);
        (u64::from(is_gone), is_gone)
    })?;
    let is_gone = is_gone.unwrap_or(false);
    if is_gone {
        x.notify(EventClass::STREAM, "xgroup-destroy", &key);
    }
    x.out.int(i64::from(is_gone));
    Ok(())
}

/// XGROUP CREATECONSUMER key group consumer.
pub(crate) fn xgroup_createconsumer(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, group, name) = (x.key(0, 2), x.args.at(3), x.args.at(4));
    check(x, &key, Some(group))?;
    let entry = x.view.peek(&key).ok_or(NO_KEY)?;
    let is_there = stream_of(&entry)?.group(group).is_some_and(|group| group.consumer(name).is_some());
    let is_new = !is_there && deliver::see_consumer(x, &key, group, name)?;
    x.out.int(i64::from(is_new));
    Ok(())
}

/// XGROUP DELCONSUMER key group consumer.
pub(crate) fn xgroup_delconsumer(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, group, name) = (x.key(0, 2), x.args.at(3), x.args.at(4));
    check(x, &key, Some(group))?;
    let pending = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let pending = stream.edit_group(group, |group| group.remove_consumer(name)).flatten();
        (u64::from(pending.is_some()), pending)
    })?;
    let pending = pending.flatten();
    if pending.is_some() {
        x.notify(EventClass::STREAM, "xgroup-delconsumer", &key);
    }
    x.out.int(pending.unwrap_or(0) as i64);
    Ok(())
}
