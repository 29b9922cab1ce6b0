//! Values that get another name or another database.

use baton_resp::Args;
use baton_store::{DbIndex, Key};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::db_index;
use crate::spec::DbPositions;

const SAME: Fail = Fail::Text("ERR source and destination objects are the same");

/// RENAME key newkey.
pub(crate) fn rename(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (x.key(0, 1), x.key(1, 2));
    if !x.view.exists(&from) {
        return Err(Fail::NoSuchKey);
    }
    if from.bytes != to.bytes {
        x.view.move_from(x.view.db(), &from, &to);
        notify_renamed(x, &from, &to);
    }
    x.out.ok();
    Ok(())
}

/// RENAMENX key newkey.
pub(crate) fn renamenx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (x.key(0, 1), x.key(1, 2));
    if !x.view.exists(&from) {
        return Err(Fail::NoSuchKey);
    }
    let moved = from.bytes != to.bytes && !x.view.exists(&to) && x.view.move_from(x.view.db(), &from, &to);
    if moved {
        notify_renamed(x, &from, &to);
    }
    x.out.int(i64::from(moved));
    Ok(())
}

fn notify_renamed(x: &mut Exec<'_, '_>, from: &Key<'_>, to: &Key<'_>) {
    x.notify(EventClass::NEW, "new", to);
    x.notify(EventClass::GENERIC, "rename_from", from);
    x.notify(EventClass::GENERIC, "rename_to", to);
}

/// MOVE key db.
pub(crate) fn move_(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let here = x.view.db();
    let there = db_index(&x.args[2], x.view.store().databases())?;
    if here == there {
        return Err(SAME);
    }
    let moved = x.view.exists(&key) && in_db(x, there, |x| !x.view.exists(&key) && x.view.move_from(here, &key, &key));
    if moved {
        in_db(x, there, |x| x.notify(EventClass::NEW, "new", &key));
        x.notify(EventClass::GENERIC, "move_from", &key);
        in_db(x, there, |x| x.notify(EventClass::GENERIC, "move_to", &key));
    }
    x.out.int(i64::from(moved));
    Ok(())
}

/// COPY source destination [DB index] [REPLACE].
pub(crate) fn copy(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (x.key(0, 1), x.key(1, 2));
    let here = x.view.db();
    let (there, replace) = copy_options(x)?;
    if here == there && from.bytes == to.bytes {
        return Err(SAME);
    }
    let copied = x.view.read(&from, x.touch).is_some()
        && in_db(x, there, |x| (replace || !x.view.exists(&to)) && x.view.copy_from(here, &from, &to));
    if copied {
        in_db(x, there, |x| {
            x.notify(EventClass::NEW, "new", &to);
            x.notify(EventClass::GENERIC, "copy_to", &to);
        });
    }
    x.out.int(i64::from(copied));
    Ok(())
}

fn copy_options(x: &Exec<'_, '_>) -> Result<(DbIndex, bool), Fail> {
    let (mut db, mut replace, mut i) = (x.view.db(), false, 3);
    while let Some(word) = x.args.get(i) {
        if word.eq_ignore_ascii_case(b"REPLACE") {
            replace = true;
        } else if word.eq_ignore_ascii_case(b"DB") && i + 1 < x.args.len() {
            i += 1;
            db = db_index(&x.args[i], x.view.store().databases())?;
        } else {
            return Err(Fail::Syntax);
        }
        i += 1;
    }
    Ok((db, replace))
}

/// The databases that COPY names. All of them count, though the last one is copied to; none where the options make no sense.
pub(crate) fn copy_dbs(args: Args<'_>) -> DbPositions {
    let mut found = DbPositions::new();
    let mut at = 3;
    while let Some(word) = args.get(at) {
        if word.eq_ignore_ascii_case(b"DB") && at + 1 < args.len() {
            at += 1;
            found.push(at as u32);
        } else if !word.eq_ignore_ascii_case(b"REPLACE") {
            return DbPositions::new();
        }
        at += 1;
    }
    found
}

/// Runs with another database selected.
fn in_db<T>(x: &mut Exec<'_, '_>, db: DbIndex, run: impl FnOnce(&mut Exec<'_, '_>) -> T) -> T {
    let before = x.view.db();
    x.view.select(db);
    let result = run(x);
    x.view.select(before);
    result
}
