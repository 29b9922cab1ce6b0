//! Reading lists, never changing them.

use super::list_of;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::{int, ranks};

/// LLEN key.
pub(crate) fn llen(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let len = match x.view.read(&key, x.touch) {
        Some(entry) => list_of(&entry)?.len(),
        None => 0,
    };
    x.out.int(len as i64);
    Ok(())
}

/// LRANGE key start stop; both ends count, negative ones from the end of the list.
pub(crate) fn lrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (start, stop) = (int(&x.args[2])?, int(&x.args[3])?);
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.array(0);
        return Ok(());
    };
    let ranks = ranks(start, stop, list_of(&entry)?.len());
    x.out.array((ranks.end - ranks.start) as usize);
    Elements::forwards(Shown::Elements, ranks).reply(entry.value, x.out, x.effects, x.waits);
    Ok(())
}
