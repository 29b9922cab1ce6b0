//! Writes that replicas acknowledged, and what could lose them or show something old.

use crate::{Without, prove};
use baton_sim::Sabotage;

const QUORUM: &str = "profile chaos
    write-ack-replicas 1
    restart-wait-ms 40000
    delay-min-us 3000
    delay-max-us 6000";

/// A primary dies. Whatever it said to be done, its replica has.
#[test]
fn what_was_acknowledged_survives_the_primary() {
    let scenario = format!("{QUORUM}\nact 1000 2500 crash machine primary 0\nact 1500 2500 crash process primary 1");
    prove(&scenario, &Without::Rule(Sabotage::AckAtOnce), |report| report.lost == 0 && report.held > 100);
}

/// A primary is cut off together with clients, and keeps no lease: it doesn't know that it was replaced, and what its
/// clients read there must not be old.
#[test]
fn a_primary_that_was_replaced_shows_nothing_old() {
    let scenario = format!("{QUORUM}\nlease 0\nclients 6\nact 800 4000 partition 449 0\nthink-max-us 3000");
    prove(&scenario, &Without::Rule(Sabotage::EagerReads), |report| report.lost == 0 && report.reads > 50);
}

/// Of two replicas one was cut off and lacks what the other acknowledged, which stands still as the primary does. The one
/// that is left does not take over, however long that lasts.
#[test]
fn a_replica_that_may_lack_something_waits_for_its_sibling() {
    let scenario = format!(
        "{QUORUM}
        replicas 2
        act 600 1420 partition 64 0
        act 2000 3000 pause proc 3
        act 2000 3000 pause proc 0"
    );
    prove(&scenario, &Without::Rule(Sabotage::NoElectionRule), |report| report.lost == 0);
}

/// A replica takes over and its machine fails before its files say more than that. It comes back as the primary, with an old
/// snapshot, and as far as its files know its only replica is the primary that it replaced: that one has more.
#[test]
fn who_won_a_moment_ago_asks_whom_it_replaced() {
    let scenario = format!(
        "{QUORUM}
        save-period-ms 900
        load-in-place 1
        act 1300 0 failover default replica 0
        act 1380 0 crash machine primary 0"
    );
    prove(&scenario, &Without::Remedy("restart-wait-ms 0"), |report| report.lost == 0);
}

/// S6. A replica that was away is back for a moment when its primary fails, whose file still says that it is dead. That file
/// does not decide who is asked.
#[test]
fn a_replica_that_just_came_back_is_asked() {
    let scenario = format!(
        "{QUORUM}
        save-period-ms 500
        delay-min-us 50
        delay-max-us 100
        snapshot-max-us 0
        act 1500 300 stop plain primary 0
        act 1870 0 crash process primary 0"
    );
    prove(&scenario, &Without::Remedy("restart-wait-ms 0"), |report| report.lost == 0);
}

/// S6. A replica is stopped, and its primary comes back with an old snapshot and waits for so long that it takes the replica
/// for dead. When that one is there again, it has more.
#[test]
fn a_replica_that_was_away_and_has_more_is_not_overlooked() {
    let scenario = format!(
        "{QUORUM}
        shards 1
        snapshot-max-us 0
        save-period-ms 900
        act 1500 1400 stop sigterm replica 0
        act 1700 0 crash process primary 0"
    );
    prove(&scenario, &Without::Remedy("restart-wait-ms 0"), |report| report.lost == 0);
}

/// A primary hands over and leaves; the one of its two replicas that took over dies without a file, and comes back together
/// with the one that left. What was acknowledged meanwhile only the third has, and it is not heard for a moment.
#[test]
fn who_left_and_came_back_does_not_stand_for_what_it_acknowledged_before() {
    let scenario = format!(
        "{QUORUM}
        write-ack-replicas 2
        shards 1
        replicas 2
        witnesses 1
        node-timeout-ms 500
        delay-min-us 20
        delay-max-us 60
        clients 1
        act 1137 5000 stop sigterm primary 0
        act 6150 500 crash process primary 0
        act 6700 15 partition 18016979409983795187 0"
    );
    prove(&scenario, &Without::Rule(Sabotage::NoElectionRule), |report| report.lost == 0);
}
