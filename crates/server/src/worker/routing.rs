//! Is this command served by this node? In cluster mode the published topology decides; this file turns a command and
//! its keys, or a whole transaction, into the question that the topology answers.

use baton_base::Slot;
use baton_cluster::{Audience, Presence, RouteQuery, Topology};
use baton_commands::{CommandSpec, Flags, Group, NodeCommand, Run, key_positions};
use baton_resp::Args;
use baton_store::{DbIndex, Expiry, View};
use smallvec::SmallVec;

use super::client::{Client, Queued};
use super::context::Context;
use crate::blocked::Waiter;
use crate::node::Refusal;
use crate::world::World;

type Names<'a> = SmallVec<[&'a [u8]; 4]>;

/// A key of a database.
pub(super) type Place<'k> = (DbIndex, &'k [u8]);

/// How this client reaches us.
pub fn audience(client: &Client) -> Audience {
    Audience { tls: false, ipv6: client.meta.local_addr.starts_with('[') }
}

/// Refuses a command whose keys are not served here. Where that depends on which of them exist, gives the question, for
/// [`moved_meanwhile`].
pub(super) fn check(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    asking: bool,
    writes: bool,
) -> Result<Option<RouteQuery>, Refusal> {
    let Some(topology) = &cx.world.topology else { return Ok(None) };
    if matches!(spec.run, Run::Node(NodeCommand::Exec)) {
        return check_queued(cx, client, topology, asking, writes);
    }
    if spec.keys.is_empty() || client.transaction.is_some() && spec.keys.is_empty() {
        return Ok(None);
    }
    // Arguments that hide where the keys are get their error from the command itself.
    let Ok(positions) = key_positions(spec, args) else { return Ok(None) };
    let names: Names<'_> = positions.iter().map(|p| args.at(p.index as usize)).collect();
    let mut query = RouteQuery { write: writes, ..about(spec, args, client, asking) };
    add_slots(&mut query, &names);
    // For a command that is queued the keys of an open slot are looked for when EXEC comes.
    let looked_for = if client.transaction.is_some() { &[][..] } else { &names[..] };
    decide(cx, topology, client, &query, || looked_for.iter().map(|name| (client.db, *name)).collect())
}

/// Refuses a command that a script calls and whose keys are not served here, in the words for scripts.
pub(super) fn check_called(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Result<(), Refusal> {
    let (Some(topology), Ok(positions)) = (&cx.world.topology, key_positions(spec, args)) else { return Ok(()) };
    let names: Names<'_> = positions.iter().map(|p| args.at(p.index as usize)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut query = about(spec, args, client, false);
    add_slots(&mut query, &names);
    // Whether they exist was looked at when the script was let in; its slots are locked by now.
    let existing = Presence { existing: names.len(), ..Presence::default() };
    let Some(text) = baton_cluster::route(topology, &query, || existing).error_text(topology, audience(client)) else {
        return Ok(());
    };
    Err(match text.split(' ').next() {
        Some("CROSSSLOT") => "ERR Script attempted to access keys that do not hash to the same slot".into(),
        Some("CLUSTERDOWN") if text.contains("readonly") => {
            "ERR Script attempted to execute a write command while the cluster is down and readonly".into()
        }
        Some("CLUSTERDOWN") => "ERR Script attempted to execute a command while the cluster is down".into(),
        _ => "ERR Script attempted to access a non local key in a cluster node".into(),
    })
}

/// Where a command that waits is served now, as an error; none if it is here. While its slot is open it waits on: whoever
/// comes with something new may be sent elsewhere, but the slot may stay.
pub(super) fn redirect_waiter(world: &World, client: &Client, waiter: &Waiter) -> Option<String> {
    let topology = world.topology.as_ref()?;
    let names: Names<'_> = waiter.names.iter().map(|(_, name)| &**name).collect();
    let mut query = about(waiter.spec, waiter.args.as_args(), client, true);
    add_slots(&mut query, &names);
    let existing = Presence { existing: names.len(), ..Presence::default() };
    baton_cluster::route(topology, &query, || existing).error_text(topology, audience(client))
}

/// Refuses EXEC whose commands are not all served here.
fn check_queued(
    cx: &Context<'_>,
    client: &Client,
    topology: &Topology,
    asking: bool,
    writes: bool,
) -> Result<Option<RouteQuery>, Refusal> {
    let Some(transaction) = &client.transaction else { return Ok(None) };
    let mut all = RouteQuery { write: writes, readonly_client: client.readonly, asking, ..RouteQuery::default() };
    for (spec, args) in &transaction.queue {
        let args = args.as_args();
        let one = about(spec, args, client, asking);
        all.asking |= one.asking;
        all.across_databases |= one.across_databases;
        all.shard_pubsub |= one.shard_pubsub;
    }
    let places = queued_places(cx, client, &transaction.queue);
    let names: Names<'_> = places.iter().map(|(_, name)| *name).collect();
    add_slots(&mut all, &names);
    decide(cx, topology, client, &all, || places)
}

/// The keys of a transaction's commands, each in the database that is selected by then.
pub(super) fn queued_places<'a>(cx: &Context<'_>, client: &Client, queue: &'a Queued) -> Vec<Place<'a>> {
    let (mut db, mut places) = (client.db, Vec::new());
    for (spec, args) in queue {
        let args = args.as_args();
        if matches!(spec.run, Run::Node(NodeCommand::Select)) {
            // One that does not exist is refused when its turn comes.
            let wanted = args.get(1).and_then(baton_base::num::parse_u64).and_then(|n| u32::try_from(n).ok());
            db = wanted.filter(|n| *n < cx.shared.store.databases()).map_or(db, DbIndex);
        }
        let positions = key_positions(spec, args).unwrap_or_default();
        places.extend(positions.iter().map(|p| (db, args.at(p.index as usize))));
    }
    places
}

fn about(spec: &CommandSpec, args: Args<'_>, client: &Client, asking: bool) -> RouteQuery {
    RouteQuery {
        write: spec.flags.contains(Flags::WRITE),
        readonly_client: client.readonly,
        asking: asking || spec.flags.contains(Flags::ASKING),
        shard_pubsub: spec.group == Group::Pubsub,
        migrate: spec.name == "migrate",
        across_databases: spec.name == "move" || (spec.name == "copy" && copies_elsewhere(args, client.db)),
        ..RouteQuery::default()
    }
}

fn copies_elsewhere(args: Args<'_>, db: DbIndex) -> bool {
    let (mut at, mut other) = (3, false);
    while let Some(word) = args.get(at) {
        // Of several databases the last one counts.
        if word.eq_ignore_ascii_case(b"db") {
            at += 1;
            other = args.get(at).and_then(baton_base::num::parse_u64).is_some_and(|n| n != u64::from(db.0));
        }
        at += 1;
    }
    other
}

fn add_slots(query: &mut RouteQuery, names: &[&[u8]]) {
    let mut slots = names.iter().map(|n| Slot::of_key(n));
    query.slot = slots.next();
    query.several_slots = slots.any(|s| Some(s) != query.slot);
}

fn decide<'k>(
    cx: &Context<'_>,
    topology: &Topology,
    client: &Client,
    query: &RouteQuery,
    places: impl FnOnce() -> Vec<Place<'k>>,
) -> Result<Option<RouteQuery>, Refusal> {
    let mut open = None;
    let route = baton_cluster::route(topology, query, || {
        open = Some(*query);
        presence(places(), |db, name| {
            let key = cx.shared.store.key(name);
            // What a script holds for long is taken to be there: the command is told so when it comes to its keys.
            let view = cx.shared.store.view_or_give_up(key.slot, db, cx.now.wall, Expiry::Hide);
            view.map_or(true, |mut view| view.exists(&key))
        })
    });
    match route.error_text(topology, audience(client)) {
        None => Ok(open),
        Some(text) => Err(text.into()),
    }
}

/// Asks once more where a command of an open slot is served, now that its keys are locked: since it was admitted they may
/// have been moved or deleted, and what it would see or write here then belongs elsewhere. None if it still is here.
#[cold]
pub(super) fn moved_meanwhile(
    cx: &Context<'_>,
    client: &Client,
    view: &mut View<'_>,
    places: Vec<Place<'_>>,
) -> Option<String> {
    let (topology, query) = (cx.world.topology.as_ref()?, cx.open.as_ref()?);
    let before = view.db();
    let presence = || {
        presence(places, |db, name| {
            view.select(db);
            let key = view.key(name);
            view.exists(&key)
        })
    };
    let text = baton_cluster::route(topology, query, presence).error_text(topology, audience(client));
    view.select(before);
    text
}

/// How many of these keys exist, each counted once.
fn presence(mut places: Vec<Place<'_>>, mut exists: impl FnMut(DbIndex, &[u8]) -> bool) -> Presence {
    places.sort_unstable();
    places.dedup();
    let existing = places.iter().filter(|(db, name)| exists(*db, name)).count();
    Presence { existing, missing: places.len() - existing }
}
