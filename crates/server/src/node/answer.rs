//! Asking the control thread, and its answers written in the client's protocol.

use std::sync::Arc;
use std::time::Duration;

use baton_cluster::ClusterReply;

use super::Outcome;
use crate::control::{Answer, ReplyTo};
use crate::shared::Shared;
use crate::worker::client::{Client, Waiting};
use crate::worker::context::{Context, Flow};

/// Longest wait of a transaction for the control thread. The connection alone would wait without an end, but here a
/// whole worker does.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Begins something that another thread answers. The connection waits for that; inside a transaction this thread does,
/// since what follows has to see what was changed.
pub fn await_answer(cx: &mut Context<'_>, client: &mut Client, begin: impl FnOnce(&Arc<Shared>, ReplyTo)) -> Outcome {
    if !cx.in_transaction {
        begin(cx.shared, ReplyTo::Client { worker: cx.local.index, client: client.meta.id });
        return Ok(Flow::Wait(Waiting::Control));
    }
    // What the transaction did so far belongs to the present role.
    if !cx.local.unit.is_empty() {
        client.last_write = cx.shared.journal.append(&cx.local.unit);
        cx.local.unit.clear();
    }
    let answer = cx.step_outside(|shared| {
        let (to, from) = crossbeam_channel::bounded(1);
        begin(shared, ReplyTo::Thread(to));
        from.recv_timeout(ANSWER_MAX)
    });
    let answer = answer.unwrap_or_else(|_| Answer::Error("ERR no answer in time".into()));
    write_answer(cx.shared, client, answer);
    Ok(Flow::Next)
}

/// Writes an answer to a waiting client.
pub fn write_answer(shared: &Arc<Shared>, client: &mut Client, answer: Answer) {
    match answer {
        Answer::Ok => client.out.ok(),
        Answer::Status(text) => client.out.simple(&text),
        Answer::Error(text) => client.out.error(&text),
        Answer::Cluster(reply) => write_cluster(shared, client, &reply),
        Answer::Close => client.closing = true,
    }
}

fn write_cluster(shared: &Arc<Shared>, client: &mut Client, reply: &ClusterReply) {
    match reply {
        ClusterReply::Ok => client.out.ok(),
        ClusterReply::Status(text) => client.out.simple(text),
        ClusterReply::Integer(n) => client.out.int(*n),
        ClusterReply::Text(text) => client.out.verbatim(b"txt", text.as_bytes()),
        ClusterReply::Lines(lines) => {
            client.out.array(lines.len());
            lines.iter().for_each(|l| client.out.bulk(l.as_bytes()));
        }
        ClusterReply::Slots(_) | ClusterReply::Shards(_) | ClusterReply::Links(_) => {
            let world = shared.world.peek();
            if let Some(topology) = &world.topology {
                super::cluster::write_structured(client, topology, reply);
            }
        }
    }
}
