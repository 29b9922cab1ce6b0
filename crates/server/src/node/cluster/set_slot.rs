//! CLUSTER SETSLOT (cluster-bus 11.3): checked against the topology, told to the replicas first, then carried out by the
//! control thread, which checks again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, NodeId, Offset, Slot, num};
use baton_cluster::{ClusterCommand, NodeView, Origin, SetSlot, Topology};
use baton_replication::ReplicaSession;
use baton_resp::Args;
use baton_store::DbIndex;

use super::ask;
use crate::control::{Answer, ControlMessage, ReplyTo};
use crate::node::answer::await_answer;
use crate::node::{Outcome, Refusal};
use crate::repl::FeederMessage;
use crate::shared::Shared;
use crate::slot_jobs::Side;
use crate::worker::client::Client;
use crate::worker::context::Context;

const BAD_ACTION: &str = "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP";
const TOO_FEW: &str = "NOREPLICAS Not enough good replicas to write.";
/// How long the replicas may take where no TIMEOUT is given.
const TIMEOUT_DEFAULT: Duration = Duration::from_millis(2000);
/// How often acknowledgements are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(super) fn run(cx: &mut Context<'_>, client: &mut Client, topology: &Topology, args: Args<'_>) -> Outcome {
    if !topology.myself().is_primary {
        return Err("ERR Please use SETSLOT only with masters.".into());
    }
    if let Some(job) = cx.shared.slot_jobs.running().first() {
        let text =
            if job.side == Side::Export { "ERR Slot export in progress." } else { "ERR Slot import in progress." };
        return Err(text.into());
    }
    let slot = super::slot(args.at(2))?;
    let (action, options) = action(args)?;
    let store = &cx.shared.store;
    let keys = || (0..store.databases()).map(|db| store.slot_len(DbIndex(db), slot)).sum();
    if let Some(text) = refusal(topology, slot, &action, keys) {
        return Err(text.into());
    }
    let timeout = timeout(options)?;
    let command = ClusterCommand::SetSlot { slot, action };
    let replicas = able_replicas(cx.shared, Offset(0));
    if replicas == 0 || !cx.shared.journal.is_active() {
        return ask(cx, client, command);
    }
    let words: Vec<&[u8]> = args.iter().collect();
    let end = cx.shared.journal.append_unselected(&words);
    let until = timeout.map(|t| cx.now.mono + t);
    await_answer(cx, client, |shared, reply| {
        replicate_first(shared, Pending { end, replicas, until, command, reply });
    })
}

/// What was asked for, and the arguments behind it.
fn action(args: Args<'_>) -> Result<(SetSlot, Args<'_>), Refusal> {
    let is = |word: &[u8]| args.at(3).eq_ignore_ascii_case(word);
    let node = args.get(4).map(|id| String::from_utf8_lossy(id).into_owned());
    let action = match node {
        _ if is(b"stable") => return Ok((SetSlot::Stable, args.skip(4))),
        Some(id) if is(b"importing") => SetSlot::Importing(id),
        Some(id) if is(b"migrating") => SetSlot::Migrating(id),
        Some(id) if is(b"node") => SetSlot::Node(id),
        _ => return Err(BAD_ACTION.into()),
    };
    Ok((action, args.skip(5)))
}

/// TIMEOUT in milliseconds, wherever it stands; zero means for ever. Other words are ignored, as upstream does.
fn timeout(options: Args<'_>) -> Result<Option<Duration>, Refusal> {
    let mut timeout = Some(TIMEOUT_DEFAULT);
    for (at, word) in options.iter().enumerate() {
        if !word.eq_ignore_ascii_case(b"timeout") {
            continue;
        }
        let value = options.get(at + 1).ok_or("ERR Missing timeout value")?;
        let ms = num::parse_i64(value).ok_or("ERR timeout is not an integer or out of range")?;
        let ms = u64::try_from(ms).map_err(|_| "ERR timeout is negative")?;
        timeout = (ms > 0).then(|| Duration::from_millis(ms));
    }
    Ok(timeout)
}

/// Why the request can't be carried out, as far as the topology tells. The same checks in the same order as the cluster
/// machine's: replicas must not be told what their primary refuses.
pub(super) fn refusal(topology: &Topology, slot: Slot, action: &SetSlot, keys: impl FnOnce() -> u64) -> Option<String> {
    let mine = topology.is_mine(slot);
    match action {
        SetSlot::Stable => None,
        SetSlot::Migrating(_) if !mine => Some(format!("ERR I'm not the owner of hash slot {slot}")),
        SetSlot::Importing(_) if mine => Some(format!("ERR I'm already the owner of hash slot {slot}")),
        SetSlot::Migrating(id) | SetSlot::Importing(id) => match find(topology, id) {
            None => Some(format!("ERR I don't know about node {id}")),
            Some(node) if node.id == topology.myself().id => Some("ERR Target node is myself".into()),
            Some(node) if !node.is_primary => Some("ERR Target node is not a master".into()),
            Some(_) => None,
        },
        SetSlot::Node(id) => match find(topology, id) {
            None => Some(format!("ERR Unknown node {id}")),
            Some(node) if !node.is_primary => Some("ERR Target node is not a master".into()),
            Some(node) if mine && node.id != topology.myself().id && keys() > 0 => Some(format!(
                "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            )),
            Some(_) => None,
        },
    }
}

fn find<'t>(topology: &'t Topology, id: &str) -> Option<&'t NodeView> {
    let id = NodeId::parse(id.as_bytes()).ok()?;
    topology.nodes.iter().find(|node| node.id == id).map(|node| &**node)
}

/// Replicas that carry the request out when they meet it in the stream (online, of a version above 7.2) and that have
/// acknowledged the stream up to here.
fn able_replicas(shared: &Shared, acknowledged: Offset) -> usize {
    let replicas = shared.repl.replicas.load();
    let is_able = |s: &ReplicaSession| s.is_online() && s.version.is_some_and(|v| (v.major, v.minor) > (7, 2));
    replicas.iter().filter(|r| is_able(&r.session) && r.session.ack() >= acknowledged).count()
}

/// A request that the replicas were told of.
struct Pending {
    /// End of the stream behind it.
    end: Offset,
    /// How many have to acknowledge it.
    replicas: usize,
    /// For how long to wait for them; none is for ever.
    until: Option<Mono>,
    command: ClusterCommand,
    reply: ReplyTo,
}

/// Waits, on a thread of its own, until the replicas have the request, and then lets this node carry it out.
fn replicate_first(shared: &Arc<Shared>, pending: Pending) {
    shared.threads().feeder.send(FeederMessage::AskAcks);
    let (hand, work) = crossbeam_channel::bounded::<Pending>(1);
    let server = Arc::clone(shared);
    let waiter = move || work.iter().for_each(|pending| wait_for_replicas(&server, pending));
    match std::thread::Builder::new().name("baton-setslot".into()).spawn(waiter) {
        Ok(_) => drop(hand.send(pending)),
        Err(e) => {
            shared.log.warning(&format!("No thread to wait for replicas: {e}"));
            pending.reply.answer(shared, Answer::Error(TOO_FEW.into()));
        }
    }
}

fn wait_for_replicas(shared: &Shared, pending: Pending) {
    let Pending { end, replicas, until, command, reply } = pending;
    while able_replicas(shared, end) < replicas {
        let over = until.is_some_and(|until| shared.clock.mono() >= until);
        if over || shared.stopping.load(Ordering::Acquire) {
            reply.answer(shared, Answer::Error(TOO_FEW.into()));
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let origin = Origin::Client(String::new());
    shared.threads().control.send(ControlMessage::Cluster { command, origin, reply });
}
