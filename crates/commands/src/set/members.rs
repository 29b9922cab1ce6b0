//! Reading one set, never changing it.

use baton_values::Str;

use super::set_of;
use crate::element_scan::{self, ElementScan};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};

/// SCARD key.
pub(crate) fn scard(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let len = match x.view.read(&key, x.touch) {
        Some(entry) => set_of(&entry)?.len(),
        None => 0,
    };
    x.out.int(len as i64);
    Ok(())
}

/// SISMEMBER key member.
pub(crate) fn sismember(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let found = match x.view.read(&key, x.touch) {
        Some(entry) => set_of(&entry)?.contains(Str::of(x.args.at(2))),
        None => false,
    };
    x.out.int(i64::from(found));
    Ok(())
}

/// SMISMEMBER key member [member ...].
pub(crate) fn smismember(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, members) = (x.key(0, 1), x.args.skip(2));
    let set = x.view.read(&key, x.touch).map(|entry| set_of(&entry)).transpose()?;
    x.out.array(members.len());
    for member in members.iter() {
        x.out.int(i64::from(set.is_some_and(|set| set.contains(Str::of(member)))));
    }
    Ok(())
}

/// SMEMBERS key.
pub(crate) fn smembers(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.set(0);
        return Ok(());
    };
    let len = set_of(&entry)?.len();
    x.out.set(len as usize);
    Elements::forwards(Shown::Elements, 0..len).reply(entry.value, x.out, x.effects, x.waits);
    Ok(())
}

/// SSCAN key cursor [MATCH pattern] [COUNT count].
pub(crate) fn sscan(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let cursor = ElementScan::cursor(x.args)?;
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        element_scan::reply(x.out, 0, &[]);
        return Ok(());
    };
    let set = set_of(&entry)?;
    let scan = ElementScan::parse(x.args, false)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, scan.count, |member| {
        if scan.admits(member) {
            found.push(member);
        }
    });
    element_scan::reply(x.out, next, &found);
    Ok(())
}
