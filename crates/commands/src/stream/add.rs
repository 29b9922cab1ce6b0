//! XADD: adding entries, and telling replicas which ids these got. Never gives an id that is not behind all others.

use baton_store::Missing;
use baton_values::{Stream, StreamId};
use smallvec::SmallVec;

use super::ids::NewId;
use super::reply::{self, id_text};
use super::trim::{ExactTrim, TrimOptions};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

const TOO_SMALL: Fail = Fail::Text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const EXHAUSTED: Fail = Fail::Text("ERR The stream has exhausted the last possible ID, unable to add more items");

/// What became of an addition.
struct Added {
    id: StreamId,
    trimmed: u64,
    exact: Option<ExactTrim>,
}

/// XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...].
pub(crate) fn xadd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (mut options, mut missing, mut at) = (TrimOptions::default(), Missing::Create, 2);
    let new_id = loop {
        match x.args.get(at).ok_or(Fail::Arity("xadd"))? {
            // The last word is no option, and no id with fields behind it either.
            b"*" => break NewId::Now,
            word if word.eq_ignore_ascii_case(b"NOMKSTREAM") => (missing, at) = (Missing::Skip, at + 1),
            word => match options.take(x.args, at)? {
                Some(next) => at = next,
                None => break NewId::parse(word)?,
            },
        }
    };
    let trim = options.finish(x)?;
    let fields: SmallVec<[&[u8]; 32]> = x.args.skip(at + 1).iter().collect();
    if fields.is_empty() || fields.len() % 2 == 1 {
        return Err(Fail::Arity("xadd"));
    }
    if new_id == NewId::Is(StreamId::MIN) {
        return Err(Fail::Text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let (key, limits, now_ms) = (x.key(0, 1), x.limits(), x.view.now().0);
    if missing == Missing::Create {
        x.notify_if_new(&key);
    }
    let added = x.view.edit(&key, missing, |stream: &mut Stream| {
        let last = stream.last_id();
        let Some(id) = new_id.behind(last, now_ms) else {
            return (0, Err(if last == StreamId::MAX { EXHAUSTED } else { TOO_SMALL }));
        };
        stream.append(id, &fields, &limits);
        let trimmed = trim.map_or(0, |trim| stream.trim(trim));
        (1, Ok(Added { id, trimmed, exact: options.exact(stream) }))
    })?;
    let Some(added) = added.transpose()? else {
        x.out.null();
        return Ok(());
    };
    x.notify(EventClass::STREAM, "xadd", &key);
    if added.trimmed > 0 {
        x.notify(EventClass::STREAM, "xtrim", &key);
    }
    reply::id(x.out, added.id);
    propagate(x, new_id, at, &added);
    Ok(())
}

/// Elsewhere the entry gets the same id, and what was trimmed is trimmed.
fn propagate(x: &mut Exec<'_, '_>, new_id: NewId, id_at: usize, added: &Added) {
    if (matches!(new_id, NewId::Is(_)) && added.exact.is_none()) || !x.effects.wanted() {
        return;
    }
    let id = id_text(added.id);
    let args = x.args.iter().enumerate().map(|(i, arg)| match &added.exact {
        _ if i == id_at && !matches!(new_id, NewId::Is(_)) => &id[..],
        Some(exact) => exact.argument(i, arg),
        None => arg,
    });
    x.effects.replace_iter(args);
}
