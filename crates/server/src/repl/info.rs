//! What INFO and ROLE show of replication, gathered from what the threads published.

use baton_config::Id;
use baton_replication::ReplicaSession;
use baton_replication::info::{FailoverState, ReplicaInfo, ReplicationInfo, Role};
use baton_replication::link::LinkStatus;

use super::backlog_of;
use crate::shared::Shared;
use crate::world::{Role as NodeRole, World};

/// The lines of INFO's replication section, without its title.
pub fn info_section(shared: &Shared, world: &World) -> String {
    with_info(shared, world, |info| info.render(shared.clock.mono()))
}

/// What ROLE replies.
pub fn role(shared: &Shared, world: &World) -> Role {
    with_info(shared, world, |info| info.role())
}

fn with_info<T>(shared: &Shared, world: &World, show: impl FnOnce(&ReplicationInfo<'_>) -> T) -> T {
    let repl = &shared.repl;
    let views = repl.replicas.load();
    let sessions: Vec<&ReplicaSession> = views.iter().map(|view| &view.session).collect();
    let extent = shared.journal.extent();
    let link = link_of(shared, world);
    let known = extent.active.then_some(extent.end);
    let read = repl.read_offset.load(std::sync::atomic::Ordering::Relaxed).max(extent.end.0);
    let replica = link.as_ref().map(|link| ReplicaInfo {
        link,
        read_offset: known.map(|_| baton_base::Offset(read)),
        applied_offset: known,
        priority: u32::try_from(world.settings.int(Id::ReplicaPriority)).unwrap_or(u32::MAX),
        read_only: world.hot.replica_read_only,
        announced: world.settings.bool(Id::ReplicaAnnounced),
    });
    let good = shared.good_replicas.load(std::sync::atomic::Ordering::Relaxed) as usize;
    let history = *repl.history.lock();
    show(&ReplicationInfo {
        replica,
        sessions: &sessions,
        good_replicas: (world.hot.min_replicas_to_write > 0).then_some(good),
        failover: *repl.failover.lock(),
        history: &history,
        end: extent.end,
        backlog: backlog_of(&extent),
        backlog_bytes: extent.backlog_bytes,
    })
}

/// The link as it was last published; what a replica is about to do while nothing was published yet. None for a primary.
fn link_of(shared: &Shared, world: &World) -> Option<LinkStatus> {
    let NodeRole::Replica { host, port } = &world.role else { return None };
    let published = Option::clone(&shared.repl.link.load());
    Some(published.filter(|l| l.host == **host && l.port == *port).unwrap_or_else(|| LinkStatus {
        host: host.to_string(),
        port: *port,
        state: "connect",
        is_up: false,
        last_io_seconds: None,
        transfer: None,
        down_seconds: None,
    }))
}

impl super::ReplState {
    /// Says how far a planned change is.
    pub fn set_failover(&self, state: FailoverState) {
        *self.failover.lock() = state;
        self.failing_over.store(state != FailoverState::None, std::sync::atomic::Ordering::SeqCst);
    }
}
