//! SUBSCRIBE and its kin, PUBLISH, PUBSUB: what a connection listens to, and messages on their way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_resp::{Args, Out, Proto};

use super::Outcome;
use crate::control::ControlMessage;
use crate::pubsub::{Kind, Push, Subscriber};
use crate::shared::Shared;
use crate::worker::client::{Client, NAME_BYTES, ReplyMode, Subscriptions};
use crate::worker::context::{Context, Flow};

/// Opens a push: its own type in RESP3, an array in RESP2.
fn open(out: &mut Out, n: usize) {
    match out.proto {
        Proto::V3 => out.push(n),
        Proto::V2 => out.array(n),
    }
}

/// Writes a published message to a listener.
pub fn write_push(shared: &Shared, client: &mut Client, push: &Push) {
    match push {
        Push::Message(channel, payload) => write_parts(&mut client.out, b"message", &[channel, payload]),
        Push::PatternMessage(pattern, channel, payload) => {
            write_parts(&mut client.out, b"pmessage", &[pattern, channel, payload]);
        }
        Push::ShardMessage(channel, payload) => write_parts(&mut client.out, b"smessage", &[channel, payload]),
        Push::KeyChanged(_) | Push::KeysChanged(_) | Push::AllChanged => {
            super::tracking::write_change(shared, client, push);
        }
        Push::Shown(line) if client.reply_mode == ReplyMode::On => client.out.buf.extend_from_slice(line),
        Push::Shown(_) => {}
        Push::Redirected(names) => super::tracking::write_redirected(client, names),
        Push::ShardGone(channel) => {
            let left = client.subscriptions.as_mut().map_or(0, |s| {
                if s.shard.remove(&channel[..]) {
                    s.bytes -= channel.len() + NAME_BYTES;
                }
                s.shard.len()
            });
            reply_count(&mut client.out, "sunsubscribe", Some(channel), left);
            client.publish_state();
        }
    }
}

fn write_parts(out: &mut Out, kind: &[u8], parts: &[&Arc<[u8]>]) {
    open(out, parts.len() + 1);
    out.bulk(kind);
    for part in parts {
        out.bulk(part);
    }
}

fn reply_count(out: &mut Out, verb: &str, name: Option<&[u8]>, count: usize) {
    open(out, 3);
    out.bulk(verb.as_bytes());
    match name {
        Some(n) => out.bulk(n),
        None => out.null(),
    }
    out.int(count as i64);
}

/// Ends all subscriptions of a connection that goes away.
pub fn leave_all(shared: &Shared, client: &mut Client, worker: u32) {
    let Some(subs) = client.subscriptions.take() else { return };
    let who = Subscriber { client: client.meta.id, worker };
    for (kind, names) in [(Kind::Channel, subs.channels), (Kind::Pattern, subs.patterns), (Kind::Shard, subs.shard)] {
        for name in names {
            shared.pubsub.unsubscribe(kind, &name, who);
        }
    }
}

fn names_of(subs: &mut Subscriptions, kind: Kind) -> &mut std::collections::BTreeSet<Box<[u8]>> {
    match kind {
        Kind::Channel => &mut subs.channels,
        Kind::Pattern => &mut subs.patterns,
        Kind::Shard => &mut subs.shard,
    }
}

fn count_of(subs: &Subscriptions, kind: Kind) -> usize {
    if kind == Kind::Shard { subs.shard.len() } else { subs.len() }
}

/// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE.
pub fn subscribe(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>, kind: Kind) -> Outcome {
    let verb = match kind {
        Kind::Channel => "subscribe",
        Kind::Pattern => "psubscribe",
        Kind::Shard => "ssubscribe",
    };
    let who = Subscriber { client: client.meta.id, worker: cx.local.index };
    for name in args.skip(1).iter() {
        let subs = client.subscriptions.get_or_insert_default();
        if names_of(subs, kind).insert(name.into()) {
            subs.bytes += name.len() + NAME_BYTES;
            cx.shared.pubsub.subscribe(kind, name, who);
        }
        let count = count_of(subs, kind);
        reply_count(&mut client.out, verb, Some(name), count);
    }
    client.publish_state();
    Ok(Flow::Next)
}

/// UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE.
pub fn unsubscribe(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>, kind: Kind) -> Outcome {
    let verb = match kind {
        Kind::Channel => "unsubscribe",
        Kind::Pattern => "punsubscribe",
        Kind::Shard => "sunsubscribe",
    };
    let who = Subscriber { client: client.meta.id, worker: cx.local.index };
    let subs = client.subscriptions.get_or_insert_default();
    let named: Vec<Box<[u8]>> = if args.len() > 1 {
        args.skip(1).iter().map(Into::into).collect()
    } else {
        names_of(subs, kind).iter().cloned().collect()
    };
    if named.is_empty() {
        let count = count_of(subs, kind);
        reply_count(&mut client.out, verb, None, count);
    }
    for name in named {
        if names_of(subs, kind).remove(&name) {
            subs.bytes -= name.len() + NAME_BYTES;
            cx.shared.pubsub.unsubscribe(kind, &name, who);
        }
        let count = count_of(subs, kind);
        reply_count(&mut client.out, verb, Some(&name), count);
    }
    if subs.is_empty() {
        client.subscriptions = None;
    }
    client.publish_state();
    Ok(Flow::Next)
}

/// PUBLISH and SPUBLISH: listeners here, then other nodes (over the bus in cluster mode, through the stream else).
pub fn publish(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>, sharded: bool) -> Outcome {
    let (channel, payload) = (args.at(1), args.at(2));
    let listeners =
        if sharded { cx.shared.pubsub.route_shard(channel, payload) } else { cx.shared.pubsub.route(channel, payload) };
    let count = listeners.len();
    for (to, push) in listeners {
        crate::worker::script::pass_on(cx, client.meta.id, to, push, true);
    }
    if let Some(topology) = &cx.world.topology {
        // Every other node is sent a packet of its own.
        let bytes = (channel.len() + payload.len()) * topology.nodes.len().saturating_sub(1);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        cx.shared.stats.bus_waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (channel, message) = (channel.into(), payload.into());
        cx.shared.threads().control.send(ControlMessage::Publish { channel, message, sharded, bytes });
    } else if cx.world.loading.is_some() {
        // Whoever loads the dataset takes up a history: nobody else may add to it.
    } else if cx.in_transaction && !cx.world.role.is_replica() && cx.shared.journal.is_active() {
        // It takes its place among the effects of its transaction or script.
        cx.local.unit.push(client.db.0, &[args.at(0), channel, payload]);
    } else if !cx.world.role.is_replica() && cx.shared.journal.is_active() {
        let end = cx.shared.journal.append_op(client.db.0, &[args.at(0), channel, payload]);
        client.last_write = end;
    }
    client.out.int(count as i64);
    Ok(Flow::Next)
}

/// PUBSUB CHANNELS, NUMSUB, NUMPAT, SHARDCHANNELS, SHARDNUMSUB.
pub fn introspect(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let pubsub = &cx.shared.pubsub;
    let sub = args.at(1).to_ascii_lowercase();
    match sub.as_slice() {
        b"channels" | b"shardchannels" => {
            let kind = if sub == b"channels" { Kind::Channel } else { Kind::Shard };
            let names = pubsub.names(kind, args.get(2));
            client.out.array(names.len());
            names.iter().for_each(|n| client.out.bulk(n));
        }
        b"numsub" | b"shardnumsub" => {
            let kind = if sub == b"numsub" { Kind::Channel } else { Kind::Shard };
            let named = args.skip(2);
            client.out.array(named.len() * 2);
            for n in named.iter() {
                client.out.bulk(n);
                client.out.int(pubsub.listeners_of(kind, n) as i64);
            }
        }
        _ => client.out.int(pubsub.count(Kind::Pattern) as i64),
    }
    Ok(Flow::Next)
}
