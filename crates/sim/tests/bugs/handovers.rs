//! Planned changes that lost data, left nobody in charge, or kept clients running in circles.

use crate::{Without, play, prove};
use baton_sim::Sabotage;

/// B3. Upstream: while a failover outside a cluster is in progress both nodes are replicas, and send clients to each other.
/// Here clients are held until there is somebody to send them to.
#[test]
fn clients_are_not_sent_in_circles() {
    for deed in ["hand-over primary 0", "failover default replica 0", "stop sigterm primary 0"] {
        play(&format!("profile planned\nact 0 300 {deed}"), |report| {
            assert_eq!((report.planned, report.lost), (1, 0), "{report:?}");
            assert!(report.longest_wait_us < 100_000, "{report:?}");
        });
    }
}

/// B5. Sentinel: the old primary goes on accepting writes after the decision and then throws them away. Here every write that was
/// acknowledged is there afterwards, however busy the clients.
#[test]
fn nothing_acknowledged_is_lost_in_a_busy_handover() {
    let scenario = "profile planned
        clients 16
        think-max-us 500
        act 0 300 failover default replica 0
        act 0 300 hand-over primary 0
        act 0 300 stop failover primary 0
        act 0 300 failover default replica 0";
    play(scenario, |report| assert_eq!((report.planned, report.lost), (4, 0), "{report:?}"));
}

/// B7. An operator took a replica that was just started again for ready, and stopped the primary: every key was lost. Here
/// the primary waits for it.
#[test]
fn a_rolling_restart_in_a_hurry_loses_nothing() {
    let scenario = "profile chaos
        snapshot-max-us 900000
        act 800 50 stop sigterm replica 0
        act 1000 50 stop sigterm primary 0";
    play(scenario, |report| assert_eq!(report.lost, 0, "{report:?}"));
}

/// C7. Garnet: a takeover that failed after writes were stopped left no owner of the slots. Here the primary serves again
/// when its candidate says nothing.
#[test]
fn a_candidate_that_stands_still_leaves_the_primary_in_charge() {
    let scenario = "profile paused
        node-timeout-ms 28000
        act 0 300 hand-over primary 0
        pause 300 7000000 replica 0
        act 0 300 failover default replica 0
        pause 1500 7000000 replica 0";
    play(scenario, |report| assert_eq!(report.lost, 0, "{report:?}"));
}

/// E6. Garnet: with a single shard the old primary does not come back as a replica, and there is no way back to it. Here it
/// does, and the way back is the same command.
#[test]
fn a_single_shard_goes_there_and_back() {
    let scenario = "profile planned
        shards 1
        act 0 300 failover default replica 0
        act 0 300 stop sigterm primary 0
        act 0 300 failover default replica 0";
    play(scenario, |report| assert_eq!((report.planned, report.lost), (3, 0), "{report:?}"));
}

/// Elsewhere, and here before: a candidate is stopped between its victory and the first word of it; its primary orders
/// another one, and that one serves. When the first goes on it is a second primary for a moment. Here its votes let it
/// acknowledge for a moment only, until one who voted for it knows its claim; and mostly it doesn't come so far, since votes
/// that were collected long before don't count, and leave that was taken back doesn't either.
#[test]
fn a_winner_that_stood_still_does_not_acknowledge_beside_the_next_one() {
    for (stands_still_us, disk_us) in [(8500, 5000), (12_500, 5000), (13_500, 5000), (45_000, 60_000), (70_000, 60_000)]
    {
        let scenario = format!(
            "profile paused
            shards 1
            replicas 2
            node-timeout-ms 28000
            delay-min-us 500
            delay-max-us 850
            sync-max-us {disk_us}
            clients 16
            think-max-us 60000
            acts-ms 0
            act 0 0 hand-over primary 0
            pause {stands_still_us} 1307618 replica 0"
        );
        play(&scenario, |report| assert_eq!(report.lost, 0, "{report:?}"));
    }
}

/// Elsewhere, and here before: a candidate stands still and reads the order to take over when its primary has given it up and
/// serves again. The voters know nothing of that. Where nobody had written anything meanwhile it won, and what was
/// acknowledged in the moment before was lost. Here it needs its primary's leave, which that one gives while it holds its
/// writes.
#[test]
fn a_candidate_that_reads_its_order_late_takes_nothing_over() {
    let late = "
        act 0 0 hand-over primary 0
        pause 250000 1100000 replica 0";
    let scenario = format!(
        "profile paused
        shards 1
        witnesses 1
        node-timeout-ms 28000
        detect-silence-ms 0
        failover-timeout-ms 1000
        delay-min-us 90000
        delay-max-us 110000
        clients 2
        think-max-us 5000000
        patience-ms 3000
        acts-ms 0
        {}",
        late.repeat(8)
    );
    prove(&scenario, &Without::Remedy("lease 0"), |report| report.lost == 0);
}

/// A primary whose vote is always needed keeps no lease, and its data plane opens by itself when it hears nothing for long.
/// One that stands still after its vote, for longer than that, finds both that and the claim of its successor when it goes
/// on. Whatever it looks at first, it acknowledges nothing: who waits for a successor has no lease.
#[test]
fn a_primary_that_slept_through_its_handover_does_not_go_on_by_itself() {
    let scenario = "profile paused
        shards 1
        node-timeout-ms 60000
        detect-silence-ms 0
        failover-timeout-ms 1000
        delay-min-us 45000
        delay-max-us 55000
        think-max-us 20000
        patience-ms 20000
        acts-ms 0
        act 0 0 hand-over primary 0
        pause 320000 16000000 primary 0";
    prove(scenario, &Without::Rule(Sabotage::NoLease), |report| report.lost == 0);
}
