//! Lost data: empty primaries, empty replicas, primaries that don't know that they were replaced.

use crate::{Without, play, prove};
use baton_sim::Sabotage;

/// Clients of every scenario: each may lose the write that was under way when a primary died.
const CLIENTS: u64 = 4;

/// C3, S6. Upstream: a primary whose process is started again within the node timeout, without its data, is primary with
/// nothing, and its replicas give theirs up. Here they keep it, and one of them takes over.
#[test]
fn a_primary_that_comes_back_empty_wipes_nobody() {
    for replicas in [1, 2] {
        play(&format!("profile chaos\nreplicas {replicas}\nact 1000 20 crash process primary 0"), |report| {
            assert!(report.lost <= CLIENTS, "{report:?}");
        });
    }
}

/// The same with an old snapshot on the disk: the primary comes back with less than its replicas have.
#[test]
fn a_primary_that_comes_back_with_an_old_snapshot_steps_behind() {
    play("profile chaos\nsave-period-ms 900\nact 1300 20 crash process primary 0", |report| {
        assert!(report.lost <= CLIENTS, "{report:?}");
    });
}

/// A machine comes back without its disk, at its address, and is somebody else. The replica of whom it was finds it there,
/// and keeps what it has until it takes over. Upstream's gives it up.
#[test]
fn a_stranger_at_the_address_of_a_primary_wipes_nobody() {
    // The two of them are cut off, so that nobody can tell the replica in time.
    let scenario = "profile chaos\nact 1990 2000 partition 36 0\nact 2000 50 crash disk proc 2";
    prove(scenario, &Without::Rule(Sabotage::SyncAnybody), |report| report.lost <= CLIENTS && report.emptied == 0);
}

/// C4, S5. Upstream: a replica that lost its data and has not synchronised yet may win when its primary dies. Here only
/// the one that has everything may stand.
#[test]
fn a_replica_in_the_midst_of_a_synchronisation_never_wins() {
    let scenario = "profile chaos
        replicas 2
        snapshot-max-us 900000
        act 800 20 crash process replica 0
        act 1000 2500 crash process primary 0";
    play(scenario, |report| assert!(report.lost <= CLIENTS, "{report:?}"));
}

/// C5. Upstream: after a chain of failovers an old primary comes back as a second primary of its shard, and may win a
/// collision of epochs with less data. Here each that returns follows whoever serves the slots.
#[test]
fn a_chain_of_failovers_leaves_one_primary() {
    let scenario = "profile chaos
        replicas 2
        act 500 900 crash process primary 0
        act 1000 900 crash process primary 0
        act 1500 400 crash process primary 0
        act 2100 300 crash process primary 0";
    play(scenario, |_| {});
}

/// C6. Garnet: a node that was away keeps an old claim of its slots for ever, as its epoch keeps newer ones out. Here a
/// primary that was cut off for long takes the newer claim as soon as it hears it.
#[test]
fn a_stale_owner_gives_its_slots_up() {
    play("profile chaos\nact 200 4000 partition 1 0", |report| assert!(report.recovery_ms < 15_000, "{report:?}"));
    play("profile chaos\nact 200 4000 partition 1 1", |report| assert!(report.recovery_ms < 15_000, "{report:?}"));
}

/// D3. Upstream: with a backlog smaller than what is written during a synchronisation, the next one begins where the last
/// one ended, for ever. Here what comes behind a snapshot waits with it.
#[test]
fn a_small_backlog_does_not_make_synchronisations_endless() {
    let scenario = "profile chaos
        backlog-bytes 4096
        op-bytes-max 8000
        snapshot-max-us 700000
        act 500 0 reset replica 0
        act 1000 0 reset replica 0
        act 1500 20 crash process replica 0
        act 2500 0 reset primary 0";
    play(scenario, |report| assert_eq!(report.lost, 0, "{report:?}"));
}

/// S10. Two replicas take over without asking anybody, in one moment: one of them is primary in the end.
#[test]
fn two_takeovers_leave_one_primary() {
    let scenario = "profile chaos
        replicas 2
        act 1000 0 failover takeover replica 0
        act 1000 0 failover takeover replica 0
        act 1001 0 failover takeover replica 0";
    play(scenario, |_| {});
}

/// S6 three times at once: primaries that all come back with less than their replicas have wait for each other's votes.
#[test]
fn s6_of_all_shards_at_once() {
    let scenario = "profile chaos
        replicas 2
        sync-max-us 20000
        act 1000 3000 crash process primary 0
        act 1105 100 crash machine primary 1
        act 1112 100 crash machine primary 2
        act 1300 100 crash machine primary 1";
    play(scenario, |_| {});
}

/// S6. Who waits for a replica that has more, and does not speak this release's words, falls silent so that it is replaced.
/// When that one is gone for good, it speaks again, and serves what there is.
#[test]
fn nobody_waits_for_ever_for_one_that_is_gone_for_good() {
    let scenario = "profile chaos
        shards 1
        witnesses 1
        node-timeout-ms 2000
        delay-min-us 20
        delay-max-us 240
        sync-max-us 0
        snapshot-max-us 0
        save-period-ms 3000
        clients 1
        think-max-us 2000
        op-bytes-max 1000
        act 558 50 crash machine primary 0
        act 1843 50 failover default replica 0
        act 2374 1000 crash machine replica 0
        act 2624 37 crash process primary 0
        act 3872 39 crash disk replica 0";
    play(scenario, |report| assert!(report.recovery_ms < 30_000, "{report:?}"));
}
