//! Makes a plan that fails as small as it goes: fewer deeds, fewer nodes, shorter times, a plainer world, as long as what
//! is left breaks the same invariant. Every step is a whole run, so there is a bound for them.

use crate::Sabotage;
use crate::plan::{Act, Deed, Plan, Target};
use crate::world::{Options, Report, run};

/// Runs that one shrinking may take.
const RUNS_MAX: usize = 400;
/// Words by which the sentence of an invariant is known.
const WORDS: usize = 6;

/// What is left of a plan.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The small plan.
    pub plan: Plan,
    /// Its run.
    pub report: Report,
    /// How many runs it took.
    pub runs: usize,
}

/// Shrinks the plan of a run that fails; none if it doesn't fail.
pub fn shrink(seed: u64, plan: Plan, sabotage: Option<Sabotage>) -> Option<Shrunk> {
    let attempt = |plan: &Plan| run(seed, Options { plan: Some(plan.clone()), sabotage, ..Options::default() });
    let report = attempt(&plan);
    let broken = sentence(report.violations.first()?);
    let mut best = Shrunk { plan, report, runs: 1 };
    loop {
        let before = size(&best.plan);
        for change in CHANGES {
            for plan in change(&best.plan) {
                if size(&plan) >= size(&best.plan) || best.runs >= RUNS_MAX {
                    continue;
                }
                best.runs += 1;
                let report = attempt(&plan);
                if report.violations.first().is_some_and(|v| sentence(v) == broken) {
                    (best.plan, best.report) = (plan, report);
                }
            }
        }
        if size(&best.plan) == before || best.runs >= RUNS_MAX {
            return Some(best);
        }
    }
}

/// What an invariant says, without the numbers, names and times of one run.
pub fn sentence(violation: &str) -> String {
    let said = violation.split_once(": ").map_or(violation, |(_, said)| said);
    let plain = said.split_ascii_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    plain.take(WORDS).collect::<Vec<_>>().join(" ")
}

/// How large a plan is: what comes first counts most.
fn size(plan: &Plan) -> [u64; 4] {
    let time: u64 = plan.acts.iter().map(|act| act.at_ms + act.for_ms).sum();
    let disorder = [
        plan.net.loss_permille,
        plan.upstream_percent,
        plan.drift_ppm,
        plan.wall_skew_ms,
        plan.save_period_ms,
        plan.sync_max_us,
        plan.gate_max_us,
        plan.snapshot_max_us,
    ];
    let pauses = plan.pauses.iter().flatten().count() as u64;
    let peculiar = disorder.iter().filter(|value| **value > 0).count() as u64;
    [plan.acts.len() as u64 + pauses, plan.procs() as u64, plan.clients as u64 + peculiar, time + plan.acts_ms]
}

type Change = fn(&Plan) -> Vec<Plan>;

const CHANGES: [Change; 5] = [fewer_acts, fewer_pauses, fewer_nodes, plainer, shorter];

/// Without each half, quarter and so on of the deeds.
fn fewer_acts(plan: &Plan) -> Vec<Plan> {
    let count = plan.acts.len();
    let mut out = Vec::new();
    let mut part = count;
    while part > 0 {
        for from in (0..count).step_by(part) {
            let mut smaller = plan.clone();
            let until = (from + part).min(count);
            smaller.acts.drain(from..until);
            if smaller.pauses.len() == count {
                smaller.pauses.drain(from..until);
            }
            out.push(smaller);
        }
        part /= 2;
    }
    out
}

fn fewer_pauses(plan: &Plan) -> Vec<Plan> {
    let mut out = Vec::new();
    for (act, pauses) in plan.pauses.iter().enumerate() {
        for place in 0..pauses.len() {
            let mut smaller = plan.clone();
            smaller.pauses[act].remove(place);
            out.push(smaller);
        }
    }
    out
}

fn fewer_nodes(plan: &Plan) -> Vec<Plan> {
    let mut out = Vec::new();
    for shards in 1..=plan.shards {
        for replicas in 1..=plan.replicas {
            let mut smaller = Plan { shards, replicas, ..plan.clone() };
            let procs = smaller.procs();
            let fit = |target: Target| match target {
                Target::Proc(no) => Target::Proc(no % procs),
                Target::Primary(shard) => Target::Primary(shard % shards),
                Target::Replica(shard) => Target::Replica(shard % shards),
            };
            smaller.acts.iter_mut().for_each(|act| act.deed = retarget(act.deed, fit));
            smaller.pauses.iter_mut().flatten().for_each(|pause| pause.target = fit(pause.target));
            out.push(smaller);
        }
    }
    out
}

fn retarget(deed: Deed, fit: impl Fn(Target) -> Target) -> Deed {
    match deed {
        Deed::Crash(t, end) => Deed::Crash(fit(t), end),
        Deed::Pause(t) => Deed::Pause(fit(t)),
        Deed::Reset(t) => Deed::Reset(fit(t)),
        Deed::Stop(t, kind) => Deed::Stop(fit(t), kind),
        Deed::StopAborted(t) => Deed::StopAborted(fit(t)),
        Deed::Failover(t, mode) => Deed::Failover(fit(t), mode),
        Deed::HandOver(t) => Deed::HandOver(fit(t)),
        Deed::Partition { .. } | Deed::Slow(_) => deed,
    }
}

/// One peculiarity of the world less.
fn plainer(plan: &Plan) -> Vec<Plan> {
    let without: [fn(&mut Plan); 10] = [
        |p| p.upstream_percent = 0,
        |p| p.clients = 1,
        |p| p.clients = p.clients.div_ceil(2),
        |p| p.net.loss_permille = 0,
        |p| p.drift_ppm = 0,
        |p| p.wall_skew_ms = 0,
        |p| p.save_period_ms = 0,
        |p| p.sync_max_us = 0,
        |p| p.gate_max_us = 0,
        |p| p.snapshot_max_us = 0,
    ];
    let one = |change: &fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        smaller
    };
    without.iter().map(one).collect()
}

fn shorter(plan: &Plan) -> Vec<Plan> {
    let mut out = vec![Plan { acts_ms: plan.acts_ms / 2, ..plan.clone() }];
    for place in 0..plan.acts.len() {
        let act = plan.acts[place];
        for shorter in
            [Act { at_ms: 0, ..act }, Act { at_ms: act.at_ms / 2, ..act }, Act { for_ms: act.for_ms / 2, ..act }]
        {
            let mut smaller = plan.clone();
            smaller.acts[place] = shorter;
            out.push(smaller);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_invariant_and_not_the_run() {
        let one = "at 12.3ms: 4b6f voted for 77aa and for 0c1d in epoch 9";
        let other = "at 999.0ms: 0aa1 voted for 5511 and for 1111 in epoch 12";
        assert_eq!(sentence(one), sentence(other));
        assert_ne!(sentence(one), sentence("at 1.0ms: n3 had data up to 5 and has it up to 4 now"));
    }
}
