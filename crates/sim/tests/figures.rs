//! Large clusters, as large as an ordinary test may be: every shard that has a replica left is served again soon,
//! however many primaries die at once. `baton-sim figures` has the sizes that take minutes.

use baton_sim::figures::{Round, Subject, measure};
use baton_sim::{Options, Plan};

fn kill(plan: Plan, killed: &[usize]) -> Vec<Round> {
    let shape = (plan.shards, plan.replicas);
    let found = measure(&Subject { plan, killed: killed.to_vec(), seed: 7 }, Options::default()).expect("all is well");
    let ends: Vec<(usize, usize)> = found.rounds.iter().map(|r| (r.unserved, r.failovers_ms.len())).collect();
    assert_eq!(ends, killed.iter().map(|killed| (0, *killed)).collect::<Vec<_>>(), "{shape:?} {found:?}");
    found.rounds
}

#[test]
fn one_dead_primary_is_replaced_within_half_a_second_at_the_default_node_timeout() {
    for (shards, replicas) in [(3, 1), (3, 2), (10, 1)] {
        let found = kill(Plan::steady(shards, replicas), &[1]);
        assert!(found[0].failovers_ms[0] < 500, "{found:?}");
    }
}

#[test]
fn a_third_of_the_primaries_is_replaced_as_if_they_had_died_one_by_one() {
    let found = kill(Plan::steady(30, 1), &[10]);
    assert!(*found[0].failovers_ms.last().unwrap() < 500, "{found:?}");
    assert!(found[0].well_ms.is_some_and(|ms| ms < 500), "{found:?}");
}

/// One, and then a third of the rest, of a hundred nodes.
#[test]
fn a_hundred_nodes_lose_a_third_of_their_primaries_for_less_than_half_a_second() {
    let found = kill(Plan::steady(50, 1), &[1, 16]);
    assert!(found.iter().all(|round| round.well_ms.is_some_and(|ms| ms < 500)), "{found:?}");
}

/// Disks that take as long for a vote as the others for an election.
#[test]
fn slow_disks_cost_time_and_not_elections() {
    let plan = Plan { sync_max_us: 20_000, ..Plan::steady(30, 1) };
    let found = kill(plan, &[10]);
    assert!(*found[0].failovers_ms.last().unwrap() < 1500, "{found:?}");
}
