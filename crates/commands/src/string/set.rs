//! SET and its older relatives.

use baton_resp::Args;
use baton_store::{Entry, Expire, Key};

use super::string_of;
use crate::deadline::{self, Unit};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::key_spec::{KeyFlags, key_flags};
use crate::options::{Condition, Dialect, Options};
use crate::reply::ReplyText as _;

/// SET key value [NX | XX | IFEQ value] [GET] [EX seconds | PX ms | EXAT time | PXAT time-ms | KEEPTTL].
pub(crate) fn set(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    if x.args.len() == 3 {
        x.notify_if_new(&key);
        x.view.set_str(&key, &x.args[2], Expire::Never);
        x.notify(EventClass::STRING, "set", &key);
        x.out.ok();
        return Ok(());
    }
    let options = Options::parse(x.args, 3, Dialect::Set)?;
    let expire = options.expiry.resolve(x.args, x.view.now(), "set")?;
    if !admit(x, &key, &options)? {
        return Ok(());
    }
    let told = if options.expiry.is_unix_millis() { Told::AsWritten } else { Told::InMillis };
    store(x, &key, x.args.at(2), expire, told);
    if options.get && !matches!(expire, Expire::At(_)) {
        x.effects.replace_iter(without_get(x.args));
    }
    if !options.get {
        x.out.ok();
    }
    Ok(())
}

/// What SET does to its key with these arguments.
pub(crate) fn set_key_flags(args: Args<'_>) -> KeyFlags {
    let reads = args.skip(3).iter().any(|a| a.eq_ignore_ascii_case(b"GET"));
    if reads { key_flags!(RW | ACCESS | UPDATE) } else { key_flags!(OW | UPDATE) }
}

/// Looks at the present value as far as the options ask for it, and replies it if GET does. Tells whether to write; if not,
/// the reply is complete.
fn admit(x: &mut Exec<'_, '_>, key: &Key<'_>, options: &Options) -> Result<bool, Fail> {
    if !options.get && options.condition == Condition::Always {
        return Ok(true);
    }
    let present = if options.get { x.view.read(key, x.touch) } else { x.view.peek(key) };
    let admitted = holds(options.condition, present.as_ref(), x.args)?;
    match present {
        _ if !options.get => {
            if !admitted {
                x.out.null();
            }
        }
        None => x.out.null(),
        Some(entry) => x.out.text(string_of(&entry)?),
    }
    Ok(admitted)
}

fn holds(condition: Condition, present: Option<&Entry<'_>>, args: Args<'_>) -> Result<bool, Fail> {
    Ok(match (condition, present) {
        (Condition::Always, _) => true,
        (Condition::Missing, present) => present.is_none(),
        (Condition::Exists, present) => present.is_some(),
        (Condition::Equals { .. }, None) => false,
        (Condition::Equals { value_at }, Some(entry)) => string_of(entry)?.equals(&args[value_at]),
    })
}

/// How replicas are told of a deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By the request itself: it says the very millisecond.
    AsWritten,
    /// By a SET that does.
    InMillis,
}

/// Writes the value, or deletes the key if its deadline has passed already. Replicas are told the deadline itself.
fn store(x: &mut Exec<'_, '_>, key: &Key<'_>, value: &[u8], expire: Expire, told: Told) {
    let Expire::At(at) = expire else {
        x.notify_if_new(key);
        x.view.set_str(key, value, expire);
        return x.notify(EventClass::STRING, "set", key);
    };
    if deadline::has_passed(at, x.view) {
        deadline::delete_passed(x, key);
        return;
    }
    x.notify_if_new(key);
    x.view.set_str(key, value, expire);
    x.notify(EventClass::STRING, "set", key);
    x.notify(EventClass::GENERIC, "expire", key);
    if x.effects.wanted() && told == Told::InMillis {
        let mut text = itoa::Buffer::new();
        x.effects.replace(&[b"SET", key.bytes, value, b"PXAT", text.format(at.0).as_bytes()]);
    }
}

/// The arguments of SET without GET, which would make a replica reply.
fn without_get(args: Args<'_>) -> impl Iterator<Item = &[u8]> {
    let mut literal = 3;
    args.iter().enumerate().filter_map(move |(i, arg)| {
        if i < literal {
            return Some(arg);
        }
        if arg.eq_ignore_ascii_case(b"IFEQ") {
            literal = i + 2;
        }
        (!arg.eq_ignore_ascii_case(b"GET")).then_some(arg)
    })
}

/// SETNX key value.
pub(crate) fn setnx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let missing = !x.view.exists(&key);
    if missing {
        x.notify_if_new(&key);
        x.view.set_str(&key, &x.args[2], Expire::Never);
        x.notify(EventClass::STRING, "set", &key);
    }
    x.out.int(i64::from(missing));
    Ok(())
}

/// SETEX key seconds value.
pub(crate) fn setex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    set_with_deadline(x, Unit::Seconds, "setex")
}

/// PSETEX key milliseconds value.
pub(crate) fn psetex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    set_with_deadline(x, Unit::Millis, "psetex")
}

fn set_with_deadline(x: &mut Exec<'_, '_>, unit: Unit, command: &'static str) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let at = deadline::positive(&x.args[2], unit, x.view.now(), command)?;
    store(x, &key, x.args.at(3), Expire::At(at), Told::InMillis);
    x.out.ok();
    Ok(())
}
