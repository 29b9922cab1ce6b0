//! INFO: sections of `field:value` lines that clients, exporters and test suites read. Names and order are upstream's.
//! A field of something this server has no part of (forks, scripts) is there with its true value, which is zero.

mod failover;
mod memory;
mod persistence;
mod server;
mod stats;

use std::fmt::{Display, Write};
use std::sync::Arc;

use baton_resp::Args;

use super::Outcome;
use crate::control::{Answer, ControlMessage, ReplyTo};
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};
use crate::world::World;

/// The text being made.
pub(super) struct Lines(String);

impl Lines {
    /// One field.
    pub(super) fn put(&mut self, name: &str, value: impl Display) {
        // Writing to a string can't fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Fields of something this server has no part of.
    pub(super) fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name, 0));
    }

    fn title(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        let _ = write!(self.0, "# {name}\r\n");
    }
}

/// What sections are made of.
pub(super) struct View<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) world: &'a World,
    /// Bytes in use before anything was written.
    pub(super) used: u64,
}

type Section = (&'static str, &'static str, bool, fn(&View<'_>, &mut Lines));

/// Name, title, whether it is shown by default, and its writer; in the order of the reply.
const SECTIONS: &[Section] = &[
    ("server", "Server", true, server::server),
    ("tls", "TLS", false, server::tls),
    ("clients", "Clients", true, server::clients),
    ("memory", "Memory", true, memory::memory),
    ("persistence", "Persistence", true, persistence::persistence),
    ("stats", "Stats", true, stats::stats),
    ("replication", "Replication", true, replication),
    ("cpu", "CPU", true, server::cpu),
    ("modules", "Modules", true, |_, _| {}),
    ("commandstats", "Commandstats", false, stats::commands),
    ("errorstats", "Errorstats", true, stats::errors),
    ("latencystats", "Latencystats", false, stats::latencies),
    ("cluster", "Cluster", true, |v, l| l.put("cluster_enabled", u8::from(v.world.hot.cluster))),
    ("cluster_info", "Cluster Info", false, |_, _| {}),
    ("scriptingengines", "Scripting Engines", false, memory::engines),
    ("failover", "Failover", false, failover::failover),
    ("keyspace", "Keyspace", true, stats::keyspace),
    ("debug", "Debug", false, stats::debug),
];

/// INFO [section ...].
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let asked: Vec<Vec<u8>> = args.skip(1).iter().map(<[u8]>::to_ascii_lowercase).collect();
    let has = |name: &str| asked.iter().any(|a| a == name.as_bytes());
    let (all, everything) = (has("all"), has("everything"));
    let default = asked.is_empty() || has("default");
    let wanted = |name: &str, shown: bool| has(name) || ((everything || all) && name != "debug") || (default && shown);
    let cluster_text =
        if cx.world.topology.is_some() && wanted("cluster_info", false) { ask_cluster_info(cx) } else { None };
    let world = cx.shared.world.load();
    let view = View { shared: cx.shared, world: &world, used: cx.shared.memory_used() };
    let mut lines = Lines(String::with_capacity(8192));
    for (name, title, shown, write) in SECTIONS {
        if wanted(name, *shown) {
            lines.title(title);
            write(&view, &mut lines);
            if *name == "cluster_info" {
                lines.0.push_str(cluster_text.as_deref().unwrap_or_default());
            }
        }
    }
    client.out.verbatim(b"txt", lines.0.as_bytes());
    Ok(Flow::Next)
}

/// The text of CLUSTER INFO, from the thread that knows it.
fn ask_cluster_info(cx: &mut Context<'_>) -> Option<String> {
    cx.step_outside(|shared| {
        let (send, receive) = crossbeam_channel::bounded(1);
        shared.threads().control.send(ControlMessage::Cluster {
            command: baton_cluster::ClusterCommand::Info,
            origin: baton_cluster::Origin::Client(String::new()),
            reply: ReplyTo::Thread(send),
        });
        match receive.recv_timeout(std::time::Duration::from_secs(5)) {
            Ok(Answer::Cluster(baton_cluster::ClusterReply::Text(text))) => Some(text),
            _ => None,
        }
    })
}

fn replication(view: &View<'_>, lines: &mut Lines) {
    lines.0.push_str(&crate::repl::info_section(view.shared, view.world));
    if view.world.hot.write_ack_replicas > 0 {
        lines.put("write_ack_replicas", view.world.hot.write_ack_replicas);
        lines.put("write_ack_replicas_present", view.shared.write_acks.present());
        lines.put("write_ack_offset", view.shared.write_acks.acked_by_replicas());
    }
}

/// Bytes for people: `1.50M`.
pub(super) fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T", "P"];
    let power = (0..units.len()).rev().find(|p| bytes >= 1 << (10 * p)).unwrap_or(0);
    if power == 0 {
        format!("{bytes}B")
    } else {
        format!("{:.2}{}", bytes as f64 / (1u64 << (10 * power)) as f64, units[power])
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_for_people() {
        assert_eq!(super::human(0), "0B");
        assert_eq!(super::human(1023), "1023B");
        assert_eq!(super::human(1536), "1.50K");
        assert_eq!(super::human(3 << 30), "3.00G");
    }
}
