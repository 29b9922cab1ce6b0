//! What has gone wrong elsewhere, one small scenario each: the faults that lead there, and what must come of them here. Each
//! is a plan as text, as `baton-sim --shrink` prints it, so a new one costs a few lines.

mod data;
mod elections;
mod handovers;
mod quorum;
mod witnesses;

use baton_sim::{Options, Report, Sabotage, plan_text, run};

/// What all scenarios have in common: an ordinary network, a short node timeout, a few busy clients.
const COMMON: &str = "
    node-timeout-ms 1000
    start-max-us 100000
    sync-max-us 1000
    clients 4
    think-max-us 10000
    op-bytes-max 200
    acts-ms 3000
";

/// Chances that each scenario is tried with.
const SEEDS: std::ops::Range<u64> = 1..6;

/// Runs a scenario with several chances and expects that no invariant breaks; then each report is looked at.
fn play(scenario: &str, judge: impl Fn(&Report)) {
    for seed in SEEDS {
        let report = report(seed, scenario, None);
        assert!(report.violations.is_empty(), "seed {seed} of {scenario}\n{:#?}", report.violations);
        assert!(!report.hopeless && report.planned > 0, "seed {seed} doesn't come to its end: {report:?}");
        let upstream = scenario.contains("upstream");
        assert!(upstream || report.emptied == 0, "seed {seed} of {scenario}\n{report:?}");
        judge(&report);
    }
}

fn report(seed: u64, scenario: &str, sabotage: Option<Sabotage>) -> Report {
    let (_, plan) = plan_text::read(&format!("{COMMON}\n{scenario}")).expect("a scenario is a plan");
    run(seed, Options { plan: Some(plan), sabotage, ..Options::default() })
}

/// What to take away from a scenario to see it fail.
enum Without {
    /// A rule of the process around the node.
    Rule(Sabotage),
    /// A remedy of the node, by lines that switch it off.
    Remedy(&'static str),
}

/// Plays a scenario in which all is well, and shows that it isn't without what the scenario is about: with some chance an
/// invariant breaks, or the report is not as it should be.
fn prove(scenario: &str, without: &Without, well: impl Fn(&Report) -> bool) {
    play(scenario, |report| assert!(well(report), "{scenario}\n{report:?}"));
    let fails = |seed| {
        let report = match without {
            Without::Rule(sabotage) => report(seed, scenario, Some(*sabotage)),
            Without::Remedy(lines) => report(seed, &format!("{scenario}\n{lines}"), None),
        };
        !report.violations.is_empty() || !well(&report)
    };
    assert!(SEEDS.into_iter().any(fails), "nothing is missed without what this is about: {scenario}");
}
