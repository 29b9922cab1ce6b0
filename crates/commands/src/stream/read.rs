//! XREAD and XREADGROUP: entries behind an id, of several streams, waiting for them if there are none.

use std::time::Duration;

use baton_resp::Args;
use baton_store::ValueKind;
use baton_values::{Stream, StreamId};

use super::{deliver, ids, reply, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::key_spec::{KeyFlags, key_flags};
use crate::keys::{KeyPosition, KeyPositions};
use crate::number::int;
use crate::wait::{Nothing, WaitFor, timeout_ms};

/// What is asked for.
pub(super) struct Request<'a> {
    /// Entries of each stream, at most.
    pub(super) count: usize,
    /// How long to wait, if at all.
    block: Option<Option<Duration>>,
    /// Group and consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// Whether nothing becomes pending.
    pub(super) no_ack: bool,
    /// The argument that is the first key.
    pub(super) first: usize,
    /// Number of keys.
    pub(super) keys: usize,
}

/// Behind what to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Behind this entry.
    Id(StreamId),
    /// Behind what the group has delivered.
    Delivered,
}

/// Where the keys of XREAD are.
pub(crate) fn keys_of_xread(args: Args<'_>) -> KeyPositions {
    keys_of(args, key_flags!(RO | ACCESS))
}

/// Where the keys of XREADGROUP are.
pub(crate) fn keys_of_xreadgroup(args: Args<'_>) -> KeyPositions {
    keys_of(args, key_flags!(RO | ACCESS))
}

/// The first half of what follows STREAMS. Words before it are passed by as [`Request::parse`] does, so that a group may be
/// called so.
fn keys_of(args: Args<'_>, flags: KeyFlags) -> KeyPositions {
    let mut at = 1;
    while let Some(word) = args.get(at) {
        at += match word {
            _ if word.eq_ignore_ascii_case(b"STREAMS") => {
                let keys = (args.len() - at - 1) / 2;
                return (at + 1..at + 1 + keys).map(|at| KeyPosition { index: at as u32, flags }).collect();
            }
            _ if word.eq_ignore_ascii_case(b"GROUP") => 3,
            _ if word.eq_ignore_ascii_case(b"NOACK") => 1,
            _ => 2,
        };
    }
    KeyPositions::new()
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, is_group: bool) -> Result<Request<'a>, Fail> {
        let mut request = Request { count: usize::MAX, block: None, group: None, no_ack: false, first: 0, keys: 0 };
        let mut at = 1;
        while let Some(word) = args.get(at) {
            let value = args.get(at + 1);
            let is = |text: &[u8]| word.eq_ignore_ascii_case(text);
            match value {
                Some(value) if is(b"BLOCK") => (request.block, at) = (Some(timeout_ms(value)?), at + 2),
                Some(value) if is(b"COUNT") => {
                    let count = usize::try_from(int(value)?).unwrap_or(0);
                    (request.count, at) = (if count == 0 { usize::MAX } else { count }, at + 2);
                }
                Some(_) if is(b"STREAMS") => {
                    request.take_streams(args, at + 1, is_group)?;
                    break;
                }
                Some(group) if is(b"GROUP") && at + 2 < args.len() => {
                    if !is_group {
                        let text = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
                        return Err(Fail::Text(text));
                    }
                    (request.group, at) = (Some((group, args.at(at + 2))), at + 3);
                }
                _ if is(b"NOACK") => {
                    if !is_group {
                        let text = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
                        return Err(Fail::Text(text));
                    }
                    (request.no_ack, at) = (true, at + 1);
                }
                _ => return Err(Fail::Syntax),
            }
        }
        match request.group {
            _ if request.keys == 0 => Err(Fail::Syntax),
            None if is_group => Err(Fail::Text("ERR Missing GROUP option for XREADGROUP")),
            _ => Ok(request),
        }
    }

    fn take_streams(&mut self, args: Args<'a>, first: usize, is_group: bool) -> Result<(), Fail> {
        let count = args.len() - first;
        if !count.is_multiple_of(2) {
            let (name, symbol) = if is_group { ("xreadgroup", ">") } else { ("xread", "$") };
            let text = format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
            );
            return Err(Fail::Bytes(text.into_bytes()));
        }
        (self.first, self.keys) = (first, count / 2);
        Ok(())
    }

    /// The argument that is the `nth` id.
    pub(super) fn id_at(&self, nth: usize) -> usize {
        self.first + self.keys + nth
    }

    /// Nothing was found: waits if asked to. Ids that mean something else later are `instead` what they mean now.
    pub(super) fn found_nothing(&self, x: &mut Exec<'_, '_>, even_gone: bool, instead: Vec<(usize, Box<[u8]>)>) {
        let Some(timeout) = self.block else {
            x.out.null_array();
            return;
        };
        let (keys, kind, nothing) = (0..self.keys, ValueKind::Stream, Nothing::NullArray);
        x.wait(WaitFor { keys, kind, even_gone, timeout, nothing, instead });
    }
}

/// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...].
pub(crate) fn xread(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let request = Request::parse(x.args, false)?;
    let mut behind = Vec::with_capacity(request.keys);
    let (mut instead, mut found) = (Vec::new(), Vec::new());
    for nth in 0..request.keys {
        let key = x.key(nth, request.first + nth);
        let entry = x.view.read(&key, x.touch);
        let stream = entry.as_ref().map(stream_of).transpose()?;
        let at = request.id_at(nth);
        let last_id = stream.map_or(StreamId::MIN, Stream::last_id);
        let id = match x.args.at(at) {
            b"$" => last_id,
            // The last entry is the first one behind the id before.
            b"+" => last_id.before().unwrap_or(StreamId::MIN),
            b">" => {
                let text = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                            <consumer> option.";
                return Err(Fail::Text(text));
            }
            text => ids::id(text, 0)?,
        };
        // The last entry is the one that is the last when it comes.
        if x.args.at(at) == b"$" {
            instead.push((at, Box::from(&reply::id_text(id)[..])));
        }
        if stream.is_some_and(|stream| has_behind(stream, id)) {
            found.push(nth);
        }
        behind.push(id);
    }
    if found.is_empty() {
        request.found_nothing(x, false, instead);
        return Ok(());
    }
    reply::keyed(x.out, found.len());
    for nth in found {
        let key = x.key(nth, request.first + nth);
        let Some(entry) = x.view.peek(&key) else { continue };
        reply::key(x.out, key.bytes);
        let from = behind[nth].next().unwrap_or(StreamId::MAX);
        reply::entries(x.out, stream_of(&entry)?.range(from, StreamId::MAX), request.count);
    }
    Ok(())
}

/// Whether there is an entry behind an id.
pub(super) fn has_behind(stream: &Stream, id: StreamId) -> bool {
    stream.last_id() > id && stream.last().is_some_and(|last| last.id > id)
}

/// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...].
pub(crate) fn xreadgroup(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let request = Request::parse(x.args, true)?;
    let Some((group, consumer)) = request.group else { return Err(Fail::Syntax) };
    // What is propagated is what each delivery did.
    x.effects.none();
    let mut behind = Vec::with_capacity(request.keys);
    for nth in 0..request.keys {
        let key = x.key(nth, request.first + nth);
        let entry = x.view.read(&key, x.touch);
        let stream = entry.as_ref().map(stream_of).transpose()?;
        if stream.and_then(|stream| stream.group(group)).is_none() {
            let start = [b"NOGROUP No such key '", key.bytes, b"' or consumer group '", group].concat();
            return Err(Fail::Bytes([&start[..], b"' in XREADGROUP with GROUP option"].concat()));
        }
        behind.push(behind_in_group(x.args.at(request.id_at(nth)))?);
    }
    // One after the other: what a stream has twice in the list is given away the first time.
    let (start, mut found) = (x.out.buf.len(), 0);
    for (nth, behind) in behind.into_iter().enumerate() {
        let key = x.key(nth, request.first + nth);
        if !deliver::prepare(x, &key, group, consumer, &request, behind)? {
            continue;
        }
        found += 1;
        reply::key(x.out, key.bytes);
        match behind {
            Behind::Id(id) => deliver::history(x, &key, group, consumer, &request, id)?,
            Behind::Delivered => deliver::new(x, &key, group, consumer, &request)?,
        }
    }
    match found {
        0 => request.found_nothing(x, true, Vec::new()),
        _ => reply::put_before(x.out, start, |out| reply::keyed(out, found)),
    }
    Ok(())
}

fn behind_in_group(text: &[u8]) -> Result<Behind, Fail> {
    let meaningless = |symbol: &str| {
        let text = format!(
            "ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history of this \
             consumer by specifying a proper ID, or use the > ID to get new messages. The {symbol} ID would just return \
             an empty result set."
        );
        Err(Fail::Bytes(text.into_bytes()))
    };
    match text {
        b"$" => meaningless("$"),
        b"+" => meaningless("+"),
        b">" => Ok(Behind::Delivered),
        // The highest id means the same, for that is how upstream keeps it.
        _ => Ok(Some(ids::id(text, 0)?).filter(|id| *id < StreamId::MAX).map_or(Behind::Delivered, Behind::Id)),
    }
}
