//! Adding members and changing scores.

use baton_base::num;
use baton_resp::Args;
use baton_store::Missing;
use baton_values::{Limits, ZSet};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

const NOT_A_NUMBER: Fail = Fail::Text("ERR resulting score is not a number (NaN)");

/// Which scores may change, and what is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    only_new: bool,
    only_there: bool,
    only_greater: bool,
    only_less: bool,
    count_changed: bool,
    increment: bool,
}

/// What became of the members of a command.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    added: u64,
    updated: u64,
    /// The score of the last member, unless the options kept it from being looked at.
    score: Option<f64>,
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...].
pub(crate) fn zadd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    zadd_changes(x).map(|_| ())
}

/// ZADD for other commands; tells whether it changed anything.
pub(crate) fn zadd_changes(x: &mut Exec<'_, '_>) -> Result<bool, Fail> {
    let mut options = Options::default();
    let mut first = 2;
    while let Some(word) = x.args.get(first) {
        match word {
            _ if word.eq_ignore_ascii_case(b"NX") => options.only_new = true,
            _ if word.eq_ignore_ascii_case(b"XX") => options.only_there = true,
            _ if word.eq_ignore_ascii_case(b"GT") => options.only_greater = true,
            _ if word.eq_ignore_ascii_case(b"LT") => options.only_less = true,
            _ if word.eq_ignore_ascii_case(b"CH") => options.count_changed = true,
            _ if word.eq_ignore_ascii_case(b"INCR") => options.increment = true,
            _ => break,
        }
        first += 1;
    }
    let pairs = x.args.skip(first);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Fail::Syntax);
    }
    options.check(pairs)?;
    add(x, options, pairs)
}

/// ZINCRBY key increment member.
pub(crate) fn zincrby(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let pairs = x.args.skip(2);
    add(x, Options { increment: true, ..Options::default() }, pairs).map(|_| ())
}

impl Options {
    fn check(&self, pairs: Args<'_>) -> Result<(), Fail> {
        if self.only_new && self.only_there {
            return Err(Fail::Text("ERR XX and NX options at the same time are not compatible"));
        }
        if u8::from(self.only_new) + u8::from(self.only_greater) + u8::from(self.only_less) > 1 {
            return Err(Fail::Text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.increment && pairs.len() > 2 {
            return Err(Fail::Text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }
}

/// Tells whether it changed anything.
fn add(x: &mut Exec<'_, '_>, options: Options, pairs: Args<'_>) -> Result<bool, Fail> {
    let scores: Vec<f64> = (0..pairs.len())
        .step_by(2)
        .map(|i| num::parse_f64(&pairs[i]).ok_or(Fail::NotFloat))
        .collect::<Result<_, _>>()?;
    let (key, limits) = (x.key(0, 1), x.limits());
    let missing = if options.only_there { Missing::Skip } else { Missing::Create };
    if missing == Missing::Create {
        x.notify_if_new(&key);
    }
    let done = x.view.edit(&key, missing, |zset: &mut ZSet| {
        let members = || (1..pairs.len()).step_by(2).map(|i| pairs.at(i));
        zset.expect(scores.len(), members().map(<[u8]>::len).max().unwrap_or(0), &limits);
        let mut done = Ok(Done::default());
        for (score, member) in scores.iter().zip(members()) {
            done = done.and_then(|done| options.add_one(zset, member, *score, done, &limits));
        }
        (done.as_ref().map_or(0, |done| done.added + done.updated), done)
    })?;
    let done = done.unwrap_or(Ok(Done::default()))?;
    if done.added + done.updated > 0 {
        x.notify(EventClass::ZSET, if options.increment { "zincr" } else { "zadd" }, &key);
    }
    match done.score {
        Some(score) if options.increment => x.out.double(score),
        None if options.increment => x.out.null(),
        _ => x.out.int((done.added + if options.count_changed { done.updated } else { 0 }) as i64),
    }
    Ok(done.added + done.updated > 0)
}

impl Options {
    /// Adds a member or changes its score, where the options allow it.
    fn add_one(self, zset: &mut ZSet, member: &[u8], score: f64, done: Done, limits: &Limits) -> Result<Done, Fail> {
        if !(self.increment || self.only_new || self.only_there || self.only_greater || self.only_less) {
            return Ok(match zset.put(member, score, limits) {
                None => Done { added: done.added + 1, ..done },
                Some(old) => Done { updated: done.updated + u64::from(old != score), ..done },
            });
        }
        let Some(old) = zset.as_ref().score(member) else {
            if self.only_there {
                return Ok(Done { score: None, ..done });
            }
            zset.put(member, score, limits);
            return Ok(Done { added: done.added + 1, score: Some(score), ..done });
        };
        let new = if self.increment { old + score } else { score };
        if self.only_new {
            return Ok(Done { score: None, ..done });
        }
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        if (self.only_greater && new <= old) || (self.only_less && new >= old) {
            return Ok(Done { score: None, ..done });
        }
        if new != old {
            zset.put(member, new, limits);
        }
        Ok(Done { updated: done.updated + u64::from(new != old), score: Some(new), ..done })
    }
}
