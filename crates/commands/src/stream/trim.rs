//! Options by which streams are shortened, for XADD and XTRIM.

use baton_resp::Args;
use baton_store::Missing;
use baton_values::{Stream, StreamId, StreamTrim, TrimTo};

use super::ids;
use super::reply::{IdText, id_text};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// Entries that a command removes at most where it was told neither a limit nor to be exact.
const LIMIT_MAX: u64 = 1_000_000;
/// The same where nodes have no limit of entries.
const LIMIT_WITHOUT_NODES: u64 = 10_000;

/// The options of a command, as far as they are about trimming.
#[derive(Clone, Copy, Default)]
pub(super) struct TrimOptions {
    to: Option<TrimTo>,
    /// The argument that says what is to be left.
    threshold_at: usize,
    /// The argument `~`.
    approximately_at: Option<usize>,
    limit: Option<u64>,
}

impl TrimOptions {
    /// Takes the option that begins with argument `at`; gives the argument behind it, and none if it is no such option.
    pub(super) fn take(&mut self, args: Args<'_>, at: usize) -> Result<Option<usize>, Fail> {
        let word = args.at(at);
        if at + 1 >= args.len() {
            return Ok(None);
        }
        if word.eq_ignore_ascii_case(b"LIMIT") {
            let limit = u64::try_from(int(args.at(at + 1))?);
            self.limit = Some(limit.map_err(|_| Fail::Text("ERR The LIMIT argument must be >= 0."))?);
            return Ok(Some(at + 2));
        }
        let is_len = word.eq_ignore_ascii_case(b"MAXLEN");
        if !is_len && !word.eq_ignore_ascii_case(b"MINID") {
            return Ok(None);
        }
        if self.to.is_some() {
            let both = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
            return Err(Fail::Text(both));
        }
        let mut value_at = at + 1;
        if value_at + 1 < args.len() && matches!(args.at(value_at), b"~" | b"=") {
            self.approximately_at = (args.at(value_at) == b"~").then_some(value_at);
            value_at += 1;
        }
        self.threshold_at = value_at;
        self.to = Some(if is_len {
            let len = u64::try_from(int(args.at(value_at))?);
            TrimTo::Len(len.map_err(|_| Fail::Text("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            TrimTo::Id(ids::id(args.at(value_at), 0)?)
        });
        Ok(Some(value_at + 1))
    }

    /// What they ask for, when all were taken; none if for no trimming.
    pub(super) fn finish(&self, x: &Exec<'_, '_>) -> Result<Option<StreamTrim>, Fail> {
        let Some(to) = self.to else {
            let alone = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
            return if self.limit.unwrap_or(0) > 0 { Err(Fail::Text(alone)) } else { Ok(None) };
        };
        let approximately = self.approximately_at.is_some();
        let limit = match self.limit {
            // What a primary did, its replicas do whole.
            _ if !x.effects.wanted() => 0,
            Some(_) if !approximately => {
                return Err(Fail::Text("ERR syntax error, LIMIT cannot be used without the special ~ option"));
            }
            Some(limit) => limit,
            None if approximately => match x.env.limits.stream_node_entries as u64 {
                0 => LIMIT_WITHOUT_NODES,
                entries => entries.saturating_mul(100).min(LIMIT_MAX),
            },
            None => 0,
        };
        Ok(Some(StreamTrim { to, approximately, limit }))
    }

    /// What stands in the place of arguments elsewhere, where another stream may have other nodes: the exact result.
    pub(super) fn exact(&self, stream: &Stream) -> Option<ExactTrim> {
        let approximately_at = self.approximately_at?;
        let threshold = match self.to? {
            TrimTo::Len(_) => IdText::from_slice(itoa::Buffer::new().format(stream.len()).as_bytes()),
            // Of a stream without entries nothing is to be left.
            TrimTo::Id(_) => id_text(if stream.is_empty() { StreamId::MAX } else { stream.first_id() }),
        };
        Some(ExactTrim { approximately_at, threshold_at: self.threshold_at, threshold })
    }
}

/// An approximate trim as what it did.
pub(super) struct ExactTrim {
    approximately_at: usize,
    threshold_at: usize,
    threshold: IdText,
}

impl ExactTrim {
    /// What stands in the place of an argument.
    pub(super) fn argument<'a>(&'a self, at: usize, arg: &'a [u8]) -> &'a [u8] {
        match at {
            _ if at == self.approximately_at => b"=",
            _ if at == self.threshold_at => &self.threshold,
            _ => arg,
        }
    }
}

/// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count].
pub(crate) fn xtrim(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let mut options = TrimOptions::default();
    let mut at = 2;
    while at < x.args.len() {
        at = options.take(x.args, at)?.ok_or(Fail::Syntax)?;
    }
    let without = Fail::Text("ERR syntax error, XTRIM must be called with a trimming strategy");
    let trim = options.finish(x)?.ok_or(without)?;
    let key = x.key(0, 1);
    let done = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let removed = stream.trim(trim);
        (removed, (removed, options.exact(stream)))
    })?;
    let (removed, exact) = done.unwrap_or((0, None));
    if removed > 0 {
        x.notify(EventClass::STREAM, "xtrim", &key);
        if let Some(exact) = exact {
            x.effects.replace_iter(x.args.iter().enumerate().map(|(i, arg)| exact.argument(i, arg)));
        }
    }
    x.out.int(removed as i64);
    Ok(())
}
