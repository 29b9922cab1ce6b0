//! Roles outside of clusters: REPLICAOF, FAILOVER, promotion at a peer's request, and what the handover machine wants done
//! to the data plane there. Decides nothing: whether and when is the machine's, and who may ask is replication 6 and 7.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_node::{Input, Phase, Sight};
use baton_replication::info::FailoverState;
use crossbeam_channel::Sender;

use super::message::{Answer, ControlMessage, FailoverRequest, ReplyTo, TakeoverNews};
use super::run::Control;
use super::siblings;
use crate::pubsub::Kind;
use crate::repl::ReplicaView;
use crate::repl::role::{self, Demotion};
use crate::shared::Shared;
use crate::worker::WorkerMessage;
use crate::world::{HoldReason, Role};

/// Where Sentinels talk to each other through the nodes that they watch (replication 11).
const SENTINEL_CHANNEL: &[u8] = b"__sentinel__:hello";
/// What REPLICAOF is told meanwhile.
const FAILING_OVER: &str = "ERR REPLICAOF not allowed while failing over.";

impl Control {
    /// Whether this node is a replica outside of a cluster.
    pub(super) fn follows_somebody(&self) -> bool {
        self.shared.world.peek().role.is_replica()
    }

    /// REPLICAOF (replication 6).
    pub(super) fn replica_of(&mut self, target: Option<(String, u16)>, who: &str, reply: ReplyTo) {
        let shared = Arc::clone(&self.shared);
        if self.bus.is_some() {
            reply.answer(&shared, Answer::Error("ERR REPLICAOF not allowed in cluster mode.".into()));
            return;
        }
        // The worker looked, too, but a handover may have begun since.
        if !matches!(self.node.phase(), Phase::Idle | Phase::Redirect | Phase::Linger) {
            reply.answer(&shared, Answer::Error(FAILING_OVER.into()));
            return;
        }
        match target {
            None => {
                if shared.world.peek().role.is_replica() {
                    role::promote(&shared, |_| {});
                    shared.log.notice(&format!("PRIMARY MODE enabled (user request from '{who}')"));
                }
                reply.answer(&shared, Answer::Ok);
            }
            Some((host, port)) => {
                let same = matches!(&shared.world.peek().role, Role::Replica { host: h, port: p } if **h == *host && *p == port);
                if same {
                    shared.log.notice("REPLICAOF would result into synchronization with the primary we are already connected with. No operation performed.");
                    reply.answer(&shared, Answer::Status("OK Already connected to specified master".into()));
                    return;
                }
                role::demote(&shared, &host, port, Demotion { partial: true, takeover: false }, |_| {});
                shared.log.notice(&format!("REPLICAOF {host}:{port} enabled (user request from '{who}')"));
                reply.answer(&shared, Answer::Ok);
            }
        }
    }

    /// Whether somebody else will choose the successor of this node, and would not choose the one that it chooses: a
    /// Sentinel that misses a primary promotes the replica that it likes best, even while another one serves already, and
    /// what that one acknowledged since is lost. With a single replica both choose the same.
    pub(super) fn leaves_choice_to_sentinel(&self) -> bool {
        let shared = &self.shared;
        let watched = shared.pubsub.listeners_of(Kind::Channel, SENTINEL_CHANNEL) > 0;
        let leaves = self.bus.is_none() && watched && shared.repl.replicas.load().len() > 1;
        if leaves {
            shared
                .log
                .notice("Sentinel watches this node and chooses among its replicas: stopping without a handover.");
        }
        leaves
    }

    /// FAILOVER. Checks in upstream's order (replication 7).
    pub(super) fn begin_failover(&mut self, request: &FailoverRequest, reply: ReplyTo) {
        let target = match self.failover_target(request) {
            Ok(target) => target,
            Err(text) => return reply.answer(&self.shared, Answer::Error(text.into())),
        };
        let token = self.fresh_token();
        let (timeout, force) = (request.timeout, request.force);
        self.feed_replicas();
        self.feed(Input::Failover { token, target, timeout, force });
        // Whoever hears of it can rely on writes being held, or on the state that INFO shows.
        reply.answer(&self.shared, Answer::Ok);
    }

    fn failover_target(&self, request: &FailoverRequest) -> Result<Option<String>, &'static str> {
        let replicas = self.shared.repl.replicas.load();
        if self.bus.is_some() {
            return Err("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.");
        }
        if self.node.phase() != Phase::Idle {
            return Err("ERR FAILOVER already in progress.");
        }
        if self.follows_somebody() {
            return Err("ERR FAILOVER is not valid when server is a replica.");
        }
        if replicas.is_empty() {
            return Err("ERR FAILOVER requires connected replicas.");
        }
        if request.force && (request.timeout.is_none() || request.target.is_none()) {
            return Err("ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
        }
        let Some((host, port)) = &request.target else { return Ok(None) };
        let is_it = |r: &&ReplicaView| r.session.ip() == Some(host.as_str()) && r.session.port == *port;
        match replicas.iter().find(is_it) {
            None => Err("ERR FAILOVER target HOST and PORT is not a replica."),
            Some(view) if !view.session.is_online() => Err("ERR FAILOVER target replica is not online."),
            Some(view) => Ok(Some(view.session.name())),
        }
    }

    /// FAILOVER ABORT.
    pub(super) fn abort_failover(&mut self, reply: ReplyTo) {
        if self.failover_state() == FailoverState::None {
            return reply.answer(&self.shared, Answer::Error("ERR No failover in progress.".into()));
        }
        self.feed(Input::Abort);
        reply.answer(&self.shared, Answer::Ok);
    }

    /// What INFO shows of a handover. While a stopping node only looks for a successor, replicas may still come.
    fn failover_state(&self) -> FailoverState {
        let exits = self.node.shutdown_deadline().is_some();
        match self.node.phase() {
            _ if self.bus.is_some() => FailoverState::None,
            Phase::Promote => FailoverState::InProgress,
            Phase::Choose | Phase::CatchUp | Phase::Fence | Phase::Drain if !exits => FailoverState::WaitingForSync,
            _ => FailoverState::None,
        }
    }

    /// Publishes it.
    pub(super) fn show_failover(&self) {
        if self.bus.is_none() {
            self.shared.repl.set_failover(self.failover_state());
        }
    }

    /// Turns to the replica that is to be primary.
    pub(super) fn ask_takeover(&mut self, host: &str, port: u16) {
        if !self.follows_somebody() {
            self.siblings = siblings::attached(&self.shared);
        }
        role::demote(&self.shared, host, port, Demotion { partial: true, takeover: true }, |_| {});
    }

    /// What becomes of the request that promotes a peer. News of an earlier order are void.
    pub(super) fn hear_takeover(&mut self, news: TakeoverNews, epoch: u64) {
        if self.shared.repl.epoch.load(Ordering::SeqCst) == epoch {
            self.feed(match news {
                TakeoverNews::Asked => Input::TakeoverAsked,
                TakeoverNews::Accepted => Input::TakeoverAnswered { accepted: true },
                TakeoverNews::Rejected => Input::TakeoverAnswered { accepted: false },
                TakeoverNews::Gone => Input::TakeoverGone,
            });
        }
    }

    /// The peer is primary. Whoever was held or blocked is answered with the new place, and siblings are sent there. A node
    /// that ends keeps writers that can't be redirected waiting: the end of their connection tells them more than an error.
    pub(super) fn redirect_standalone(&mut self) {
        let shared = Arc::clone(&self.shared);
        let leaving = self.stopping.is_some();
        shared.change_world(|w| {
            (w.takeover, w.leaving) = (false, leaving);
            w.holds.remove(HoldReason::Shutdown);
            w.holds.remove(HoldReason::Failover);
        });
        shared.tell_workers(|| WorkerMessage::Demoted);
        // CLIENT PAUSE may hold writes still, but not those that are sent elsewhere.
        shared.tell_workers(|| WorkerMessage::HoldsChanged);
        self.lingering = leaving;
        shared.threads().control.send(ControlMessage::Redirected);
        if let Role::Replica { host, port } = &shared.world.peek().role {
            let replicas = std::mem::take(&mut self.siblings);
            self.telling = siblings::tell_all(&shared, replicas, host, *port);
        }
    }

    /// A stop was called off.
    pub(super) fn stay(&self) {
        if self.shared.world.peek().leaving {
            self.shared.change_world(|w| w.leaving = false);
            self.shared.tell_workers(|| WorkerMessage::HoldsChanged);
        }
    }

    /// A peer hands over to this node (`PSYNC ... FAILOVER`). One that is about to end is no good primary.
    pub(super) fn promote_on_request(&self, who: &str, done: &Sender<bool>) {
        let fit = self.bus.is_none() && self.stopping.is_none();
        if fit {
            let took_over = Sight::TookOver(self.shared.journal.end());
            self.shared.threads().control.send(ControlMessage::Seen(took_over));
            self.shared.seen.expect_write();
            role::promote(&self.shared, |_| {});
            self.shared.log.notice(&format!("PRIMARY MODE enabled (failover request from '{who}')"));
        }
        // Whoever asked may have gone meanwhile.
        let _ = done.send(fit);
    }
}

/// Whether the role that this node ends with has to be written down: it has handed over outside of a cluster, and the
/// configuration it would start with again says otherwise.
pub(super) fn keeps_role(shared: &Shared) -> bool {
    shared.world.peek().leaving && shared.config_file.is_some()
}

/// Writes the role into the configuration file: two primaries after a restart would be worse than an edited file.
pub(super) fn keep_role(shared: &Shared) {
    if let Err(refusal) = crate::node::config::rewrite(shared, baton_config::Extent::Needed) {
        let text = refusal.0;
        shared.log.warning(&format!("The configuration file still says that this node is a primary: {text}"));
    }
}
