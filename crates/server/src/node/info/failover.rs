//! INFO failover: how many changes of primaries this node took part in, and what the last one cost. Not in upstream, so it
//! is shown where it or everything is asked for, and stays out of the default sections.

use std::time::Duration;

use baton_node::ChangeOutcome;

use super::{Lines, View};

pub(super) fn failover(view: &View<'_>, lines: &mut Lines) {
    let chronicle = view.shared.seen.chronicle();
    let totals = &chronicle.totals;
    let done = ChangeOutcome::Done;
    lines.put("failover_planned_total", totals.count(|kind, outcome| kind.is_planned() && outcome == done));
    lines.put("failover_unplanned_total", totals.count(|kind, outcome| !kind.is_planned() && outcome == done));
    lines.put("failover_aborted_total", totals.count(|_, outcome| outcome != done));
    lines.put("failover_suspicions_total", totals.suspicions);
    lines.put("failover_elections_lost_total", totals.elections_lost);
    lines.put("failover_votes_given_total", totals.votes);
    let Some(last) = chronicle.changes.back() else { return };
    lines.put("failover_last_id", last.id());
    lines.put("failover_last_kind", last.kind.token());
    lines.put("failover_last_outcome", last.outcome.token());
    lines.put("failover_last_part", last.part.token());
    lines.put("failover_last_began_ms", last.began_wall.0);
    for (name, took) in last.phases() {
        lines.put(&format!("failover_last_{name}_ms"), milliseconds(took));
    }
    if let Some(pause) = last.write_pause() {
        lines.put("failover_last_write_pause_ms", milliseconds(pause));
    }
    if let Some(bytes) = last.bytes_missing {
        lines.put("failover_last_bytes_missing", bytes);
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64() * 1000.0)
}
