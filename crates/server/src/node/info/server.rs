//! INFO server, clients and cpu.

use std::sync::atomic::Ordering;

use baton_config::Id;

use super::{Lines, View};
use crate::clients::ClientFlags;
use crate::node::connection::{COMPATIBLE_VERSION, REDIS_VERSION};
use crate::world::HoldScope;

pub(super) fn server(view: &View<'_>, lines: &mut Lines) {
    let (shared, settings) = (view.shared, &view.world.settings);
    let uptime = shared.clock.mono().as_millis() / 1000;
    lines.put("redis_version", REDIS_VERSION);
    lines.put("server_name", "valkey");
    lines.put("valkey_version", COMPATIBLE_VERSION);
    lines.put("valkey_release_stage", "ga");
    lines.put("baton_version", env!("CARGO_PKG_VERSION"));
    lines.put("redis_git_sha1", "00000000");
    lines.put("redis_git_dirty", 0);
    lines.put("redis_build_id", "0");
    let compatible = settings.bool(Id::ExtendedRedisCompatibility);
    let mode = if compatible { "redis_mode" } else { "server_mode" };
    lines.put(mode, if view.world.hot.cluster { "cluster" } else { "standalone" });
    lines.put("os", os_name());
    lines.put("arch_bits", usize::BITS);
    lines.put("monotonic_clock", "POSIX clock_gettime");
    lines.put("multiplexing_api", "epoll");
    lines.put("gcc_version", "0.0.0");
    lines.put("process_id", std::process::id());
    lines.put("process_supervised", "no");
    lines.put("run_id", &shared.run_id);
    lines.put("tcp_port", settings.port());
    lines.put("server_time_usec", shared.clock.wall().0 * 1000);
    lines.put("uptime_in_seconds", uptime);
    lines.put("uptime_in_days", uptime / 86_400);
    let hz = settings.int(Id::Hz);
    lines.put("hz", hz);
    lines.put("configured_hz", hz);
    lines.put("clients_hz", hz);
    lines.put("lru_clock", shared.clock.wall().as_secs() & 0xFF_FFFF);
    lines.put("executable", &shared.executable);
    lines.put("config_file", shared.config_file.as_deref().map_or(String::new(), |p| p.display().to_string()));
    let workers = shared.threads().workers.len();
    lines.put("io_threads_active", u8::from(workers > 1));
    lines.put("worker_threads", workers);
    lines.put("availability_zone", settings.text(Id::AvailabilityZone));
    listeners(view, lines);
    if let Some(deadline) = **shared.shutdown_deadline.load() {
        lines.put("shutdown_in_milliseconds", deadline.ms_since(shared.clock.mono()));
    }
}

fn listeners(view: &View<'_>, lines: &mut Lines) {
    let settings = &view.world.settings;
    let mut n = 0;
    if settings.port() != 0 {
        let binds: String = settings.bind().iter().map(|b| format!("bind={b},")).collect();
        lines.put(&format!("listener{n}"), format!("name=tcp,{binds}port={}", settings.port()));
        n += 1;
    }
    let path = settings.text(Id::UnixSocket);
    if !path.is_empty() {
        lines.put(&format!("listener{n}"), format!("name=unix,bind={path}"));
    }
}

fn os_name() -> String {
    let u = rustix::system::uname();
    let part = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
    format!("{} {} {}", part(u.sysname()), part(u.release()), part(u.machine()))
}

pub(super) fn tls(_view: &View<'_>, lines: &mut Lines) {
    for which in ["server_cert", "client_cert", "ca_cert"] {
        lines.put(&format!("tls_{which}_serial"), "none");
        lines.put(&format!("tls_{which}_expires_in_seconds"), 0);
    }
}

pub(super) fn clients(view: &View<'_>, lines: &mut Lines) {
    let shared = view.shared;
    let all = shared.clients.list();
    let own = all.iter().filter(|c| !c.flags().intersects(ClientFlags::REPLICA | ClientFlags::PRIMARY)).count();
    let watching: Vec<u32> = all.iter().map(|c| c.watched.load(Ordering::Relaxed)).filter(|n| *n > 0).collect();
    let largest = |of: fn(&crate::clients::ClientMeta) -> u64| all.iter().map(|c| of(c)).max().unwrap_or(0);
    lines.put("connected_clients", own);
    let peers = view.world.topology.as_ref().map_or(0, |t| t.nodes.len().saturating_sub(1));
    lines.put("cluster_connections", 2 * peers);
    lines.put("maxclients", view.world.settings.uint(Id::MaxClients));
    lines.put("client_recent_max_input_buffer", largest(|c| c.query_bytes.load(Ordering::Relaxed)));
    lines.put("client_recent_max_output_buffer", largest(|c| c.output_bytes.load(Ordering::Relaxed)));
    lines.put("blocked_clients", shared.stats.blocked.load(Ordering::Relaxed).max(0));
    lines.put("tracking_clients", shared.tracking.clients());
    lines.put("pubsub_clients", all.iter().filter(|c| c.flags().contains(ClientFlags::PUBSUB)).count());
    lines.put("watching_clients", watching.len());
    lines.put("clients_in_timeout_table", shared.waiters.load(Ordering::Relaxed));
    lines.put("total_watched_keys", watching.iter().sum::<u32>());
    lines.put("total_blocking_keys", shared.blocked.key_count());
    lines.put("total_blocking_keys_on_nokey", shared.blocked.key_count_even_gone());
    let now = shared.clock.mono();
    let (reason, actions, ms) = match view.world.holds.shown() {
        Some((reason, scope, until)) => {
            let actions = if scope == HoldScope::All { "all" } else { "write" };
            (reason.word(), actions, until.ms_since(now))
        }
        None => match view.world.moving.slots_until() {
            Some(until) => ("slot_migration_in_progress", "write", until.ms_since(now)),
            None => ("none", "none", 0),
        },
    };
    lines.put("paused_reason", reason);
    lines.put("paused_actions", actions);
    lines.put("paused_timeout_milliseconds", ms);
}

pub(super) fn cpu(view: &View<'_>, lines: &mut Lines) {
    let (user, system) = crate::os::cpu_seconds();
    let seconds = |s: f64| format!("{s:.6}");
    lines.put("used_cpu_sys", seconds(system));
    lines.put("used_cpu_user", seconds(user));
    lines.put("used_cpu_sys_children", "0.000000");
    lines.put("used_cpu_user_children", "0.000000");
    // All threads serve: none of them is the main one.
    lines.put("used_cpu_sys_main_thread", seconds(system));
    lines.put("used_cpu_user_main_thread", seconds(user));
    lines.put("used_active_time_main_thread", seconds(view.shared.stats.sum(|l| &l.turn_micros) as f64 / 1e6));
}
