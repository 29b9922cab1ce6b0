//! DEBUG subcommands about keys: OBJECT, POPULATE, RELOAD, LOADAOF, HTSTATS.

use baton_base::num;
use baton_rdb::DumpEncoder;
use baton_resp::Args;
use baton_script::Libraries;
use baton_store::{DbIndex, Expire, Expiry};

use crate::node::{NOT_INTEGER, Refusal};
use crate::persist::{self, load, save};
use crate::worker::client::Client;
use crate::worker::context::Context;

/// Bytes that a dumped value has beside the value itself: type, version, checksum (rdb 8).
const DUMP_FRAME_BYTES: usize = 1 + 2 + 8;
const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// OBJECT key.
pub(super) fn object(cx: &Context<'_>, client: &mut Client, name: &[u8]) -> Result<(), Refusal> {
    let store = &cx.shared.store;
    let key = store.key(name);
    // What is there is shown, its time come or not.
    let mut view =
        store.view_or_give_up(key.slot, client.db, cx.now.wall, Expiry::Ignore).map_err(|held| cx.busy(held))?;
    let entry = view.peek(&key).ok_or("ERR no such key")?;
    let mut dump = Vec::new();
    DumpEncoder::new(true).encode(entry.value, &mut dump);
    let idle = entry.idle_secs;
    let clock = cx.now.wall.as_secs().saturating_sub(idle) & ((1 << 24) - 1);
    let text = format!(
        "Value at:0x{:x} refcount:1 encoding:{} serializedlength:{} lru:{clock} lru_seconds_idle:{idle}",
        key.hash.0,
        entry.encoding,
        dump.len().saturating_sub(DUMP_FRAME_BYTES),
    );
    client.out.simple(&text);
    Ok(())
}

/// POPULATE count [prefix] [size]: `prefix:0` and so on, each with the text `value:` and its number, padded with zero
/// bytes or cut to the size. Neither replicas nor other nodes' slots are thought of.
pub(super) fn populate(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let number = |at: usize| num::parse_u64(args.at(at)).filter(|n| i64::try_from(*n).is_ok()).ok_or(NOT_POSITIVE);
    let count = number(0)?;
    let prefix = args.get(1).unwrap_or(b"key");
    let size = if args.len() > 2 { number(2)? } else { 0 };
    let most = cx.world.hot.proto_max_bulk_len as u64;
    let size = usize::try_from(size.min(most)).expect("the limit of strings fits");
    let store = &cx.shared.store;
    let mut created = 0;
    for i in 0..count {
        let name = [prefix, b":", i.to_string().as_bytes()].concat();
        let mut value = format!("value:{i}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let key = store.key(&name);
        let view = store.view_or_give_up(key.slot, client.db, cx.now.wall, cx.world.expiry_rule());
        let mut view = view.map_err(|held| cx.busy(held))?;
        if !view.exists(&key) {
            view.set_str(&key, &value, Expire::Never);
            crate::worker::changes::announce_from_aside(cx.shared, &mut view);
            created += 1;
        }
    }
    cx.shared.stats.lanes[cx.local.lane.0].dirty.add(created);
    client.out.ok();
    Ok(())
}

/// RELOAD [MERGE] [NOFLUSH] [NOSAVE].
pub(super) fn reload(cx: &mut Context<'_>, client: &mut Client, options: Args<'_>) -> Result<(), Refusal> {
    let (mut merge, mut flush, mut save) = (false, true, true);
    for option in options.iter() {
        match option.to_ascii_lowercase().as_slice() {
            b"merge" => merge = true,
            b"noflush" => flush = false,
            b"nosave" => save = false,
            _ => return Err("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.".into()),
        }
    }
    cx.stop_world(|cx| {
        let shared = cx.shared;
        if save {
            match save::save_still(shared) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Refusal::from("ERR")),
                Err(_) => return Err("ERR Background save already in progress".into()),
            }
        }
        if flush {
            shared.free_later(shared.store.flush(None));
            shared.scripts.set_functions(Libraries::default());
            crate::worker::changes::announce_all_from_aside(shared);
        }
        if load::reload(shared, merge) {
            shared.persist.saved_dirty.store(persist::dirty(shared), std::sync::atomic::Ordering::Relaxed);
            return Ok(());
        }
        Err("ERR Error trying to load the RDB dump, check server logs.".into())
    })??;
    client.out.ok();
    Ok(())
}

/// LOADAOF. What can't be read may not be half of the data either, so the process ends then, as upstream's does.
pub(super) fn load_aof(cx: &mut Context<'_>, client: &mut Client) -> Result<(), Refusal> {
    cx.stop_world(|cx| {
        let shared = cx.shared;
        shared.aof.complete(shared);
        shared.free_later(shared.store.flush(None));
        shared.scripts.set_functions(Libraries::default());
        crate::worker::changes::announce_all_from_aside(shared);
        if !crate::aof::load::reload(shared) {
            shared.log.warning("Error trying to load the AOF files, check server logs.");
            std::process::exit(1);
        }
        shared.persist.saved_dirty.store(persist::dirty(shared), std::sync::atomic::Ordering::Relaxed);
        shared.log.warning("Append Only File loaded by DEBUG LOADAOF");
    })?;
    client.out.ok();
    Ok(())
}

/// HTSTATS db, as far as there is something to tell.
pub(super) fn tables(cx: &Context<'_>, client: &mut Client, db: &[u8]) -> Result<(), Refusal> {
    let store = &cx.shared.store;
    let db = num::parse_i64(db).ok_or(NOT_INTEGER)?;
    let in_range = u32::try_from(db).ok().filter(|db| *db < store.databases()).map(DbIndex);
    let db = in_range.ok_or("ERR Out of range database")?;
    let mut text = String::new();
    for (title, entries) in [("Dictionary", store.len(db)), ("Expires", store.expires_len(db))] {
        text.push_str(&format!("[{title} HT]\n"));
        if entries > 0 {
            text.push_str(&format!(
                "Hash table 0 stats (main hash table):\n table size: {entries}\n number of entries: {entries}\n"
            ));
        }
    }
    client.out.verbatim(b"txt", text.as_bytes());
    Ok(())
}
