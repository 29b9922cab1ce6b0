//! Reading strings, and reading them while something happens to the key.

use baton_store::{Expire, Key, Str};

use super::string_of;
use crate::deadline;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::LONG_TEXT_BYTES;
use crate::number::int;
use crate::options::{Dialect, ExpiryOption, Options};
use crate::reply::ReplyText as _;

/// GET key.
#[inline]
pub(crate) fn get(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_string(x).map(|_| ())
}

/// Replies the string of the first key, or null. Tells whether it is there.
#[inline]
fn reply_string(x: &mut Exec<'_, '_>) -> Result<bool, Fail> {
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.null();
        return Ok(false);
    };
    match string_of(&entry)? {
        Str::Bytes(bytes) if bytes.len() >= LONG_TEXT_BYTES => x.reply_long_text(&key),
        text => x.out.text(text),
    }
    Ok(true)
}

/// GETSET key value.
pub(crate) fn getset(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_string(x)?;
    let key = x.key(0, 1);
    x.notify_if_new(&key);
    x.view.set_str(&key, &x.args[2], Expire::Never);
    x.notify(EventClass::STRING, "set", &key);
    x.effects.replace(&[b"SET", key.bytes, &x.args[2]]);
    Ok(())
}

/// GETDEL key.
pub(crate) fn getdel(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if reply_string(x)? {
        let key = x.key(0, 1);
        delete(x, &key);
    }
    Ok(())
}

/// Deletes a key that is there, and says so instead of the command.
fn delete(x: &mut Exec<'_, '_>, key: &Key<'_>) {
    x.view.remove(key);
    x.notify(EventClass::GENERIC, "del", key);
    x.effects.replace(&[b"DEL", key.bytes]);
}

/// GETEX key [EX seconds | PX ms | EXAT time | PXAT time-ms | PERSIST].
pub(crate) fn getex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let options = Options::parse(x.args, 2, Dialect::GetEx)?;
    let expire = options.expiry.resolve(x.args, x.view.now(), "getex")?;
    if !reply_string(x)? {
        return Ok(());
    }
    let key = x.key(0, 1);
    match (options.expiry, expire) {
        (ExpiryOption::Persist, _) if x.view.set_expire(&key, None) => {
            x.notify(EventClass::GENERIC, "persist", &key);
            x.effects.replace(&[b"PERSIST", key.bytes]);
        }
        (_, Expire::At(at)) if deadline::has_passed(at, x.view) => {
            deadline::delete_passed(x, &key);
        }
        (_, Expire::At(at)) => {
            x.view.set_expire(&key, Some(at));
            x.notify(EventClass::GENERIC, "expire", &key);
            let mut text = itoa::Buffer::new();
            x.effects.replace(&[b"PEXPIREAT", key.bytes, text.format(at.0).as_bytes()]);
        }
        _ => {}
    }
    Ok(())
}

/// DELIFEQ key value.
pub(crate) fn delifeq(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let equal = match x.view.peek(&key) {
        Some(entry) => string_of(&entry)?.equals(&x.args[2]),
        None => false,
    };
    if equal {
        delete(x, &key);
    }
    x.out.int(i64::from(equal));
    Ok(())
}

/// MGET key [key ...]; null for what is missing and for what is no string.
pub(crate) fn mget(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    x.out.array(x.args.len() - 1);
    for i in 1..x.args.len() {
        let key = x.key(i - 1, i);
        match x.view.read(&key, x.touch).as_ref().map(string_of) {
            Some(Ok(s)) => x.out.text(s),
            Some(Err(_)) | None => x.out.null(),
        }
    }
    Ok(())
}

/// STRLEN key.
pub(crate) fn strlen(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let len = match x.view.read(&key, x.touch) {
        Some(entry) => string_of(&entry)?.len(),
        None => 0,
    };
    x.out.int(len as i64);
    Ok(())
}

/// GETRANGE key start end; both ends count, negative ones from the end of the string.
pub(crate) fn getrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (start, end) = (int(&x.args[2])?, int(&x.args[3])?);
    let key = x.key(0, 1);
    let mut scratch = itoa::Buffer::new();
    let string = match x.view.read(&key, x.touch) {
        Some(entry) => string_of(&entry)?,
        None => Str::Bytes(b""),
    };
    x.out.bulk(part(string.bytes(&mut scratch), start, end));
    Ok(())
}

/// The bytes from `start` to `end`, both included; negative places count from the end. Both before the beginning is nothing.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let len = bytes.len() as i64;
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let place = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (start, end) = (place(start), place(end).min(len - 1));
    if start > end || len == 0 { b"" } else { &bytes[start as usize..=end as usize] }
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn ranges_are_cut_to_the_string() {
        for (start, end, expected) in [
            (0, 3, "This"),
            (0, -1, "This is"),
            (-2, -1, "is"),
            (5, 100, "is"),
            (100, 200, ""),
            (3, 2, ""),
            (-1, -5, ""),
            (-100, 1, "Th"),
            (-100, -100, "T"),
            (0, -100, "T"),
            (i64::MIN, i64::MAX, "This is"),
            (i64::MAX, i64::MIN, ""),
        ] {
            assert_eq!(part(b"This is", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
