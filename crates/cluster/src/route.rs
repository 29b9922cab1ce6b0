//! Where a command with keys is executed: here, elsewhere or nowhere (cluster-bus 11.1). A pure function of the
//! published topology and of what the caller knows about client and keys.

use crate::topology::{Audience, Topology};
use baton_base::Slot;

/// How many of a command's distinct keys exist here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Presence {
    /// Distinct keys that exist.
    pub existing: usize,
    /// Distinct keys that don't.
    pub missing: usize,
}

/// What is asked: one command, or all commands of one EXEC together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RouteQuery {
    /// The slot of its keys or shard channels; none if it has no key.
    pub slot: Option<Slot>,
    /// Its keys are of several slots.
    pub several_slots: bool,
    /// It writes.
    pub write: bool,
    /// The client said READONLY.
    pub readonly_client: bool,
    /// The client said ASKING, or the command is flagged as asking.
    pub asking: bool,
    /// It is a shard pub/sub command.
    pub shard_pubsub: bool,
    /// It is MIGRATE.
    pub migrate: bool,
    /// It is MOVE, or COPY into another database: both keys would have to be here.
    pub across_databases: bool,
}

/// The verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Execute it here.
    Local,
    /// Keys of several slots.
    CrossSlot,
    /// Nobody owns the slot.
    Unassigned,
    /// The cluster is down.
    Down,
    /// The cluster is down and accepts only reads.
    DownForWrites,
    /// Keys are on both sides of a migration.
    TryAgain,
    /// The client is to go to this node (an index into the topology) for good.
    Moved(Slot, u16),
    /// The client is to ask this node once.
    Ask(Slot, u16),
}

/// Decides about one query. `presence` is asked only if the slot is open; it must neither touch nor expire keys.
pub fn route(topology: &Topology, query: &RouteQuery, presence: impl FnOnce() -> Presence) -> Route {
    if query.several_slots {
        return Route::CrossSlot;
    }
    let Some(slot) = query.slot else { return Route::Local };
    let owner = topology.owners[slot.index()];
    if topology.node(owner).is_none() {
        return Route::Unassigned;
    }
    if let Some(route) = down(topology, query) {
        return route;
    }
    let head = topology.primary.unwrap_or(topology.me);
    let serving = topology.primary.is_none() || query.readonly_client;
    let migrating = topology.migrating.get(&slot).copied().filter(|_| serving && owner == head);
    let importing = topology.importing.contains_key(&slot) && serving;
    if query.migrate && topology.primary.is_none() && (migrating.is_some() || importing) {
        return Route::Local;
    }
    if (migrating.is_some() || importing) && !query.shard_pubsub {
        let keys = presence();
        if let Some(route) = open_slot(query, slot, migrating, importing, keys) {
            return route;
        }
    }
    if importing && query.asking {
        return Route::Local;
    }
    let readable = (query.readonly_client || query.shard_pubsub) && !query.write;
    if owner == topology.me || (topology.primary == Some(owner) && readable) {
        return Route::Local;
    }
    Route::Moved(slot, owner)
}

fn down(topology: &Topology, query: &RouteQuery) -> Option<Route> {
    if topology.health.is_ok() {
        return None;
    }
    if query.shard_pubsub {
        return (!topology.allow_pubsubshard_when_down).then_some(Route::Down);
    }
    if !topology.allow_reads_when_down {
        return Some(Route::Down);
    }
    query.write.then_some(Route::DownForWrites)
}

fn open_slot(query: &RouteQuery, slot: Slot, migrating: Option<u16>, importing: bool, keys: Presence) -> Option<Route> {
    // What would be in two databases has no single place, whoever asks.
    if query.across_databases {
        return Some(Route::TryAgain);
    }
    if let Some(target) = migrating
        && keys.missing > 0
    {
        return Some(if keys.existing > 0 { Route::TryAgain } else { Route::Ask(slot, target) });
    }
    let several = keys.existing + keys.missing > 1;
    (importing && query.asking && several && keys.missing > 0).then_some(Route::TryAgain)
}

impl Route {
    /// The error text for the client, none if the command is executed here.
    pub fn error_text(self, topology: &Topology, audience: Audience) -> Option<String> {
        let fixed = match self {
            Route::Local => return None,
            Route::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot",
            Route::Unassigned => "CLUSTERDOWN Hash slot not served",
            Route::Down => "CLUSTERDOWN The cluster is down",
            Route::DownForWrites => "CLUSTERDOWN The cluster is down and only accepts read commands",
            Route::TryAgain => "TRYAGAIN Multiple keys request during rehashing of slot",
            Route::Moved(slot, node) => return Some(redirection("MOVED", slot, node, topology, audience)),
            Route::Ask(slot, node) => return Some(redirection("ASK", slot, node, topology, audience)),
        };
        Some(fixed.to_owned())
    }
}

fn redirection(word: &str, slot: Slot, node: u16, topology: &Topology, audience: Audience) -> String {
    match topology.node(node) {
        Some(node) => {
            let endpoint = node.endpoint(topology.endpoint_type, audience);
            format!("{word} {slot} {endpoint}:{}", node.client_port(audience))
        }
        None => "CLUSTERDOWN Hash slot not served".to_owned(),
    }
}

#[cfg(test)]
mod tests;
