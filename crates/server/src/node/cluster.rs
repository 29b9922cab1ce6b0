//! CLUSTER: words to typed requests of the control thread, and back to replies. What only needs the published topology or
//! the keys of this node is answered here; nothing here decides about the cluster.

mod render;
mod scan;
mod set_slot;
mod slot_jobs;
mod slot_stats;

use baton_base::{Epoch, Slot, num};
use baton_cluster::{Audience, ClusterCommand, FailoverMode, Origin};
use baton_commands::NodeCommand as N;
use baton_resp::Args;

use super::answer::await_answer;
use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::control::ControlMessage;
use crate::slot_jobs::import;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};
use crate::worker::routing;

pub use render::write_structured;
pub(crate) use slot_jobs::job_ranges;

const DISABLED: &str = "ERR This instance has cluster support disabled";
const BAD_SLOT: &str = "ERR Invalid or out of range slot";
/// Distance of the bus port from the client port where none is named.
const BUS_PORT_OFFSET: i64 = 10_000;

/// CLUSTER subcommand ...
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    if command == N::ClusterKeyslot {
        client.out.int(i64::from(Slot::of_key(args.at(2)).number()));
        return Ok(Flow::Next);
    }
    let Some(topology) = cx.world.topology.clone() else { return Err(DISABLED.into()) };
    match command {
        N::ClusterMyid => client.out.bulk(topology.myself().id.as_bytes()),
        N::ClusterMyshardid => client.out.bulk(topology.myself().shard.as_bytes()),
        N::ClusterCountkeysinslot => count_keys(cx, client, args)?,
        N::ClusterGetkeysinslot => keys_of_slot(cx, client, args)?,
        N::ClusterFailovers => super::failovers::run(cx, client, args.skip(2))?,
        N::ClusterSlotStats => slot_stats::run(cx, client, &topology, args)?,
        N::Clusterscan => scan::run(cx, client, &topology, args)?,
        N::ClusterMigrateslots => return slot_jobs::migrate(cx, client, &topology, args),
        N::ClusterGetslotmigrations => return slot_jobs::list(cx, client),
        N::ClusterCancelslotmigrations => return slot_jobs::cancel(cx, client),
        N::ClusterSyncslots => return import::outside(cx, client, &topology, args),
        N::ClusterSetslot => return set_slot::run(cx, client, &topology, args),
        _ => {
            let request = parse(command, args, routing::audience(client))?;
            return ask(cx, client, request);
        }
    }
    Ok(Flow::Next)
}

/// Hands a request to the control thread.
pub(super) fn ask(cx: &mut Context<'_>, client: &mut Client, command: ClusterCommand) -> Outcome {
    // Only requests that end up in the log with their sender need its description.
    let who = match command {
        ClusterCommand::Failover { .. } => client.meta.line(cx.now.mono),
        _ => String::new(),
    };
    let message = |reply| ControlMessage::Cluster { command, origin: Origin::Client(who), reply };
    await_answer(cx, client, |shared, reply| shared.threads().control.send(message(reply)))
}

fn parse(command: N, args: Args<'_>, audience: Audience) -> Result<ClusterCommand, Refusal> {
    use ClusterCommand as C;
    let text = |at: usize| String::from_utf8_lossy(args.at(at)).into_owned();
    let is = |at: usize, word: &str| args.get(at).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()));
    Ok(match command {
        N::ClusterAddslots => C::AddSlots(slots(args)?),
        N::ClusterDelslots => C::DelSlots(slots(args)?),
        N::ClusterAddslotsrange => C::AddSlots(slot_ranges(args)?),
        N::ClusterDelslotsrange => C::DelSlots(slot_ranges(args)?),
        N::ClusterFlushslots => C::FlushSlots,
        N::ClusterBumpepoch => C::BumpEpoch,
        N::ClusterSaveconfig => C::SaveConfig,
        N::ClusterInfo => C::Info,
        N::ClusterSlots => C::Slots,
        N::ClusterShards => C::Shards,
        N::ClusterLinks => C::Links,
        N::ClusterNodes => C::Nodes(audience),
        N::ClusterReplicas | N::ClusterSlaves => C::Replicas(text(2), audience),
        N::ClusterCountFailureReports => C::CountFailureReports(text(2)),
        N::ClusterForget => C::Forget(text(2)),
        N::ClusterReplicate if args.len() == 3 => C::Replicate(text(2)),
        N::ClusterReplicate if args.len() == 4 && is(2, "no") && is(3, "one") => C::ReplicateNoOne,
        N::ClusterSetConfigEpoch => C::SetConfigEpoch(config_epoch(args.at(2))?),
        N::ClusterReset if args.len() == 2 || (args.len() == 3 && is(2, "soft")) => C::Reset { hard: false },
        N::ClusterReset if args.len() == 3 && is(2, "hard") => C::Reset { hard: true },
        N::ClusterReset if args.len() == 3 => return Err(SYNTAX.into()),
        N::ClusterFailover => failover(args)?,
        N::ClusterMeet if args.len() <= 5 => meet(args)?,
        _ => return Err(wrong_arguments(args)),
    })
}

fn wrong_arguments(args: Args<'_>) -> Refusal {
    let sub = String::from_utf8_lossy(args.at(1));
    format!("ERR unknown subcommand or wrong number of arguments for '{sub}'. Try CLUSTER HELP.").into()
}

fn slot(text: &[u8]) -> Result<Slot, Refusal> {
    let number = num::parse_i64(text).and_then(|n| u16::try_from(n).ok());
    number.and_then(Slot::new).ok_or_else(|| BAD_SLOT.into())
}

fn slots(args: Args<'_>) -> Result<Vec<Slot>, Refusal> {
    args.skip(2).iter().map(slot).collect()
}

/// Pairs of first and last slot, written out. A slot may come up several times; every request that takes many slots
/// refuses that, so reading stops once there are more than exist.
fn slot_ranges(args: Args<'_>) -> Result<Vec<Slot>, Refusal> {
    let bounds = args.skip(2);
    if !bounds.len().is_multiple_of(2) {
        let name = String::from_utf8_lossy(args.at(1)).to_ascii_lowercase();
        return Err(format!("ERR wrong number of arguments for 'cluster|{name}' command").into());
    }
    let mut out = Vec::new();
    for pair in 0..bounds.len() / 2 {
        let (start, end) = (slot(bounds.at(2 * pair))?, slot(bounds.at(2 * pair + 1))?);
        if start > end {
            return Err(format!("ERR start slot number {start} is greater than end slot number {end}").into());
        }
        if out.len() <= Slot::COUNT {
            out.extend((start.number()..=end.number()).filter_map(Slot::new));
        }
    }
    Ok(out)
}

fn config_epoch(text: &[u8]) -> Result<Epoch, Refusal> {
    let number = num::parse_i64(text).ok_or(NOT_INTEGER)?;
    let epoch = u64::try_from(number).map_err(|_| format!("ERR Invalid config epoch specified: {number}"))?;
    Ok(Epoch(epoch))
}

/// FORCE and TAKEOVER, which implies it, in any order. REPLICAID is for the link from the primary alone.
fn failover(args: Args<'_>) -> Result<ClusterCommand, Refusal> {
    let mut mode = FailoverMode::Default;
    for option in args.skip(2).iter() {
        if option.eq_ignore_ascii_case(b"takeover") {
            mode = FailoverMode::Takeover;
        } else if !option.eq_ignore_ascii_case(b"force") {
            return Err(SYNTAX.into());
        } else if mode == FailoverMode::Default {
            mode = FailoverMode::Force;
        }
    }
    Ok(ClusterCommand::Failover { mode, replica_id: None })
}

fn meet(args: Args<'_>) -> Result<ClusterCommand, Refusal> {
    let text = |at: usize| String::from_utf8_lossy(args.at(at)).into_owned();
    let in_range = |n: i64| u16::try_from(n).ok().filter(|port| *port != 0);
    let port = num::parse_i64(args.at(3)).ok_or_else(|| format!("ERR Invalid base port specified: {}", text(3)))?;
    let base = in_range(port).ok_or("ERR Port number is out of range")?;
    let bus = match args.get(4) {
        Some(word) => num::parse_i64(word).ok_or_else(|| format!("ERR Invalid bus port specified: {}", text(4)))?,
        None => port + BUS_PORT_OFFSET,
    };
    let bus_port = in_range(bus).ok_or("ERR Cluster bus port number is out of range")?;
    Ok(ClusterCommand::Meet { ip: text(2), port: base, bus_port })
}

fn count_keys(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let number = num::parse_i64(args.at(2)).ok_or(NOT_INTEGER)?;
    let slot = u16::try_from(number).ok().and_then(Slot::new).ok_or("ERR Invalid slot")?;
    let keys = cx.shared.store.slot_len_or_give_up(client.db, slot).map_err(|held| cx.busy(held))?;
    client.out.int(keys as i64);
    Ok(())
}

fn keys_of_slot(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let number = num::parse_i64(args.at(2)).ok_or(NOT_INTEGER)?;
    let count = num::parse_i64(args.at(3)).ok_or(NOT_INTEGER)?;
    let slot = u16::try_from(number).ok().and_then(Slot::new);
    let (Some(slot), Ok(count)) = (slot, usize::try_from(count)) else {
        return Err("ERR Invalid slot or number of keys".into());
    };
    let keys = cx.shared.store.keys_in_slot_or_give_up(client.db, slot, count).map_err(|held| cx.busy(held))?;
    client.out.array(keys.len());
    keys.iter().for_each(|key| client.out.bulk(key));
    Ok(())
}

#[cfg(test)]
mod tests;
