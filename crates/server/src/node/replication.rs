//! Commands about replication: REPLICAOF, ROLE, WAIT, WAITAOF, REPLCONF, PSYNC, SYNC, and SHUTDOWN, which has to wait for
//! replicas. They read what is published and hand orders to the threads that carry them out.

use std::time::Duration;

use baton_base::num::{parse_i64, parse_u64};
use baton_base::{Mono, NodeId, Offset};
use baton_replication::info::Role as Shown;
use baton_replication::session::{Replconf, ReplconfEnv};
use baton_replication::sync::{SyncDecision, SyncRequest};
use baton_resp::Args;

use super::answer::await_answer;
use super::client_cmd::parse_timeout_ms;
use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::control::{ControlMessage, ReplyTo, ShutdownRequest};
use crate::repl::{self, FeederMessage, LinkMessage};
use crate::shared::Shared;
use crate::worker::client::{Client, Waiting};
use crate::worker::context::{Context, Flow};
use crate::world::Role;

/// REPLICAOF host port, REPLICAOF NO ONE (replication 6).
pub fn replica_of(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    if cx.world.hot.cluster {
        return Err("ERR REPLICAOF not allowed in cluster mode.".into());
    }
    if cx.shared.repl.failing_over.load(std::sync::atomic::Ordering::SeqCst) {
        return Err("ERR REPLICAOF not allowed while failing over.".into());
    }
    let none = args.at(1).eq_ignore_ascii_case(b"no") && args.at(2).eq_ignore_ascii_case(b"one");
    let target = if none { None } else { Some(target_of(args)?) };
    let same = match (&cx.world.role, &target) {
        (Role::Replica { host, port }, Some((h, p))) => host.eq_ignore_ascii_case(h) && port == p,
        _ => false,
    };
    if same {
        client.out.simple("OK Already connected to specified master");
        return Ok(Flow::Next);
    }
    let who = client.meta.line(cx.now.mono);
    ask_control(cx, client, |reply| ControlMessage::ReplicaOf { target, who, reply })
}

fn target_of(args: Args<'_>) -> Result<(String, u16), Refusal> {
    let port = parse_u64(args.at(2)).and_then(|n| u16::try_from(n).ok());
    let port = port.ok_or(Refusal::from("ERR Invalid master port"))?;
    Ok((String::from_utf8_lossy(args.at(1)).into_owned(), port))
}

/// Hands an order to the control thread. The connection waits for the answer; inside a transaction the worker does, since
/// what follows has to see what the order changed.
pub(super) fn ask_control(
    cx: &mut Context<'_>,
    client: &mut Client,
    order: impl FnOnce(ReplyTo) -> ControlMessage,
) -> Outcome {
    await_answer(cx, client, |shared, reply| shared.threads().control.send(order(reply)))
}

/// ROLE (replication 5).
pub fn role(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    let out = &mut client.out;
    match repl::info::role(cx.shared, &cx.world) {
        Shown::Primary { offset, replicas } => {
            out.array(3);
            out.bulk(b"master");
            out.int(offset.0 as i64);
            out.array(replicas.len());
            for (ip, port, ack) in replicas {
                out.array(3);
                out.bulk(ip.as_bytes());
                out.bulk_int(port);
                out.bulk_int(ack.0 as i64);
            }
        }
        Shown::Replica { host, port, state, offset } => {
            out.array(5);
            out.bulk(b"slave");
            out.bulk(host.as_bytes());
            out.int(i64::from(port));
            out.bulk(state.as_bytes());
            out.int(offset);
        }
    }
    Ok(Flow::Next)
}

/// WAIT numreplicas timeout (replication 4).
pub fn wait(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    if cx.world.role.is_replica() {
        return Err(
            "ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured \
                    to be writable (which is not the default) writes to replicas are just local and are not propagated."
                .into(),
        );
    }
    let wanted = parse_i64(args.at(1)).ok_or(Refusal::from(NOT_INTEGER))?;
    let deadline = deadline_of(cx, args.at(2))?;
    let have = cx.shared.repl.acknowledged(client.last_write);
    let wanted = u64::try_from(wanted).unwrap_or(0);
    if have >= wanted || cx.in_transaction {
        client.out.int(have as i64);
        return Ok(Flow::Next);
    }
    cx.shared.threads().feeder.send(FeederMessage::AskAcks);
    Ok(Flow::Wait(Waiting::Replicas { wanted, offset: client.last_write, deadline }))
}

/// What WAITAOF is told where this node keeps no log that it could wait for.
pub const NO_LOG_TO_WAIT_FOR: &str = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

/// WAITAOF numlocal numreplicas timeout (replication 4).
pub fn wait_aof(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let local = match parse_i64(args.at(1)) {
        None => return Err(NOT_INTEGER.into()),
        Some(n @ 0..=1) => n,
        Some(_) => return Err("ERR value is out of range, value must between 0 and 1".into()),
    };
    let wanted = match parse_i64(args.at(2)) {
        None => return Err(NOT_INTEGER.into()),
        Some(n) => u64::try_from(n).map_err(|_| Refusal::from("ERR value is out of range, must be positive"))?,
    };
    let deadline = deadline_of(cx, args.at(3))?;
    if cx.world.role.is_replica() {
        return Err("ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are \
                    just local and are not propagated."
            .into());
    }
    let (offset, locally) = (client.last_write, local > 0);
    if locally && !cx.shared.aof.is_open() {
        return Err(NO_LOG_TO_WAIT_FOR.into());
    }
    let enough = cx.shared.repl.fsynced(offset) >= wanted && (!locally || cx.shared.aof.has_synced(offset));
    if enough || cx.in_transaction {
        write_synced(cx.shared, client, offset);
        return Ok(Flow::Next);
    }
    if wanted > 0 {
        cx.shared.threads().feeder.send(FeederMessage::AskAcks);
    }
    Ok(Flow::Wait(Waiting::Synced { locally, wanted, offset, deadline }))
}

/// The reply of WAITAOF: whether this node has synced so far, and how many replicas have.
pub fn write_synced(shared: &Shared, client: &mut Client, offset: Offset) {
    client.out.array(2);
    client.out.int(i64::from(shared.aof.has_synced(offset)));
    client.out.int(shared.repl.fsynced(offset) as i64);
}

fn deadline_of(cx: &Context<'_>, text: &[u8]) -> Result<Mono, Refusal> {
    Ok(match parse_timeout_ms(text)? {
        0 => Mono::NEVER,
        ms => cx.shared.clock.mono() + Duration::from_millis(ms),
    })
}

/// REPLCONF option value [option value ...] (replication 1.2).
pub fn replconf(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let meta = &client.meta;
    let session = client.replica.get_or_insert_with(|| Box::new(repl::new_session(meta)));
    let topology = cx.world.topology.as_deref();
    let knows_node = |id: &NodeId| topology.is_some_and(|t| t.nodes.iter().any(|n| n.id == *id));
    let env = ReplconfEnv { cluster_enabled: cx.world.hot.cluster, knows_node: &knows_node };
    let options: Vec<&[u8]> = args.skip(1).iter().collect();
    match session.handle_replconf(cx.now.mono, &options, &env) {
        Replconf::Ok => client.out.ok(),
        Replconf::Error(e) => return Err(format!("ERR {e}").into()),
        Replconf::AckWanted if cx.world.role.is_replica() => cx.shared.threads().link.send(LinkMessage::AckNow),
        Replconf::AckWanted | Replconf::Acked { .. } | Replconf::Ignored => {}
    }
    Ok(Flow::Next)
}

/// PSYNC and SYNC (replication 1.3). What is refused stays an ordinary connection; everything else goes to the feeder.
pub fn sync(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let is_psync = args.name().eq_ignore_ascii_case(b"psync");
    let rest: Vec<&[u8]> = args.skip(1).iter().collect();
    let request = if is_psync { SyncRequest::psync(&rest) } else { Some(SyncRequest::Sync) };
    let Some(request) = request else { return Err(SYNTAX.into()) };
    let meta = &client.meta;
    let session = client.replica.get_or_insert_with(|| Box::new(repl::new_session(meta)));
    let pending = client.out.buf.len() > client.written;
    let (decision, logs) = repl::decide(cx.shared, request, session, pending);
    match decision {
        SyncDecision::Ignore => Ok(Flow::Next),
        SyncDecision::Refuse(refusal) => {
            logs.iter().for_each(|line| repl::write_log(&cx.shared.log, line));
            let text = refusal.to_string();
            Err(text.trim_start_matches('-').to_owned().into())
        }
        // The feeder decides again, and says so in the log: it may have to wait until then.
        SyncDecision::Promote { .. } | SyncDecision::Continue { .. } | SyncDecision::FullResync { .. } => {
            client.psync = is_psync.then(|| rest.iter().map(|a| a.to_vec()).collect());
            client.adopt = true;
            Ok(Flow::Stop)
        }
    }
}

/// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] or SHUTDOWN ABORT (replication 10).
pub fn shutdown(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let options = args.skip(1);
    match parse_shutdown(options)? {
        None => ask_control(cx, client, ControlMessage::ShutdownAbort),
        Some(mut request) => {
            // Half a dataset must not replace the snapshot of a whole one.
            if cx.world.loading.is_some() {
                crate::control::stop::leave_while_loading(cx.shared);
            }
            if cx.shared.running.any() {
                if !request.nosave {
                    return Err(cx.busy_with(&[]));
                }
                // Scripts end with the server, wherever they are: there is nothing to wait for.
                request.now = true;
                cx.shared.running.abort();
            }
            ask_control(cx, client, |reply| ControlMessage::Shutdown { request, reply })
        }
    }
}

/// None for ABORT.
fn parse_shutdown(options: Args<'_>) -> Result<Option<ShutdownRequest>, Refusal> {
    let mut request = ShutdownRequest::default();
    let mut abort = false;
    for option in options.iter() {
        match option.to_ascii_lowercase().as_slice() {
            b"save" => request.save = true,
            b"nosave" => request.nosave = true,
            b"now" => request.now = true,
            b"force" => request.force = true,
            b"safe" => request.safe = true,
            b"failover" => request.failover = true,
            b"abort" => abort = true,
            _ => return Err(SYNTAX.into()),
        }
    }
    let contradicts = (request.save && request.nosave) || (abort && request != ShutdownRequest::default());
    if contradicts { Err(SYNTAX.into()) } else { Ok((!abort).then_some(request)) }
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    #[test]
    fn shutdown_options_that_contradict_each_other_are_refused() {
        let parse = |words: &[&str]| parse_shutdown(OwnedArgs::from_slices(words).as_args());
        assert_eq!(parse(&[]), Ok(Some(ShutdownRequest::default())));
        assert_eq!(parse(&["ABORT"]), Ok(None));
        let expected = ShutdownRequest { nosave: true, now: true, force: true, ..ShutdownRequest::default() };
        assert_eq!(parse(&["NoSave", "now", "FORCE"]), Ok(Some(expected)));
        for bad in [&["save", "nosave"][..], &["abort", "now"], &["later"]] {
            assert_eq!(parse(bad), Err(SYNTAX.into()), "{bad:?}");
        }
    }
}
