//! Changing lists in the middle.

use baton_store::{Key, Missing};
use baton_values::{List, ListRef};

use super::list_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{int, int_from, ranks};

/// LSET key index element.
pub(crate) fn lset(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, limits, text) = (x.key(0, 1), x.limits(), x.args.at(3));
    let len = match x.view.peek(&key) {
        Some(entry) => list_of(&entry)?.len(),
        None => return Err(Fail::NoSuchKey),
    };
    let rank = rank_of(int(&x.args[2])?, len).ok_or(Fail::Text("ERR index out of range"))?;
    x.view.edit(&key, Missing::Skip, |list: &mut List| {
        // The original counts the new text as if it came beside the old one.
        list.expect(1, text.len(), &limits);
        list.replace(rank, text);
        list.settle(&limits);
        (1, ())
    })?;
    x.notify(EventClass::LIST, "lset", &key);
    x.out.ok();
    Ok(())
}

/// The rank that an index means, which counts from the end if it is negative; none if there is no such element.
pub(super) fn rank_of(index: i64, len: u64) -> Option<u64> {
    let rank = if index < 0 { len.checked_add_signed(index)? } else { index as u64 };
    (rank < len).then_some(rank)
}

/// LINSERT key BEFORE|AFTER pivot element.
pub(crate) fn linsert(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let behind = match &x.args[2] {
        word if word.eq_ignore_ascii_case(b"AFTER") => 1,
        word if word.eq_ignore_ascii_case(b"BEFORE") => 0,
        _ => return Err(Fail::Syntax),
    };
    let (key, limits, text) = (x.key(0, 1), x.limits(), x.args.at(4));
    let Some(entry) = x.view.peek(&key) else {
        x.out.int(0);
        return Ok(());
    };
    let Some(pivot) = list_of(&entry)?.iter_from(0).position(|element| element.equals(&x.args[3])) else {
        x.out.int(-1);
        return Ok(());
    };
    let len = x.view.edit(&key, Missing::Skip, |list: &mut List| {
        list.expect(1, text.len(), &limits);
        list.insert(pivot as u64 + behind, text);
        (1, list.len())
    })?;
    x.notify(EventClass::LIST, "linsert", &key);
    x.out.int(len.unwrap_or(0) as i64);
    Ok(())
}

/// LREM key count element: all of them for 0, from the end if negative.
pub(crate) fn lrem(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let count = int_from(&x.args[2], -i64::MAX)?;
    let (key, limits, text) = (x.key(0, 1), x.limits(), x.args.at(3));
    let wanted = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let changed = x.view.edit(&key, Missing::Skip, |list: &mut List| {
        let removed = list.remove_equal(text, wanted, count < 0, &limits);
        (removed, (removed, list.is_empty()))
    })?;
    let (removed, is_gone) = changed.unwrap_or((0, false));
    if removed > 0 {
        notify_removal(x, "lrem", &key, is_gone);
    }
    x.out.int(removed as i64);
    Ok(())
}

/// LTRIM key start stop: keeps what LRANGE would reply.
pub(crate) fn ltrim(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (start, stop) = (int(&x.args[2])?, int(&x.args[3])?);
    let (key, limits) = (x.key(0, 1), x.limits());
    let len = x.view.peek(&key).map(|entry| list_of(&entry).map(ListRef::len)).transpose()?;
    if let Some(len) = len
        && ranks(start, stop, len).is_empty()
    {
        x.view.remove_whole(&key, len);
        notify_removal(x, "ltrim", &key, true);
        x.out.ok();
        return Ok(());
    }
    let changed = x.view.edit(&key, Missing::Skip, |list: &mut List| {
        let len = list.len();
        let kept = ranks(start, stop, len);
        list.remove(kept.end..len, &limits);
        list.remove(0..kept.start.min(kept.end), &limits);
        (len - list.len(), list.is_empty())
    })?;
    if let Some(is_gone) = changed {
        // Watchers see even a trim that kept everything.
        x.view.touch(&key);
        notify_removal(x, "ltrim", &key, is_gone);
    }
    x.out.ok();
    Ok(())
}

/// Tells listeners of elements that went, and of the key if it went with them.
pub(super) fn notify_removal(x: &mut Exec<'_, '_>, name: &'static str, key: &Key<'_>, is_gone: bool) {
    x.notify(EventClass::LIST, name, key);
    if is_gone {
        x.notify(EventClass::GENERIC, "del", key);
    }
}
