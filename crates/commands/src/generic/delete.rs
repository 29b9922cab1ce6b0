//! Deleting keys, counting them, and what is cheap to say about one.

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// DEL key [key ...].
pub(crate) fn del(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let removed = count(x, |x, i| {
        let key = x.key(i - 1, i);
        let removed = x.view.remove(&key);
        if removed {
            x.notify(EventClass::GENERIC, "del", &key);
        }
        removed
    });
    x.out.int(removed);
    Ok(())
}

/// UNLINK key [key ...]. The store frees large values in the background whatever the command's name is.
pub(crate) fn unlink(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    del(x)
}

/// EXISTS key [key ...]; a key named twice counts twice.
pub(crate) fn exists(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let found = count(x, |x, i| {
        let key = x.key(i - 1, i);
        x.view.read(&key, false).is_some()
    });
    x.out.int(found);
    Ok(())
}

/// TOUCH key [key ...]. Renews access times even for a client that otherwise does not.
pub(crate) fn touch(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let found = count(x, |x, i| {
        let key = x.key(i - 1, i);
        x.view.read(&key, true).is_some()
    });
    x.out.int(found);
    Ok(())
}

fn count(x: &mut Exec<'_, '_>, mut each: impl FnMut(&mut Exec<'_, '_>, usize) -> bool) -> i64 {
    (1..x.args.len()).map(|i| i64::from(each(x, i))).sum()
}

/// TYPE key.
pub(crate) fn type_(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let name = x.view.peek(&key).map_or("none", |entry| entry.value.kind().name());
    x.out.simple(name);
    Ok(())
}
