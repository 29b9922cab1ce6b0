//! Is this command served by this node? In cluster mode the published topology decides; this file turns a command and
//! its keys, or a whole transaction, into the question that the topology answers.

use baton_base::Slot;
use baton_cluster::{Audience, Presence, RouteQuery, Topology};
use baton_commands::{CommandSpec, Flags, Group, NodeCommand, Run, key_positions};
use baton_resp::Args;
use baton_store::{DbIndex, Expiry};
use smallvec::SmallVec;

use super::client::Client;
use super::context::Context;
use crate::blocked::Waiter;
use crate::node::Refusal;
use crate::world::World;

type Names<'a> = SmallVec<[&'a [u8]; 4]>;

/// How this client reaches us.
pub fn audience(client: &Client) -> Audience {
    Audience { tls: false, ipv6: client.meta.local_addr.starts_with('[') }
}

/// Refuses a command whose keys are not served here.
pub(super) fn check(
    cx: &Context<'_>,
    client: &Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    asking: bool,
) -> Result<(), Refusal> {
    let Some(topology) = &cx.world.topology else { return Ok(()) };
    if matches!(spec.run, Run::Node(NodeCommand::Exec)) {
        return check_queued(cx, client, topology, asking);
    }
    if spec.keys.is_empty() || client.transaction.is_some() && spec.keys.is_empty() {
        return Ok(());
    }
    // Arguments that hide where the keys are get their error from the command itself.
    let Ok(positions) = key_positions(spec, args) else { return Ok(()) };
    let names: Names<'_> = positions.iter().map(|p| args.at(p.index as usize)).collect();
    let mut query = about(spec, args, client, asking);
    add_slots(&mut query, &names);
    decide(cx, topology, client, &query, &names)
}

/// Where a command that waits is served now, as an error; none if it is here.
pub(super) fn redirect_waiter(world: &World, client: &Client, waiter: &Waiter) -> Option<String> {
    let topology = world.topology.as_ref()?;
    let names: Names<'_> = waiter.names.iter().map(|(_, name)| &**name).collect();
    let mut query = about(waiter.spec, waiter.args.as_args(), client, false);
    add_slots(&mut query, &names);
    let missing = Presence { missing: names.len(), ..Presence::default() };
    baton_cluster::route(topology, &query, || missing).error_text(topology, audience(client))
}

/// Refuses EXEC whose commands are not all served here.
fn check_queued(cx: &Context<'_>, client: &Client, topology: &Topology, asking: bool) -> Result<(), Refusal> {
    let Some(transaction) = &client.transaction else { return Ok(()) };
    let mut all = RouteQuery { readonly_client: client.readonly, asking, ..RouteQuery::default() };
    let mut names = Names::new();
    for (spec, args) in &transaction.queue {
        let args = args.as_args();
        let one = about(spec, args, client, asking);
        all.write |= one.write;
        all.asking |= one.asking;
        all.across_databases |= one.across_databases;
        all.shard_pubsub |= one.shard_pubsub;
        if let Ok(positions) = key_positions(spec, args) {
            names.extend(positions.iter().map(|p| args.at(p.index as usize)));
        }
    }
    add_slots(&mut all, &names);
    decide(cx, topology, client, &all, &names)
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
    let at = args.iter().position(|a| a.eq_ignore_ascii_case(b"db"));
    at.and_then(|i| args.get(i + 1)).and_then(baton_base::num::parse_u64).is_some_and(|n| n != u64::from(db.0))
}

fn add_slots(query: &mut RouteQuery, names: &[&[u8]]) {
    let mut slots = names.iter().map(|n| Slot::of_key(n));
    query.slot = slots.next();
    query.several_slots = slots.any(|s| Some(s) != query.slot);
}

fn decide(
    cx: &Context<'_>,
    topology: &Topology,
    client: &Client,
    query: &RouteQuery,
    names: &[&[u8]],
) -> Result<(), Refusal> {
    let route = baton_cluster::route(topology, query, || presence(cx, client.db, names));
    match route.error_text(topology, audience(client)) {
        None => Ok(()),
        Some(text) => Err(text.into()),
    }
}

/// How many of the keys exist, without touching or expiring them. One whose time has come is missing.
fn presence(cx: &Context<'_>, db: DbIndex, names: &[&[u8]]) -> Presence {
    let mut distinct: Vec<&[u8]> = names.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut out = Presence::default();
    for name in distinct {
        let key = cx.shared.store.key(name);
        let mut view = cx.shared.store.view(key.slot, db, cx.now.wall, Expiry::Hide);
        if view.exists(&key) {
            out.existing += 1;
        } else {
            out.missing += 1;
        }
    }
    out
}
