//! Every phase with every input: where it leads and what it causes, as a recorded table.

use crate::rig::{Rig, check};
use baton_handover::Phase;
use std::fmt::Write;

/// The shortest way into each phase.
fn way_to(phase: Phase) -> Vec<&'static str> {
    const SEEK: [&str; 4] = ["at 1000", "offset 100000", "replicas a=90000,at=0 b=10,at=0", "request sigterm 1"];
    const CATCH_UP: [&str; 2] = ["at 1001", "replicas a=20000 b=10,at=0"];
    const FENCE: [&str; 1] = ["replicas a=99000 b=10,at=0"];
    const DRAIN: [&str; 1] = ["fenced 100000"];
    const PROMOTE: [&str; 2] = ["at 1002", "replicas a=100000 b=10,at=0"];
    let upto = |parts: &[&[&'static str]]| parts.concat();
    match phase {
        Phase::Idle => vec![],
        Phase::Choose => upto(&[&SEEK]),
        Phase::CatchUp => upto(&[&SEEK, &CATCH_UP]),
        Phase::Fence => upto(&[&SEEK, &CATCH_UP, &FENCE]),
        Phase::Drain => upto(&[&SEEK, &CATCH_UP, &FENCE, &DRAIN]),
        Phase::Promote => upto(&[&SEEK, &CATCH_UP, &FENCE, &DRAIN, &PROMOTE]),
        Phase::Withdraw => upto(&[&SEEK, &CATCH_UP, &FENCE, &DRAIN, &PROMOTE, &["abort"]]),
        Phase::Redirect => upto(&[&SEEK, &CATCH_UP, &FENCE, &DRAIN, &PROMOTE, &["claim a 9"]]),
        Phase::Linger => upto(&[&SEEK, &CATCH_UP, &FENCE, &DRAIN, &PROMOTE, &["claim a 9", "redirected"]]),
        Phase::Stop => vec!["at 1000", "offset 100000", "request sigterm 1"],
        Phase::Exited => vec!["at 1000", "request sigterm 1", "fenced 100000", "saved ok"],
    }
}

const INPUTS: [&str; 27] = [
    "request sigterm 2",
    "request shutdown 2 target=b",
    "request command 2",
    "request command 2 target=b announce",
    "request sigterm 2 takeover",
    "replicas",
    "replicas a=100000",
    "replicas a=100000,sync b=100000",
    "replicas a=99000 b=10,at=0",
    "replicas a=20000,at=0 b=100000,prio=1",
    "replicas a=100000,v=8",
    "offset 120000",
    "fenced 100000",
    "claim a 9",
    "claim b 9",
    "withdrawn a",
    "gone a",
    "asked a",
    "redirected",
    "clients 0",
    "clients 3",
    "saved ok",
    "saved failed",
    "quorum lost",
    "quorum back",
    "abort",
    "tick",
];

#[test]
fn every_phase_with_every_input() {
    let mut out = String::new();
    for phase in Phase::ALL {
        writeln!(out, "== {}", phase.token()).unwrap();
        for input in INPUTS.into_iter().chain(["wait"]) {
            let mut rig = Rig::new();
            for verb in way_to(phase) {
                rig.run(verb);
            }
            assert_eq!(rig.machine.phase(), phase, "the way to {}", phase.token());
            if input == "wait" && rig.machine.next_wake() == baton_base::Mono::NEVER {
                continue;
            }
            let trace = rig.run(input);
            let effects: Vec<&str> = trace.lines().map(str::trim).filter(|line| !line.starts_with("log ")).collect();
            writeln!(out, "{input}: {}", effects.join("; ")).unwrap();
        }
    }
    check("table.txt", &out);
}
