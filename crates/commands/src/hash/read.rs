//! Reading hashes, never changing them.

use baton_values::{LiveHash, Str};

use super::hash_of;
use crate::element_scan::{self, ElementScan};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::reply::ReplyText as _;

/// What a look at a hash, none where the key is missing, leads to.
fn with_hash<R>(
    x: &mut Exec<'_, '_>,
    then: impl FnOnce(Option<LiveHash<'_>>, &mut baton_resp::Out) -> R,
) -> Result<R, Fail> {
    let (key, seen_at) = (x.key(0, 1), x.view.elements_seen_at());
    let hash = x.view.read(&key, x.touch).map(|entry| hash_of(&entry)).transpose()?;
    Ok(then(hash.map(|hash| hash.live(seen_at)), x.out))
}

/// HLEN key: fields that have ended count as long as they are there.
pub(crate) fn hlen(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    with_hash(x, |hash, out| out.int(hash.map_or(0, |hash| hash.whole().len()) as i64))
}

/// HEXISTS key field.
pub(crate) fn hexists(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let field = Str::of(x.args.at(2));
    with_hash(x, |hash, out| out.int(i64::from(hash.is_some_and(|hash| hash.get(field).is_some()))))
}

/// HSTRLEN key field.
pub(crate) fn hstrlen(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let field = Str::of(x.args.at(2));
    with_hash(x, |hash, out| out.int(hash.and_then(|hash| hash.get(field)).map_or(0, |value| value.text.len()) as i64))
}

/// HGET key field.
pub(crate) fn hget(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let field = Str::of(x.args.at(2));
    with_hash(x, |hash, out| match hash.and_then(|hash| hash.get(field)) {
        Some(value) => out.text(value.text),
        None => out.null(),
    })
}

/// HMGET key field [field ...].
pub(crate) fn hmget(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let fields = x.args.skip(2);
    with_hash(x, |hash, out| {
        out.array(fields.len());
        for field in fields.iter() {
            match hash.and_then(|hash| hash.get(Str::of(field))) {
                Some(value) => out.text(value.text),
                None => out.null(),
            }
        }
    })
}

/// HGETALL key.
pub(crate) fn hgetall(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_all(x, Shown::Pairs)
}

/// HKEYS key.
pub(crate) fn hkeys(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_all(x, Shown::Names)
}

/// HVALS key.
pub(crate) fn hvals(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_all(x, Shown::Values)
}

fn reply_all(x: &mut Exec<'_, '_>, shown: Shown) -> Result<(), Fail> {
    let (key, seen_at) = (x.key(0, 1), x.view.elements_seen_at());
    let entry = x.view.read(&key, x.touch);
    let hash = entry.as_ref().map(hash_of).transpose()?;
    let count = hash.map_or(0, |hash| hash.live(seen_at).len()) as usize;
    match shown {
        Shown::Pairs => x.out.map(count),
        _ => x.out.array(count),
    }
    if let (Some(entry), Some(hash)) = (&entry, hash) {
        let elements = Elements { seen_at, ..Elements::forwards(shown, 0..hash.len()) };
        elements.reply(entry.value, x.out, x.effects, x.waits);
    }
    Ok(())
}

/// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES].
pub(crate) fn hscan(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (args, cursor) = (x.args, ElementScan::cursor(x.args)?);
    with_hash(x, |hash, out| {
        let Some(hash) = hash else {
            element_scan::reply(out, 0, &[]);
            return Ok(());
        };
        let scan = ElementScan::parse(args, true)?;
        let mut found = Vec::new();
        let next = hash.scan(cursor, scan.count, |(field, value)| {
            if scan.admits(field) {
                found.push(field);
                found.extend(scan.values.then_some(value.text));
            }
        });
        element_scan::reply(out, next, &found);
        Ok(())
    })?
}
