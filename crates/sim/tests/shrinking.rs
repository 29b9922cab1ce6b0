//! A run that fails is made small: with a rule broken on purpose, so that there is something to find.

use baton_sim::plan::{Plan, Profile};
use baton_sim::shrink::{sentence, shrink};
use baton_sim::{Options, Sabotage, plan_text, run};

#[test]
fn a_failing_plan_shrinks_to_one_deed_in_a_small_cluster_and_still_fails_from_its_text() {
    let sabotage = Some(Sabotage::LateWrites);
    let large = |seed: &u64| {
        let plan = Plan::of(*seed);
        plan.profile == Profile::Planned && plan.acts.len() >= 4 && plan.procs() >= 6
    };
    let fails = |seed: &u64| !run(*seed, Options { sabotage, ..Options::default() }).violations.is_empty();
    let seed = (1..400).filter(large).find(fails).expect("a broken rule shows");
    let shrunk = shrink(seed, Plan::of(seed), sabotage).expect("it fails");
    assert_eq!(shrunk.plan.acts.len(), 1, "{:?}", shrunk.plan);
    assert!(shrunk.plan.procs() < 6, "{:?}", shrunk.plan);
    let (seed_again, again) = plan_text::read(&plan_text::write(seed, &shrunk.plan)).unwrap();
    let report = run(seed_again, Options { sabotage, plan: Some(again), ..Options::default() });
    assert_eq!(sentence(&report.violations[0]), sentence(&shrunk.report.violations[0]));
    assert_eq!(report.hash, shrunk.report.hash, "its text is the whole plan");
}

#[test]
fn nothing_is_left_of_a_plan_that_does_not_fail() {
    assert!(shrink(2, Plan::of(2), None).is_none());
}
