//! Adding and removing named members.

use baton_store::{Key, Missing};
use baton_values::{Set, Str};

use super::set_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// SADD key member [member ...].
pub(crate) fn sadd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, limits, members) = (x.key(0, 1), x.limits(), x.args.skip(2));
    x.notify_if_new(&key);
    let added = x.view.edit(&key, Missing::Create, |set: &mut Set| {
        set.expect(Str::of(members.at(0)), members.len(), &limits);
        let added = members.iter().filter(|member| set.add(Str::of(member), &limits)).count() as u64;
        (added, added)
    })?;
    let added = added.unwrap_or(0);
    if added > 0 {
        x.notify(EventClass::SET, "sadd", &key);
    }
    x.out.int(added as i64);
    Ok(())
}

/// SREM key member [member ...].
pub(crate) fn srem(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, members) = (x.key(0, 1), x.args.skip(2));
    let removed = remove(x, &key, members.iter())?;
    x.out.int(removed as i64);
    Ok(())
}

/// SMOVE source destination member.
pub(crate) fn smove(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (source, destination, limits) = (x.key(0, 1), x.key(1, 2), x.limits());
    let text = x.args.at(3);
    let member = Str::of(text);
    let found = match x.view.peek(&source) {
        Some(entry) => set_of(&entry)?.contains(member),
        None => {
            x.out.int(0);
            return Ok(());
        }
    };
    if let Some(entry) = x.view.peek(&destination) {
        set_of(&entry)?;
    }
    if found && source.bytes != destination.bytes {
        remove(x, &source, std::iter::once(text))?;
        x.notify_if_new(&destination);
        let added = x.view.edit(&destination, Missing::Create, |set: &mut Set| {
            set.expect(member, 1, &limits);
            let added = set.add(member, &limits);
            (u64::from(added), added)
        })?;
        if added == Some(true) {
            x.notify(EventClass::SET, "sadd", &destination);
        }
    }
    x.out.int(i64::from(found));
    Ok(())
}

/// Removes members, and tells listeners; gives how many were there.
fn remove<'m>(x: &mut Exec<'_, '_>, key: &Key<'_>, mut members: impl Iterator<Item = &'m [u8]>) -> Result<u64, Fail> {
    let left = x.view.edit(key, Missing::Skip, |set: &mut Set| {
        let mut removed = 0;
        while !set.is_empty()
            && let Some(member) = members.next()
        {
            removed += u64::from(set.remove(Str::of(member)));
        }
        (removed, (removed, set.is_empty()))
    })?;
    let (removed, emptied) = left.unwrap_or((0, false));
    if removed > 0 {
        x.notify(EventClass::SET, "srem", key);
        if emptied {
            x.notify(EventClass::GENERIC, "del", key);
        }
    }
    Ok(removed)
}
