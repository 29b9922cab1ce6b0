//! The voter's checks of cluster-bus 7.5, one by one, and the order of vote and disk.

mod lone;

use baton_base::{Epoch, NodeId};
use baton_cluster::{ClusterCommand, ClusterReply, Effect, FailoverMode, Input};
use baton_wire::{Body, Header, Kind, MsgFlags, Update};
use lone::{Lone, id, slots, three};

/// Asks for a vote; tells whether it was granted.
fn ask(lone: &mut Lone, header: Header) -> bool {
    lone.effects.clear();
    lone.hear(id('4'), header, Body::AuthRequest);
    let granted = lone.sent().iter().any(|(_, m)| m.body == Body::AuthAck);
    assert_eq!(granted, lone.logged("Failover auth granted to"));
    granted
}

fn failing() -> Lone {
    Lone::settled(&three("master,fail"))
}

#[test]
fn a_sound_request_is_granted_and_durable_first() {
    let mut lone = failing();
    let request = lone.request();
    let epoch = request.current_epoch;
    assert!(ask(&mut lone, request));
    assert_eq!(lone.cluster.last_vote_epoch(), epoch);
    let saved = lone
        .effects
        .iter()
        .position(|e| matches!(e, Effect::SaveEpochs(record) if record.current == epoch && record.last_vote == epoch));
    let is_vote = |e: &Effect| matches!(e, Effect::Send { bytes, .. } if Kind::of_packet(bytes) == Kind::AuthAck);
    let sent = lone.effects.iter().position(is_vote);
    assert!(saved.unwrap() < sent.unwrap());
    let (link, ack) = lone.sent().into_iter().find(|(_, m)| m.body == Body::AuthAck).unwrap();
    assert_eq!(link, lone.outbound[&id('4')], "on my own link to the candidate");
    assert_eq!(ack.header.current_epoch, epoch);
}

#[test]
fn rule_1_who_has_no_slots_says_nothing() {
    let mut lone = failing();
    let own = slots(0, 5460).iter().collect();
    lone.command(ClusterCommand::DelSlots(own)).unwrap();
    let request = lone.request();
    assert!(!ask(&mut lone, request));
    assert!(!lone.logged("Failover auth denied"));
}

#[test]
fn rule_2_nobody_votes_right_after_its_start() {
    let mut lone = Lone::start(&three("master,fail"));
    lone.give(Input::Tick);
    let request = lone.request();
    assert!(!ask(&mut lone, request));
    assert!(lone.logged("it is not safe to vote in this moment)"));
}

#[test]
fn rule_3_an_old_epoch_is_refused() {
    let mut lone = failing();
    let mut request = lone.request();
    request.current_epoch = Epoch(2);
    assert!(!ask(&mut lone, request));
    assert!(lone.logged("reqEpoch (2) < curEpoch(3)"));
}

#[test]
fn rule_4_one_vote_per_epoch_whoever_asks() {
    let mut lone = failing();
    let request = lone.request();
    assert!(ask(&mut lone, request.clone()));
    assert!(!ask(&mut lone, request));
    assert!(lone.logged("already voted for epoch 4"));
}

/// Breaks my link to the candidate and makes a new one; gives the votes that leave on it, before and after an answer.
fn votes_on_a_new_link(lone: &mut Lone) -> [Vec<Epoch>; 2] {
    let link = lone.outbound[&id('4')];
    lone.give(Input::LinkClosed { link });
    lone.pass(std::time::Duration::from_millis(100));
    lone.effects.clear();
    let link = lone.outbound[&id('4')];
    lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
    let votes = |lone: &Lone| {
        let acks = lone.sent().into_iter().filter(|(l, m)| *l == link && m.body == Body::AuthAck);
        acks.map(|(_, m)| m.header.current_epoch).collect()
    };
    let before = votes(lone);
    let header = lone.header(id('4'));
    lone.receive(link, header, Body::Pong(Default::default()));
    [before, votes(lone)]
}

/// The vote may have left on a link whose other end was gone (15.3 S16). It names nobody, so it is not said again before
/// the peer has shown that it is the candidate: another node may have its address.
#[test]
fn a_vote_is_said_again_on_a_new_link_and_is_the_same_vote() {
    let mut lone = failing();
    let request = lone.request();
    let epoch = request.current_epoch;
    assert!(ask(&mut lone, request));
    assert_eq!(votes_on_a_new_link(&mut lone), [vec![], vec![epoch]]);
    // Not to a candidate that was refused since.
    lone.give(Input::RefuseVotes(vec![id('4')]));
    assert_eq!(votes_on_a_new_link(&mut lone), [vec![], vec![]]);
}

#[test]
fn a_withdrawn_candidate_gets_no_vote() {
    let mut lone = failing();
    lone.give(Input::RefuseVotes(vec![id('4')]));
    let request = lone.request();
    assert!(!ask(&mut lone, request.clone()));
    assert!(lone.logged("its promotion was withdrawn"));
    lone.give(Input::RefuseVotes(Vec::new()));
    assert!(ask(&mut lone, request));
}

/// A peer that connects anew may have been started anew, and my own link to it be dead.
#[test]
fn a_peer_that_connects_anew_is_pinged_at_once() {
    let mut lone = failing();
    lone.effects.clear();
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Ping(Default::default()));
    let link = lone.outbound[&id('2')];
    let pings = lone.sent().into_iter().filter(|(l, m)| *l == link && matches!(m.body, Body::Ping(_))).count();
    assert_eq!(pings, 1);
}

#[test]
fn rule_5_only_replicas_of_failed_primaries() {
    let mut lone = failing();
    let mut request = lone.header(id('2'));
    request.current_epoch = Epoch(4);
    lone.effects.clear();
    lone.hear(id('2'), request, Body::AuthRequest);
    assert!(lone.logged("for epoch 4: it is a primary node"));

    let orphan = three("master,fail").replace(&format!("slave {}", id('3')), "slave -");
    let mut lone = Lone::settled(&orphan);
    // The gossip of `settled` must not have taught the primary.
    let mut request = lone.header(id('4'));
    request.current_epoch = Epoch(4);
    request.replica_of = Some(id('3'));
    assert!(!ask(&mut lone, request));

    let mut lone = Lone::settled(&three("master"));
    let request = lone.request();
    assert!(!ask(&mut lone, request));
    assert!(lone.logged("its primary is up"));
    let mut forced = lone.request();
    forced.mflags = MsgFlags::FORCEACK;
    assert!(ask(&mut lone, forced), "a manual failover is granted although the primary is up");
}

#[test]
fn rule_6_a_stale_claim_is_refused_and_corrected() {
    let mut lone = failing();
    let mut request = lone.request();
    request.config_epoch = Epoch(1);
    assert!(!ask(&mut lone, request));
    assert!(lone.logged("slot 10923 epoch (3) > reqConfigEpoch (1)"));
    assert!(lone.logged("has old slots configuration, sending an UPDATE message about"));
    let update = lone.sent().into_iter().find_map(|(_, m)| match m.body {
        Body::Update(update) => Some(update),
        _ => None,
    });
    let update = update.expect("the requester is told");
    assert_eq!((update.id, update.config_epoch, update.slots), (id('3'), Epoch(3), slots(10923, 16383)));
}

#[test]
fn who_cannot_save_does_not_vote() {
    let mut lone = failing();
    lone.give(Input::PersistOutcome { ok: false });
    let request = lone.request();
    assert!(!ask(&mut lone, request.clone()));
    lone.give(Input::PersistOutcome { ok: true });
    assert!(ask(&mut lone, request));
}

#[test]
fn a_vote_counts_once_and_only_from_voters() {
    // I am the replica `4` of the failed `3`; `1`, `2`, `5` vote, so three of four are needed.
    let text = three("master,fail")
        .replace("myself,master", "master")
        .replace("slave", "myself,slave")
        .replace("127.0.0.1:7004", ":7001")
        .replace("5461-10922", "5461-8000")
        .replace(
            "vars",
            &format!(
                "{} 127.0.0.1:7005@17005,,tls-port=0,shard-id={} master - 0 0 5 connected 8001-10922\nvars",
                id('5'),
                id('5')
            ),
        );
    let mut lone = Lone::connected(&text);
    assert!(!lone.cluster.is_primary());
    let epoch = lone.cluster.current_epoch();
    assert!(epoch > Epoch(5), "an election has been started");
    let vote = |lone: &mut Lone, from: NodeId| {
        let mut header = lone.header(from);
        header.current_epoch = epoch;
        lone.hear(from, header, Body::AuthAck);
    };
    for _ in 0..3 {
        vote(&mut lone, id('1'));
    }
    vote(&mut lone, id('2'));
    assert!(!lone.cluster.is_primary(), "two voters are no majority of four, however often they speak");
    vote(&mut lone, id('5'));
    assert!(lone.cluster.is_primary());
    assert_eq!(lone.cluster.config_epoch(), epoch);
}

/// Me as a replica of `3`, whose claim I know with an old epoch.
fn behind() -> Lone {
    let line = |digit: char, flags: &str, primary: &str, rest: &str, shard: char| {
        let port = 7000 + digit.to_digit(10).unwrap();
        let (id, shard, bus) = (id(digit), id(shard), port + 10_000);
        format!("{id} 127.0.0.1:{port}@{bus},,tls-port=0,shard-id={shard} {flags} {primary} 0 0 {rest}\n")
    };
    let text = line('1', "myself,slave", id('3').as_str(), "1 connected", '3')
        + &line('2', "master", "-", "2 connected 0-8000", '2')
        + &line('3', "master", "-", "1 connected 8001-16383", '3')
        + "vars currentEpoch 5 lastVoteEpoch 0\n";
    Lone::connected(&text)
}

fn requests(lone: &Lone) -> Vec<Header> {
    let to_2 = lone.outbound[&id('2')];
    let asked = lone.sent().into_iter().filter(|(link, m)| *link == to_2 && m.body == Body::AuthRequest);
    asked.map(|(_, m)| m.header).collect()
}

#[test]
fn who_asked_with_an_old_claim_asks_again_once_it_is_told() {
    let mut lone = behind();
    lone.effects.clear();
    lone.command(ClusterCommand::Failover { mode: FailoverMode::Force, replica_id: None }).unwrap();
    assert_eq!(requests(&lone).len(), 1);
    lone.effects.clear();
    let update = Update { config_epoch: Epoch(4), id: id('3'), slots: slots(8001, 16383) };
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Update(update));
    let again = requests(&lone);
    assert_eq!(again.len(), 1, "nothing is waited for");
    assert_eq!((again[0].config_epoch, again[0].current_epoch), (Epoch(4), Epoch(7)));
}

/// A node may follow a primary that it has just met, and be told to take over before it hears from it again.
#[test]
fn the_claim_of_who_was_just_met_has_its_epoch() {
    let text = format!("{} 127.0.0.1:7001@17001 myself,master - 0 0 0 connected\n", id('1'));
    let mut lone = Lone::connected(&(text + "vars currentEpoch 0 lastVoteEpoch 0\n"));
    lone.command(ClusterCommand::Meet { ip: "127.0.0.1".to_owned(), port: 7002, bus_port: 17002 }).unwrap();
    lone.pass(std::time::Duration::from_millis(100));
    let link = *lone.outbound.values().last().unwrap();
    lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
    let mut header = lone.header(id('2'));
    (header.config_epoch, header.current_epoch, header.slots) = (Epoch(6), Epoch(8), slots(0, 16383));
    lone.receive(link, header, Body::Pong(Default::default()));
    let Ok(ClusterReply::Text(nodes)) = lone.command(ClusterCommand::Nodes(Default::default())) else { panic!() };
    let met = nodes.lines().find(|line| line.starts_with(id('2').as_str())).unwrap();
    assert!(met.ends_with(" 6 connected 0-16383"), "{met}");
    assert_eq!(lone.cluster.current_epoch(), Epoch(8));
}
