//! Writing several strings at once.

use baton_resp::Args;
use baton_store::Expire;

use crate::deadline::Unit;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::options::{Condition, Dialect, ExpiryOption, Options};

/// MSET key value [key value ...].
pub(crate) fn mset(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if x.args.len().is_multiple_of(2) {
        return Err(Fail::Arity("mset"));
    }
    write_pairs(x, 1, x.args.len() / 2, Expire::Never);
    x.out.ok();
    Ok(())
}

/// MSETNX key value [key value ...].
pub(crate) fn msetnx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if x.args.len().is_multiple_of(2) {
        return Err(Fail::Arity("msetnx"));
    }
    let pairs = x.args.len() / 2;
    let admitted = !find(x, 1, pairs, true);
    if admitted {
        write_pairs(x, 1, pairs, Expire::Never);
    }
    x.out.int(i64::from(admitted));
    Ok(())
}

/// MSETEX numkeys key value [key value ...] [NX | XX] [EX seconds | PX ms | EXAT time | PXAT time-ms | KEEPTTL].
pub(crate) fn msetex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let count = baton_base::num::parse_i64(&x.args[1]).filter(|n| (1..=i64::from(i32::MAX)).contains(n));
    let pairs = count.ok_or(Fail::Text("ERR invalid numkeys value or out of range"))? as usize;
    let options_at = 2 + 2 * pairs;
    if options_at > x.args.len() {
        return Err(Fail::Syntax);
    }
    let options = Options::parse(x.args, options_at, Dialect::MSetEx)?;
    let expire = options.expiry.resolve(x.args, x.view.now(), "msetex")?;
    let admitted = match options.condition {
        Condition::Missing => !find(x, 2, pairs, true),
        Condition::Exists => !find(x, 2, pairs, false),
        Condition::Always | Condition::Equals { .. } => true,
    };
    if admitted {
        write_pairs(x, 2, pairs, expire);
        if let (ExpiryOption::At { unit, value_at }, Expire::At(at)) = (options.expiry, expire)
            && unit != Unit::UnixMillis
        {
            let mut text = itoa::Buffer::new();
            let args = with_deadline(x.args, options_at, value_at, text.format(at.0).as_bytes());
            x.effects.replace_iter(args);
        }
    }
    x.out.int(i64::from(admitted));
    Ok(())
}

/// The arguments with the expiry replaced by `PXAT at`; an earlier repetition of the same option says nothing and goes.
fn with_deadline<'a>(
    args: Args<'a>,
    options_at: usize,
    value_at: usize,
    at: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    args.iter().enumerate().filter_map(move |(i, arg)| {
        if i == value_at {
            Some(at)
        } else if i + 1 == value_at {
            Some(&b"PXAT"[..])
        } else {
            let superseded = |i: usize| i >= options_at && Unit::of_word(args.at(i)).is_some();
            let value_of_superseded = i > options_at && superseded(i - 1);
            (!superseded(i) && !value_of_superseded).then_some(arg)
        }
    })
}

/// Whether one of the keys is there, or is missing. Looks no further than that key, so that keys behind it that are due stay.
fn find(x: &mut Exec<'_, '_>, first: usize, pairs: usize, there: bool) -> bool {
    (0..pairs).any(|n| {
        let key = x.key(n, first + 2 * n);
        x.view.exists(&key) == there
    })
}

fn write_pairs(x: &mut Exec<'_, '_>, first: usize, pairs: usize, expire: Expire) {
    for n in 0..pairs {
        let key = x.key(n, first + 2 * n);
        x.notify_if_new(&key);
        x.view.set_str(&key, &x.args[first + 2 * n + 1], expire);
        x.notify(EventClass::STRING, "set", &key);
        if matches!(expire, Expire::At(_)) {
            x.notify(EventClass::GENERIC, "expire", &key);
        }
    }
}
