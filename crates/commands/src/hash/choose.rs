//! Fields chosen by chance.

use baton_resp::{Out, Proto};
use baton_values::{HashRef, LiveHash, Str};

use super::hash_of;
use crate::chosen;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::reply::ReplyText as _;

/// HRANDFIELD key [count [WITHVALUES]].
pub(crate) fn hrandfield(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let wanted = x.args.get(2).map(chosen::wanted).transpose()?;
    let with_values = match x.args.get(3) {
        None => false,
        Some(word) if x.args.len() == 4 && word.eq_ignore_ascii_case(b"WITHVALUES") => true,
        Some(_) => return Err(Fail::Syntax),
    };
    if with_values && wanted.is_some_and(|wanted| wanted.unsigned_abs() > i64::MAX as u64 / 2) {
        return Err(Fail::Text("ERR value is out of range"));
    }
    let seen_at = x.view.elements_seen_at();
    let entry = x.view.read(&key, x.touch);
    let hash = entry.map(|entry| hash_of(&entry)).transpose()?;
    if let (Some(hash), Some(wanted)) = (hash, wanted)
        && u64::try_from(wanted).is_ok_and(|wanted| wanted >= hash.len())
        && hash.live(seen_at).is_whole()
    {
        Reply { out: x.out, with_values }.head(hash.len());
        let shown = match (with_values, x.out.proto) {
            (false, _) => Shown::Names,
            (true, Proto::V2) => Shown::Pairs,
            (true, Proto::V3) => Shown::Nested,
        };
        Elements::forwards(shown, 0..hash.len()).reply(hash.into(), x.out, x.effects, x.waits);
        return Ok(());
    }
    let hash = hash.map(|hash| Choice::new(hash.live(seen_at)));
    let Some(hash) = hash.filter(|hash| hash.len() > 0) else {
        match wanted {
            Some(_) => x.out.array(0),
            None => x.out.null(),
        }
        return Ok(());
    };
    let mut reply = Reply { out: x.out, with_values };
    match wanted {
        None => reply.field_only(hash.at(x.rng.below(hash.len()))),
        Some(wanted @ ..0) => {
            reply.head(wanted.unsigned_abs());
            (0..wanted.unsigned_abs()).for_each(|_| reply.field(hash.at(x.rng.below(hash.len()))));
        }
        Some(wanted) => choose(&hash, wanted as u64, x.rng, &mut reply),
    }
    Ok(())
}

/// The fields to choose among.
struct Choice<'a> {
    hash: HashRef<'a>,
    /// The ranks of those that are seen, where not all are: for the moment between the end of a field and its removal.
    seen: Option<Vec<u64>>,
}

impl<'a> Choice<'a> {
    fn new(hash: LiveHash<'a>) -> Choice<'a> {
        let ranks = || (0..).zip(hash.whole().iter()).filter(|(_, (_, value))| hash.sees(*value)).map(|(rank, _)| rank);
        Choice { hash: hash.whole(), seen: (!hash.is_whole()).then(|| ranks().collect()) }
    }

    fn len(&self) -> u64 {
        self.seen.as_ref().map_or(self.hash.len(), |seen| seen.len() as u64)
    }

    fn at(&self, nth: u64) -> Option<Pair<'a>> {
        let rank = match &self.seen {
            Some(seen) => *seen.get(usize::try_from(nth).ok()?)?,
            None => nth,
        };
        self.hash.at(rank).map(|(field, value)| (field, value.text))
    }
}

/// A field with its value.
type Pair<'a> = (Str<'a>, Str<'a>);

fn choose(hash: &Choice<'_>, wanted: u64, rng: &mut baton_base::Rng, reply: &mut Reply<'_>) {
    reply.head(wanted.min(hash.len()));
    chosen::ranks(wanted, hash.len(), rng).into_iter().for_each(|nth| reply.field(hash.at(nth)));
}

struct Reply<'o> {
    out: &'o mut Out,
    with_values: bool,
}

impl Reply<'_> {
    /// The head of a reply with so many fields: in RESP2 values stand among the fields, in RESP3 each pair is an array.
    fn head(&mut self, fields: u64) {
        let flat = self.with_values && self.out.proto == Proto::V2;
        self.out.array(fields as usize * if flat { 2 } else { 1 });
    }

    fn field_only(&mut self, pair: Option<Pair<'_>>) {
        if let Some((field, _)) = pair {
            self.out.text(field);
        }
    }

    fn field(&mut self, pair: Option<Pair<'_>>) {
        if !self.with_values {
            return self.field_only(pair);
        }
        let Some((field, value)) = pair else { return };
        if self.out.proto == Proto::V3 {
            self.out.array(2);
        }
        self.out.text(field);
        self.out.text(value);
    }
}
