//! Members chosen by chance. What is removed so goes into the stream by name.

use baton_store::{Key, Missing};
use baton_values::{Set, Str};

use super::set_of;
use crate::chosen;
use crate::event::EventClass;
use crate::exec::{Exec, LazyFree};
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::count;
use crate::reply::ReplyText as _;

/// Members that one SREM in the stream names, at most.
const NAMED_MAX: usize = 1024;

/// SRANDMEMBER key [count].
pub(crate) fn srandmember(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if x.args.len() > 3 {
        return Err(Fail::Syntax);
    }
    let key = x.key(0, 1);
    let wanted = x.args.get(2).map(chosen::wanted).transpose()?;
    let Some(entry) = x.view.read(&key, x.touch) else {
        match wanted {
            Some(_) => x.out.array(0),
            None => x.out.null(),
        }
        return Ok(());
    };
    let set = set_of(&entry)?;
    match wanted {
        None => set.at(x.rng.below(set.len())).into_iter().for_each(|member| x.out.text(member)),
        Some(wanted @ ..0) => {
            x.out.array(wanted.unsigned_abs() as usize);
            for _ in 0..wanted.unsigned_abs() {
                set.at(x.rng.below(set.len())).into_iter().for_each(|member| x.out.text(member));
            }
        }
        Some(wanted) if wanted as u64 >= set.len() => {
            x.out.array(set.len() as usize);
            Elements::forwards(Shown::Elements, 0..set.len()).reply(entry.value, x.out, x.effects, x.waits);
        }
        Some(wanted) => {
            let ranks = chosen::ranks(wanted as u64, set.len(), x.rng);
            x.out.array(ranks.len());
            ranks.into_iter().filter_map(|rank| set.at(rank)).for_each(|member| x.out.text(member));
        }
    }
    Ok(())
}

/// SPOP key [count].
pub(crate) fn spop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    match x.args.len() {
        2 => pop_one(x, &key),
        3 => pop_many(x, &key),
        _ => Err(Fail::Syntax),
    }
}

fn pop_one(x: &mut Exec<'_, '_>, key: &Key<'_>) -> Result<(), Fail> {
    let rng = &mut *x.rng;
    let popped = x.view.edit(key, Missing::Skip, |set: &mut Set| {
        let member = pop(set, rng.below(set.len()));
        (1, (member, set.is_empty()))
    })?;
    let Some((member, emptied)) = popped else {
        x.out.null();
        return Ok(());
    };
    x.notify(EventClass::SET, "spop", key);
    if emptied {
        x.notify(EventClass::GENERIC, "del", key);
    }
    x.effects.replace(&[b"SREM", key.bytes, &member]);
    x.out.bulk(&member);
    Ok(())
}

/// Takes the member of a rank out.
fn pop(set: &mut Set, rank: u64) -> Vec<u8> {
    let member = set.as_ref().at(rank).map_or_else(Vec::new, Str::to_vec);
    set.remove_at(rank);
    member
}

fn pop_many(x: &mut Exec<'_, '_>, key: &Key<'_>) -> Result<(), Fail> {
    let count = count(x.args.at(2))?;
    let len = match x.view.peek(key) {
        Some(entry) => set_of(&entry)?.len(),
        None => 0,
    };
    if count.min(len) == 0 {
        x.out.set(0);
        return Ok(());
    }
    if count >= len {
        return pop_all(x, key);
    }
    let rng = &mut *x.rng;
    let popped = x.view.edit(key, Missing::Skip, |set: &mut Set| {
        let popped: Vec<_> = (0..count).map(|_| pop(set, rng.below(set.len()))).collect();
        (count, popped)
    })?;
    let popped = popped.unwrap_or_default();
    x.notify(EventClass::SET, "spop", key);
    x.out.set(popped.len());
    popped.iter().for_each(|member| x.out.bulk(member));
    for named in popped.chunks(NAMED_MAX) {
        let head = [&b"SREM"[..], key.bytes];
        x.effects.replace_iter(head.into_iter().chain(named.iter().map(Vec::as_slice)));
    }
    Ok(())
}

fn pop_all(x: &mut Exec<'_, '_>, key: &Key<'_>) -> Result<(), Fail> {
    if let Some(entry) = x.view.peek(key) {
        let len = set_of(&entry)?.len();
        x.out.set(len as usize);
        Elements::forwards(Shown::Elements, 0..len).reply(entry.value, x.out, x.effects, x.waits);
    }
    x.view.remove(key);
    x.notify(EventClass::SET, "spop", key);
    x.notify(EventClass::GENERIC, "del", key);
    x.effects.replace(&[LazyFree::delete_name(x.env.lazy.server_del), key.bytes]);
    Ok(())
}
