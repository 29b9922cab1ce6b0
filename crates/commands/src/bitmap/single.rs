//! Reading and writing one bit of a string, never more than the byte it lies in.

use super::{offset, string_of, with_bytes};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// SETBIT key offset value.
pub(crate) fn setbit(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let at = offset(&x.args[2], x)?;
    let value = match &x.args[3] {
        b"0" => 0,
        b"1" => 1,
        _ => return Err(Fail::Text("ERR bit is not an integer or out of range")),
    };
    let key = x.key(0, 1);
    let (place, shift) = ((at / 8) as usize, 7 - at % 8);
    let before = match x.view.peek(&key) {
        Some(entry) => string_of(&entry)?.bytes(&mut itoa::Buffer::new()).get(place).copied(),
        None => None,
    };
    let byte = before.unwrap_or(0);
    let after = byte & !(1 << shift) | value << shift;
    // A string that grows has changed, whatever the bit is.
    if before != Some(after) {
        x.notify_if_new(&key);
        x.view.set_range(&key, place, &[after]);
        x.notify(EventClass::STRING, "setbit", &key);
    }
    x.out.int(i64::from(byte >> shift & 1));
    Ok(())
}

/// GETBIT key offset.
pub(crate) fn getbit(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let at = offset(&x.args[2], x)?;
    let key = x.key(0, 1);
    let byte = with_bytes(x, &key, |bytes| bytes.and_then(|bytes| bytes.get((at / 8) as usize).copied()))?;
    x.out.int(i64::from(byte.unwrap_or(0) >> (7 - at % 8) & 1));
    Ok(())
}
