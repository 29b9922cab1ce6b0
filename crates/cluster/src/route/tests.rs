//! Rules of cluster-bus 11.1, one by one.

use super::*;
use crate::node::{Address, Labels};
use crate::settings::EndpointType;
use crate::topology::{DownReason, Health, NO_OWNER, NodeView};
use baton_base::{Epoch, NodeId, ShardId};
use baton_wire::IpText;
use std::sync::Arc;

const MINE: u16 = 1;
const OTHERS: u16 = 2;
const NOBODYS: u16 = 3;

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

/// I am node 0 with slot 1, node 1 has slot 2, slot 3 is free.
fn topology() -> Topology {
    let id = |index: u16| NodeId::parse(&[b'0' + index as u8; 40]).unwrap();
    let shard = |index: u16| ShardId::parse(&[b'0' + index as u8; 40]).unwrap();
    let node = |index: u16| {
        let address = Address {
            ip: IpText::new(&format!("10.0.0.{index}")).unwrap(),
            tcp_port: 7000 + index,
            tls_port: 8000 + index,
            bus_port: 17000 + index,
        };
        Arc::new(NodeView { address, ..NodeView::new(id(index), shard(index)) })
    };
    let mut owners = [NO_OWNER; Slot::COUNT];
    owners[usize::from(MINE)] = 0;
    owners[usize::from(OTHERS)] = 1;
    Topology {
        version: 1,
        nodes: vec![node(0), node(1), node(2)],
        owners: Arc::new(owners),
        health: Health::Ok,
        current_epoch: Epoch(1),
        ..Topology::alone(id(0), shard(0))
    }
}

fn ask(topology: &Topology, query: RouteQuery, existing: usize, missing: usize) -> Route {
    route(topology, &query, || Presence { existing, missing })
}

fn read(n: u16) -> RouteQuery {
    RouteQuery { slot: Some(slot(n)), ..RouteQuery::default() }
}

fn write(n: u16) -> RouteQuery {
    RouteQuery { write: true, ..read(n) }
}

#[test]
fn the_owner_serves_and_others_redirect() {
    let t = topology();
    assert_eq!(ask(&t, write(MINE), 0, 1), Route::Local);
    assert_eq!(ask(&t, RouteQuery::default(), 0, 0), Route::Local);
    assert_eq!(ask(&t, RouteQuery { several_slots: true, ..read(MINE) }, 0, 2), Route::CrossSlot);
    assert_eq!(ask(&t, read(NOBODYS), 0, 1), Route::Unassigned);
    let moved = ask(&t, read(OTHERS), 0, 1);
    assert_eq!(moved, Route::Moved(slot(OTHERS), 1));
    let text = |audience| moved.error_text(&t, audience).unwrap();
    assert_eq!(text(Audience::default()), "MOVED 2 10.0.0.1:7001");
    assert_eq!(text(Audience { tls: true, ipv6: false }), "MOVED 2 10.0.0.1:8001");
    assert_eq!(Route::Local.error_text(&t, Audience::default()), None);
}

#[test]
fn endpoints_follow_the_preferred_type() {
    let mut t = topology();
    let moved = Route::Moved(slot(OTHERS), 1);
    let labels = |t: &mut Topology, change: fn(&mut Labels)| {
        change(Arc::make_mut(&mut Arc::make_mut(&mut t.nodes[1]).labels));
    };
    labels(&mut t, |labels| {
        labels.client_ipv4 = "1.2.3.4".to_owned();
        labels.client_port = 99;
    });
    assert_eq!(moved.error_text(&t, Audience::default()).unwrap(), "MOVED 2 1.2.3.4:99");
    assert_eq!(moved.error_text(&t, Audience { tls: false, ipv6: true }).unwrap(), "MOVED 2 10.0.0.1:99");
    t.endpoint_type = EndpointType::Hostname;
    assert_eq!(moved.error_text(&t, Audience::default()).unwrap(), "MOVED 2 ?:99");
    labels(&mut t, |labels| labels.hostname = "h".to_owned());
    assert_eq!(moved.error_text(&t, Audience::default()).unwrap(), "MOVED 2 h:99");
    t.endpoint_type = EndpointType::Unknown;
    assert_eq!(moved.error_text(&t, Audience::default()).unwrap(), "MOVED 2 :99");
}

#[test]
fn a_cluster_that_is_down_serves_what_is_allowed() {
    let mut t = topology();
    t.health = Health::Fail(DownReason::Minority);
    assert_eq!(ask(&t, read(MINE), 1, 0), Route::Down);
    assert_eq!(ask(&t, RouteQuery::default(), 0, 0), Route::Local, "keyless commands are always served");
    assert_eq!(ask(&t, read(NOBODYS), 0, 1), Route::Unassigned, "a free slot is named first");
    let pubsub = RouteQuery { shard_pubsub: true, ..read(MINE) };
    assert_eq!(ask(&t, pubsub, 0, 0), Route::Local);
    t.allow_pubsubshard_when_down = false;
    assert_eq!(ask(&t, pubsub, 0, 0), Route::Down);
    t.allow_reads_when_down = true;
    assert_eq!(ask(&t, read(MINE), 1, 0), Route::Local);
    assert_eq!(ask(&t, write(MINE), 1, 0), Route::DownForWrites);
    assert_eq!(ask(&t, read(OTHERS), 1, 0), Route::Moved(slot(OTHERS), 1));
}

#[test]
fn a_leaving_slot_asks_for_what_is_gone() {
    let mut t = topology();
    t.migrating.insert(slot(MINE), 2);
    assert_eq!(ask(&t, write(MINE), 1, 0), Route::Local);
    assert_eq!(ask(&t, write(MINE), 0, 2), Route::Ask(slot(MINE), 2));
    assert_eq!(ask(&t, write(MINE), 1, 1), Route::TryAgain);
    let text = Route::Ask(slot(MINE), 2).error_text(&t, Audience::default()).unwrap();
    assert_eq!(text, "ASK 1 10.0.0.2:7002");
    assert_eq!(ask(&t, RouteQuery { migrate: true, ..write(MINE) }, 0, 1), Route::Local);
    assert_eq!(ask(&t, RouteQuery { across_databases: true, ..write(MINE) }, 1, 0), Route::TryAgain);
    assert_eq!(ask(&t, RouteQuery { shard_pubsub: true, ..read(MINE) }, 0, 1), Route::Local);
}

#[test]
fn a_coming_slot_is_served_to_who_asks() {
    let mut t = topology();
    t.importing.insert(slot(OTHERS), 1);
    assert_eq!(ask(&t, write(OTHERS), 0, 1), Route::Moved(slot(OTHERS), 1));
    let asking = RouteQuery { asking: true, ..write(OTHERS) };
    assert_eq!(ask(&t, asking, 0, 1), Route::Local);
    assert_eq!(ask(&t, asking, 1, 1), Route::TryAgain);
    assert_eq!(ask(&t, asking, 2, 0), Route::Local);
    assert_eq!(ask(&t, RouteQuery { across_databases: true, ..write(OTHERS) }, 0, 1), Route::TryAgain);
}

#[test]
fn a_replica_reads_for_who_wants_that() {
    let mut t = topology();
    t.primary = Some(1);
    Arc::make_mut(&mut t.nodes[0]).is_primary = false;
    Arc::make_mut(&mut t.owners)[usize::from(MINE)] = 2;
    assert_eq!(ask(&t, read(OTHERS), 1, 0), Route::Moved(slot(OTHERS), 1));
    let readonly = RouteQuery { readonly_client: true, ..read(OTHERS) };
    assert_eq!(ask(&t, readonly, 1, 0), Route::Local);
    assert_eq!(ask(&t, RouteQuery { write: true, ..readonly }, 1, 0), Route::Moved(slot(OTHERS), 1));
    assert_eq!(ask(&t, RouteQuery { shard_pubsub: true, ..read(OTHERS) }, 0, 0), Route::Local);
    assert_eq!(ask(&t, RouteQuery { readonly_client: true, ..read(MINE) }, 1, 0), Route::Moved(slot(MINE), 2));
    t.migrating.insert(slot(OTHERS), 2);
    assert_eq!(ask(&t, readonly, 0, 1), Route::Ask(slot(OTHERS), 2), "it knows open slots too");
    assert_eq!(ask(&t, read(OTHERS), 0, 1), Route::Moved(slot(OTHERS), 1));
}
