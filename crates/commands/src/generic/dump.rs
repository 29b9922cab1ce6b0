//! Values that leave as payloads and come back (rdb 8). The format is `baton_rdb`'s; here is what it means for the key.

use baton_base::WallMs;
use baton_rdb::{DumpEncoder, RestoreScratch};
use baton_store::{Expire, Key, Value};

use crate::deadline;
use crate::event::EventClass;
use crate::exec::{Exec, LazyFree};
use crate::fail::Fail;
use crate::number::int;

/// DUMP key.
pub(crate) fn dump(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.null();
        return Ok(());
    };
    let mut payload = Vec::new();
    DumpEncoder::new(x.env.rdb_compress).encode(entry.value, &mut payload);
    x.reply_own_text(payload);
    Ok(())
}

/// What RESTORE is told beside its payload.
#[derive(Clone, Copy, Default)]
struct Options {
    replace: bool,
    /// The time is one since 1970.
    absolute: bool,
    idle_secs: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(x: &Exec<'_, '_>) -> Result<Options, Fail> {
        let mut options = Options::default();
        let mut i = 4;
        while let Some(word) = x.args.get(i) {
            let is = |text: &[u8]| word.eq_ignore_ascii_case(text);
            let has_value = i + 1 < x.args.len();
            if is(b"REPLACE") {
                options.replace = true;
            } else if is(b"ABSTTL") {
                options.absolute = true;
            } else if is(b"IDLETIME") && has_value && options.frequency.is_none() {
                i += 1;
                let secs = u64::try_from(int(&x.args[i])?);
                options.idle_secs = Some(secs.map_err(|_| Fail::Text("ERR Invalid IDLETIME value, must be >= 0"))?);
            } else if is(b"FREQ") && has_value && options.idle_secs.is_none() {
                i += 1;
                let refused = Fail::Text("ERR Invalid FREQ value, must be >= 0 and <= 255");
                options.frequency = Some(u8::try_from(int(&x.args[i])?).map_err(|_| refused)?);
            } else {
                return Err(Fail::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

/// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency].
pub(crate) fn restore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let options = Options::parse(x)?;
    let key = x.key(0, 1);
    let is_there = x.view.exists(&key);
    if is_there && !options.replace {
        return Err(Fail::Text("BUSYKEY Target key name already exists."));
    }
    let ttl = u64::try_from(int(&x.args[2])?).map_err(|_| Fail::Text("ERR Invalid TTL value, must be >= 0"))?;
    let mut scratch = RestoreScratch::default();
    let resealed = x.env.any_checksum.then(|| baton_rdb::resealed(x.args.at(3)));
    let payload = resealed.as_deref().unwrap_or(x.args.at(3));
    let value = baton_rdb::restore(payload, x.env.rdb_versions, &x.limits(), &mut scratch)
        .map_err(|error| Fail::Bytes(format!("ERR {error}").into_bytes()))?;
    let at = match ttl {
        0 => None,
        _ if options.absolute => Some(WallMs(ttl)),
        // A time beyond all times counts as past, as upstream's sum overflows.
        _ => Some(WallMs(x.view.now().0.checked_add(ttl).filter(|at| *at <= i64::MAX as u64).unwrap_or(0))),
    };
    match at {
        Some(at) if deadline::has_passed(at, x.view) => delete_replaced(x, &key),
        _ => write(x, &key, value, at, options),
    }
    x.out.ok();
    Ok(())
}

/// What is left of a value whose time is over already: that it replaces another.
fn delete_replaced(x: &mut Exec<'_, '_>, key: &Key<'_>) {
    if x.view.remove(key) {
        x.notify(EventClass::GENERIC, "del", key);
        x.effects.replace(&[LazyFree::delete_name(x.env.lazy.server_del), key.bytes]);
    }
}

fn write(x: &mut Exec<'_, '_>, key: &Key<'_>, value: Value<'_>, at: Option<WallMs>, options: Options) {
    let expire = at.map_or(Expire::Never, Expire::At);
    match (value, value.to_collection()) {
        (_, Some(collection)) => x.view.put_collection(key, collection, expire),
        (Value::Str(text), None) => x.view.set_str(key, text.bytes(&mut itoa::Buffer::new()), expire),
        _ => unreachable!("what is no string is a collection"),
    }
    if let Some(secs) = options.idle_secs {
        x.view.set_idle(key, secs);
    }
    if let Some(count) = options.frequency {
        x.view.set_frequency(key, count);
    }
    // What is replaced was deleted before, so the key is new either way.
    x.notify(EventClass::NEW, "new", key);
    x.notify(EventClass::GENERIC, "restore", key);
    if let Some(at) = at.filter(|_| !options.absolute && x.effects.wanted()) {
        let mut text = itoa::Buffer::new();
        let time = text.format(at.0).as_bytes();
        let args = x.args.iter().enumerate().map(|(i, arg)| if i == 2 { time } else { arg });
        x.effects.replace_iter(args.chain([&b"ABSTTL"[..]]));
    }
}
