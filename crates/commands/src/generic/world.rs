//! Commands that change whole databases at once. Always propagated, even if there was nothing to change (replication 3.1).

use baton_store::DbIndex;

use crate::exec::WorldExec;
use crate::fail::Fail;
use crate::number::int;

/// FLUSHDB [ASYNC | SYNC].
pub(crate) fn flushdb(x: &mut WorldExec<'_>) -> Result<(), Fail> {
    flush(x, Some(x.db))
}

/// FLUSHALL [ASYNC | SYNC].
pub(crate) fn flushall(x: &mut WorldExec<'_>) -> Result<(), Fail> {
    flush(x, None)
}

fn flush(x: &mut WorldExec<'_>, db: Option<DbIndex>) -> Result<(), Fail> {
    x.free_now = match (x.args.get(1), x.args.len()) {
        (None, _) => !x.env.lazy.user_flush,
        (Some(word), 2) if word.eq_ignore_ascii_case(b"SYNC") => true,
        (Some(word), 2) if word.eq_ignore_ascii_case(b"ASYNC") => false,
        _ => return Err(Fail::Syntax),
    };
    let keys = match db {
        Some(db) => x.store.len(db),
        None => (0..x.store.databases()).map(|n| x.store.len(DbIndex(n))).sum(),
    };
    x.garbage.push(x.store.flush(db));
    x.dirty += keys;
    x.effects.verbatim();
    x.out.ok();
    Ok(())
}

/// SWAPDB index1 index2.
pub(crate) fn swapdb(x: &mut WorldExec<'_>) -> Result<(), Fail> {
    if x.env.cluster {
        return Err(Fail::Text("ERR SWAPDB is not allowed in cluster mode"));
    }
    let index = |i: usize, invalid: &'static str| {
        int(&x.args[i]).ok().and_then(|n| i32::try_from(n).ok()).ok_or(Fail::Text(invalid))
    };
    let a = index(1, "ERR invalid first DB index")?;
    let b = index(2, "ERR invalid second DB index")?;
    let checked = |n: i32| {
        let fits = u32::try_from(n).ok().filter(|n| *n < x.store.databases());
        fits.map(DbIndex).ok_or(Fail::Text("ERR DB index is out of range"))
    };
    let (a, b) = (checked(a)?, checked(b)?);
    x.store.swap_dbs(a, b);
    x.dirty += 1;
    x.effects.verbatim();
    x.out.ok();
    Ok(())
}
