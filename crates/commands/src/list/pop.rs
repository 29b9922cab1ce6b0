//! Taking elements from the ends of lists.

use baton_store::{Key, Missing};
use baton_values::{Limits, List};

use super::{End, list_of};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::count;
use crate::reply::ReplyText as _;

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
        return Err(Fail::Arity(if end == End::Left { "lpop" } else { "rpop" }));
    }
    let wanted = x.args.get(2).map(count).transpose()?;
    let len = match x.view.read(&key, x.touch) {
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
fn reply_ends(x: &mut Exec<'_, '_>, key: &Key<'_>, end: End, count: u64) -> Result<(), Fail> {
    let Some(entry) = x.view.peek(key) else { return Ok(()) };
    let list = list_of(&entry)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    match end {
        End::Left => list.iter_from(0).take(count).for_each(|text| x.out.text(text)),
        End::Right => list.iter_back_from(list.len()).take(count).for_each(|text| x.out.text(text)),
    }
    Ok(())
}

/// Removes elements from an end of a list, and tells listeners.
fn take(x: &mut Exec<'_, '_>, key: &Key<'_>, end: End, count: u64) -> Result<(), Fail> {
    let limits: Limits = x.limits();
    let left = x.view.edit(key, Missing::Skip, |list: &mut List| {
        let len = list.len();
        let removed = count.min(len);
        list.remove(if end == End::Left { 0..removed } else { len - removed..len }, &limits);
        (removed, (removed, list.len()))
    })?;
    if let Some((removed, left)) = left
        && removed > 0
    {
        x.notify(EventClass::LIST, if end == End::Left { "lpop" } else { "rpop" }, key);
        if left == 0 {
            x.notify(EventClass::GENERIC, "del", key);
        }
    }
    Ok(())
}
