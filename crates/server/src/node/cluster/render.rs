//! CLUSTER SLOTS, SHARDS and LINKS in RESP, in upstream's order of fields (cluster-bus 12.1). The same data reads
//! differently for clients that reach us differently; everything else is equal on all nodes.

use baton_cluster::{Audience, ClusterReply, EndpointType, LinkView, Member, NodeView, Shard, SlotRange, Topology};
use baton_resp::Out;

use crate::worker::client::Client;
use crate::worker::routing;

/// Writes SLOTS, SHARDS and LINKS.
pub fn write_structured(client: &mut Client, topology: &Topology, reply: &ClusterReply) {
    let to = Reader { kind: topology.endpoint_type, audience: routing::audience(client) };
    let out = &mut client.out;
    match reply {
        ClusterReply::Slots(ranges) => slots(out, to, ranges),
        ClusterReply::Shards(all) => shards(out, to, all),
        ClusterReply::Links(all) => links(out, all),
        _ => debug_assert!(false, "{reply:?} has no structure"),
    }
}

/// For whom nodes are named.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) kind: EndpointType,
    pub(super) audience: Audience,
}

pub(super) fn slots(out: &mut Out, to: Reader, ranges: &[SlotRange]) {
    out.array(ranges.len());
    for range in ranges {
        out.array(2 + range.nodes.len());
        out.int(i64::from(range.start.number()));
        out.int(i64::from(range.end.number()));
        range.nodes.iter().for_each(|node| slots_node(out, to, node));
    }
}

fn slots_node(out: &mut Out, to: Reader, node: &NodeView) {
    out.array(4);
    match to.kind {
        EndpointType::Unknown => out.null(),
        _ => out.bulk(node.endpoint(to.kind, to.audience).as_bytes()),
    }
    out.int(i64::from(node.client_port(to.audience)));
    out.bulk(node.id.as_bytes());
    let ip = (to.kind != EndpointType::Ip).then(|| ("ip", node.client_ip(to.audience)));
    let hostname = (to.kind != EndpointType::Hostname).then_some(("hostname", &*node.labels.hostname));
    let zone = Some(("availability-zone", &*node.labels.availability_zone));
    let known = |(name, text): &(&str, &str)| *name == "ip" || !text.is_empty();
    let facts: Vec<(&str, &str)> = [ip, hostname, zone].into_iter().flatten().filter(known).collect();
    out.map(facts.len());
    for (name, text) in facts {
        pair(out, name, text);
    }
}

pub(super) fn shards(out: &mut Out, to: Reader, shards: &[Shard]) {
    out.array(shards.len());
    for shard in shards {
        out.map(3);
        out.bulk(b"slots");
        out.array(2 * shard.slots.len());
        for (start, end) in &shard.slots {
            out.int(i64::from(start.number()));
            out.int(i64::from(end.number()));
        }
        out.bulk(b"nodes");
        out.array(shard.members.len());
        shard.members.iter().for_each(|member| shards_member(out, to, member));
        pair(out, "id", shard.id.as_str());
    }
}

fn shards_member(out: &mut Out, to: Reader, member: &Member) {
    let node = &member.node;
    let port_of = |tls| node.client_port(Audience { tls, ..to.audience });
    let ports = [("port", port_of(false)), ("tls-port", port_of(true))];
    let labels = &node.labels;
    let optional = usize::from(!labels.hostname.is_empty()) + usize::from(!labels.availability_zone.is_empty());
    let open_ports = ports.iter().filter(|(_, port)| *port != 0);
    out.map(6 + open_ports.clone().count() + optional);
    pair(out, "id", node.id.as_str());
    for (name, port) in open_ports {
        out.bulk(name.as_bytes());
        out.int(i64::from(*port));
    }
    pair(out, "ip", node.client_ip(to.audience));
    pair(out, "endpoint", node.endpoint(to.kind, to.audience));
    if !labels.hostname.is_empty() {
        pair(out, "hostname", &labels.hostname);
    }
    pair(out, "role", if node.is_primary { "master" } else { "replica" });
    out.bulk(b"replication-offset");
    out.int(member.offset.0 as i64);
    pair(out, "health", member.health.as_str());
    if !labels.availability_zone.is_empty() {
        pair(out, "availability-zone", &labels.availability_zone);
    }
}

pub(super) fn links(out: &mut Out, links: &[LinkView]) {
    out.array(links.len());
    for link in links {
        out.map(6);
        pair(out, "direction", if link.outbound { "to" } else { "from" });
        pair(out, "node", link.node.as_str());
        out.bulk(b"create-time");
        out.int(link.create_time_ms as i64);
        pair(out, "events", if link.queued_bytes > 0 { "rw" } else { "r" });
        for name in ["send-buffer-allocated", "send-buffer-used"] {
            out.bulk(name.as_bytes());
            out.int(link.queued_bytes as i64);
        }
    }
}

fn pair(out: &mut Out, name: &str, text: &str) {
    out.bulk(name.as_bytes());
    out.bulk(text.as_bytes());
}
