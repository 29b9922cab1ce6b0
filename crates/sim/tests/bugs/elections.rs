//! Elections that come late, collide or are lost.

use crate::{Without, play, prove};
use baton_sim::figures::{Subject, measure};
use baton_sim::{Options, Plan, Sabotage};

/// S1. Upstream: a primary that stood still executes what was queued before it reads that it was replaced, and goes on beside
/// its successor until it does; all of that is lost. Here nothing is acknowledged before a majority has answered again.
#[test]
fn who_was_replaced_acknowledges_nothing_beside_its_successor() {
    let scenario = "profile chaos\nclients 6\nthink-max-us 3000\nact 800 4000 pause primary 0";
    prove(scenario, &Without::Rule(Sabotage::NoLease), |report| report.lost <= 6);
}

/// S2. Upstream: voters never compare offsets and ranks are as old as the last ping, so that a replica may win that lacks what
/// its sibling has. Here siblings tell each other at once, and the one that was cut off for most of a second waits.
#[test]
fn of_two_replicas_the_one_with_more_wins() {
    let scenario = "profile chaos
        replicas 2
        think-max-us 3000
        act 600 900 partition 64 0
        act 1500 2500 crash process primary 0";
    play(scenario, |report| assert!(report.lost <= 4, "{report:?}"));
}

/// A3. Upstream: primaries that die at once are replaced one after the other, half a second apart, and their elections
/// take each other's votes; in a test with 1000 primaries two shards never came back. Here each candidate hears the one
/// before it.
#[test]
fn primaries_that_die_at_once_are_replaced_at_once() {
    for seed in 1..4 {
        let subject = Subject { plan: Plan::steady(13, 1), killed: vec![6], seed };
        let found = measure(&subject, Options::default()).expect("it comes up");
        let round = &found.rounds[0];
        assert!(round.unserved == 0 && round.failovers_ms[5] < 400, "seed {seed}: {found:?}");
    }
}

/// TL. Upstream: an election that two candidates spoiled for each other is repeated after four node timeouts, a minute
/// by default. Here after a moment.
#[test]
fn rivals_do_not_wait_for_node_timeouts() {
    let scenario = "profile chaos
        replicas 2
        node-timeout-ms 15000
        act 1000 0 failover force replica 0
        act 1000 0 failover force replica 1
        act 1000 0 failover force replica 2";
    play(scenario, |report| assert!(report.recovery_ms < 6_000, "{report:?}"));
}

/// A9. Upstream: an operator forces a failover while the primary, being stopped, hands over; each spoils the other's
/// election, which runs into its limit. Here both end in one primary, and soon.
#[test]
fn a_stop_and_a_forced_failover_do_not_spoil_each_other() {
    let scenario = "profile chaos
        act 1000 300 stop sigterm primary 0
        act 1000 0 failover force replica 0
        act 1001 0 failover default replica 0";
    play(scenario, |report| assert!(report.recovery_ms < 6_000, "{report:?}"));
}

/// S8. Upstream: a vote may leave before it is on the disk, so that a voter that fails in that moment votes twice. Here the
/// invariant of votes and epochs watches machines fail during an election.
#[test]
fn a_voter_that_fails_during_an_election_votes_once() {
    let scenario = "profile chaos
        sync-max-us 20000
        replicas 2
        act 1000 3000 crash process primary 0
        act 1105 100 crash machine primary 1";
    play(scenario, |_| {});
}

/// S2, S4. Upstream: a sibling that died with its primary counts among the ranks, and holds the living one up. Here it
/// does not.
#[test]
fn a_sibling_that_died_too_holds_nobody_up() {
    let scenario = "profile chaos
        replicas 2
        node-timeout-ms 4000
        act 1000 2500 crash process primary 0
        act 1000 2500 crash process replica 0";
    play(scenario, |report| assert!(report.lost <= 4, "{report:?}"));
}

/// S16. Upstream: a request for votes, a vote or a FAIL that was lost with its link is not said again. Here links that come
/// back get it.
#[test]
fn links_that_break_during_an_election_cost_a_moment() {
    let scenario = "profile chaos
        act 1000 4000 crash process primary 0
        act 1108 0 reset primary 1
        act 1110 0 reset replica 0
        act 1112 0 reset primary 2
        act 1114 0 reset replica 0";
    play(scenario, |report| assert!(report.recovery_ms < 6_000, "{report:?}"));
}

/// S13. Upstream measures time with the wall clock. Here clocks that are seconds apart and run off cause no failover.
#[test]
fn clocks_that_disagree_cause_nothing() {
    let scenario = "profile planned
        drift-ppm 50000
        wall-skew-ms 10000
        act 0 300 hand-over primary 0
        act 0 300 failover default replica 1";
    play(scenario, |report| assert_eq!((report.planned, report.lost), (2, 0), "{report:?}"));
}

/// Nodes that follow upstream's rules and no others, among ours: whoever dies is replaced, as slowly as they allow, and
/// with what they lose.
#[test]
fn nodes_of_upstream_take_part() {
    for percent in [20, 50, 100] {
        let scenario = format!("profile chaos\nupstream-percent {percent}\nact 1000 6000 crash process primary 0");
        play(&scenario, |_| {});
    }
}
