//! Answers of the control thread, written in the client's protocol.

use std::sync::Arc;

use baton_cluster::ClusterReply;

use crate::control::Answer;
use crate::shared::Shared;
use crate::worker::client::Client;

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
