//! Changing a string in place.

use super::string_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// APPEND key value.
pub(crate) fn append(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let tail = x.args.at(2);
    let before = match x.view.peek(&key) {
        Some(entry) => string_of(&entry)?.len(),
        None => 0,
    };
    check_length(x, before as u64 + tail.len() as u64)?;
    x.notify_if_new(&key);
    let len = x.view.append(&key, tail);
    x.notify(EventClass::STRING, "append", &key);
    x.out.int(len as i64);
    Ok(())
}

/// SETRANGE key offset value.
pub(crate) fn setrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let part = x.args.at(3);
    let offset = u64::try_from(int(&x.args[2])?).map_err(|_| Fail::Text("ERR offset is out of range"))?;
    let before = match x.view.peek(&key) {
        Some(entry) => string_of(&entry)?.len(),
        None => 0,
    };
    if part.is_empty() {
        x.out.int(before as i64);
        return Ok(());
    }
    check_length(x, offset.saturating_add(part.len() as u64))?;
    x.notify_if_new(&key);
    let len = x.view.set_range(&key, offset as usize, part);
    x.notify(EventClass::STRING, "setrange", &key);
    x.out.int(len as i64);
    Ok(())
}

fn check_length(x: &Exec<'_, '_>, len: u64) -> Result<(), Fail> {
    if len > x.env.bulk_bytes_max { Err(Fail::TooLong) } else { Ok(()) }
}
