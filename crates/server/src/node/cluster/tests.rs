//! Words to requests and data to replies, against what Valkey 9.1.2 was seen to answer.

use std::sync::Arc;

use baton_base::{Epoch, NodeId, Offset, ShardId, Slot};
use baton_cluster::{
    Address, Audience, ClusterCommand as C, EndpointType, FailoverMode, Health, Labels, LinkId, LinkView, Member,
    MemberHealth, NO_OWNER, NodeView, SetSlot, Shard, SlotRange, Topology,
};
use baton_commands::Run;
use baton_resp::{Out, OwnedArgs, Proto};

use super::render::{Reader, links, shards, slots};
use super::set_slot::refusal;

fn parse(line: &str) -> Result<C, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let args = OwnedArgs::from_slices(&words);
    let spec = baton_commands::find(args.as_args()).expect("the registry knows it");
    let Run::Node(command) = spec.run else { panic!("{line} is the server's") };
    super::parse(command, args.as_args(), Audience::default()).map_err(|r| r.0.into_owned())
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

#[test]
fn words_become_requests() {
    let slots = |list: &[u16]| list.iter().map(|n| slot(*n)).collect::<Vec<_>>();
    let meet = |bus_port| C::Meet { ip: "1.2.3.4".into(), port: 7000, bus_port };
    let failover = |mode| C::Failover { mode, replica_id: None };
    let table = [
        ("cluster addslots 1 16383", C::AddSlots(slots(&[1, 16383]))),
        ("cluster delslotsrange 1 3 9 9", C::DelSlots(slots(&[1, 2, 3, 9]))),
        ("cluster meet 1.2.3.4 7000", meet(17000)),
        ("cluster meet 1.2.3.4 7000 5", meet(5)),
        ("CLUSTER REPLICATE No One", C::ReplicateNoOne),
        ("cluster replicate x", C::Replicate("x".into())),
        ("cluster reset", C::Reset { hard: false }),
        ("cluster reset HARD", C::Reset { hard: true }),
        ("cluster set-config-epoch 7", C::SetConfigEpoch(Epoch(7))),
        ("cluster failover", failover(FailoverMode::Default)),
        ("cluster failover force", failover(FailoverMode::Force)),
        ("cluster failover takeover force", failover(FailoverMode::Takeover)),
        ("cluster slaves x", C::Replicas("x".into(), Audience::default())),
    ];
    for (line, command) in table {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn refused_words_get_upstreams_errors() {
    let confused =
        |sub: &str| format!("ERR unknown subcommand or wrong number of arguments for '{sub}'. Try CLUSTER HELP.");
    let table: [(&str, &str); 27] = [
        ("addslots 1 x", "ERR Invalid or out of range slot"),
        ("addslots -1", "ERR Invalid or out of range slot"),
        ("addslots 16384", "ERR Invalid or out of range slot"),
        ("addslots 01", "ERR Invalid or out of range slot"),
        ("addslotsrange 1 2 3", "ERR wrong number of arguments for 'cluster|addslotsrange' command"),
        ("delslotsrange 3 1", "ERR start slot number 3 is greater than end slot number 1"),
        ("delslotsrange 99999 1", "ERR Invalid or out of range slot"),
        ("meet foo abc", "ERR Invalid base port specified: abc"),
        ("meet foo 70000 abc", "ERR Port number is out of range"),
        ("meet foo 0", "ERR Port number is out of range"),
        ("meet foo -5 -5", "ERR Port number is out of range"),
        ("meet foo 60000", "ERR Cluster bus port number is out of range"),
        ("meet foo 7000 abc", "ERR Invalid bus port specified: abc"),
        ("meet foo 7000 70000", "ERR Cluster bus port number is out of range"),
        ("meet foo 7000 17000 6", &confused("meet")),
        ("replicate no two", &confused("replicate")),
        ("replicate no one x", &confused("replicate")),
        ("reset foo", "ERR syntax error"),
        ("reset hard x", &confused("reset")),
        ("set-config-epoch -1", "ERR Invalid config epoch specified: -1"),
        ("set-config-epoch x", "ERR value is not an integer or out of range"),
        ("set-config-epoch 99999999999999999999", "ERR value is not an integer or out of range"),
        ("failover xx", "ERR syntax error"),
        ("failover replicaid", "ERR syntax error"),
        ("failover replicaid abc force", "ERR syntax error"),
        ("failover force replicaid", "ERR syntax error"),
        ("addslotsrange 5 2", "ERR start slot number 5 is greater than end slot number 2"),
    ];
    for (line, error) in table {
        assert_eq!(parse(&format!("cluster {line}")), Err(error.to_owned()), "{line}");
    }
}

#[test]
fn many_whole_ranges_stay_bounded() {
    let line = format!("cluster addslotsrange{}", " 0 16383".repeat(500));
    let Ok(C::AddSlots(slots)) = parse(&line) else { panic!("it parses") };
    assert!(slots.len() <= 3 * Slot::COUNT, "{}", slots.len());
}

fn node(letter: u8, port: u16) -> NodeView {
    let address = Address { tcp_port: port, ip: baton_wire::IpText::new("127.0.0.1").unwrap(), ..Address::EMPTY };
    let (id, shard) = (NodeId::new([letter; 40]).unwrap(), ShardId::new([b'e'; 40]).unwrap());
    NodeView { address, is_primary: letter == b'1', ..NodeView::new(id, shard) }
}

fn topology() -> Topology {
    let mut owners = [NO_OWNER; Slot::COUNT];
    owners[1] = 0;
    owners[2] = 1;
    let mut second = node(b'2', 7002);
    second.is_primary = true;
    let first = node(b'1', 7001);
    let alone = Topology::alone(first.id, first.shard);
    Topology {
        version: 1,
        nodes: [first, second, node(b'3', 7003)].map(Arc::new).into(),
        owners: Arc::new(owners),
        health: Health::Ok,
        current_epoch: Epoch(1),
        ..alone
    }
}

#[test]
fn replicas_are_not_told_what_the_primary_refuses() {
    let [me, other, replica] = [b'1', b'2', b'3'].map(|c| String::from_utf8(vec![c; 40]).unwrap());
    use SetSlot::{Importing, Migrating, Node, Stable};
    let held = "ERR Can't assign hashslot 1 to a different node while I still hold keys for this hash slot.";
    let table: [(u16, SetSlot, u64, Option<&str>); 13] = [
        (2, Stable, 0, None),
        (2, Migrating("x".into()), 0, Some("ERR I'm not the owner of hash slot 2")),
        (1, Migrating("x".into()), 0, Some("ERR I don't know about node x")),
        (1, Migrating(me.clone()), 0, Some("ERR Target node is myself")),
        (1, Migrating(replica.clone()), 0, Some("ERR Target node is not a master")),
        (1, Migrating(other.clone()), 5, None),
        (1, Importing("x".into()), 0, Some("ERR I'm already the owner of hash slot 1")),
        (2, Importing(me.clone()), 0, Some("ERR Target node is myself")),
        (2, Importing(other.clone()), 0, None),
        (1, Node("x".into()), 0, Some("ERR Unknown node x")),
        (1, Node(replica), 0, Some("ERR Target node is not a master")),
        (1, Node(other.clone()), 1, Some(held)),
        (1, Node(other), 0, None),
    ];
    for (n, action, keys, expected) in table {
        let got = refusal(&topology(), slot(n), &action, || keys);
        assert_eq!(got.as_deref(), expected, "{n} {action:?}");
    }
    assert_eq!(refusal(&topology(), slot(1), &Node(me), || 1), None, "to itself keys don't matter");
}

/// A labelled primary of slot 1 with a replica, as one range and as one shard.
fn shard() -> (SlotRange, Shard) {
    let mut primary = node(b'1', 7001);
    primary.labels = Arc::new(Labels {
        hostname: "host-1.example".into(),
        availability_zone: "zone-a".into(),
        client_ipv4: "9.9.9.9".into(),
        ..Labels::default()
    });
    let replica = node(b'2', 7002);
    let member = |node: &NodeView, health| Member { node: node.clone(), offset: Offset(28), health };
    let members = vec![member(&primary, MemberHealth::Online), member(&replica, MemberHealth::Loading)];
    let shard = Shard { id: primary.shard, slots: vec![(slot(1), slot(1))], members };
    (SlotRange { start: slot(1), end: slot(1), nodes: vec![primary, replica] }, shard)
}

/// RESP without line ends and lengths of bulks, for reading: `*2 :1 name`.
fn shown(write: impl FnOnce(&mut Out), proto: Proto) -> String {
    let mut out = Out::new(proto);
    write(&mut out);
    let text = String::from_utf8(out.buf).unwrap();
    let lines = text.split("\r\n").filter(|l| !l.is_empty() && (!l.starts_with('$') || *l == "$-1" || *l == "$0"));
    let short = lines.map(|l| match l.as_bytes() {
        [first, rest @ ..] if rest.len() == 39 && rest.iter().all(|b| b == first) => &l[..1],
        _ => l,
    });
    short.collect::<Vec<_>>().join(" ")
}

#[test]
fn slots_name_nodes_as_the_client_needs_them() {
    let (range, _) = shard();
    let read = |kind, proto| {
        let to = Reader { kind, audience: Audience::default() };
        shown(|out| slots(out, to, std::slice::from_ref(&range)), proto)
    };
    let zone = "availability-zone zone-a";
    assert_eq!(
        read(EndpointType::Ip, Proto::V2),
        format!("*1 *4 :1 :1 *4 9.9.9.9 :7001 1 *4 hostname host-1.example {zone} *4 127.0.0.1 :7002 2 *0")
    );
    assert_eq!(
        read(EndpointType::Hostname, Proto::V3),
        format!("*1 *4 :1 :1 *4 host-1.example :7001 1 %2 ip 9.9.9.9 {zone} *4 ? :7002 2 %1 ip 127.0.0.1")
    );
    assert_eq!(
        read(EndpointType::Unknown, Proto::V2),
        format!(
            "*1 *4 :1 :1 *4 $-1 :7001 1 *6 ip 9.9.9.9 hostname host-1.example {zone} *4 $-1 :7002 2 *2 ip 127.0.0.1"
        )
    );
}

#[test]
fn shards_have_upstreams_order_of_fields() {
    let (_, shard) = shard();
    let read = |kind, proto| {
        let to = Reader { kind, audience: Audience::default() };
        shown(|out| shards(out, to, std::slice::from_ref(&shard)), proto)
    };
    let rest = "role replica replication-offset :28 health loading id e";
    assert_eq!(
        read(EndpointType::Ip, Proto::V2),
        format!(
            "*1 *6 slots *2 :1 :1 nodes *2 *18 id 1 port :7001 ip 9.9.9.9 endpoint 9.9.9.9 hostname host-1.example role \
             master replication-offset :28 health online availability-zone zone-a *14 id 2 port :7002 ip 127.0.0.1 \
             endpoint 127.0.0.1 {rest}"
        )
    );
    assert!(read(EndpointType::Hostname, Proto::V3).contains("%7 id 2 port :7002 ip 127.0.0.1 endpoint ? role"));
    assert!(read(EndpointType::Unknown, Proto::V3).contains("ip 9.9.9.9 endpoint $0 hostname"));
}

#[test]
fn links_are_maps() {
    let link = LinkView {
        outbound: true,
        node: NodeId::new([b'2'; 40]).unwrap(),
        link: LinkId::inbound(1),
        create_time_ms: 1_795_222_145_790,
        queued_bytes: 48,
    };
    assert_eq!(
        shown(|out| links(out, &[link]), Proto::V3),
        "*1 %6 direction to node 2 create-time :1795222145790 events rw send-buffer-allocated :48 send-buffer-used :48"
    );
}
