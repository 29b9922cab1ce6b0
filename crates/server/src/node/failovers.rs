//! The latest changes of primaries as a reply, newest first: CLUSTER FAILOVERS, and FAILOVER LOG outside clusters. What is
//! not known of a change is left out of its map rather than shown as nothing.

use baton_base::num::parse_i64;
use baton_node::{Change, ChangeOutcome, ChangeStep};
use baton_resp::{Args, Out};

use super::{NOT_INTEGER, Refusal, SYNTAX};
use crate::worker::client::Client;
use crate::worker::context::Context;

/// `[COUNT n]`: all that is remembered, or at most so many.
pub fn run(cx: &Context<'_>, client: &mut Client, options: Args<'_>) -> Result<(), Refusal> {
    let count = match options.len() {
        0 => usize::MAX,
        2 if options.at(0).eq_ignore_ascii_case(b"count") => {
            let count = parse_i64(options.at(1)).ok_or(NOT_INTEGER)?;
            usize::try_from(count).map_err(|_| "ERR count should be greater than or equal to 0")?
        }
        _ => return Err(SYNTAX.into()),
    };
    let chronicle = cx.shared.seen.chronicle();
    let newest: Vec<&Change> = chronicle.changes.iter().rev().take(count).map(AsRef::as_ref).collect();
    client.out.array(newest.len());
    newest.iter().for_each(|change| write_change(&mut client.out, change));
    Ok(())
}

enum Value {
    Text(String),
    Int(i64),
    Flag(bool),
}

fn int(n: impl TryInto<i64>) -> Value {
    Value::Int(n.try_into().unwrap_or(i64::MAX))
}

fn write_change(out: &mut Out, change: &Change) {
    let facts = facts(change);
    let phases: Vec<_> = change.phases().collect();
    out.map(facts.len() + 2);
    facts.iter().for_each(|(name, value)| write_fact(out, name, value));
    out.bulk(b"phases-us");
    out.map(phases.len());
    for (name, took) in phases {
        write_fact(out, name, &int(took.as_micros()));
    }
    out.bulk(b"steps");
    out.array(change.steps.len());
    change.steps.iter().for_each(|step| write_step(out, change, step));
}

fn facts(change: &Change) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut all = vec![
        ("id", Value::Text(change.id().to_string())),
        ("kind", text(change.kind.token())),
        ("planned", Value::Flag(change.kind.is_planned())),
        ("outcome", text(change.outcome.token())),
        ("part", text(change.part.token())),
        ("began-at", int(change.began_wall.0)),
    ];
    all.extend(change.shard.map(|id| ("shard", text(id.as_str()))));
    all.extend(change.old.map(|id| ("old-primary", text(id.as_str()))));
    all.extend(change.new.map(|id| ("new-primary", text(id.as_str()))));
    let epoch = change.epoch.filter(|_| change.outcome == ChangeOutcome::Done);
    all.extend(epoch.map(|epoch| ("epoch", int(epoch.0))));
    all.extend(change.final_offset.map(|offset| ("final-offset", int(offset.0))));
    all.extend(change.bytes_missing.map(|bytes| ("bytes-missing", int(bytes))));
    all.extend(change.resync.map(|how| ("resync", text(how.token()))));
    all.extend(change.write_pause().map(|pause| ("write-pause-us", int(pause.as_micros()))));
    all
}

fn write_step(out: &mut Out, change: &Change, step: &ChangeStep) {
    let mut facts = vec![
        ("step", Value::Text(step.kind.token().to_owned())),
        ("at", int(change.wall_of(step.at).0)),
        ("after-us", Value::Int(change.after_us(step.at))),
    ];
    facts.extend(step.node.map(|id| ("node", Value::Text(id.to_string()))));
    facts.extend(step.offset.map(|offset| ("offset", int(offset.0))));
    out.map(facts.len());
    facts.iter().for_each(|(name, value)| write_fact(out, name, value));
}

fn write_fact(out: &mut Out, name: &str, value: &Value) {
    out.bulk(name.as_bytes());
    match value {
        Value::Text(text) => out.bulk(text.as_bytes()),
        Value::Int(n) => out.int(*n),
        Value::Flag(flag) => out.bool(*flag),
    }
}
