//! A fixed set of seeds as an ordinary test, the same seed twice, and rules broken on purpose, which must be noticed.

use baton_sim::plan::{Plan, Profile};
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

/// Runs seeds of a kind with a broken rule until that is noticed; gives what was said.
fn noticed(sabotage: Sabotage, profile: Profile) -> String {
    let fitting = (1..200).filter(|seed| Plan::of(*seed).profile == profile);
    for seed in fitting.take(40) {
        let report = run(seed, Options { sabotage: Some(sabotage), ..Options::default() });
        if let Some(violation) = report.violations.first() {
            return violation.clone();
        }
    }
    panic!("{sabotage:?} is not noticed");
}

#[test]
fn a_voter_that_votes_twice_is_caught() {
    let said = noticed(Sabotage::VoteTwice, Profile::Planned);
    assert!(said.contains("voted for"), "{said}");
}

#[test]
fn a_fence_that_lets_writes_through_is_caught() {
    let said = noticed(Sabotage::LeakyFence, Profile::Planned);
    assert!(said.contains("was acknowledged and") || said.contains("had data up to"), "{said}");
}

#[test]
fn writes_executed_after_the_roles_flipped_are_caught() {
    let said = noticed(Sabotage::LateWrites, Profile::Planned);
    assert!(said.contains("acknowledged writes in epoch") || said.contains("acknowledged in epoch"), "{said}");
}

#[test]
fn a_disk_that_forgets_is_caught() {
    let said = noticed(Sabotage::ForgetfulDisk, Profile::Chaos);
    assert!(said.contains("promised") || said.contains("voted for"), "{said}");
}
