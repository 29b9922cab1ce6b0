//! Taking elements from the ends of sorted sets, waiting for them if there are none.

use baton_store::ValueKind;

use super::pop::{take, try_multi_pop};
use super::{End, zset_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::wait::{Nothing, WaitFor, timeout_secs};

/// BZPOPMIN key [key ...] timeout.
pub(crate) fn bzpopmin(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    blocking_pop(x, End::Low)
}

/// BZPOPMAX key [key ...] timeout.
pub(crate) fn bzpopmax(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    blocking_pop(x, End::High)
}

/// BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count].
pub(crate) fn bzmpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let timeout = timeout_secs(x.args.at(1))?;
    if let Some(keys) = try_multi_pop(x, 2)? {
        x.wait(WaitFor::values(ValueKind::ZSet, keys, timeout, Nothing::NullArray));
    }
    Ok(())
}

fn blocking_pop(x: &mut Exec<'_, '_>, end: End) -> Result<(), Fail> {
    let keys = x.args.len() - 2;
    let timeout = timeout_secs(x.args.at(keys + 1))?;
    for i in 0..keys {
        let key = x.key(i, i + 1);
        let Some(entry) = x.view.peek(&key) else { continue };
        zset_of(&entry)?;
        x.out.array(3);
        x.out.bulk(key.bytes);
        take(x, &key, end, 1, false)?;
        x.effects.replace(&[end.pop_command(), key.bytes]);
        return Ok(());
    }
    x.wait(WaitFor::values(ValueKind::ZSet, keys, timeout, Nothing::NullArray));
    Ok(())
}
