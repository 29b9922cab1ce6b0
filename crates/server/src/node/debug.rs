//! DEBUG: what developers and test suites ask of a server. Allowed by `enable-debug-command` only. Switches of internals
//! that this server does not have are accepted, so that suites written for others run.

mod data;
mod digest;
mod protocol;
mod restart;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::num;
use baton_cluster::{ClusterCommand, LinkSide};
use baton_config::{Extent, Id};
use baton_replication::History;
use baton_resp::Args;

use super::{NOT_INTEGER, Outcome, Refusal};
use crate::clients::ClientId;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const FORBIDDEN: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the \
server.";
const ONLY_CLUSTER: &str = "ERR Debug option only available for cluster mode enabled setup!";

const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "AOF-FLUSH-SLEEP <microseconds>",
    "    Wait before each write to the append-only file.",
    "CHANGE-REPL-ID",
    "    Begin a new replication history, as if the data had no past.",
    "CLOSE-CLUSTER-LINK-ON-PACKET-DROP <0|1>",
    "    Also close the link on which a packet is dropped.",
    "CLUSTERLINK KILL <to|from|all> <node-id>",
    "    Close links of the cluster bus.",
    "DIGEST",
    "    Reply a signature of all data.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Reply signatures of values.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Write every directive to the configuration file.",
    "DISABLE-CLUSTER-RANDOM-PING <0|1>",
    "    Stop pinging random nodes.",
    "DISABLE-CLUSTER-RECONNECTION <0|1>",
    "    Leave broken links of the cluster bus broken.",
    "DROP-CLUSTER-PACKET-FILTER <type>",
    "    Drop packets of this type, -1 none, -2 all.",
    "ERROR <string>",
    "    Reply an error with this text.",
    "HTSTATS <dbid>",
    "    Describe the tables of a database.",
    "LOADAOF",
    "    Forget all data and load the append-only file.",
    "LOG <message>",
    "    Write a line to the log.",
    "OBJECT <key>",
    "    Describe a key and its value.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create keys that are not there yet, without telling replicas.",
    "PROTECT-CLIENT <id>",
    "    Let nobody else close a connection.",
    "PROTOCOL <type>",
    "    Reply a value of this type of the protocol.",
    "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
    "    Write the snapshot file, forget all data and load the file.",
    "REPLICATE <word> [<word> ...]",
    "    Put a command into the replication stream without running it.",
    "RESTART [<milliseconds>]",
    "    Save configuration and data, and begin anew.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether keys are deleted when their time comes, or only when they are met.",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "    Whether scripts may call commands that are not for scripts.",
    "SLEEP <seconds>",
    "    Let commands and replication stand still.",
    "SLOTMIGRATION <PREVENT-PAUSE|PREVENT-GRANT|PREVENT-FAILOVER> <0|1>",
    "    Let moves of slots stand still before writes are held, before the target may take over, or before it does.",
    "HELP",
    "    Print this help.",
];

/// Switches that are accepted and change nothing, with the number of their values.
const INERT: &[(&[u8], usize)] = &[
    (b"delay-rdb-client-free-seconds", 1),
    (b"dict-resizing", 1),
    (b"hashtable-can-abort-shrink", 1),
    (b"pause-cron", 1),
    (b"set-disable-deny-scripts", 1),
];

/// DEBUG subcommand ...
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let is_local = super::config::is_local(client);
    if !cx.world.settings.access(Id::EnableDebugCommand).allows(is_local) {
        return Err(FORBIDDEN.into());
    }
    let name = args.at(1).to_ascii_lowercase();
    match (name.as_slice(), args.len()) {
        (b"sleep", 3) => sleep(cx, args.at(2))?,
        (b"set-active-expire", 3) => {
            let on = is_on(args.at(2));
            cx.shared.change_world(|w| w.active_expire = on);
        }
        (b"set-disable-deny-scripts", 3) => {
            let on = is_on(args.at(2));
            cx.shared.change_world(|w| w.scripts_call_all = on);
        }
        (b"set-skip-checksum-validation", 3) => {
            let on = is_on(args.at(2));
            cx.shared.change_world(|w| w.any_checksum = on);
        }
        (b"client-enforce-reply-list", 3) => {
            let on = is_on(args.at(2));
            cx.shared.change_world(|w| w.no_free_output = on);
        }
        (b"config-rewrite-force-all", 2) => super::config::rewrite(cx.shared, Extent::Everything)?,
        (b"log", 3) => cx.shared.log.warning(&format!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)))),
        (b"error", 3) => {
            client.out.error_bytes(args.at(2));
            return Ok(Flow::Next);
        }
        (b"protect-client", 3) => protect_client(cx, args.at(2))?,
        (b"slotmigration", 4) => {
            let stops = &cx.shared.slot_jobs.stops;
            let stop = match args.at(2).to_ascii_lowercase().as_slice() {
                b"prevent-pause" => &stops.before_pause,
                b"prevent-grant" => &stops.before_grant,
                b"prevent-failover" => &stops.before_claim,
                _ => return Err(super::SYNTAX.into()),
            };
            stop.store(is_on(args.at(3)), std::sync::atomic::Ordering::Relaxed);
        }
        (b"aof-flush-sleep", 3) => {
            let micros = num::parse_u64(args.at(2)).ok_or(NOT_INTEGER)?;
            cx.shared.aof.sleep_micros.store(micros, Ordering::Relaxed);
        }
        (b"change-repl-id", 2) => change_history(cx)?,
        (b"replicate", 3..) => {
            let words: Vec<&[u8]> = args.skip(2).iter().collect();
            cx.shared.journal.append_unselected(&words);
        }
        (b"restart", 2 | 3) => restart::restart(cx, args.get(2))?,
        (b"help", 2) => {
            client.out.array(HELP.len());
            HELP.iter().for_each(|line| client.out.simple(line));
            return Ok(Flow::Next);
        }
        (inert, len) if INERT.contains(&(inert, len - 2)) => {}
        (b"quicklist-packed-threshold", 3) => packed_threshold(args.at(2))?,
        (b"replybuffer", 4) if [&b"resizing"[..], b"peak-reset-time"].contains(&&*args.at(2).to_ascii_lowercase()) => {}
        _ => return reading(cx, client, &name, args),
    }
    client.out.ok();
    Ok(Flow::Next)
}

/// Subcommands with a reply of their own.
fn reading(cx: &mut Context<'_>, client: &mut Client, name: &[u8], args: Args<'_>) -> Outcome {
    match (name, args.len()) {
        (b"digest", 2) => digest::all(cx, client)?,
        (b"digest-value", 3..) => digest::values(cx, client, args.skip(2))?,
        (b"object", 3 | 4) => data::object(cx, client, args.at(2))?,
        (b"populate", 3..=5) => data::populate(cx, client, args.skip(2))?,
        (b"reload", 2..) => data::reload(cx, client, args.skip(2))?,
        (b"loadaof", 2) => data::load_aof(cx, client)?,
        (b"htstats", 3 | 4) => data::tables(cx, client, args.at(2))?,
        (b"protocol", 3) => protocol::reply(&mut client.out, args.at(2))?,
        _ => return cluster_switch(cx, client, name, args),
    }
    Ok(Flow::Next)
}

/// Switches of the cluster machine. Without a cluster the plain ones are accepted.
fn cluster_switch(cx: &mut Context<'_>, client: &mut Client, name: &[u8], args: Args<'_>) -> Outcome {
    use ClusterCommand as C;
    let command = match (name, args.len()) {
        (b"drop-cluster-packet-filter", 3) => {
            let number = num::parse_i64(args.at(2)).and_then(|n| i32::try_from(n).ok());
            C::DropPackets(number.ok_or(NOT_INTEGER)?)
        }
        (b"close-cluster-link-on-packet-drop", 3) => C::CloseLinkOnDrop(is_on(args.at(2))),
        (b"disable-cluster-random-ping", 3) => C::DisableRandomPing(is_on(args.at(2))),
        (b"disable-cluster-reconnection", 3) => C::DisableReconnection(is_on(args.at(2))),
        (b"clusterlink", 5) if args.at(2).eq_ignore_ascii_case(b"kill") => links_to_kill(cx, args)?,
        _ => return Err(wrong_arguments(args)),
    };
    if cx.world.topology.is_none() {
        client.out.ok();
        return Ok(Flow::Next);
    }
    super::cluster::ask(cx, client, command)
}

fn links_to_kill(cx: &Context<'_>, args: Args<'_>) -> Result<ClusterCommand, Refusal> {
    let Some(topology) = &cx.world.topology else { return Err(ONLY_CLUSTER.into()) };
    let id = String::from_utf8_lossy(args.at(4)).into_owned();
    if !topology.nodes.iter().any(|n| n.id.as_str() == id) {
        return Err(format!("ERR Unknown node {id}").into());
    }
    if topology.myself().id.as_str() == id {
        return Err("ERR Cannot free cluster link(s) to myself".into());
    }
    let side = match args.at(3).to_ascii_lowercase().as_slice() {
        b"to" => LinkSide::To,
        b"from" => LinkSide::From,
        b"all" => LinkSide::All,
        _ => return Err(format!("ERR Unknown direction {}", String::from_utf8_lossy(args.at(3))).into()),
    };
    Ok(ClusterCommand::KillLinks(side, id))
}

fn wrong_arguments(args: Args<'_>) -> Refusal {
    let sub = String::from_utf8_lossy(args.at(1));
    format!("ERR unknown subcommand or wrong number of arguments for '{sub}'. Try DEBUG HELP.").into()
}

/// Anything but a number other than zero is off, as upstream reads it.
fn is_on(text: &[u8]) -> bool {
    num::parse_i64(text).is_some_and(|n| n != 0)
}

/// Everything that executes commands stands still, and so do the threads that feed replicas and follow a primary: to them this
/// node seems to hang. The cluster bus goes on.
fn sleep(cx: &mut Context<'_>, seconds: &[u8]) -> Result<(), Refusal> {
    let length = num::parse_f64(seconds).and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default();
    let shared = Arc::clone(cx.shared);
    cx.stop_world(|_| {
        let _still = shared.standstill.lock();
        std::thread::sleep(length);
    })
}

fn protect_client(cx: &Context<'_>, id: &[u8]) -> Result<(), Refusal> {
    let id = num::parse_u64(id).ok_or(NOT_INTEGER)?;
    let meta = cx.shared.clients.find(ClientId(id)).ok_or("ERR No such client")?;
    meta.protected.store(true, Ordering::Relaxed);
    Ok(())
}

fn change_history(cx: &mut Context<'_>) -> Result<(), Refusal> {
    cx.stop_world(|cx| {
        let shared = Arc::clone(cx.shared);
        *shared.repl.history.lock() = History::fresh(crate::repl::role::fresh_id());
        shared.log.notice("Changing replication IDs after receiving DEBUG change-repl-id");
    })
}

fn packed_threshold(text: &[u8]) -> Result<(), Refusal> {
    let bytes = std::str::from_utf8(text).ok().and_then(num::parse_memory);
    match bytes {
        Some(n) if (0..=4 << 30).contains(&n) => Ok(()),
        _ => Err("ERR argument must be a memory value bigger than 1 and smaller than 4gb".into()),
    }
}
