//! Taking elements from the ends of lists, waiting for them if there are none.

use baton_store::ValueKind;

use super::pop::{reply_ends, take, try_multi_pop};
use super::transfer::try_transfer;
use super::{End, list_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::wait::{Nothing, WaitFor, timeout_secs};

/// BLPOP key [key ...] timeout.
pub(crate) fn blpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    blocking_pop(x, End::Left)
}

/// BRPOP key [key ...] timeout.
pub(crate) fn brpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    blocking_pop(x, End::Right)
}

/// BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count].
pub(crate) fn blmpop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let timeout = timeout_secs(x.args.at(1))?;
    if let Some(keys) = try_multi_pop(x, 2)? {
        x.wait(WaitFor::values(ValueKind::List, keys, timeout, Nothing::NullArray));
    }
    Ok(())
}

/// BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout.
pub(crate) fn blmove(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (End::parse(&x.args[3])?, End::parse(&x.args[4])?);
    let timeout = timeout_secs(x.args.at(5))?;
    if try_transfer(x, from, to)? {
        x.effects.replace(&[b"LMOVE", x.args.at(1), x.args.at(2), x.args.at(3), x.args.at(4)]);
    } else {
        x.wait(WaitFor::values(ValueKind::List, 1, timeout, Nothing::Null));
    }
    Ok(())
}

/// BRPOPLPUSH source destination timeout.
pub(crate) fn brpoplpush(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let timeout = timeout_secs(x.args.at(3))?;
    if try_transfer(x, End::Right, End::Left)? {
        x.effects.replace(&[b"RPOPLPUSH", x.args.at(1), x.args.at(2)]);
    } else {
        x.wait(WaitFor::values(ValueKind::List, 1, timeout, Nothing::Null));
    }
    Ok(())
}

fn blocking_pop(x: &mut Exec<'_, '_>, end: End) -> Result<(), Fail> {
    let keys = x.args.len() - 2;
    let timeout = timeout_secs(x.args.at(keys + 1))?;
    for i in 0..keys {
        let key = x.key(i, i + 1);
        let Some(entry) = x.view.peek(&key) else { continue };
        list_of(&entry)?;
        x.out.array(2);
        x.out.bulk(key.bytes);
        reply_ends(x, &key, end, 1)?;
        take(x, &key, end, 1)?;
        x.effects.replace(&[end.pop_command(), key.bytes]);
        return Ok(());
    }
    x.wait(WaitFor::values(ValueKind::List, keys, timeout, Nothing::NullArray));
    Ok(())
}
