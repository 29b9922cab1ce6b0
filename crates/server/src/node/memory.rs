//! MEMORY DOCTOR, MALLOC-STATS, PURGE and STATS: what the memory is used for, and what is odd about that.

use baton_commands::NodeCommand as N;
use baton_resp::{Args, Out};
use baton_store::DbIndex;

use super::Outcome;
use crate::clients::ClientFlags;
use crate::os_memory::{self, Heap};
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// Below this much memory there is nothing to say.
const WORTH_BYTES: u64 = 5 << 20;

/// MEMORY subcommands.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, _args: Args<'_>) -> Outcome {
    match command {
        N::MemoryDoctor => client.out.verbatim(b"txt", doctor(&Overview::of(cx.shared)).as_bytes()),
        N::MemoryMallocStats => client.out.verbatim(b"txt", &os_memory::allocator_report()),
        N::MemoryPurge => {
            if !crate::os::purge_memory() {
                return Err("ERR Error purging dirty pages".into());
            }
            client.out.ok();
        }
        _ => write_stats(cx.shared, client),
    }
    Ok(Flow::Next)
}

/// Memory and what it is used for, in bytes.
struct Overview {
    used: u64,
    heap: Heap,
    peak: u64,
    startup: u64,
    backlog: u64,
    aof_buffer: u64,
    clients_normal: u64,
    clients_replicas: u64,
    cluster_links: u64,
    keys: u64,
    /// Of the keyspace's tables; filled in by those who show it, for it takes a look at every slot.
    tables: u64,
}

impl Overview {
    fn of(shared: &Shared) -> Overview {
        let used = os_memory::used_bytes();
        shared.stats.memory_peak.raise(used);
        let clients = shared.clients.list();
        let bytes = |replica: bool| {
            let of_kind = clients.iter().filter(|c| c.flags().contains(ClientFlags::REPLICA) == replica);
            of_kind.map(|c| c.memory_bytes()).sum()
        };
        Overview {
            used,
            heap: os_memory::heap(used),
            peak: shared.stats.memory_peak.value(),
            startup: shared.stats.memory_startup.value(),
            backlog: shared.journal.extent().mem_used as u64,
            aof_buffer: shared.aof.waiting_bytes(),
            clients_normal: bytes(false),
            clients_replicas: bytes(true),
            cluster_links: shared.stats.bus_bytes(),
            keys: (0..shared.store.databases()).map(|db| shared.store.len(DbIndex(db))).sum(),
            tables: 0,
        }
    }

    fn overhead(&self) -> u64 {
        self.startup + self.backlog + self.clients_normal + self.clients_replicas + self.cluster_links + self.tables
    }

    fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }
}

fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to.max(1) as f64
}

fn write_stats(shared: &Shared, client: &mut Client) {
    let mut o = Overview::of(shared);
    let databases: Vec<(u32, u64)> = (0..shared.store.databases())
        .filter(|db| *db == 0 || shared.store.len(DbIndex(*db)) > 0)
        .map(|db| (db, shared.store.index_bytes(DbIndex(db))))
        .collect();
    o.tables = databases.iter().map(|(_, bytes)| bytes).sum();
    let net = o.used.saturating_sub(o.startup);
    let out = &mut client.out;
    out.map(34 + databases.len());
    ints(
        out,
        &[
            ("peak.allocated", o.peak),
            ("total.allocated", o.used),
            ("startup.allocated", o.startup),
            ("replication.backlog", o.backlog),
            ("replicas.repl.buffer", 0),
            ("clients.slaves", o.clients_replicas),
            ("clients.normal", o.clients_normal),
            ("cluster.links", o.cluster_links),
            ("cluster.slot_import", 0),
            ("cluster.slot_export", 0),
            ("aof.buffer", o.aof_buffer),
            ("lua.caches", 0),
            ("functions.caches", 0),
        ],
    );
    for (db, tables) in databases {
        out.bulk(format!("db.{db}").as_bytes());
        out.map(2);
        // Keys that expire are in no table of their own.
        ints(out, &[("overhead.hashtable.main", tables), ("overhead.hashtable.expires", 0)]);
    }
    ints(
        out,
        &[
            ("overhead.db.hashtable.lut", o.tables),
            ("overhead.db.hashtable.rehashing", 0),
            ("overhead.total", o.overhead()),
            ("db.dict.rehashing.count", 0),
            ("keys.count", o.keys),
            ("keys.bytes-per-key", net.checked_div(o.keys).unwrap_or(0)),
            ("dataset.bytes", o.dataset()),
        ],
    );
    write_shares(out, &o);
}

fn ints(out: &mut Out, fields: &[(&str, u64)]) {
    for (name, value) in fields {
        out.bulk(name.as_bytes());
        out.int(*value as i64);
    }
}

/// What is what part of what.
fn write_shares(out: &mut Out, o: &Overview) {
    let net = o.used.saturating_sub(o.startup);
    for (name, value) in
        [("dataset.percentage", ratio(o.dataset(), net) * 100.0), ("peak.percentage", ratio(o.used, o.peak) * 100.0)]
    {
        out.bulk(name.as_bytes());
        out.double(value);
    }
    let heap = &o.heap;
    ints(
        out,
        &[
            ("allocator.allocated", o.used),
            ("allocator.active", heap.active),
            ("allocator.resident", heap.resident),
            ("allocator.muzzy", 0),
        ],
    );
    let pairs = [
        ("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", heap.active, o.used),
        ("allocator-rss.ratio", "allocator-rss.bytes", heap.resident, heap.active),
        ("rss-overhead.ratio", "rss-overhead.bytes", heap.rss, heap.resident),
        ("fragmentation", "fragmentation.bytes", heap.rss, o.used),
    ];
    for (name, bytes_name, of, to) in pairs {
        out.bulk(name.as_bytes());
        out.double(ratio(of, to));
        out.bulk(bytes_name.as_bytes());
        out.int(of as i64 - to as i64);
    }
}

fn doctor(o: &Overview) -> String {
    if o.used < WORTH_BYTES {
        return "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these \
                conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back \
                to our programming as soon as I finished rebooting.\n"
            .into();
    }
    let odd = [
        (
            ratio(o.peak, o.used) > 1.5,
            "Peak memory: in the past this instance used more than one and a half times the memory that it uses now. What the \
             allocator keeps for that goes back to the system by and by, or with MEMORY PURGE.",
        ),
        (
            ratio(o.heap.rss, o.used) > 1.4 && o.heap.rss - o.used > 10 << 20,
            "High total RSS: the system counts more than 1.4 times the memory that is in use.",
        ),
        (
            ratio(o.heap.active, o.used) > 1.1 && o.heap.active - o.used > 10 << 20,
            "High allocator fragmentation: more than a tenth of the allocator's pages is unused.",
        ),
        (
            ratio(o.clients_normal, o.used) > 0.2 && o.clients_normal > 10 << 20,
            "Big client buffers: connections take more than a fifth of the memory. CLIENT LIST shows which (omem, qbuf).",
        ),
    ];
    let found: Vec<String> = odd.iter().filter(|(is, _)| *is).map(|(_, text)| format!(" * {text}\n\n")).collect();
    if found.is_empty() {
        return "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n".into();
    }
    format!("Sam, I detected a few issues in this Valkey instance memory implants:\n\n{}", found.concat())
}
