//! Taking elements from the ends of sorted sets.

use baton_resp::Proto;
use baton_store::{Key, Missing};
use baton_values::ZSet;

use super::{End, notify_removal, zset_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::multi_pop::MultiPop;
use crate::number::count;

/// ZPOPMIN key [count].
pub(crate) fn zpopmin(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    pop(x, End::Low)
}

/// ZPOPMAX key [count].
pub(crate) fn zpopmax(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    pop(x, End::High)
}

fn pop(x: &mut Exec<'_, '_>, end: End) -> Result<(), Fail> {
    if x.args.len() > 3 {
        return Err(Fail::Syntax);
    }
    let wanted = x.args.get(2).map(count).transpose()?;
    let key = x.key(0, 1);
    let len = match x.view.peek(&key) {
        Some(entry) => zset_of(&entry)?.len(),
        None => 0,
    };
    let taken = wanted.unwrap_or(1).min(len);
    // Only a count makes RESP3 reply pairs.
    let as_pairs = wanted.is_some() && x.out.proto == Proto::V3;
    x.out.array(if as_pairs { taken as usize } else { 2 * taken as usize });
    take(x, &key, end, taken, as_pairs)
}

/// ZMPOP numkeys key [key ...] MIN|MAX [COUNT count].
pub(crate) fn zmpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if try_multi_pop(x, 1)?.is_some() {
        x.out.null_array();
    }
    Ok(())
}

/// Pops from the first sorted set that there is, the number of keys being argument `at`; gives how many keys there are if
/// there is none.
pub(super) fn try_multi_pop(x: &mut Exec<'_, '_>, at: usize) -> Result<Option<usize>, Fail> {
    let MultiPop { keys, end, count } = MultiPop::parse(x.args, at, End::parse)?;
    for nth in 0..keys {
        let key = x.key(nth, nth + at + 1);
        let Some(entry) = x.view.peek(&key) else { continue };
        let taken = count.min(zset_of(&entry)?.len());
        x.out.array(2);
        x.out.bulk(key.bytes);
        x.out.array(taken as usize);
        take(x, &key, end, taken, true)?;
        x.effects.replace(&[end.pop_command(), key.bytes, itoa::Buffer::new().format(taken).as_bytes()]);
        return Ok(None);
    }
    Ok(Some(keys))
}

/// Replies elements from an end on, without a header, removes them and tells listeners.
pub(super) fn take(x: &mut Exec<'_, '_>, key: &Key<'_>, end: End, taken: u64, as_pairs: bool) -> Result<(), Fail> {
    if taken == 0 {
        return Ok(());
    }
    let len = {
        let Some(entry) = x.view.peek(key) else { return Ok(()) };
        let len = zset_of(&entry)?.len();
        let shown = if as_pairs { Shown::Nested } else { Shown::Flat };
        let elements = match end {
            End::Low => Elements::forwards(shown, 0..taken),
            End::High => Elements { backwards: true, ..Elements::forwards(shown, len - taken..len) },
        };
        elements.reply(entry.value, x.out, x.effects, x.waits);
        len
    };
    if taken == len {
        x.view.remove_whole(key, len);
    } else {
        x.view.edit(key, Missing::Skip, |zset: &mut ZSet| {
            zset.remove_ranks(if end == End::Low { 0..taken } else { len - taken..len });
            (taken, ())
        })?;
    }
    notify_removal(x, key, end.pop_name(), taken == len);
    Ok(())
}
