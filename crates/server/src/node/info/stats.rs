//! INFO stats, commandstats, errorstats and keyspace.

use baton_commands::CommandId;
use baton_store::DbIndex;

use super::{Lines, View};
use crate::pubsub::Kind;

pub(super) fn stats(view: &View<'_>, lines: &mut Lines) {
    let shared = view.shared;
    let s = &shared.stats;
    lines.put("total_connections_received", s.connections.value());
    lines.put("total_commands_processed", s.sum(|l| &l.commands));
    lines.put("instantaneous_ops_per_sec", s.ops_per_sec.value());
    lines.put("total_net_input_bytes", s.sum(|l| &l.net_in) + s.repl_in.value());
    lines.put("total_net_output_bytes", s.sum(|l| &l.net_out) + s.repl_out.value());
    lines.put("total_net_repl_input_bytes", s.repl_in.value());
    lines.put("total_net_repl_output_bytes", s.repl_out.value());
    lines.put("instantaneous_input_kbps", format!("{:.2}", s.in_per_sec.value() as f64 / 1024.0));
    lines.put("instantaneous_output_kbps", format!("{:.2}", s.out_per_sec.value() as f64 / 1024.0));
    lines.put("rejected_connections", s.rejected.value());
    lines.put("sync_full", s.sync_full.value());
    lines.put("sync_partial_ok", s.sync_partial_ok.value());
    lines.put("sync_partial_err", s.sync_partial_err.value());
    lines.put("expired_keys", s.sum(|l| &l.expired));
    lines.put("expired_fields", 0);
    lines.put("expired_stale_perc", "0.00");
    lines.put("expired_time_cap_reached_count", 0);
    lines.put("expire_cycle_cpu_milliseconds", 0);
    lines.put("evicted_keys", 0);
    lines.put("evicted_clients", 0);
    lines.put("evicted_scripts", 0);
    lines.put("total_eviction_exceeded_time", 0);
    lines.put("current_eviction_exceeded_time", 0);
    lines.put("keyspace_hits", s.sum(|l| &l.hits));
    lines.put("keyspace_misses", s.sum(|l| &l.misses));
    lines.put("pubsub_channels", shared.pubsub.count(Kind::Channel));
    lines.put("pubsub_patterns", shared.pubsub.count(Kind::Pattern));
    lines.put("pubsubshard_channels", shared.pubsub.count(Kind::Shard));
    lines.put("latest_fork_usec", 0);
    lines.put("total_forks", 0);
    lines.put("migrate_cached_sockets", 0);
    lines.put("slave_expires_tracked_keys", 0);
    lines.put("tracking_total_keys", 0);
    lines.put("tracking_total_items", 0);
    lines.put("tracking_total_prefixes", 0);
    lines.put("unexpected_error_replies", 0);
    lines.put("total_error_replies", s.sum(|l| &l.errors));
    lines.put("dump_payload_sanitizations", 0);
    lines.put("total_reads_processed", s.sum(|l| &l.reads));
    lines.put("total_writes_processed", s.sum(|l| &l.writes));
    lines.put("acl_access_denied_auth", s.auth_failures.value());
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
            lines
                .put(&format!("db{db}"), format!("keys={keys},expires={expires},avg_ttl=0,keys_with_volatile_items=0"));
        }
    }
}
