//! Taking elements from the ends of lists, waiting for them if there are none.

use baton_store::ValueKind;

use super::pop::{reply_ends, take};
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
        x.effects.replace(&[if end == End::Left { b"LPOP" } else { b"RPOP" }, key.bytes]);
        return Ok(());
    }
    x.wait(WaitFor { keys: 0..keys, kind: ValueKind::List, even_gone: false, timeout, nothing: Nothing::NullArray });
    Ok(())
}
