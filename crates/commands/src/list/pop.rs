//! Taking elements from the ends of lists.

use baton_store::{Key, Missing};
use baton_values::{Limits, List, ListRef};

use super::change::notify_removal;
use super::{End, list_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::multi_pop::MultiPop;
use crate::number::count;

/// LPOP key [count].
pub(crate) fn lpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    pop(x, End::Left)
}

/// RPOP key [count].
pub(crate) fn rpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    pop(x, End::Right)
}

fn pop(x: &mut Exec<'_, '_>, end: End) -> Result<(), Fail> {
    let key = x.key(0, 1);
    if x.args.len() > 3 {
        return Err(Fail::Arity(end.pop_name()));
    }
    let wanted = x.args.get(2).map(count).transpose()?;
    let len = match x.view.peek(&key) {
        Some(entry) => list_of(&entry)?.len(),
        None if wanted.is_some() => {
            x.out.null_array();
            return Ok(());
        }
        None => {
            x.out.null();
            return Ok(());
        }
    };
    if let Some(wanted) = wanted {
        x.out.array(wanted.min(len) as usize);
    }
    reply_ends(x, &key, end, wanted.unwrap_or(1))?;
    take(x, &key, end, wanted.unwrap_or(1))
}

/// Replies elements from an end of a list inwards, without a header.
pub(super) fn reply_ends(x: &mut Exec<'_, '_>, key: &Key<'_>, end: End, count: u64) -> Result<(), Fail> {
    let Some(entry) = x.view.peek(key) else { return Ok(()) };
    let len = list_of(&entry)?.len();
    let count = count.min(len);
    let elements = match end {
        End::Left => Elements::forwards(Shown::Elements, 0..count),
        End::Right => Elements { backwards: true, ..Elements::forwards(Shown::Elements, len - count..len) },
    };
    elements.reply(entry.value, x.out, x.effects, x.waits);
    Ok(())
}

/// Removes elements from an end of a list, and tells listeners.
pub(super) fn take(x: &mut Exec<'_, '_>, key: &Key<'_>, end: End, count: u64) -> Result<(), Fail> {
    let len = x.view.peek(key).map(|entry| list_of(&entry).map(ListRef::len)).transpose()?;
    if let Some(len) = len
        && count >= len
    {
        x.view.remove_whole(key, len);
        notify_removal(x, end.pop_name(), key, true);
        return Ok(());
    }
    let limits: Limits = x.limits();
    let left = x.view.edit(key, Missing::Skip, |list: &mut List| {
        let len = list.len();
        let removed = count.min(len);
        list.remove(if end == End::Left { 0..removed } else { len - removed..len }, &limits);
        (removed, (removed, list.is_empty()))
    })?;
    if let Some((removed, is_gone)) = left
        && removed > 0
    {
        notify_removal(x, end.pop_name(), key, is_gone);
    }
    Ok(())
}

/// LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count].
pub(crate) fn lmpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if try_multi_pop(x, 1)?.is_some() {
        x.out.null_array();
    }
    Ok(())
}

/// Pops from the first list that has elements, the number of keys being argument `at`; gives how many keys there are if none
/// has.
pub(super) fn try_multi_pop(x: &mut Exec<'_, '_>, at: usize) -> Result<Option<usize>, Fail> {
    let MultiPop { keys, end, count } = MultiPop::parse(x.args, at, End::parse)?;
    for nth in 0..keys {
        let key = x.key(nth, nth + at + 1);
        let Some(entry) = x.view.peek(&key) else { continue };
        let taken = count.min(list_of(&entry)?.len());
        x.out.array(2);
        x.out.bulk(key.bytes);
        x.out.array(taken as usize);
        reply_ends(x, &key, end, taken)?;
        take(x, &key, end, taken)?;
        x.effects.replace(&[end.pop_command(), key.bytes, itoa::Buffer::new().format(taken).as_bytes()]);
        return Ok(None);
    }
    Ok(Some(keys))
}
