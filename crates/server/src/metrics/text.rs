//! The figures as OpenMetrics text, read anew at each scrape from what the threads count anyway. Names and units are part of
//! the interface: dashboards are made of them.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_node::{ChangeKind, ChangeOutcome, Chronicle, PhaseTimes};
use baton_store::DbIndex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::http::Page;
use crate::clients::ClientFlags;
use crate::shared::Shared;
use crate::world::{Role, World};

/// The one page there is.
pub(super) struct Pages {
    registry: Registry,
}

impl Pages {
    pub(super) fn new(shared: &Arc<Shared>) -> Pages {
        let mut registry = Registry::with_prefix("baton");
        registry.register_collector(Box::new(Figures(Arc::clone(shared))));
        Pages { registry }
    }
}

impl Page for Pages {
    const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &self.registry).expect("writing to a string can't fail");
        text
    }
}

struct Figures(Arc<Shared>);

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let shared = &*self.0;
        let world = shared.world.load();
        let mut sheet = Sheet(encoder);
        server(shared, &mut sheet)?;
        keyspace(shared, &mut sheet)?;
        replication(shared, &world, &mut sheet)?;
        cluster(&world, &mut sheet)?;
        failover(&shared.seen.chronicle(), &mut sheet)
    }
}

/// The text being made.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn family(&mut self, name: &'static str, help: &str, kind: MetricType) -> Result<MetricEncoder<'_>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: impl TryInto<i64>) -> Result<(), Error> {
        self.family(name, help, MetricType::Gauge)?.encode_gauge(&integer(value))
    }

    fn counter(&mut self, name: &'static str, help: &str, value: u64) -> Result<(), Error> {
        self.family(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// One gauge for each value of a label.
    fn gauges<'v>(
        &mut self,
        name: &'static str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, i64)>,
    ) -> Result<(), Error> {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        for (of, value) in values {
            family.encode_family(&[(label, of)])?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn server(shared: &Shared, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let s = &shared.stats;
    let all = shared.clients.list();
    let own = all.iter().filter(|c| !c.flags().intersects(ClientFlags::REPLICA | ClientFlags::PRIMARY)).count();
    sheet.gauge("clients_connected", "Connections of clients", own)?;
    let blocked = s.blocked.load(Ordering::Relaxed).max(0);
    sheet.gauge("clients_blocked", "Clients that wait in a command", blocked)?;
    sheet.counter("connections", "Connections accepted", s.connections.value())?;
    sheet.counter("connections_rejected", "Connections refused for maxclients", s.rejected.value())?;
    sheet.counter("commands", "Commands executed", s.sum(|l| &l.commands))?;
    sheet.counter("command_errors", "Commands answered with an error", s.sum(|l| &l.errors))?;
    sheet.counter("net_input_bytes", "Bytes read from clients", s.sum(|l| &l.net_in))?;
    sheet.counter("net_output_bytes", "Bytes written to clients", s.sum(|l| &l.net_out))?;
    let used = shared.memory_used();
    sheet.gauge("memory_used_bytes", "Memory that the allocator gave out", used)
}

fn keyspace(shared: &Shared, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let s = &shared.stats;
    sheet.counter("keyspace_hits", "Keys that were looked for and found", s.sum(|l| &l.hits))?;
    sheet.counter("keyspace_misses", "Keys that were looked for in vain", s.sum(|l| &l.misses))?;
    sheet.counter("expired_keys", "Keys deleted because their time was over", s.sum(|l| &l.expired))?;
    sheet.counter("evicted_keys", "Keys evicted to make room", s.sum(|l| &l.evicted))?;
    let fields = s.sum(|l| &l.expired_fields);
    sheet.counter("expired_fields", "Fields of hashes removed because their time was over", fields)?;
    let used: Vec<(String, DbIndex)> = (0..shared.store.databases())
        .map(|db| (db.to_string(), DbIndex(db)))
        .filter(|(name, db)| name == "0" || shared.store.len(*db) > 0)
        .collect();
    let keys = used.iter().map(|(name, db)| (&**name, integer(shared.store.len(*db))));
    sheet.gauges("keys", "Keys of each database that has any", "db", keys)?;
    let expiring = used.iter().map(|(name, db)| (&**name, integer(shared.store.expires_len(*db))));
    sheet.gauges("keys_expiring", "Those of them with a time to live", "db", expiring)
}

fn replication(shared: &Shared, world: &World, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let primary = !matches!(world.role, Role::Replica { .. });
    sheet.gauge("role_primary", "1 as a primary, 0 as a replica", u8::from(primary))?;
    let end = shared.journal.end();
    sheet.gauge("replication_offset", "End of the stream that this node wrote or applied", end.0)?;
    let replicas = shared.repl.replicas.load();
    sheet.gauge("replicas_connected", "Attached replicas", replicas.len())?;
    let names: Vec<String> = replicas.iter().map(|view| view.session.name()).collect();
    let lag = |view: &crate::repl::ReplicaView| integer(end.0.saturating_sub(view.session.ack().0));
    let lags = || names.iter().map(String::as_str).zip(replicas.iter().map(lag));
    sheet.gauges("replica_lag_bytes", "What a replica has not acknowledged yet", "replica", lags())?;
    let now = shared.clock.mono();
    let ages = replicas.iter().map(|view| integer(view.session.lag_seconds(now)));
    let ages = names.iter().map(String::as_str).zip(ages);
    sheet.gauges("replica_ack_age_seconds", "Since a replica last acknowledged", "replica", ages)?;
    sheet.counter("sync_full", "Full synchronisations given", shared.stats.sync_full.value())?;
    sheet.counter("sync_partial", "Partial synchronisations given", shared.stats.sync_partial_ok.value())?;
    if world.hot.write_ack_replicas > 0 {
        write_acks(shared, world, sheet)?;
    }
    if primary {
        return Ok(());
    }
    sheet.gauge("link_up", "1 while the stream of the primary flows", u8::from(world.link_up))?;
    let silence = shared.repl.heard_at().map_or(0, |at| now.since(at).as_millis());
    sheet.gauge("link_silent_milliseconds", "Since the primary was last heard", silence)
}

fn write_acks(shared: &Shared, world: &World, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let acks = &shared.write_acks;
    sheet.gauge("write_ack_replicas", "Replicas that have to acknowledge a write", world.hot.write_ack_replicas)?;
    sheet.gauge("write_ack_replicas_present", "Replicas that would acknowledge one now", acks.present())?;
    let help = "Replies that waited for acknowledgements";
    sheet.counter("write_ack_replies_held", help, acks.replies_held.value())?;
    let help = "Writes that ran and were not acknowledged in time";
    sheet.counter("write_ack_writes_unacked", help, acks.writes_unacked.value())?;
    let help = "Reads whose answer was not acknowledged in time";
    sheet.counter("write_ack_reads_unacked", help, acks.reads_unacked.value())?;
    let help = "Writes that were refused for lack of replicas";
    sheet.counter("write_ack_writes_refused", help, acks.writes_refused.value())
}

fn cluster(world: &World, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let Some(topology) = &world.topology else { return Ok(()) };
    let failed = topology.nodes.iter().filter(|node| node.failed).count();
    let mine = topology.owners.iter().filter(|owner| **owner == topology.me).count();
    sheet.gauge("cluster_ok", "1 while the cluster is up as this node sees it", u8::from(topology.health.is_ok()))?;
    sheet.gauge("cluster_epoch", "Current epoch", topology.current_epoch.0)?;
    sheet.gauge("cluster_nodes", "Known nodes", topology.nodes.len())?;
    sheet.gauge("cluster_nodes_failed", "Nodes marked as failed", failed)?;
    sheet.gauge("cluster_slots_owned", "Slots that this node serves as a primary", mine)
}

fn failover(chronicle: &Chronicle, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    const OVER: [ChangeOutcome; 4] =
        [ChangeOutcome::Done, ChangeOutcome::Aborted, ChangeOutcome::Recovered, ChangeOutcome::NoSuccessor];
    let totals = &chronicle.totals;
    let help = "Changes of primaries that this node took part in";
    let mut family = sheet.family("primary_changes", help, MetricType::Counter)?;
    for kind in ChangeKind::ALL {
        for outcome in OVER {
            // All of them from the start: a rate needs the zero before the first one.
            let count = totals.changes.get(&(kind, outcome)).copied().unwrap_or(0);
            let labels = [("kind", kind.token()), ("outcome", outcome.token())];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    sheet.counter("suspicions", "Primaries that this node began to suspect", totals.suspicions)?;
    sheet.counter("elections_lost", "Elections of this node without a majority", totals.elections_lost)?;
    sheet.counter("votes_given", "Votes that this node gave", totals.votes)?;
    let help = "How long the phases of changes of primaries took";
    let mut family = sheet.family("primary_change_phase_seconds", help, MetricType::Histogram)?;
    for (name, _, _) in baton_node::PHASES {
        let times = totals.phases.get(name).cloned().unwrap_or_default();
        let (sum, buckets) = (seconds(times.sum_us), buckets(&times));
        family.encode_family(&[("phase", name)])?.encode_histogram::<NoLabelSet>(sum, times.count, &buckets, None)?;
    }
    Ok(())
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn buckets(times: &PhaseTimes) -> Vec<(f64, u64)> {
    let bounded = PhaseTimes::BOUNDS_US.iter().map(|us| seconds(*us)).zip(times.counts);
    let beyond = times.count - times.counts.iter().sum::<u64>();
    bounded.chain([(f64::INFINITY, beyond)]).collect()
}
