//! Which messages follow from which change of the world.

use baton_base::{Epoch, NodeId, ShardId};
use baton_cluster::{Address, Health};
use baton_config::Settings;

use super::*;
use crate::world::{HoldReason, HoldScope};

fn node(letter: u8, port: u16) -> NodeView {
    let address = Address { tcp_port: port, ip: baton_wire::IpText::new("127.0.0.1").unwrap(), ..Address::EMPTY };
    NodeView { address, ..NodeView::new(NodeId::new([letter; 40]).unwrap(), ShardId::new([b'e'; 40]).unwrap()) }
}

/// Nodes `a`, `b` and so on; the slots 0 to 9 belong to those that the word names. One whose letter is large has failed.
fn topology(epoch: u64, nodes: &[u8], owners: &str) -> Arc<Topology> {
    let view = |letter: &u8| {
        let small = letter.to_ascii_lowercase();
        NodeView { failed: *letter != small, ..node(small, 7000 + u16::from(small - b'a')) }
    };
    let nodes: Vec<Arc<NodeView>> = nodes.iter().map(view).map(Arc::new).collect();
    let mut table = [NO_OWNER; Slot::COUNT];
    for (slot, owner) in owners.bytes().enumerate() {
        let index = nodes.iter().position(|n| NodeId::new([owner; 40]).is_ok_and(|id| id == n.id));
        table[slot] = index.map_or(NO_OWNER, |i| i as u16);
    }
    let alone = Topology::alone(nodes[0].id, nodes[0].shard);
    Arc::new(Topology {
        version: 1,
        nodes,
        owners: Arc::new(table),
        health: Health::Ok,
        current_epoch: Epoch(epoch),
        ..alone
    })
}

fn world() -> World {
    World::new(Arc::new(Settings::default()))
}

/// The messages of one step, as short texts.
fn step<T>(world: &mut World, change: impl FnOnce(&mut World) -> T) -> Vec<(i64, String)> {
    let before = world.clone();
    change(world);
    let any = note(&before, world, Mono::from_millis(1000), WallMs(77));
    let new: Vec<_> = world.notices.after(before.notices.end()).map(|n| (n.sequence, short(&n.notice))).collect();
    assert_eq!(any, !new.is_empty());
    new
}

fn short(notice: &Notice) -> String {
    match notice {
        Notice::FailingOver { seconds } => format!("failing over {seconds}"),
        Notice::FailedOver => "failed over".into(),
        Notice::Moving { host, port } => format!("moving {host}:{port}"),
        Notice::SlotsMoved(m) => {
            let port = |n: &NodeView| n.address.tcp_port;
            format!("{} -> {} {}", port(&m.from), port(&m.to), m.slots)
        }
    }
}

fn fence(w: &mut World, millis: u64) {
    w.holds.add(HoldReason::Failover, HoldScope::Writes, Mono::from_millis(millis));
}

fn replica_of(w: &mut World, port: u16, takeover: bool) {
    w.role = Role::Replica { host: "h".into(), port };
    w.takeover = takeover;
}

#[test]
fn a_planned_change_in_a_cluster() {
    let mut w = world();
    w.topology = Some(topology(7, b"abc", "aaabbbaaac"));
    let begun = 7 * 16384 + 16383;
    assert_eq!(step(&mut w, |w| fence(w, 5200)), [(begun, "failing over 5".into())]);
    // Given again it only changes its end.
    assert_eq!(step(&mut w, |w| fence(w, 9000)), []);
    let flip = step(&mut w, |w| {
        replica_of(w, 7002, false);
        w.topology = Some(topology(8, b"abc", "cccbbbcccc"));
    });
    // It stays, and redirects.
    assert_eq!(flip, []);
    let over = step(&mut w, |w| w.holds.remove(HoldReason::Failover));
    assert_eq!(over, [(8 * 16384 + 16383, "failed over".into())]);
}

#[test]
fn a_node_that_ends_tells_who_was_not_redirected() {
    let mut w = world();
    w.topology = Some(topology(7, b"abc", "aaabbbaaac"));
    step(&mut w, |w| w.holds.add(HoldReason::Shutdown, HoldScope::Writes, Mono::from_millis(5200)));
    let flip = step(&mut w, |w| {
        replica_of(w, 7002, false);
        w.topology = Some(topology(8, b"abc", "cccbbbcccc"));
    });
    assert_eq!(flip, []);
    assert_eq!(step(&mut w, |w| w.holds.remove(HoldReason::Shutdown)).len(), 1);
    let due = w.notices.next_due().unwrap();
    assert_eq!(step(&mut w, |w| w.notices.say_due(Mono::from_micros(due.as_micros() - 1))), []);
    assert_eq!(step(&mut w, |w| w.notices.say_due(due)), [(8 * 16384, "7000 -> 7002 0-2,6-8".into())]);
    assert_eq!(w.notices.next_due(), None);
}

#[test]
fn a_change_that_is_called_off_ends_as_it_began() {
    let mut w = world();
    assert_eq!(step(&mut w, |w| fence(w, 1001)), [(77, "failing over 1".into())]);
    assert_eq!(step(&mut w, |w| w.holds.expire(Mono::from_millis(2000))), [(77, "failed over".into())]);
}

#[test]
fn a_planned_change_outside_of_a_cluster() {
    let mut w = world();
    step(&mut w, |w| fence(w, 5000));
    // It is not known yet who serves.
    assert_eq!(step(&mut w, |w| replica_of(w, 7001, true)), []);
    let both = step(&mut w, |w| {
        w.takeover = false;
        w.holds.remove(HoldReason::Failover);
    });
    assert_eq!(both, [(77, "moving h:7001".into()), (77, "failed over".into())]);
    // A replica that follows another primary than before served nobody's writes.
    assert_eq!(step(&mut w, |w| replica_of(w, 7002, false)), []);
    assert_eq!(w.notices.moved(), Some(77));
    step(&mut w, |w| w.role = Role::Primary);
    assert_eq!(w.notices.moved(), None);
}

#[test]
fn a_refused_change_moves_nobody() {
    let mut w = world();
    step(&mut w, |w| fence(w, 5000));
    step(&mut w, |w| replica_of(w, 7001, true));
    let back = step(&mut w, |w| {
        (w.role, w.takeover) = (Role::Primary, false);
        w.holds.remove(HoldReason::Failover);
    });
    assert_eq!(back, [(77, "failed over".into())]);
}

#[test]
fn every_node_gives_a_failover_the_same_number() {
    let mut numbers = Vec::new();
    // The order of nodes and the slots of others may be known differently.
    for (nodes, rest) in [(&b"Abcd"[..], "d"), (b"cbAd", "d"), (b"dbcA", "a")] {
        let mut w = world();
        w.topology = Some(topology(3, nodes, &format!("bbaab{rest}")));
        let new = step(&mut w, |w| w.topology = Some(topology(4, nodes, &format!("bbccb{rest}"))));
        numbers.extend(new.iter().map(|(number, _)| *number));
    }
    // The last one keeps a slot: that was no takeover.
    assert_eq!(numbers, [4 * 16384 + 2; 2]);
}

#[test]
fn nodes_that_come_or_go_and_slots_that_move_alone_are_no_news() {
    let mut w = world();
    w.topology = Some(topology(3, b"ab", "aabb......"));
    for (nodes, owners) in
        [(&b"zab"[..], "aabb"), (b"ab", "aabbaa"), (b"ab", "abbbaa"), (b"ab", "a.bb.a"), (b"b", "..bb")]
    {
        assert_eq!(step(&mut w, |w| w.topology = Some(topology(4, nodes, owners))), [], "{owners}");
    }
}

#[test]
fn who_listens_late_hears_of_a_change_under_way() {
    let mut w = world();
    assert_eq!((w.notices.begin(), w.notices.end()), (0, 0));
    step(&mut w, |w| fence(w, 5000));
    assert_eq!((w.notices.begin(), w.notices.end()), (0, 1));
    step(&mut w, |w| w.holds.remove(HoldReason::Failover));
    assert_eq!((w.notices.begin(), w.notices.end()), (2, 2));
}

#[test]
fn only_the_latest_are_kept() {
    let mut w = world();
    for _ in 0..10 {
        step(&mut w, |w| fence(w, 5000));
        step(&mut w, |w| w.holds.remove(HoldReason::Failover));
    }
    assert_eq!(w.notices.end(), 20);
    assert_eq!(w.notices.after(0).map(|n| n.place).collect::<Vec<_>>(), (13..=20).collect::<Vec<_>>());
}
