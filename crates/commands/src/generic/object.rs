//! Looking behind a value.

use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

const LFU_OFF: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                       switching between policies at runtime LRU and LFU data will take some time to adjust.";
const LFU_ON: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                      between policies at runtime LRU and LFU data will take some time to adjust.";

/// OBJECT ENCODING key.
pub(crate) fn object_encoding(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 2);
    match x.view.peek(&key) {
        Some(entry) => x.out.bulk(entry.encoding.as_bytes()),
        None => x.out.null(),
    }
    Ok(())
}

/// OBJECT REFCOUNT key. Values are never shared.
pub(crate) fn object_refcount(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 2);
    match x.view.exists(&key) {
        true => x.out.int(1),
        false => x.out.null(),
    }
    Ok(())
}

/// OBJECT IDLETIME key.
pub(crate) fn object_idletime(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 2);
    match x.view.peek(&key) {
        Some(_) if x.env.lfu => return Err(Fail::Text(LFU_ON)),
        Some(entry) => x.out.int(entry.idle_secs as i64),
        None => x.out.null(),
    }
    Ok(())
}

/// OBJECT FREQ key.
pub(crate) fn object_freq(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, now) = (x.key(0, 2), x.view.now());
    match x.view.peek(&key) {
        Some(_) if !x.env.lfu => return Err(Fail::Text(LFU_OFF)),
        Some(entry) => x.out.int(i64::from(entry.frequency(now, x.env.lfu_decay_minutes))),
        None => x.out.null(),
    }
    Ok(())
}

/// MEMORY USAGE key [SAMPLES count]. Sizes are exact, so samples are only checked.
pub(crate) fn memory_usage(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let mut i = 3;
    while let Some(word) = x.args.get(i) {
        let Some(count) = x.args.get(i + 1).filter(|_| word.eq_ignore_ascii_case(b"SAMPLES")) else {
            return Err(Fail::Syntax);
        };
        if int(count)? < 0 {
            return Err(Fail::Syntax);
        }
        i += 2;
    }
    let key = x.key(0, 2);
    match x.view.peek(&key) {
        Some(entry) => x.out.int(entry.memory_bytes as i64),
        None => x.out.null(),
    }
    Ok(())
}
