//! How the machines of a node move each other, one rule a test.

mod rig;

use baton_base::{Mono, NodeId, Offset};
use baton_node::{ClusterCommand, Effect, Input, Origin, Phase, StopKind, Token};
use baton_wire::{Body, MsgFlags};
use rig::{MANUAL, Rig, id, one, three};
use std::time::Duration;

/// Packets that say PAUSED, with their offset.
fn paused(rig: &Rig, to: NodeId) -> Vec<Offset> {
    let said = |m: &baton_wire::Message| m.header.mflags.contains(MsgFlags::PAUSED);
    let links = [rig.outbound[&to], baton_node::LinkId::inbound(0), baton_node::LinkId::inbound(1)];
    rig.sent().iter().filter(|(link, m)| links.contains(link) && said(m)).map(|(_, m)| m.header.offset).collect()
}

fn order_of(rig: &Rig, words: &[&str]) {
    let all = rig.words();
    let mut from = 0;
    for word in words {
        let found = all[from..].iter().position(|w| w == word);
        from += found.unwrap_or_else(|| panic!("no {word:?} after {from} in {all:?}")) + 1;
    }
}

/// Brings a manual failover of `4` to the point where it is told the offset.
fn announced() -> Rig {
    let mut rig = Rig::settled(&three());
    rig.replicas_answer(&['4', '5']);
    rig.mfstart(id('4'));
    rig.replicas_answer(&['4', '5']);
    assert_eq!(rig.count("fence"), 1, "{:?}", rig.words());
    assert_eq!(paused(&rig, id('4')), [], "not before the data plane stands still");
    rig.give(Input::Fenced { offset: Offset(1000) });
    assert_eq!(paused(&rig, id('4')), [Offset(1000)]);
    rig
}

#[test]
fn mfstart_is_a_handover_that_announces() {
    let mut rig = announced();
    assert_eq!(rig.count("order 4") + rig.count("order 5"), 0, "nothing is appended to the stream");
    assert!(rig.stands(id('4')), "the old primary votes for its successor");
    rig.claims(id('4'));
    order_of(&rig, &["publish replica", "follow 4", "redirect 4"]);
    assert_eq!(rig.count("unfence"), 0, "held writes never run here again");
    rig.give(Input::Redirected);
    assert_eq!(rig.node.phase(), Phase::Idle);
}

#[test]
fn a_manual_failover_that_times_out_leaves_nothing_paused() {
    let mut rig = announced();
    rig.effects.clear();
    rig.wait(MANUAL + Duration::from_millis(500));
    assert_eq!(rig.count("unfence"), 1, "{:?}", rig.words());
    assert_eq!(rig.logged("Manual failover timed out."), 1);
    assert_eq!(rig.node.phase(), Phase::Idle);
    rig.effects.clear();
    rig.wait(Duration::from_secs(40));
    assert_eq!(paused(&rig, id('4')), []);
    assert_eq!(rig.count("unfence") + rig.count("fence"), 0);
}

#[test]
fn a_manual_failover_that_finds_its_replica_gone_ends_in_both_machines() {
    let mut rig = Rig::settled(&three());
    rig.replicas_answer(&['4', '5']);
    rig.mfstart(id('4'));
    rig.replicas_answer(&['5']);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.node.phase(), Phase::Choose, "its link may come back, and writes go on");
    rig.wait(Duration::from_secs(5));
    assert_eq!(rig.node.phase(), Phase::Idle);
    // The other one can begin at once.
    rig.mfstart(id('5'));
    rig.replicas_answer(&['5']);
    assert_eq!(rig.node.phase(), Phase::Fence);
}

#[test]
fn another_replica_takes_the_place_of_one_that_was_not_told() {
    let mut rig = Rig::settled(&three());
    rig.replicas_answer(&['4', '5']);
    rig.mfstart(id('4'));
    rig.mfstart(id('5'));
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.effects.clear();
    rig.wait(Duration::from_millis(200));
    assert_eq!(rig.node.phase(), Phase::Promote);
    rig.claims(id('5'));
    order_of(&rig, &["follow 5", "redirect 5"]);
}

#[test]
fn another_replica_waits_behind_one_that_was_told() {
    let mut rig = announced();
    rig.mfstart(id('5'));
    assert_eq!(rig.logged("another one is going on"), 1);
    assert_eq!(rig.node.phase(), Phase::Promote);
    rig.claims(id('4'));
    order_of(&rig, &["follow 4", "redirect 4"]);
}

#[test]
fn a_successors_claim_flips_everything_in_one_go() {
    let mut rig = Rig::settled(&three());
    rig.ordered(StopKind::Sigterm);
    assert!(rig.stands(id('4')));
    rig.effects.clear();
    rig.claims(id('4'));
    let words = rig.words();
    let at = |what: &str| words.iter().position(|w| w == what).unwrap_or_else(|| panic!("no {what}: {words:?}"));
    let (publish, follow, redirect) = (at("publish replica"), at("follow 4"), at("redirect 4"));
    assert_eq!((follow, redirect), (publish + 1, publish + 2), "nothing comes between: {words:?}");
    assert!(at("save") > redirect, "clients don't wait for the disk");
    rig.give(Input::Redirected);
    rig.give(Input::Saved { ok: true });
    rig.give(Input::ClientsLeft(0));
    order_of(&rig, &["redirect 4", "final save", "save durably", "exit"]);
    assert_eq!(rig.words().last().unwrap(), "exit");
    rig.effects.clear();
    rig.give(Input::Tick);
    rig.claims_nothing();
    assert!(rig.effects.is_empty(), "nothing comes after the exit");
}

#[test]
fn a_role_lost_to_somebody_else_ends_the_handover_there() {
    let mut rig = Rig::settled(&three());
    rig.ordered(StopKind::ShutdownFailover);
    rig.claims(id('5'));
    order_of(&rig, &["order 4", "publish replica", "follow 5", "redirect 5"]);
    assert_eq!(rig.count("unfence"), 0);
}

#[test]
fn a_withdrawn_candidate_is_refused_also_after_the_handover() {
    let mut rig = Rig::settled(&one());
    rig.ordered(StopKind::Sigterm);
    rig.give(Input::Abort);
    // This node's vote is the only one, so the writes go on at once.
    assert_eq!(rig.count("unfence"), 1, "{:?}", rig.words());
    assert_eq!(rig.node.phase(), Phase::Idle);
    assert!(!rig.stands(id('4')), "its request was on the way");
    assert_eq!(rig.logged("its promotion was withdrawn"), 1);
    rig.wait(MANUAL + Duration::from_secs(2));
    assert!(rig.stands(id('4')), "what it wants now is another matter");
}

#[test]
fn a_candidate_that_is_told_again_gets_the_vote() {
    let mut rig = Rig::settled(&one());
    rig.ordered(StopKind::Sigterm);
    rig.give(Input::Abort);
    rig.effects.clear();
    rig.ordered(StopKind::Sigterm);
    assert!(rig.stands(id('4')));
}

#[test]
fn a_vote_of_an_earlier_election_is_none_of_this_one() {
    let mut rig = Rig::settled(&one());
    assert!(rig.stands(id('4')), "forced by a user, and lost");
    rig.wait(Duration::from_secs(1));
    rig.ordered(StopKind::Sigterm);
    rig.give(Input::Abort);
    assert_eq!(rig.node.phase(), Phase::Idle, "it can't win without a new vote");
}

#[test]
fn where_others_can_elect_the_writes_stay_held_after_a_withdrawal() {
    let mut rig = Rig::settled(&three());
    rig.ordered(StopKind::Sigterm);
    rig.give(Input::Abort);
    assert_eq!((rig.count("unfence"), rig.node.phase()), (0, Phase::Withdraw));
    rig.wait(MANUAL);
    assert_eq!((rig.count("unfence"), rig.node.phase()), (1, Phase::Idle));
}

/// As a replica it takes over from this primary only with its leave.
const LEAVE: u8 = 1 << 5;

#[test]
fn a_candidate_that_got_no_leave_is_not_waited_for() {
    let mut rig = Rig::settled(&three());
    rig.have_abilities(LEAVE);
    rig.ordered(StopKind::Sigterm);
    rig.give(Input::Abort);
    assert_eq!((rig.count("unfence"), rig.node.phase()), (1, Phase::Idle));
}

#[test]
fn a_candidate_that_got_leave_is_waited_for() {
    let mut rig = Rig::settled(&three());
    rig.have_abilities(LEAVE);
    rig.ordered(StopKind::Sigterm);
    assert!(rig.stands(id('4')));
    rig.give(Input::Abort);
    assert_eq!((rig.count("unfence"), rig.node.phase()), (0, Phase::Withdraw));
    assert_eq!(rig.count("lease none"), 1, "{:?}", rig.words());
    rig.wait(MANUAL);
    assert_eq!((rig.count("unfence"), rig.node.phase()), (1, Phase::Idle));
}

/// The data plane opens by itself when it hears nothing for long, as after a pause of the whole process. Then there is no
/// lease, so that nothing is acknowledged before this node has heard who serves now.
#[test]
fn who_waits_for_a_successor_has_no_lease() {
    for cluster in [one(), three()] {
        let mut rig = Rig::settled(&cluster);
        rig.ordered(StopKind::Sigterm);
        order_of(&rig, &["fence to exit", "lease none", "order 4"]);
        rig.give(Input::Abort);
        rig.wait(MANUAL);
        order_of(&rig, &["lease none", "unfence"]);
        let last =
            rig.effects.iter().rev().find_map(|e| if let Effect::Lease { until } = e { Some(*until) } else { None });
        assert!(last > Some(Mono::ZERO), "it goes on with what it is allowed");
    }
}

#[test]
fn a_shutdown_that_a_manual_failover_joins_is_not_ended_by_its_time_out() {
    let mut rig = Rig::settled(&three());
    rig.stop(StopKind::Sigterm);
    rig.effects.clear();
    // There was nobody attached, so it stops at once; a request of a replica changes nothing about that.
    rig.mfstart(id('4'));
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.wait(MANUAL * 2);
    rig.give(Input::Saved { ok: true });
    assert_eq!(rig.words().last().unwrap(), "exit");
}

#[test]
fn a_plain_stop_hands_nothing_over() {
    let mut rig = Rig::settled(&three());
    rig.replicas_answer(&['4', '5']);
    rig.stop(StopKind::Plain);
    assert_eq!(rig.count("fence to exit"), 1);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::Saved { ok: true });
    order_of(&rig, &["fence to exit", "final save", "finished 9 NoSuccessor(NotWanted)", "save durably", "exit"]);
    assert_eq!(rig.count("order 4") + rig.count("order 5"), 0);
    assert_eq!(rig.logged("Saving the cluster configuration file before exiting."), 1);
}

#[test]
fn a_plain_stop_of_a_standalone_node_lets_its_replicas_catch_up() {
    let mut rig = Rig::standalone();
    rig.replicas_answer(&['4']);
    rig.offset = 2000;
    rig.stop(StopKind::Plain);
    rig.give(Input::Fenced { offset: Offset(2000) });
    assert_eq!(rig.logged("Waiting for replicas before shutting down."), 1);
    assert_eq!(rig.count("final save"), 0, "a replica is behind");
    rig.replicas_answer(&['4']);
    rig.give(Input::Saved { ok: true });
    order_of(&rig, &["fence to exit", "final save", "finished 9 NoSuccessor(NotWanted)", "exit"]);
    assert_eq!(rig.count("save durably"), 0, "there is no cluster configuration");
}

#[test]
fn a_standalone_node_without_replicas_just_stops() {
    let mut rig = Rig::standalone();
    rig.stop(StopKind::Sigterm);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.give(Input::Saved { ok: true });
    order_of(&rig, &["fence to exit", "final save", "finished 9 NoSuccessor(NotWanted)", "exit"]);
    assert_eq!(rig.logged("Unable to find a replica"), 0, "nobody expected one");
}

#[test]
fn a_listener_without_an_address_is_no_reason_to_wait() {
    let mut rig = Rig::standalone();
    let listener = baton_node::Replica { addr: "127.0.0.1:<unknown-replica-port>".to_owned(), ..rig.replica('4') };
    rig.give(Input::Replicas(vec![listener]));
    rig.stop(StopKind::Sigterm);
    assert_eq!(rig.node.phase(), Phase::Fence);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.give(Input::Saved { ok: true });
    assert_eq!(rig.words().last().unwrap(), "exit");
}

/// Brings a stop to the point where replica 4 is asked to take over.
fn asked(rig: &mut Rig) {
    rig.replicas_answer(&['4', '5']);
    rig.stop(StopKind::Sigterm);
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.replicas_answer(&['4', '5']);
    assert_eq!(rig.count("ask 127.0.0.1 7004"), 1, "{:?}", rig.words());
}

#[test]
fn a_standalone_node_that_stops_asks_a_replica_to_take_over() {
    let mut rig = Rig::standalone();
    asked(&mut rig);
    rig.give(Input::TakeoverAsked);
    rig.give(Input::TakeoverAnswered { accepted: true });
    let words = rig.words();
    assert!(words.iter().any(|w| w.starts_with("redirect")), "{words:?}");
    rig.give(Input::Redirected);
    rig.give(Input::Saved { ok: true });
    rig.give(Input::ClientsLeft(0));
    order_of(&rig, &["fence and ask to exit", "ask 127.0.0.1 7004", "final save", "exit"]);
    assert_eq!(rig.logged("Handed over to 127.0.0.1:7004"), 1);
}

#[test]
fn a_replica_that_refuses_is_followed_by_the_next() {
    let mut rig = Rig::standalone();
    asked(&mut rig);
    rig.give(Input::TakeoverAsked);
    rig.give(Input::TakeoverAnswered { accepted: false });
    order_of(&rig, &["ask 127.0.0.1 7004", "ask 127.0.0.1 7005"]);
    rig.give(Input::TakeoverAnswered { accepted: false });
    assert_eq!(rig.count("primary again"), 0, "a node that exits serves nobody any more");
    rig.give(Input::Saved { ok: true });
    assert_eq!(rig.words().last().unwrap(), "exit");
}

#[test]
fn who_has_ended_need_not_answer() {
    let mut rig = Rig::standalone();
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::Failover { token: Token(1), target: None, timeout: None, force: false });
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::Fenced { offset: Offset(1000) });
    rig.replicas_answer(&['4', '5']);
    rig.give(Input::TakeoverAsked);
    rig.wait(Duration::from_secs(20));
    assert_eq!(rig.node.phase(), Phase::Promote, "it may be primary");
    rig.give(Input::TakeoverGone);
    assert_eq!((rig.count("primary again"), rig.node.phase()), (1, Phase::Idle), "{:?}", rig.words());
}

#[test]
fn a_late_answer_still_redirects() {
    let mut rig = Rig::standalone();
    asked(&mut rig);
    rig.give(Input::TakeoverAsked);
    rig.wait(Duration::from_millis(1500));
    assert_eq!(rig.node.phase(), Phase::Stop);
    rig.give(Input::TakeoverAnswered { accepted: true });
    assert_eq!(rig.node.phase(), Phase::Redirect);
}

#[test]
fn a_forced_failover_reaches_a_target_that_has_left() {
    let mut rig = Rig::standalone();
    rig.replicas_answer(&['4', '5']);
    rig.offset = 2000;
    let (target, timeout) = (Some("127.0.0.1:7005".to_owned()), Some(Duration::from_millis(100)));
    rig.give(Input::Failover { token: Token(4), target, timeout, force: true });
    rig.give(Input::Fenced { offset: Offset(2000) });
    rig.replicas_answer(&['4']);
    rig.wait(Duration::from_millis(200));
    order_of(&rig, &["fence and ask", "ask 127.0.0.1 7005"]);
    rig.give(Input::Abort);
    order_of(&rig, &["ask 127.0.0.1 7005", "finished 4 Aborted", "primary again", "unfence"]);
    rig.give(Input::TakeoverAnswered { accepted: true });
    assert_eq!(rig.node.phase(), Phase::Idle, "what comes late finds nothing");
}

#[test]
fn a_standalone_node_answers_cluster_commands() {
    let mut rig = Rig::standalone();
    let origin = Origin::Client("addr=test".to_owned());
    rig.give(Input::Command { token: Token(3), origin, command: ClusterCommand::Info });
    let expected = Err("ERR This instance has cluster support disabled".to_owned());
    let answers = |e: &Effect| matches!(e, Effect::Reply { token: Token(3), result } if *result == expected);
    assert!(rig.effects.iter().any(answers));
    rig.give(Input::HandOver { token: Token(4), target: None, timeout: MANUAL });
    assert_eq!(rig.count("finished 4 Refused"), 1);
}

/// A node that was just introduced may attach before the bus has told its name.
#[test]
fn a_replica_that_becomes_known_later_can_take_over() {
    let text = three().lines().filter(|l| !l.starts_with('4')).map(|l| format!("{l}\n")).collect::<String>();
    let mut rig = Rig::settled(&text);
    rig.replicas_answer(&['4']);
    rig.stop(StopKind::Sigterm);
    rig.replicas_answer(&['4']);
    assert_eq!(rig.node.phase(), Phase::Choose, "nobody would know whom to vote for");
    let mut header = rig.header(id('2'));
    header.current_epoch = rig.node.cluster().unwrap().current_epoch();
    let gossip = baton_wire::Gossip {
        id: id('4'),
        ping_sent_s: 0,
        pong_received_s: 0,
        ip: baton_wire::IpText::new("127.0.0.1").unwrap(),
        port: 7004,
        port_bus: 17004,
        flags: baton_wire::NodeFlags::REPLICA,
        port_other: 0,
    };
    let body = baton_wire::PingBody { gossip: vec![gossip], ..Default::default() };
    rig.hear(id('2'), header, Body::Ping(body));
    rig.replicas_answer(&['4']);
    assert_eq!(rig.node.phase(), Phase::Fence);
}

impl Rig {
    fn claims_nothing(&mut self) {
        self.give(Input::Replicas(Vec::new()));
        self.give(Input::Abort);
        self.stop(StopKind::Sigterm);
    }
}
