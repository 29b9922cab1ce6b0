//! What the control plane starts with: the cluster's settings out of the configuration, its files, its sockets.

use std::path::Path;

use baton_cluster::EndpointType;
use baton_cluster::conf::{self, ConfError};
use baton_config::{Id, PreferredEndpoint, Settings};
use baton_node::{Boot, ClusterBoot};

use super::nodes_file::{self, EpochsFile, NodesFile, NodesFileError};
use crate::log::Log;
use crate::shared::Shared;
use crate::start::StartError;

/// The port of the bus: the configured one, or the client port plus 10000 (cluster-bus 1.1).
pub fn bus_port(s: &Settings) -> Result<u16, StartError> {
    let configured = s.port_of(Id::ClusterPort);
    if configured != 0 {
        return Ok(configured);
    }
    let base = if s.bool(Id::TlsCluster) { s.port_of(Id::TlsPort) } else { s.port() };
    base.checked_add(10_000).ok_or_else(|| {
        StartError(
            "Redis port number too high for cluster mode. Adding 10000 to it must give a valid port number, or \
             'cluster-port' must be set."
                .into(),
        )
    })
}

/// The cluster machine's parameters.
pub fn cluster_settings(s: &Settings) -> Result<baton_cluster::Settings, StartError> {
    let text = |id| s.text(id).to_owned();
    let hz = s.uint(Id::Hz).max(1);
    Ok(baton_cluster::Settings {
        node_timeout_ms: s.node_timeout_ms(),
        ping_interval_ms: s.uint(Id::ClusterPingInterval),
        gossip_percent: s.uint(Id::ClusterMessageGossipPerc),
        cron_interval_ms: (1000 / hz).max(100),
        port: s.port(),
        tls_port: s.port_of(Id::TlsPort),
        bus_port: bus_port(s)?,
        tls_cluster: s.bool(Id::TlsCluster),
        announce_ip: text(Id::ClusterAnnounceIp),
        announce_port: s.port_of(Id::ClusterAnnouncePort),
        announce_tls_port: s.port_of(Id::ClusterAnnounceTlsPort),
        announce_bus_port: s.port_of(Id::ClusterAnnounceBusPort),
        client_ipv4: text(Id::ClusterAnnounceClientIpv4),
        client_ipv6: text(Id::ClusterAnnounceClientIpv6),
        client_port: s.port_of(Id::ClusterAnnounceClientPort),
        client_tls_port: s.port_of(Id::ClusterAnnounceClientTlsPort),
        hostname: text(Id::ClusterAnnounceHostname),
        nodename: text(Id::ClusterAnnounceHumanNodename),
        availability_zone: text(Id::AvailabilityZone),
        endpoint_type: match s.choice::<PreferredEndpoint>() {
            PreferredEndpoint::Ip => EndpointType::Ip,
            PreferredEndpoint::Hostname => EndpointType::Hostname,
            PreferredEndpoint::UnknownEndpoint => EndpointType::Unknown,
        },
        require_full_coverage: s.bool(Id::ClusterRequireFullCoverage),
        allow_reads_when_down: s.bool(Id::ClusterAllowReadsWhenDown),
        allow_pubsubshard_when_down: s.bool(Id::ClusterAllowPubsubshardWhenDown),
        allow_replica_migration: s.bool(Id::ClusterAllowReplicaMigration),
        migration_barrier: s.uint(Id::ClusterMigrationBarrier),
        replica_validity_factor: s.uint(Id::ClusterReplicaValidityFactor),
        replica_no_failover: s.bool(Id::ClusterReplicaNoFailover),
        manual_failover_timeout_ms: s.uint(Id::ClusterManualFailoverTimeout),
        blacklist_ttl_secs: s.uint(Id::ClusterBlacklistTtl),
        repl_ping_period_secs: s.uint(Id::ReplPingReplicaPeriod),
        detect_refusals: s.bool(Id::ClusterDetectRefusals),
        restart_wait_ms: s.uint(Id::ClusterRestartWait),
        detect_silence_ms: s.uint(Id::ClusterDetectSilence),
        lease: s.bool(Id::ClusterWriteLease),
        write_ack_replicas: s.uint(Id::WriteAckReplicas),
        prompt_elections: true,
        announce_capabilities: true,
        witness: s.bool(Id::ClusterWitness),
    })
}

/// Carries out `--clean-cluster-config`: the node starts as one that knows of no cluster. Nothing is deleted, because a
/// wrong node may have been meant.
pub fn put_cluster_state_aside(settings: &Settings, log: &Log) -> Result<(), StartError> {
    if !settings.bool(Id::ClusterEnabled) {
        return Err(StartError("--clean-cluster-config needs 'cluster-enabled yes'.".to_owned()));
    }
    let name = settings.text(Id::ClusterConfigFile);
    match nodes_file::put_aside(Path::new(name)) {
        Ok(Some(aside)) => {
            let aside = aside.display();
            log.warning(&format!("The cluster configuration file {name} and its record of epochs are now {aside} and {aside}.epochs: this node starts without them."));
        }
        Ok(None) => log.notice("There is no cluster configuration file to put aside."),
        Err(e) => return Err(StartError(e.to_string())),
    }
    Ok(())
}

/// Reads the cluster's files and makes the machine's start of them. No files in standalone mode.
pub fn boot(shared: &Shared, seed: u64) -> Result<(Boot, Option<(NodesFile, EpochsFile)>), StartError> {
    let settings = &shared.world.load().settings;
    let limits = baton_handover::Limits::default();
    if !settings.bool(Id::ClusterEnabled) {
        if settings.bool(Id::ClusterWitness) {
            return Err(StartError("'cluster-witness yes' needs 'cluster-enabled yes'.".to_owned()));
        }
        return Ok((Boot { cluster: None, limits }, None));
    }
    let name = settings.text(Id::ClusterConfigFile);
    let refused = |e: NodesFileError| {
        shared.log.warning(&e.to_string());
        StartError(e.to_string())
    };
    let (file, text) = NodesFile::open(Path::new(name)).map_err(refused)?;
    let (epochs, record) = EpochsFile::open(Path::new(name)).map_err(refused)?;
    let tls = settings.bool(Id::TlsCluster);
    let state = match conf::parse(&text, tls) {
        Ok(mut restored) => {
            if let Some(record) = &record {
                restored.merge(record);
            }
            if settings.bool(Id::ClusterWitness) && !restored.can_be_witness() {
                let text = format!(
                    "A witness holds neither slots nor data, but by \"{name}\" this node is a replica or has slots. Give it a \
                     folder of its own, or start it with --clean-cluster-config."
                );
                shared.log.warning(&text);
                return Err(StartError(text));
            }
            baton_cluster::Boot::Restored(Box::new(restored))
        }
        Err(ConfError::Empty) => baton_cluster::Boot::Fresh,
        Err(e) => {
            let text = format!("Unrecoverable error: corrupted cluster config file \"{name}\": {e}");
            shared.log.warning(&text);
            return Err(StartError(text));
        }
    };
    let cluster = ClusterBoot { settings: cluster_settings(settings)?, state, seed };
    Ok((Boot { cluster: Some(cluster), limits }, Some((file, epochs))))
}
