//! Members by chance.

use std::collections::BTreeSet;

use super::{reply_head, reply_scored, zset_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::int_from;
use crate::reply::ReplyText as _;

/// Elements that one command may reply again and again: where upstream would fill its memory, this is refused.
const REPEATED_MAX: u64 = 1 << 26;

/// ZRANDMEMBER key [count [WITHSCORES]]; a negative count may reply elements more than once.
pub(crate) fn zrandmember(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let Some(count) = x.args.get(2) else {
        let Some(entry) = x.view.read(&key, x.touch) else {
            x.out.null();
            return Ok(());
        };
        let zset = zset_of(&entry)?;
        if let Some(element) = zset.get(x.rng.below(zset.len())) {
            x.out.text(element.member);
        }
        return Ok(());
    };
    let count = int_from(count, -i64::MAX)?;
    let with_scores = match x.args.get(3) {
        None => false,
        Some(word) if x.args.len() == 4 && word.eq_ignore_ascii_case(b"WITHSCORES") => true,
        Some(_) => return Err(Fail::Syntax),
    };
    let (count, repeats) = (count.unsigned_abs(), count < 0);
    if (with_scores && count > i64::MAX as u64 / 2) || (repeats && count > REPEATED_MAX) {
        return Err(Fail::Text("ERR value is out of range"));
    }
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.array(0);
        return Ok(());
    };
    let zset = zset_of(&entry)?;
    let len = zset.len();
    if repeats {
        reply_head(x.out, count as usize, with_scores);
        for _ in 0..count {
            zset.get(x.rng.below(len)).into_iter().for_each(|element| reply_scored(x.out, element, with_scores));
        }
        return Ok(());
    }
    if count >= len {
        reply_head(x.out, len as usize, with_scores);
        let shown = if with_scores { Shown::Pairs } else { Shown::Names };
        let elements = Elements { backwards: true, ..Elements::forwards(shown, 0..len) };
        elements.reply(entry.value, x.out, x.effects, x.waits);
        return Ok(());
    }
    // Each step takes a rank that was not taken, all with the same chance (Floyd).
    let mut taken = BTreeSet::new();
    reply_head(x.out, count as usize, with_scores);
    for last in len - count..len {
        let rank = x.rng.below(last + 1);
        let rank = if taken.contains(&rank) { last } else { rank };
        taken.insert(rank);
        zset.get(rank).into_iter().for_each(|element| reply_scored(x.out, element, with_scores));
    }
    Ok(())
}
