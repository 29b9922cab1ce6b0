//! A plan as text, so that a run that fails can be kept, changed by hand and run again: one line a parameter, one a deed.
//! Reading what was written gives the same plan. It never reads a file; that is the program's business.

use crate::disk::End;
use crate::plan::{Act, Deed, Pause, Plan, Profile, Target};
use baton_cluster::FailoverMode;
use baton_node::StopKind;
use std::fmt::Write as _;

/// One number of a plan.
struct Field {
    name: &'static str,
    show: fn(&Plan) -> u64,
    set: fn(&mut Plan, u64),
}

macro_rules! numbers {
    ($($name:literal $($path:ident).+ : $kind:ident),+ $(,)?) => {
        &[$(Field {
            name: $name,
            show: |plan| plan.$($path).+ as u64,
            set: |plan, value| plan.$($path).+ = numbers!(@ $kind value),
        }),+]
    };
    (@ bool $value:ident) => { $value != 0 };
    (@ number $value:ident) => { $value };
    (@ count $value:ident) => { $value as usize };
}

const FIELDS: &[Field] = numbers![
    "shards" shards: count,
    "replicas" replicas: count,
    "witnesses" witnesses: count,
    "node-timeout-ms" node_timeout_ms: number,
    "detect-silence-ms" detect_silence_ms: number,
    "restart-wait-ms" restart_wait_ms: number,
    "failover-timeout-ms" failover_timeout_ms: number,
    "lease" lease: bool,
    "write-ack-replicas" write_ack_replicas: number,
    "start-max-us" start_max_us: number,
    "delay-min-us" net.delay_min_us: number,
    "delay-max-us" net.delay_max_us: number,
    "loss-permille" net.loss_permille: number,
    "resend-us" net.resend_us: number,
    "bytes-per-us" net.bytes_per_us: number,
    "refused-at-once" net.refused_at_once: bool,
    "sync-max-us" sync_max_us: number,
    "gate-max-us" gate_max_us: number,
    "snapshot-max-us" snapshot_max_us: number,
    "backlog-bytes" backlog_bytes: number,
    "diskless" diskless: bool,
    "load-in-place" load_in_place: bool,
    "drift-ppm" drift_ppm: number,
    "wall-skew-ms" wall_skew_ms: number,
    "save-period-ms" save_period_ms: number,
    "upstream-percent" upstream_percent: number,
    "clients" clients: count,
    "think-max-us" think_max_us: number,
    "patience-ms" patience_ms: number,
    "op-bytes-max" op_bytes_max: number,
    "acts-ms" acts_ms: number,
];

/// Writes a plan and the seed of its chance.
pub fn write(seed: u64, plan: &Plan) -> String {
    let mut out = format!("seed {seed}\nprofile {}\n", profile_name(plan.profile));
    for field in FIELDS {
        let _ = writeln!(out, "{} {}", field.name, (field.show)(plan));
    }
    for (index, act) in plan.acts.iter().enumerate() {
        let _ = writeln!(out, "act {} {} {}", act.at_ms, act.for_ms, deed_text(act.deed));
        for pause in plan.pauses.get(index).into_iter().flatten() {
            let _ = writeln!(out, "pause {} {} {}", pause.after_us, pause.for_us, target_text(pause.target));
        }
    }
    out
}

/// Reads a plan; whatever is not said is as in a cluster in which nothing happens.
///
/// # Errors
/// Says which line is not understood.
pub fn read(text: &str) -> Result<(u64, Plan), String> {
    let mut plan = Plan::steady(3, 1);
    let mut seed = 1;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        read_line(&mut seed, &mut plan, &words).ok_or(format!("not understood: {line}"))?;
    }
    if plan.shards == 0 || plan.procs() > 2000 {
        return Err("a cluster has at least one shard and at most 2000 processes".to_owned());
    }
    plan.pauses.resize(plan.acts.len(), Vec::new());
    Ok((seed, plan))
}

fn read_line(seed: &mut u64, plan: &mut Plan, words: &[&str]) -> Option<()> {
    match words {
        ["seed", value] => *seed = value.parse().ok()?,
        ["profile", name] => plan.profile = PROFILES.iter().find(|(n, _)| n == name)?.1,
        ["act", at, time, deed @ ..] => {
            let (at_ms, for_ms) = (at.parse().ok()?, time.parse().ok()?);
            plan.acts.push(Act { at_ms, for_ms, deed: read_deed(deed)? });
        }
        ["pause", after, time, target @ ..] => {
            let (after_us, for_us) = (after.parse().ok()?, time.parse().ok()?);
            plan.pauses.resize(plan.acts.len(), Vec::new());
            plan.pauses.last_mut()?.push(Pause { target: read_target(target)?, after_us, for_us });
        }
        [name, value] => (FIELDS.iter().find(|f| f.name == *name)?.set)(plan, value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

const PROFILES: [(&str, Profile); 3] =
    [("planned", Profile::Planned), ("paused", Profile::Paused), ("chaos", Profile::Chaos)];
const ENDS: [(&str, End); 3] = [("process", End::Process), ("machine", End::Machine), ("disk", End::Disk)];
const STOPS: [(&str, StopKind); 3] =
    [("sigterm", StopKind::Sigterm), ("failover", StopKind::ShutdownFailover), ("plain", StopKind::Plain)];
const MODES: [(&str, FailoverMode); 3] =
    [("default", FailoverMode::Default), ("force", FailoverMode::Force), ("takeover", FailoverMode::Takeover)];

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("?", |(name, _)| name)
}

fn named<T: Copy>(table: &[(&'static str, T)], name: &str) -> Option<T> {
    table.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
}

fn profile_name(profile: Profile) -> &'static str {
    name_of(&PROFILES, &profile)
}

fn target_text(target: Target) -> String {
    match target {
        Target::Proc(no) => format!("proc {no}"),
        Target::Primary(shard) => format!("primary {shard}"),
        Target::Replica(shard) => format!("replica {shard}"),
    }
}

fn read_target(words: &[&str]) -> Option<Target> {
    let [kind, number] = words else { return None };
    let number = number.parse().ok()?;
    match *kind {
        "proc" => Some(Target::Proc(number)),
        "primary" => Some(Target::Primary(number)),
        "replica" => Some(Target::Replica(number)),
        _ => None,
    }
}

fn deed_text(deed: Deed) -> String {
    match deed {
        Deed::Crash(t, end) => format!("crash {} {}", name_of(&ENDS, &end), target_text(t)),
        Deed::Pause(t) => format!("pause {}", target_text(t)),
        Deed::Partition { mask, one_way } => format!("partition {mask} {}", u8::from(one_way)),
        Deed::Reset(t) => format!("reset {}", target_text(t)),
        Deed::Slow(times) => format!("slow {times}"),
        Deed::Stop(t, kind) => format!("stop {} {}", name_of(&STOPS, &kind), target_text(t)),
        Deed::StopAborted(t) => format!("stop-aborted {}", target_text(t)),
        Deed::Failover(t, mode) => format!("failover {} {}", name_of(&MODES, &mode), target_text(t)),
        Deed::HandOver(t) => format!("hand-over {}", target_text(t)),
    }
}

fn read_deed(words: &[&str]) -> Option<Deed> {
    match words {
        ["crash", end, target @ ..] => Some(Deed::Crash(read_target(target)?, named(&ENDS, end)?)),
        ["pause", target @ ..] => Some(Deed::Pause(read_target(target)?)),
        ["partition", mask, one_way] => Some(Deed::Partition { mask: mask.parse().ok()?, one_way: *one_way == "1" }),
        ["reset", target @ ..] => Some(Deed::Reset(read_target(target)?)),
        ["slow", times] => Some(Deed::Slow(times.parse().ok()?)),
        ["stop", kind, target @ ..] => Some(Deed::Stop(read_target(target)?, named(&STOPS, kind)?)),
        ["stop-aborted", target @ ..] => Some(Deed::StopAborted(read_target(target)?)),
        ["failover", mode, target @ ..] => Some(Deed::Failover(read_target(target)?, named(&MODES, mode)?)),
        ["hand-over", target @ ..] => Some(Deed::HandOver(read_target(target)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        for seed in 1..300 {
            let plan = Plan::of(seed);
            let text = write(seed, &plan);
            let (seed_read, read) = read(&text).unwrap();
            assert_eq!((seed_read, write(seed, &read)), (seed, text));
            assert_eq!(format!("{:?}", (read.acts, read.net)), format!("{:?}", (plan.acts, plan.net)));
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for line in ["shards", "shards x", "nothing 1", "act 1 2 crash primary 0", "shards 0", "pause 1 2 proc 0"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
