//! Writes the node lines that nodes.conf and CLUSTER NODES share (cluster-bus 12.3). The reader of the file is `conf`.

use crate::cluster::{Cluster, Turn};
use crate::conf::FLAG_WORDS;
use crate::node::Node;
use crate::show::ClusterReply;
use crate::topology::Audience;
use baton_wire::NodeFlags;
use std::fmt::Write as _;

/// For whom a line is written.
#[derive(Clone, Copy)]
enum Reader {
    /// The file: all attributes, bus addresses.
    File,
    /// A client: addresses as it would use them, no attributes.
    Client(Audience),
}

impl Cluster {
    /// The whole text of nodes.conf.
    pub(crate) fn conf_text(&self, turn: &Turn<'_>) -> String {
        let mut out = String::new();
        for node in self.nodes.values().filter(|n| !n.in_handshake()) {
            self.node_line(turn, node, Reader::File, &mut out);
            out.push('\n');
        }
        let (current, voted) = (self.current_epoch, self.last_vote_epoch);
        let _ = writeln!(out, "vars currentEpoch {current} lastVoteEpoch {voted}{}", self.voters.variables());
        out
    }

    /// CLUSTER NODES.
    pub(crate) fn nodes_text(&self, turn: &Turn<'_>, audience: Audience) -> String {
        let mut out = String::new();
        for node in self.nodes.values() {
            self.node_line(turn, node, Reader::Client(audience), &mut out);
            out.push('\n');
        }
        out
    }

    /// CLUSTER REPLICAS.
    pub(crate) fn replica_lines(&self, turn: &Turn<'_>, id: &str, audience: Audience) -> Result<ClusterReply, String> {
        let id = self.find(id)?;
        if self.nodes[&id].is_replica() {
            return Err("ERR The specified node is not a master".to_owned());
        }
        let lines = self.replicas_of(id).map(|node| {
            let mut line = String::new();
            self.node_line(turn, node, Reader::Client(audience), &mut line);
            line
        });
        Ok(ClusterReply::Lines(lines.collect()))
    }

    fn node_line(&self, turn: &Turn<'_>, node: &Node, reader: Reader, out: &mut String) {
        let _ = write!(out, "{} ", node.id);
        match reader {
            Reader::File => write_file_place(node, out),
            Reader::Client(audience) => self.write_client_place(node, audience, out),
        }
        out.push(' ');
        write_flags(node.flags, out);
        if matches!(reader, Reader::Client(_)) && self.is_witness(&node.id) {
            out.push_str(",witness");
        }
        match node.primary {
            Some(primary) => _ = write!(out, " {primary}"),
            None => out.push_str(" -"),
        }
        let connected = node.is_myself() || self.open_outbound(&node.id).is_some();
        let state = if connected { "connected" } else { "disconnected" };
        let (ping, pong) = (turn.wall_of(node.ping_sent).0, turn.wall_of(node.pong_received).0);
        let _ = write!(out, " {ping} {pong} {} {state}", self.effective_epoch(&node.id));
        for (first, last) in self.slots.of(&node.id).map(|s| s.ranges()).unwrap_or_default() {
            let _ = if first == last { write!(out, " {first}") } else { write!(out, " {first}-{last}") };
        }
        if node.is_myself() {
            let leaving = self.slots.migrating.iter().map(|(slot, node)| (*slot, "->-", *node));
            let coming = self.slots.importing.iter().map(|(slot, node)| (*slot, "-<-", *node));
            let mut open: Vec<_> = leaving.chain(coming).collect();
            open.sort_unstable_by_key(|(slot, ..)| *slot);
            for (slot, arrow, node) in open {
                let _ = write!(out, " [{slot}{arrow}{node}]");
            }
        }
    }

    fn write_client_place(&self, node: &Node, audience: Audience, out: &mut String) {
        let view = self.view(node);
        let (ip, port) = (view.client_ip(audience), view.client_port(audience));
        let _ = write!(out, "{ip}:{port}@{}", node.address.bus_port);
        if !node.labels.hostname.is_empty() {
            let _ = write!(out, ",{}", node.labels.hostname);
        }
    }
}

fn write_file_place(node: &Node, out: &mut String) {
    let (address, labels) = (&node.address, &node.labels);
    let _ = write!(out, "{}:{}@{},{}", address.ip.as_str(), address.tcp_port, address.bus_port, labels.hostname);
    let mut text = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(out, ",{name}={value}");
        }
    };
    let port = |port: u16| if port == 0 { String::new() } else { port.to_string() };
    text("availability-zone", &labels.availability_zone);
    text("client-tls-port", &port(labels.client_tls_port));
    text("client-tcp-port", &port(labels.client_port));
    text("client-ipv6", &labels.client_ipv6);
    text("client-ipv4", &labels.client_ipv4);
    text("tls-port", &address.tls_port.to_string());
    text("nodename", &labels.nodename);
    text("shard-id", node.shard.as_str());
}

fn write_flags(flags: NodeFlags, out: &mut String) {
    let start = out.len();
    for (flag, word) in FLAG_WORDS {
        if flags.contains(flag) {
            if out.len() > start {
                out.push(',');
            }
            out.push_str(word);
        }
    }
    if out.len() == start {
        out.push_str("noflags");
    }
}
