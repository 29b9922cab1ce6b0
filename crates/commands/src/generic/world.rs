//! Commands that change whole databases at once. Always propagated, even if there was nothing to change (replication 3.1).

use baton_base::Slot;
use baton_store::{DbIndex, Expiry};

use crate::exec::{Emptied, WorldExec};
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

/// CLUSTER FLUSHSLOT slot [ASYNC | SYNC].
pub(crate) fn flushslot(x: &mut WorldExec<'_>) -> Result<(), Fail> {
    if !x.env.cluster {
        return Err(Fail::Text("ERR This instance has cluster support disabled"));
    }
    if x.args.len() > 4 {
        let sub = [b"ERR unknown subcommand or wrong number of arguments for '", x.args.at(1), b"'. Try CLUSTER HELP."];
        return Err(Fail::Bytes(sub.concat()));
    }
    let number = int(x.args.at(2)).ok().and_then(|n| u16::try_from(n).ok());
    let slot = number.and_then(Slot::new).ok_or(Fail::Text("ERR Invalid or out of range slot"))?;
    x.free_now = frees_now(x, 3)?;
    let (keys, garbage) = x.store.view(slot, x.db, x.now, Expiry::Ignore).clear_slot(slot);
    x.garbage.push(garbage);
    x.emptied = Emptied::Slot(slot);
    x.dirty += keys;
    x.effects.verbatim();
    x.out.ok();
    Ok(())
}

/// Whether memory is to be freed before the reply, by the option that may stand at this place.
fn frees_now(x: &WorldExec<'_>, at: usize) -> Result<bool, Fail> {
    match x.args.get(at) {
        None => Ok(!x.env.lazy.user_flush),
        Some(_) if x.args.len() > at + 1 => Err(Fail::Syntax),
        Some(word) if word.eq_ignore_ascii_case(b"SYNC") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case(b"ASYNC") => Ok(false),
        Some(_) => Err(Fail::Syntax),
    }
}

fn flush(x: &mut WorldExec<'_>, db: Option<DbIndex>) -> Result<(), Fail> {
    x.free_now = frees_now(x, 1)?;
    let keys = match db {
        Some(db) => x.store.len(db),
        None => (0..x.store.databases()).map(|n| x.store.len(DbIndex(n))).sum(),
    };
    x.garbage.push(x.store.flush(db));
    x.emptied = if db.is_some() { Emptied::Database } else { Emptied::Everything };
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
    x.store.swap_dbs(a, b, x.now);
    x.dirty += 1;
    x.effects.verbatim();
    x.out.ok();
    Ok(())
}
