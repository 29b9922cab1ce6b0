//! INFO stats, debug, commandstats, latencystats, errorstats and keyspace.

use baton_commands::CommandId;
use baton_store::DbIndex;

use super::{Lines, View};
use crate::pubsub::Kind;
use crate::stats::Times;

pub(super) fn stats(view: &View<'_>, lines: &mut Lines) {
    traffic(view, lines);
    keys(view, lines);
    loops(view, lines);
}

fn traffic(view: &View<'_>, lines: &mut Lines) {
    let s = &view.shared.stats;
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    lines.put("total_connections_received", s.connections.value());
    lines.put("total_commands_processed", s.sum(|l| &l.commands));
    lines.put("instantaneous_ops_per_sec", s.ops_per_sec.value());
    lines.put("total_net_input_bytes", s.sum(|l| &l.net_in) + s.repl_in.value());
    lines.put("total_net_output_bytes", s.sum(|l| &l.net_out) + s.repl_out.value());
    lines.put("total_net_repl_input_bytes", s.repl_in.value());
    lines.put("total_net_repl_output_bytes", s.repl_out.value());
    lines.zeros(&["total_net_cluster_slot_import_bytes", "total_net_cluster_slot_export_bytes"]);
    lines.put("instantaneous_input_kbps", kilobytes(s.in_per_sec.value()));
    lines.put("instantaneous_output_kbps", kilobytes(s.out_per_sec.value()));
    lines.put("instantaneous_input_repl_kbps", kilobytes(s.repl_in_per_sec.value()));
    lines.put("instantaneous_output_repl_kbps", kilobytes(s.repl_out_per_sec.value()));
    lines.put("rejected_connections", s.rejected.value());
    lines.put("sync_full", s.sync_full.value());
    lines.put("sync_partial_ok", s.sync_partial_ok.value());
    lines.put("sync_partial_err", s.sync_partial_err.value());
}

fn keys(view: &View<'_>, lines: &mut Lines) {
    let (shared, s) = (view.shared, &view.shared.stats);
    lines.put("expired_keys", s.sum(|l| &l.expired));
    lines.put("expired_fields", s.sum(|l| &l.expired_fields));
    lines.put("expired_stale_perc", "0.00");
    lines.put("expired_keys_with_volatile_items_stale_perc", "0.00");
    lines.put("expired_time_cap_reached_count", 0);
    lines.put("expire_cycle_cpu_milliseconds", s.expire_micros.value() / 1000);
    lines.put("evicted_keys", s.sum(|l| &l.evicted));
    lines.put("evicted_clients", s.evicted_clients.value());
    lines.put("evicted_scripts", shared.scripts.cache().evicted());
    let (over, over_now) = shared.memory.over_millis(shared.clock.mono());
    lines.put("total_eviction_exceeded_time", over);
    lines.put("current_eviction_exceeded_time", over_now);
    lines.put("keyspace_hits", s.sum(|l| &l.hits));
    lines.put("keyspace_misses", s.sum(|l| &l.misses));
    lines.put("pubsub_channels", shared.pubsub.count(Kind::Channel));
    lines.put("pubsub_patterns", shared.pubsub.count(Kind::Pattern));
    lines.put("pubsubshard_channels", shared.pubsub.count(Kind::Shard));
    lines.zeros(&["latest_fork_usec", "total_forks"]);
    lines.put("migrate_cached_sockets", view.shared.movers.kept());
    lines.put("slave_expires_tracked_keys", shared.written_here.len());
    lines.zeros(&["active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses"]);
    lines.zeros(&["total_active_defrag_time", "current_active_defrag_time"]);
    lines.put("tracking_total_keys", shared.tracking.keys());
    lines.put("tracking_total_items", shared.tracking.items());
    lines.put("tracking_total_prefixes", shared.tracking.prefixes());
}

fn loops(view: &View<'_>, lines: &mut Lines) {
    let s = &view.shared.stats;
    lines.put("unexpected_error_replies", 0);
    lines.put("total_error_replies", s.sum(|l| &l.errors));
    lines.put("dump_payload_sanitizations", 0);
    lines.put("total_reads_processed", s.sum(|l| &l.reads));
    lines.put("total_writes_processed", s.sum(|l| &l.writes));
    lines.zeros(&[
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "io_threaded_freed_objects",
        "io_threaded_accept_processed",
        "io_threaded_poll_processed",
        "io_threaded_total_prefetch_batches",
        "io_threaded_total_prefetch_entries",
    ]);
    lines.put("client_query_buffer_limit_disconnections", s.query_limit_closed.value());
    lines.put("client_output_buffer_limit_disconnections", s.output_limit_closed.value());
    lines.zeros(&["reply_buffer_shrinks", "reply_buffer_expands"]);
    lines.put("eventloop_cycles", s.sum(|l| &l.turns));
    lines.put("eventloop_duration_sum", s.sum(|l| &l.turn_micros));
    lines.put("eventloop_duration_cmd_sum", s.sum(|l| &l.command_nanos) / 1000);
    lines.put("instantaneous_eventloop_cycles_per_sec", s.turns_per_sec.value());
    lines.put("instantaneous_eventloop_duration_usec", s.turn_micros_mean.value());
    lines.put("acl_access_denied_auth", s.auth_failures.value());
    lines.put("acl_access_denied_cmd", s.denied_commands.value());
    lines.put("acl_access_denied_key", s.denied_keys.value());
    lines.put("acl_access_denied_channel", s.denied_channels.value());
    lines.put("acl_access_denied_tls_cert", 0);
    lines.put("acl_access_denied_db", s.denied_databases.value());
    if view.world.hot.write_ack_replicas > 0 {
        for (name, count) in view.shared.write_acks.counts() {
            lines.put(&format!("write_ack_{name}"), count.value());
        }
    }
}

/// Figures for developers.
pub(super) fn debug(view: &View<'_>, lines: &mut Lines) {
    let s = &view.shared.stats;
    let most = |of: fn(&crate::stats::WorkerStats) -> u64| s.lanes.iter().map(|l| of(l)).max().unwrap_or(0);
    lines.put("eventloop_duration_aof_sum", 0);
    lines.put("eventloop_duration_cron_sum", s.lanes[view.shared.keeper_lane().0].turn_micros.value());
    lines.put("eventloop_duration_max", most(|l| l.turn_micros_max.value()));
    lines.put("eventloop_cmd_per_cycle_max", most(|l| l.batch_max.value()));
    lines.zeros(&["io_threaded_reads_pending", "io_threaded_writes_pending"]);
}

/// How long commands took: the percentiles of `latency-tracking-info-percentiles`, in microseconds.
pub(super) fn latencies(view: &View<'_>, lines: &mut Lines) {
    if !view.world.hot.latency_tracking {
        return;
    }
    let wanted = view.world.settings.latency_percentiles();
    for id in 0..baton_commands::count() {
        let all: Vec<&Times> = view.shared.stats.lanes.iter().filter_map(|l| l.by_command[id].times_if_any()).collect();
        let Some(values) = Times::percentiles(&all, wanted) else { continue };
        let name = baton_commands::by_id(CommandId(id as u16)).name;
        let shown: Vec<String> =
            wanted.iter().zip(values).map(|(p, nanos)| format!("p{p}={:.3}", nanos as f64 / 1000.0)).collect();
        lines.put(&format!("latency_percentiles_usec_{name}"), shown.join(","));
    }
}

pub(super) fn commands(view: &View<'_>, lines: &mut Lines) {
    let lanes = &view.shared.stats.lanes;
    for id in 0..baton_commands::count() {
        let sum = |of: fn(&crate::stats::CommandStats) -> u64| lanes.iter().map(|l| of(&l.by_command[id])).sum::<u64>();
        let (calls, nanos) = (sum(|c| c.calls.value()), sum(|c| c.nanos.value()));
        let (rejected, failed) = (sum(|c| c.rejected.value()), sum(|c| c.failed.value()));
        if calls + rejected + failed == 0 {
            continue;
        }
        let usec = nanos / 1000;
        let each = usec as f64 / calls.max(1) as f64;
        let name = baton_commands::by_id(CommandId(id as u16)).name;
        lines.put(
            &format!("cmdstat_{name}"),
            format!(
                "calls={calls},usec={usec},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

pub(super) fn errors(view: &View<'_>, lines: &mut Lines) {
    for (word, count) in &*view.shared.stats.error_words.lock() {
        lines.put(&format!("errorstat_{word}"), format!("count={count}"));
    }
}

pub(super) fn keyspace(view: &View<'_>, lines: &mut Lines) {
    let store = &view.shared.store;
    for db in 0..store.databases() {
        let (keys, expires) = (store.len(DbIndex(db)), store.expires_len(DbIndex(db)));
        if keys > 0 {
            let timed = store.timed_len(DbIndex(db));
            let counts = format!("keys={keys},expires={expires},avg_ttl=0,keys_with_volatile_items={timed}");
            lines.put(&format!("db{db}"), counts);
        }
    }
}
