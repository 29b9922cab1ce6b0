//! What has gone wrong elsewhere, one small scenario each: the faults that lead there, and what must come of them here. Each
//! is a plan as text, as `baton-sim --shrink` prints it, so a new one costs a few lines.

mod data;
mod elections;
mod handovers;

use baton_sim::{Options, Report, plan_text, run};

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
        let text = format!("{COMMON}\n{scenario}");
        let (_, plan) = plan_text::read(&text).expect("a scenario is a plan");
        let report = run(seed, Options { plan: Some(plan), ..Options::default() });
        assert!(report.violations.is_empty(), "seed {seed} of {text}\n{:#?}", report.violations);
        assert!(!report.hopeless && report.planned > 0, "seed {seed} doesn't come to its end: {report:?}");
        let upstream = text.contains("upstream");
        assert!(upstream || report.emptied == 0, "seed {seed} of {text}\n{report:?}");
        judge(&report);
    }
}
