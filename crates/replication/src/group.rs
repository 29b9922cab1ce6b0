//! Whom one snapshot serves, when it begins, and in which form it is sent (replication 1.5).

use crate::LogLine;
use crate::session::{Capabilities, Phase, ReplicaSession, SnapshotRequest};
use crate::version::RdbVersion;
use baton_base::Mono;
use std::time::Duration;

/// In which form a snapshot is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotTarget {
    /// As it is made, `$EOF:<mark>` first and the mark last.
    Socket,
    /// After it is made, `$<length>` first.
    Disk,
}

/// When a snapshot for replicas begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncSettings {
    /// `repl-diskless-sync`.
    pub diskless: bool,
    /// `repl-diskless-sync-delay`: how long the first replica waits for others to come.
    pub delay: Duration,
    /// `repl-diskless-sync-max-replicas`: with this many nobody waits; 0 for no such number.
    pub replicas_max: usize,
}

impl Default for SyncSettings {
    fn default() -> Self {
        SyncSettings { diskless: true, delay: Duration::from_secs(5), replicas_max: 0 }
    }
}

/// A snapshot to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotPlan<K> {
    /// Who gets it.
    pub members: Vec<K>,
    /// What they all asked for.
    pub request: SnapshotRequest,
    /// Its format.
    pub rdb_version: RdbVersion,
    /// What all of them can do.
    pub capa: Capabilities,
    /// Its form.
    pub target: SnapshotTarget,
    /// When it is to begin. May be past.
    pub starts_at: Mono,
}

/// The next snapshot that the waiting replicas call for. The one that waits first in the given order decides what it is,
/// those that ask for the same are served along.
pub fn plan<'a, K>(
    sessions: impl IntoIterator<Item = (K, &'a ReplicaSession)>,
    settings: &SyncSettings,
) -> Option<SnapshotPlan<K>> {
    let mut plan: Option<SnapshotPlan<K>> = None;
    let mut may_wait = settings.diskless;
    for (key, session) in sessions {
        let Phase::WaitSnapshot { since } = session.phase() else { continue };
        let plan = plan.get_or_insert_with(|| SnapshotPlan {
            members: Vec::new(),
            request: session.request,
            rdb_version: session.rdb_version(),
            capa: session.capa,
            target: SnapshotTarget::Disk,
            starts_at: since,
        });
        if session.request != plan.request || session.rdb_version() != plan.rdb_version {
            continue;
        }
        plan.members.push(key);
        plan.capa = plan.capa.and(session.capa);
        plan.starts_at = plan.starts_at.min(since);
        // Waiting for others only pays where all are fed at once.
        may_wait &= session.capa.eof;
    }
    let mut plan = plan?;
    let full = settings.replicas_max > 0 && plan.members.len() >= settings.replicas_max;
    if may_wait && !full {
        plan.starts_at = plan.starts_at + settings.delay;
    }
    plan.target = target(plan.capa, plan.request, plan.rdb_version, settings);
    Some(plan)
}

fn target(capa: Capabilities, request: SnapshotRequest, rdb: RdbVersion, settings: &SyncSettings) -> SnapshotTarget {
    // What only some can use must not become the node's snapshot file.
    let special = request.filter.is_some() || rdb != RdbVersion::V80;
    if capa.eof && (settings.diskless || special) { SnapshotTarget::Socket } else { SnapshotTarget::Disk }
}

impl<K> SnapshotPlan<K> {
    /// Whether a replica that comes now can share this snapshot, which is already being made: only if it is not sent
    /// before it is complete, and is what the replica would get by itself. It must share the cut, too.
    pub fn can_attach(&self, session: &ReplicaSession) -> bool {
        self.target == SnapshotTarget::Disk
            && session.capa.includes(self.capa)
            && session.request == self.request
            && session.rdb_version() == self.rdb_version
    }

    /// What the log says when it begins.
    pub fn log_line(&self) -> LogLine {
        let target = match self.target {
            SnapshotTarget::Socket => "replicas sockets",
            SnapshotTarget::Disk => "disk",
        };
        LogLine::notice(format!("Starting BGSAVE for SYNC with target: {target} using: normal sync"))
    }
}

/// What the log says when a replica has to wait, by what is going on.
pub fn waiting_log_line(running: Option<(SnapshotTarget, bool)>, delayed: bool) -> Option<LogLine> {
    let text = match running {
        Some((SnapshotTarget::Disk, true)) => "Waiting for end of BGSAVE for SYNC",
        Some((SnapshotTarget::Disk, false)) => {
            "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
        }
        Some((SnapshotTarget::Socket, _)) => "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC",
        None if delayed => "Delay next BGSAVE for diskless SYNC",
        None => return None,
    };
    Some(LogLine::notice(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replconf::RdbFilter;
    use crate::version::Version;

    const S: fn(u64) -> Mono = |s| Mono::from_millis(s * 1000);

    fn waiting(at: Mono, eof: bool, version: Option<Version>) -> ReplicaSession {
        let mut session = ReplicaSession::new(1, None);
        session.capa.eof = eof;
        session.version = version;
        session.await_snapshot(at, false);
        session
    }

    fn planned(sessions: &[&ReplicaSession], settings: SyncSettings) -> SnapshotPlan<usize> {
        plan(sessions.iter().copied().enumerate(), &settings).unwrap()
    }

    #[test]
    fn the_longest_wait_counts_and_enough_replicas_end_it() {
        let (a, b) = (waiting(S(20), true, Some(Version::OWN)), waiting(S(10), true, Some(Version::OWN)));
        let settings = SyncSettings::default();
        let plan = planned(&[&a, &b], settings);
        assert_eq!((plan.members, plan.starts_at, plan.target), (vec![0, 1], S(15), SnapshotTarget::Socket));
        assert_eq!(planned(&[&a, &b], SyncSettings { replicas_max: 2, ..settings }).starts_at, S(10));
        assert_eq!(planned(&[&a, &b], SyncSettings { replicas_max: 3, ..settings }).starts_at, S(15));
        assert_eq!(planned(&[&a, &b], SyncSettings { delay: Duration::ZERO, ..settings }).starts_at, S(10));
        let disk = planned(&[&a, &b], SyncSettings { diskless: false, ..settings });
        assert_eq!((disk.starts_at, disk.target), (S(10), SnapshotTarget::Disk));
    }

    #[test]
    fn equal_requests_only() {
        let current = waiting(S(1), true, Some(Version::OWN));
        let old = waiting(S(1), true, None);
        let mut filtered = waiting(S(1), true, Some(Version::OWN));
        filtered.request.filter = Some(RdbFilter::default());
        let mut online = waiting(S(1), true, Some(Version::OWN));
        online.become_online(S(2));
        let all = [&online, &current, &old, &filtered];
        let plan = planned(&all, SyncSettings::default());
        assert_eq!((plan.members, plan.rdb_version), (vec![1], RdbVersion::V80));
        let plan = planned(&[&old, &current], SyncSettings { diskless: false, ..SyncSettings::default() });
        assert_eq!((plan.members, plan.rdb_version, plan.target), (vec![0], RdbVersion::V10, SnapshotTarget::Socket));
        let plan = planned(&[&filtered], SyncSettings { diskless: false, ..SyncSettings::default() });
        assert_eq!(plan.target, SnapshotTarget::Socket);
        assert!(super::plan([(0, &online)], &SyncSettings::default()).is_none());
    }

    #[test]
    fn one_without_eof_makes_it_a_file_at_once() {
        let (tool, replica) = (waiting(S(9), false, None), waiting(S(8), true, Some(Version::OWN)));
        let plan = planned(&[&tool, &replica], SyncSettings::default());
        assert_eq!((plan.members.len(), plan.target, plan.starts_at), (2, SnapshotTarget::Disk, S(8)));
        assert!(plan.can_attach(&replica) && plan.can_attach(&tool));
        let mut only = tool.clone();
        only.request.rdb_only = true;
        assert!(!plan.can_attach(&only));
        // Would be sent the older format by itself.
        assert!(!plan.can_attach(&waiting(S(9), true, None)));
        let plan = planned(&[&replica], SyncSettings { diskless: false, ..SyncSettings::default() });
        assert!(
            plan.can_attach(&replica) && !plan.can_attach(&tool),
            "fewer capabilities than the snapshot was made for"
        );
    }
}
