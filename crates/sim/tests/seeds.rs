//! A fixed set of seeds as an ordinary test, the same seed twice, and rules broken on purpose, which must be noticed.

use baton_sim::plan::{Act, Deed, Plan, Profile, Target};
use baton_sim::{Options, Report, Sabotage, run};

/// Seeds that run with every test of the workspace; nightly runs have thousands of others.
const SEEDS: std::ops::Range<u64> = 1..33;

fn run_plain(seed: u64) -> Report {
    run(seed, Options::default())
}

#[test]
fn no_invariant_breaks() {
    for seed in SEEDS {
        let report = run_plain(seed);
        assert!(report.violations.is_empty(), "baton-sim --seed {seed} --trace\n{:#?}", report.violations);
        assert!(report.hopeless || report.planned > 0, "seed {seed} shows nothing");
    }
}

#[test]
fn a_seed_is_a_run() {
    for seed in [2, 3, 5] {
        let (first, second) = (run_plain(seed), run_plain(seed));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}");
    }
    assert_ne!(run_plain(2).hash, run_plain(3).hash);
}

/// Runs seeds of a kind with a broken rule until that rule's own check notices it: other checks may stumble over the same
/// fault first.
fn assert_noticed(sabotage: Sabotage, profile: Profile, words: &[&str]) {
    assert_noticed_in(sabotage, |plan| plan.profile == profile, words);
}

fn assert_noticed_in(sabotage: Sabotage, fits: impl Fn(&Plan) -> bool, words: &[&str]) {
    let fitting = (1..4000).filter(|seed| fits(&Plan::of(*seed)));
    let mut said = Vec::new();
    for seed in fitting.take(80) {
        let report = run(seed, Options { sabotage: Some(sabotage), ..Options::default() });
        if report.violations.iter().any(|v| words.iter().any(|w| v.contains(w))) {
            return;
        }
        said.extend(report.violations);
    }
    panic!("{sabotage:?} is not noticed by its own check; others said {said:?}");
}

#[test]
fn a_voter_that_votes_twice_is_caught() {
    assert_noticed(Sabotage::VoteTwice, Profile::Planned, &["voted for"]);
}

#[test]
fn a_fence_that_lets_writes_through_is_caught() {
    assert_noticed(Sabotage::LeakyFence, Profile::Planned, &["was acknowledged and", "had data up to"]);
}

#[test]
fn writes_executed_after_the_roles_flipped_are_caught() {
    let words = ["acknowledged writes in epoch", "acknowledged in epoch"];
    assert_noticed(Sabotage::LateWrites, Profile::Planned, &words);
}

#[test]
fn writes_without_a_lease_are_caught() {
    let long =
        |act: &Act| act.for_ms >= 2_500 && matches!(act.deed, Deed::Pause(Target::Primary(_)) | Deed::Partition { .. });
    let fits = |plan: &Plan| {
        let chaos = plan.profile == Profile::Chaos && !plan.is_forced();
        chaos && plan.node_timeout_ms <= 1_000 && plan.acts.iter().any(long)
    };
    assert_noticed_in(Sabotage::NoLease, fits, &["acknowledged in epoch"]);
}

#[test]
fn a_disk_that_forgets_is_caught() {
    assert_noticed(Sabotage::ForgetfulDisk, Profile::Chaos, &["promised", "voted for"]);
}
