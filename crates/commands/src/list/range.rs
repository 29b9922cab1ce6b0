//! Reading lists, never changing them.

use super::list_of;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{int, ranks};
use crate::reply::ReplyText as _;

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
    let list = list_of(&entry)?;
    let range = ranks(start, stop, list.len());
    let count = (range.end - range.start) as usize;
    x.out.array(count);
    list.iter_from(range.start).take(count).for_each(|text| x.out.text(text));
    Ok(())
}
