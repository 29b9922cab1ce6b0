//! The configuration parameters that the cluster machine obeys (cluster-bus 13). Plain data; reading files and checking
//! ranges is the configuration crate's work.

use baton_base::Mono;
use std::time::Duration;

/// How the endpoint of a node is announced to clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EndpointType {
    /// The IP address.
    #[default]
    Ip,
    /// The announced host name, `?` where there is none.
    Hostname,
    /// Nothing: clients use the address they already have.
    Unknown,
}

/// Parameters, all changeable at run time except the ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `cluster-node-timeout`, ms; NT of the specification.
    pub node_timeout_ms: u64,
    /// `cluster-ping-interval`, ms; 0 means half the node timeout.
    pub ping_interval_ms: u64,
    /// `cluster-message-gossip-perc`, 1..=100.
    pub gossip_percent: u64,
    /// Interval of the periodic work, ms: max(100, 1000 / hz).
    pub cron_interval_ms: u64,
    /// `port`, 0 if plain TCP is off.
    pub port: u16,
    /// `tls-port`, 0 if TLS is off.
    pub tls_port: u16,
    /// The port the bus listens on.
    pub bus_port: u16,
    /// `tls-cluster`: the bus and therefore the primary client port is TLS.
    pub tls_cluster: bool,
    /// `cluster-announce-ip`, empty if unset.
    pub announce_ip: String,
    /// `cluster-announce-port`, 0 if unset.
    pub announce_port: u16,
    /// `cluster-announce-tls-port`, 0 if unset.
    pub announce_tls_port: u16,
    /// `cluster-announce-bus-port`, 0 if unset.
    pub announce_bus_port: u16,
    /// `cluster-announce-client-ipv4`, empty if unset.
    pub client_ipv4: String,
    /// `cluster-announce-client-ipv6`, empty if unset.
    pub client_ipv6: String,
    /// `cluster-announce-client-port`, 0 if unset.
    pub client_port: u16,
    /// `cluster-announce-client-tls-port`, 0 if unset.
    pub client_tls_port: u16,
    /// `cluster-announce-hostname`, empty if unset.
    pub hostname: String,
    /// `cluster-announce-human-nodename`, empty if unset.
    pub nodename: String,
    /// `availability-zone`, empty if unset.
    pub availability_zone: String,
    /// `cluster-preferred-endpoint-type`.
    pub endpoint_type: EndpointType,
    /// `cluster-require-full-coverage`.
    pub require_full_coverage: bool,
    /// `cluster-allow-reads-when-down`.
    pub allow_reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`.
    pub allow_pubsubshard_when_down: bool,
    /// `cluster-allow-replica-migration`.
    pub allow_replica_migration: bool,
    /// `cluster-migration-barrier`: living replicas that a primary keeps at least.
    pub migration_barrier: u64,
    /// `cluster-replica-validity-factor`, 0 for no limit.
    pub replica_validity_factor: u64,
    /// `cluster-replica-no-failover`.
    pub replica_no_failover: bool,
    /// `cluster-manual-failover-timeout`, ms.
    pub manual_failover_timeout_ms: u64,
    /// `cluster-blacklist-ttl`, seconds.
    pub blacklist_ttl_secs: u64,
    /// `repl-ping-replica-period`, seconds.
    pub repl_ping_period_secs: u64,
    /// `cluster-detect-refusals`: a primary that refuses connections is suspected whatever the node timeout.
    pub detect_refusals: bool,
    /// `cluster-restart-wait`, ms: how long a primary that was started again waits for replicas that may have more data; 0
    /// not to look at that at all.
    pub restart_wait_ms: u64,
    /// `cluster-detect-silence`, ms: a primary that keeps a lease and is silent for so long is suspected whatever the node
    /// timeout; 0 leaves that to the node timeout.
    pub detect_silence_ms: u64,
    /// `cluster-write-lease`: a primary acknowledges writes only while a majority of voters answers it, and a vote against
    /// it waits until what was answered is over.
    pub lease: bool,
    /// `cluster-witness`: this node votes and holds no slots.
    pub witness: bool,
    /// Shards that failed at once elect one right behind the other, and a lost election is repeated after a short wait.
    /// Upstream waits for fixed times in both cases, of seconds at the default node timeout.
    pub prompt_elections: bool,
    /// `write-ack-replicas`: so many replicas have a write when its reply is sent.
    pub write_ack_replicas: u64,
    /// Headers say what this node can do beyond upstream's protocol. Without it the others take it for one of upstream's.
    pub announce_capabilities: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            node_timeout_ms: 15_000,
            ping_interval_ms: 0,
            gossip_percent: 10,
            cron_interval_ms: 100,
            port: 6379,
            tls_port: 0,
            bus_port: 16379,
            tls_cluster: false,
            announce_ip: String::new(),
            announce_port: 0,
            announce_tls_port: 0,
            announce_bus_port: 0,
            client_ipv4: String::new(),
            client_ipv6: String::new(),
            client_port: 0,
            client_tls_port: 0,
            hostname: String::new(),
            nodename: String::new(),
            availability_zone: String::new(),
            endpoint_type: EndpointType::Ip,
            require_full_coverage: true,
            allow_reads_when_down: false,
            allow_pubsubshard_when_down: true,
            allow_replica_migration: true,
            migration_barrier: 1,
            replica_validity_factor: 10,
            replica_no_failover: false,
            manual_failover_timeout_ms: 5000,
            blacklist_ttl_secs: 60,
            repl_ping_period_secs: 10,
            detect_refusals: true,
            restart_wait_ms: 10_000,
            detect_silence_ms: 800,
            lease: true,
            witness: false,
            prompt_elections: true,
            write_ack_replicas: 0,
            announce_capabilities: true,
        }
    }
}

const fn first_set(announced: u16, real: u16) -> u16 {
    if announced != 0 { announced } else { real }
}

impl Settings {
    /// These parameters for a node that follows upstream's rules and no others.
    #[must_use]
    pub fn of_upstream(self) -> Settings {
        Settings {
            detect_refusals: false,
            detect_silence_ms: 0,
            restart_wait_ms: 0,
            lease: false,
            witness: false,
            prompt_elections: false,
            announce_capabilities: false,
            ..self
        }
    }

    /// The TCP port to announce, 0 if there is none.
    pub(crate) fn announced_tcp_port(&self) -> u16 {
        first_set(self.announce_port, self.port)
    }

    /// The TLS port to announce, 0 if there is none.
    pub(crate) fn announced_tls_port(&self) -> u16 {
        first_set(self.announce_tls_port, self.tls_port)
    }

    /// The bus port to announce.
    pub(crate) fn announced_bus_port(&self) -> u16 {
        first_set(self.announce_bus_port, self.bus_port)
    }

    /// NT.
    pub(crate) fn node_timeout(&self) -> Duration {
        Duration::from_millis(self.node_timeout_ms)
    }

    /// PI.
    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_millis(if self.ping_interval_ms > 0 { self.ping_interval_ms } else { self.node_timeout_ms / 2 })
    }

    /// How long a handshake may take: max(NT, 1 s).
    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.node_timeout_ms.max(1000))
    }

    /// How long a failure report and the FAIL of a voting primary last at least: 2 NT.
    pub(crate) fn twice_node_timeout(&self) -> Duration {
        Duration::from_millis(self.node_timeout_ms.saturating_mul(2))
    }

    /// The age at which an election attempt expires: max(2 NT, 2 s) (cluster-bus 7.1).
    pub(crate) fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.node_timeout_ms.saturating_mul(2).max(2000))
    }

    /// The age at which a new election may be scheduled (cluster-bus 7.1).
    pub(crate) fn election_retry(&self) -> Duration {
        self.election_timeout().saturating_mul(2)
    }

    /// The base delay of an election: min(NT / 30, 500 ms), 0 below NT 30 (cluster-bus 7.1).
    pub(crate) fn election_delay(&self) -> Duration {
        Duration::from_millis((self.node_timeout_ms / 30).min(500))
    }

    /// How long a primary that was in a minority waits before it serves again: clamp(NT, 0.5 s, 5 s).
    pub(crate) fn rejoin_delay(&self) -> Duration {
        Duration::from_millis(self.node_timeout_ms.clamp(500, 5000))
    }

    /// The time a voter's FAIL mark stays relevant for ranks: NT * factor; none if the factor is 0.
    pub(crate) fn validity_window(&self) -> Option<Duration> {
        let factor = self.replica_validity_factor;
        (factor > 0).then(|| Duration::from_millis(self.node_timeout_ms.saturating_mul(factor)))
    }

    /// When a blacklist entry made now expires.
    pub(crate) fn blacklist_until(&self, now: Mono) -> Mono {
        now + Duration::from_secs(self.blacklist_ttl_secs)
    }
}
