//! HSETEX: values and an end for fields in one command.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::{Key, Missing};
use baton_values::{FieldValue, Hash, LiveHash, Str};

use super::{fields, has_ended, hash_of};
use crate::deadline;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::options::{Condition, Dialect, ExpiryOption, FieldCondition, Options};

/// Fields of one HDEL in the stream, at most.
const HDEL_FIELDS_MAX: usize = 1024;

/// A request that was understood.
struct Request<'a> {
    options: Options,
    /// The end that the fields get, if the request names one.
    time: Option<WallMs>,
    word_at: usize,
    /// Fields and values.
    pairs: Args<'a>,
}

impl<'a> Request<'a> {
    fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pairs.iter().step_by(2)
    }
}

/// HSETEX key [NX | XX] [FNX | FXX] [EX s | PX ms | EXAT t | PXAT t | KEEPTTL] FIELDS numfields field value [field value ...].
pub(crate) fn hsetex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let word_at = fields::word_at(x.args, 2)?;
    let options = Options::parse(x.args.first(word_at), 2, Dialect::HSetEx)?;
    let pairs = fields::named(x.args, word_at, 2)?;
    let (key, seen_at) = (x.key(0, 1), x.view.elements_seen_at());
    let now = x.view.now();
    let hash = x.view.peek(&key).map(|entry| hash_of(&entry)).transpose()?;
    let hash = hash.map(|hash| hash.live(seen_at));
    let refused = match options.condition {
        Condition::Missing => hash.is_some(),
        Condition::Exists => hash.is_none(),
        _ => false,
    };
    if refused {
        x.out.int(0);
        return Ok(());
    }
    let time = options.expiry.time(x.args, now, "hsetex")?;
    let request = Request { options, time, word_at, pairs };
    if !are_as_wanted(hash, &request) {
        x.out.int(0);
        return Ok(());
    }
    x.notify_if_new(&key);
    match time {
        Some(at) if deadline::has_passed(at, x.view) => end(x, &key, &request)?,
        _ => set(x, &key, &request)?,
    }
    x.out.int(1);
    Ok(())
}

fn are_as_wanted(hash: Option<LiveHash<'_>>, request: &Request<'_>) -> bool {
    let is_there = |field: &[u8]| hash.is_some_and(|hash| hash.get(Str::of(field)).is_some());
    match request.options.fields {
        FieldCondition::Always => true,
        FieldCondition::Missing => !request.fields().any(is_there),
        FieldCondition::Exist => request.fields().all(is_there),
    }
}

/// The end has passed: all that is left of the command is that the fields go, even those that are not seen any more.
fn end(x: &mut Exec<'_, '_>, key: &Key<'_>, request: &Request<'_>) -> Result<(), Fail> {
    let removed = x.view.edit(key, Missing::Skip, |hash: &mut Hash| {
        let removed: Vec<&[u8]> = request.fields().filter(|field| hash.remove(Str::of(field))).collect();
        (removed.len() as u64, (removed, hash.is_empty()))
    })?;
    let (removed, is_empty) = removed.unwrap_or((Vec::new(), true));
    if !removed.is_empty() {
        x.effects.replace_iter([&b"HDEL"[..], key.bytes].into_iter().chain(removed));
    }
    x.effects.count_ended_elements(request.fields().count() as u64);
    for event in ["hset", "hexpire", "hexpired"] {
        x.notify(EventClass::HASH, event, key);
    }
    if is_empty {
        x.notify(EventClass::GENERIC, "del", key);
    }
    Ok(())
}

fn set(x: &mut Exec<'_, '_>, key: &Key<'_>, request: &Request<'_>) -> Result<(), Fail> {
    let (limits, seen_at) = (x.limits(), x.view.elements_seen_at());
    let keeps = request.options.expiry == ExpiryOption::Keep;
    let ended = x.view.edit(key, Missing::Create, |hash: &mut Hash| {
        let mut ended = Vec::new();
        for (name, text) in request.fields().zip(request.pairs.iter().skip(1).step_by(2)) {
            let field = Str::of(name);
            if has_ended(hash.as_ref(), field, seen_at) {
                ended.push(name);
            }
            let kept =
                if keeps { hash.as_ref().live(seen_at).get(field).and_then(|value| value.expire_at) } else { None };
            hash.put(field, FieldValue { text: Str::of(text), expire_at: request.time.or(kept) }, &limits);
        }
        (request.pairs.len() as u64 / 2, ended)
    })?;
    let ended = ended.unwrap_or_default();
    if keeps {
        // A replica sees ended fields, so it would keep their ends.
        for some in ended.chunks(HDEL_FIELDS_MAX) {
            x.effects.replace_iter([&b"HDEL"[..], key.bytes].into_iter().chain(some.iter().copied()));
        }
    }
    write_effect(x, request, keeps && !ended.is_empty());
    x.notify_overwritten(key, ended.len() as u64);
    x.notify(EventClass::HASH, "hset", key);
    if request.time.is_some() {
        x.notify(EventClass::HASH, "hexpire", key);
    }
    Ok(())
}

/// Writes the command without its conditions and with an end that means the same at any time.
fn write_effect(x: &mut Exec<'_, '_>, request: &Request<'_>, follows_others: bool) {
    let options = &request.options;
    let is_absolute = |word: &[u8]| word.eq_ignore_ascii_case(b"PXAT");
    let words = x.args.first(request.word_at).skip(2);
    let is_as_it_came = options.condition == Condition::Always
        && options.fields == FieldCondition::Always
        && (request.time.is_none() || words.iter().any(is_absolute));
    if !x.effects.wanted() || (is_as_it_came && !follows_others) {
        return;
    }
    let mut text = itoa::Buffer::new();
    let mut head = vec![x.args.at(0), x.args.at(1)];
    match (request.time, options.expiry) {
        (Some(at), _) => head.extend([&b"PXAT"[..], text.format(at.0).as_bytes()]),
        (None, ExpiryOption::Keep) => head.push(b"KEEPTTL"),
        (None, _) => {}
    }
    let pairs = x.args.skip(request.word_at);
    x.effects.replace_iter(head.into_iter().chain(pairs.iter()));
}
