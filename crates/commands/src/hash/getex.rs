//! HGETEX: values of fields, and another end for them in the same command.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::{Key, Missing};
use baton_values::{Hash, Str};

use super::{fields, hash_of};
use crate::deadline;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::options::{Dialect, ExpiryOption, Options};
use crate::reply::ReplyText as _;

/// What happens to the fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// They lose their ends.
    Stay,
    /// They end then.
    End(WallMs),
    /// They have ended by now.
    Go,
}

/// HGETEX key [EX s | PX ms | EXAT t | PXAT t | PERSIST] FIELDS numfields field [field ...].
pub(crate) fn hgetex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let word_at = fields::word_at(x.args, 2)?;
    let options = Options::parse(x.args.first(word_at), 2, Dialect::GetEx)?;
    let named = fields::named(x.args, word_at, 1)?;
    let key = x.key(0, 1);
    let (seen_at, now) = (x.view.elements_seen_at(), x.view.now());
    let hash = x.view.read(&key, x.touch).map(|entry| hash_of(&entry)).transpose()?;
    let time = options.expiry.time(x.args, now, "hgetex")?;
    let Some(hash) = hash.map(|hash| hash.live(seen_at)) else {
        x.out.array(named.len());
        named.iter().for_each(|_| x.out.null());
        return Ok(());
    };
    if options.expiry == ExpiryOption::Absent {
        x.out.array(named.len());
        for field in named.iter() {
            match hash.get(Str::of(field)) {
                Some(value) => x.out.text(value.text),
                None => x.out.null(),
            }
        }
        return Ok(());
    }
    let change = match time {
        None => Change::Stay,
        Some(at) if deadline::has_passed(at, x.view) => Change::Go,
        Some(at) => Change::End(at),
    };
    let (changed, emptied) = reply_and_change(x, &key, named, change)?;
    if !changed.is_empty() {
        tell(x, &key, change, &changed, emptied);
    }
    Ok(())
}

/// Replies the value of each field before it changes. Gives which changed, and whether none is left.
fn reply_and_change<'a>(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    named: Args<'a>,
    change: Change,
) -> Result<(Vec<&'a [u8]>, bool), Fail> {
    let (limits, seen_at, out) = (x.limits(), x.view.elements_seen_at(), &mut *x.out);
    let done = x.view.edit(key, Missing::Skip, |hash: &mut Hash| {
        out.array(named.len());
        let mut changed = Vec::new();
        for name in named.iter() {
            let field = Str::of(name);
            let Some(value) = hash.as_ref().live(seen_at).get(field) else {
                out.null();
                continue;
            };
            out.text(value.text);
            let changes = match change {
                Change::Stay => value.expire_at.is_some() && hash.set_end(field, None, &limits),
                Change::End(at) => hash.set_end(field, Some(at), &limits),
                Change::Go => hash.remove(field),
            };
            if changes {
                changed.push(name);
            }
        }
        (changed.len() as u64, (changed, hash.is_empty()))
    })?;
    Ok(done.unwrap_or_default())
}

/// Says in the stream and to listeners what became of the fields.
fn tell(x: &mut Exec<'_, '_>, key: &Key<'_>, change: Change, changed: &[&[u8]], emptied: bool) {
    let mut buffers = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [time, count] = &mut buffers;
    let count = count.format(changed.len()).as_bytes();
    let (event, head) = match change {
        Change::Stay => ("hpersist", vec![&b"HPERSIST"[..], key.bytes, b"FIELDS", count]),
        Change::End(at) => {
            ("hexpire", vec![&b"HPEXPIREAT"[..], key.bytes, time.format(at.0).as_bytes(), b"FIELDS", count])
        }
        Change::Go => {
            x.effects.count_ended_elements(changed.len() as u64);
            ("hexpired", vec![&b"HDEL"[..], key.bytes])
        }
    };
    x.effects.replace_iter(head.into_iter().chain(changed.iter().copied()));
    x.notify(EventClass::HASH, event, key);
    if emptied {
        x.notify(EventClass::GENERIC, "del", key);
    }
}
