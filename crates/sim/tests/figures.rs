//! Large clusters, as large as an ordinary test may be: every shard that has a replica left is served again soon,
//! however many primaries die at once. `baton-sim figures` has the sizes that take minutes.

use baton_sim::figures::{Figures, Subject, measure};
use baton_sim::{Options, Plan};

fn kill(plan: Plan, killed: usize) -> Figures {
    let shape = (plan.shards, plan.replicas);
    let found = measure(&Subject { plan, killed, seed: 7 }, Options::default()).expect("it comes up");
    assert_eq!((found.unserved, found.failovers_ms.len()), (0, killed), "{shape:?} {found:?}");
    found
}

#[test]
fn one_dead_primary_is_replaced_within_half_a_second_at_the_default_node_timeout() {
    for (shards, replicas) in [(3, 1), (3, 2), (10, 1)] {
        let found = kill(Plan::steady(shards, replicas), 1);
        assert!(found.failovers_ms[0] < 500, "{found:?}");
    }
}

#[test]
fn a_third_of_the_primaries_is_replaced_as_if_they_had_died_one_by_one() {
    let found = kill(Plan::steady(30, 1), 10);
    assert!(*found.failovers_ms.last().unwrap() < 500, "{found:?}");
    assert!(found.well_ms.is_some_and(|ms| ms < 500), "{found:?}");
}

/// Disks that take as long for a vote as the others for an election.
#[test]
fn slow_disks_cost_time_and_not_elections() {
    let plan = Plan { sync_max_us: 20_000, ..Plan::steady(30, 1) };
    let found = kill(plan, 10);
    assert!(*found.failovers_ms.last().unwrap() < 1500, "{found:?}");
}
