//! How the two machines of a node move each other. Every effect of one is either handed on or turned into an input of
//! the other; the order of each machine's effects is kept, and what one effect causes comes right after it.

use crate::change::ChangeKind;
use crate::effect::Effect;
use crate::input::{Input, StopKind};
use crate::node::{Node, Told};
use crate::standalone;
use baton_base::{Epoch, Mono, NodeId, Slot, WallMs};
use baton_cluster as cluster;
use baton_cluster::{Cluster, Facts, LogLevel, Origin, Settings, Token};
use baton_handover as handover;
use baton_handover::{Kind, Level, Limits, Outcome, Phase, Promotion, Request};
use std::time::Duration;

/// More effects than one input can cause across both machines; reaching it is an own bug.
const ROUNDS_MAX: usize = 1 << 20;
/// By how much a candidate may outlive its order: its clock may be slow, and its request long on the way.
const REFUSAL_MARGIN: Duration = Duration::from_secs(1);
/// A node that is called so much later than it wanted has stood still.
const STOOD_MIN: Duration = Duration::from_millis(300);
/// Tokens of this node's own requests carry this bit, those of its shell never do.
const OWN_TOKEN: u64 = 1 << 63;

/// The moment of an input.
pub(crate) struct Moment<'a> {
    pub(crate) now: Mono,
    pub(crate) wall: WallMs,
    pub(crate) facts: Facts<'a>,
}

impl Node {
    /// Gives an input to the machine it is for.
    pub(crate) fn dispatch(&mut self, at: &Moment<'_>, input: Input) {
        use cluster::Input as C;
        use handover::Input as H;
        match input {
            Input::Tick => {
                self.tell_cluster(at, C::Tick);
                self.handover.handle(at.now, H::Tick);
            }
            Input::DataLoaded { offset } => self.tell_cluster(at, C::DataLoaded { offset }),
            Input::Progress => self.tell_cluster(at, C::DataProgress),
            Input::LinkOpened { link, local_ip } => self.tell_cluster(at, C::LinkOpened { link, local_ip }),
            Input::LinkAccepted { link, peer_ip, local_ip } => {
                self.tell_cluster(at, C::LinkAccepted { link, peer_ip, local_ip });
            }
            Input::LinkFailed { link, why } => self.tell_cluster(at, C::LinkFailed { link, why }),
            Input::LinkClosed { link } => {
                self.tell_cluster(at, C::LinkClosed { link });
                self.note_gone(at);
            }
            Input::Received { link, bytes } => self.tell_cluster(at, C::Received { link, bytes }),
            Input::Command { token, origin, command } => self.command(at, token, origin, command),
            Input::SettingsChanged(settings) => {
                self.follow_settings(&settings);
                self.tell_cluster(at, C::SettingsChanged(settings));
            }
            Input::LimitsChanged(limits) => {
                let order_valid = self.limits.order_valid;
                self.limits = Limits { order_valid, ..*limits };
                self.handover.set_limits(self.limits.clone());
            }
            Input::PersistOutcome { ok } => self.tell_cluster(at, C::PersistOutcome { ok }),
            Input::Publish { channel, message, sharded } => {
                self.tell_cluster(at, C::Publish { channel, message, sharded });
            }
            Input::AcksFrozen(frozen) => self.tell_cluster(at, C::AcksFrozen(frozen)),
            Input::StatsReset => self.tell_cluster(at, C::StatsReset),
            Input::Stop { token, kind, timeout, force } => self.stop(at, token, kind, timeout, force),
            Input::HandOver { token, target, timeout } => self.hand_over(at, token, target, timeout),
            Input::Failover { token, target, timeout, force } => self.fail_over(at, token, target, timeout, force),
            Input::TakeoverAsked => self.note_asked(at),
            Input::TakeoverAnswered { accepted } => self.note_takeover(at, accepted),
            Input::TakeoverGone => self.note_takeover_gone(at),
            Input::Abort => self.handover.handle(at.now, H::Abort),
            Input::Replicas(replicas) => {
                self.replicas = replicas;
                self.tell_replicas(at);
            }
            Input::Fenced { offset } => {
                self.chronicler.on_fenced(at.when(), offset);
                self.handover.handle(at.now, H::Fenced { offset });
            }
            Input::Redirected => {
                self.chronicler.on_redirected(at.when());
                self.handover.handle(at.now, H::Redirected);
            }
            Input::Seen(sight) => self.chronicler.on_sight(at.when(), sight),
            Input::ClientsLeft(count) => self.handover.handle(at.now, H::ClientsLeft(count)),
            Input::Saved { ok } => self.handover.handle(at.now, H::Saved { ok }),
        }
    }

    /// Turns the effects of both machines into the node's, until neither has any.
    pub(crate) fn pump(&mut self, at: &Moment<'_>) {
        for _ in 0..ROUNDS_MAX {
            if let Some(effect) = self.handover.poll_effect() {
                self.on_handover(at, effect);
            } else if let Some(effect) = self.cluster.as_mut().and_then(Cluster::poll_effect) {
                self.on_cluster(at, effect);
            } else if !self.settle_demotion(at) {
                return;
            }
        }
        unreachable!("no input causes {ROUNDS_MAX} effects");
    }

    /// An order is valid for as long as its replica pursues it, which is a parameter of the cluster.
    pub(crate) fn follow_settings(&mut self, settings: &Settings) {
        self.limits.order_valid = Duration::from_millis(settings.manual_failover_timeout_ms);
        self.handover.set_limits(self.limits.clone());
    }

    fn tell_cluster(&mut self, at: &Moment<'_>, input: cluster::Input) {
        if let Some(cluster) = &mut self.cluster {
            cluster.handle(at.now, at.wall, &at.facts, input);
        }
    }

    fn command(&mut self, at: &Moment<'_>, token: Token, origin: Origin, command: cluster::ClusterCommand) {
        if self.cluster.is_none() {
            let result = Err("ERR This instance has cluster support disabled".to_owned());
            self.effects.push_back(Effect::Reply { token, result });
            return;
        }
        if origin == Origin::PrimaryLink && !self.is_primary() && self.handover.phase() != Phase::Idle {
            // A replica that is about to exit would be the shard's primary for as long as its final save takes. Its primary
            // finds somebody else, or waits until this node is back.
            let text = "Asked to take over while shutting down: refused.".to_owned();
            self.effects.push_back(Effect::Log { level: LogLevel::Notice, text });
            self.effects.push_back(Effect::Reply { token, result: Ok(cluster::ClusterReply::Ok) });
            return;
        }
        if matches!(command, cluster::ClusterCommand::ClaimSlots { .. }) && self.handover.phase() != Phase::Idle {
            // The successor would not know of them. Their source keeps them.
            self.effects.push_back(Effect::Reply { token, result: Err("ERR A failover is in progress".to_owned()) });
            return;
        }
        self.tell_cluster(at, cluster::Input::Command { token, origin, command });
    }

    fn stop(&mut self, at: &Moment<'_>, token: Token, kind: StopKind, timeout: Duration, force: bool) {
        let promotion = if kind == StopKind::Plain { Promotion::Nobody } else { self.promotion() };
        self.note_expected(at);
        let kind = if kind == StopKind::ShutdownFailover { Kind::ShutdownFailover } else { Kind::Sigterm };
        self.witness_request(kind, promotion != Promotion::Nobody);
        let request = Request {
            kind,
            token: handover::Token(token.0),
            target: None,
            promotion,
            timeout,
            force,
            regardless: false,
        };
        self.handover.handle(at.now, handover::Input::Request(request));
    }

    fn hand_over(&mut self, at: &Moment<'_>, token: Token, target: Option<NodeId>, timeout: Duration) {
        let promotion = self.promotion();
        if promotion == Promotion::Nobody {
            self.effects.push_back(Effect::Finished { token, outcome: Outcome::Refused });
            return;
        }
        let token = handover::Token(token.0);
        self.witness_request(Kind::Command, true);
        let kind = Kind::Command;
        let request = Request { kind, token, target, promotion, timeout, force: false, regardless: false };
        self.handover.handle(at.now, handover::Input::Request(request));
    }

    /// Shows the handover the attached replicas. One can only be elected under a name that the cluster knows, which it
    /// may learn after the replica attached.
    fn tell_replicas(&mut self, at: &Moment<'_>) {
        let mut replicas = self.replicas.clone();
        let mut strangers = false;
        if self.cluster.is_none() {
            standalone::name_all(&mut replicas);
        }
        if let Some(topology) = self.topology() {
            for replica in &mut replicas {
                let known = replica.id.is_none_or(|id| topology.nodes.iter().any(|node| node.id == id));
                if !known {
                    replica.id = None;
                    strangers = true;
                }
            }
        }
        self.strangers = strangers;
        self.handover.handle(at.now, handover::Input::Replicas(replicas));
    }

    /// How somebody could take over what this node serves.
    fn promotion(&self) -> Promotion {
        match &self.cluster {
            Some(_) if self.serves_slots() => Promotion::Order,
            None if self.replicas.iter().any(standalone::can_be_asked) => Promotion::Takeover,
            _ => Promotion::Nobody,
        }
    }

    /// Whether there is anything to hand over that an election can decide.
    fn serves_slots(&self) -> bool {
        let topology = self.topology();
        self.is_primary() && topology.is_some_and(|t| Slot::all().any(|slot| t.is_mine(slot)))
    }

    fn on_cluster(&mut self, at: &Moment<'_>, effect: cluster::Effect) {
        use cluster::Effect as C;
        if self.demoted && !matches!(effect, C::BecomeReplicaOf { .. } | C::Log { .. } | C::Note(_)) {
            self.settle_demotion(at);
        }
        let out = match effect {
            C::PauseWrites { replica, until } => return self.serve_manual(at, replica, until),
            C::ResumeWrites => return self.manual_given_up(at),
            C::Recalled { replica } => {
                return self.handover.handle(at.now, handover::Input::Withdrawn { target: replica });
            }
            C::Canvassed { replica } => {
                return self.handover.handle(at.now, handover::Input::Canvassed { target: replica });
            }
            C::Reply { token, .. } if token.0 & OWN_TOKEN != 0 => return,
            C::PublishTopology(topology) => {
                let primary = topology.myself().is_primary;
                self.demoted |= self.was_primary && !primary;
                self.was_primary = primary;
                self.effects.push_back(Effect::PublishTopology(topology));
                if self.strangers {
                    self.tell_replicas(at);
                }
                return;
            }
            C::BecomeReplicaOf { primary, host, port, full_sync } => {
                self.effects.push_back(Effect::BecomeReplicaOf { primary, host, port, full_sync });
                self.settle_demotion(at);
                return;
            }
            C::Connect { link, node, ip, port } => Effect::Connect { link, node, ip, port },
            C::Close { link } => Effect::Close { link },
            C::Send { link, bytes } => Effect::Send { link, bytes },
            C::SaveConfig { text, sync } => Effect::SaveConfig { text, sync },
            C::SaveEpochs(record) => Effect::SaveEpochs(record),
            C::Lease { until } => Effect::Lease { until },
            C::BecomePrimary => Effect::BecomePrimary,
            C::DeleteKeysInSlots(slots) => Effect::DeleteKeysInSlots(slots),
            C::FlushAllData => Effect::FlushAllData,
            C::UnsubscribeSlots(slots) => Effect::UnsubscribeSlots(slots),
            C::DeliverPublish { channel, message, sharded } => Effect::DeliverPublish { channel, message, sharded },
            C::Reply { token, result } => Effect::Reply { token, result },
            C::Log { level, text } => Effect::Log { level, text },
            C::Note(note) => return self.chronicler.on_note(at.when(), note),
        };
        self.effects.push_back(out);
    }

    /// The role is lost and published: whatever handover runs ends in redirecting to whom this node follows now. Tells
    /// whether there was anything to do.
    fn settle_demotion(&mut self, at: &Moment<'_>) -> bool {
        if !std::mem::take(&mut self.demoted) {
            return false;
        }
        let Some(cluster) = &self.cluster else { return true };
        let topology = cluster.topology();
        let head = topology.primary.and_then(|p| topology.node(p)).map(|n| n.id);
        let epoch = cluster.config_epoch();
        match head {
            Some(node) => self.handover.handle(at.now, handover::Input::SuccessorSeen { node, epoch }),
            // Without a known successor there is nobody to redirect to; the handover can't go on either.
            None => self.handover.handle(at.now, handover::Input::Abort),
        }
        true
    }

    /// A replica asked for a manual failover: it becomes a handover that announces.
    fn serve_manual(&mut self, at: &Moment<'_>, replica: NodeId, until: Mono) {
        // The cluster machine's backstop is twice the time the replica waits.
        let timeout = until.since(at.now) / 2;
        let shutdown = self.handover.shutdown_deadline().is_some();
        if self.manual.is_some_and(|(asked, _)| asked != replica) && !shutdown {
            // The cluster machine lets a replica replace another one only as long as that one hasn't been told.
            self.manual = None;
            self.handover.handle(at.now, handover::Input::Abort);
        }
        self.own_tokens += 1;
        let token = handover::Token(OWN_TOKEN | self.own_tokens);
        self.manual = Some((replica, token));
        self.chronicler.on_request(Some(ChangeKind::ClusterFailover));
        let request = Request {
            kind: Kind::Command,
            token,
            target: Some(replica),
            promotion: Promotion::Announce,
            timeout,
            force: false,
            regardless: false,
        };
        self.handover.handle(at.now, handover::Input::Request(request));
    }

    /// The cluster machine ended its manual failover by itself: by its own deadline, or because the role is lost, of
    /// which the handover knows already. A shutdown that joined goes on by its own rules.
    fn manual_given_up(&mut self, at: &Moment<'_>) {
        let shutdown = self.handover.shutdown_deadline().is_some();
        if self.manual.take().is_some() && self.is_primary() && !shutdown {
            self.handover.handle(at.now, handover::Input::Abort);
        }
    }

    fn on_handover(&mut self, at: &Moment<'_>, effect: handover::Effect) {
        use handover::Effect as H;
        self.witness(at, &effect);
        let out = match effect {
            H::AnnouncePaused { target, offset, until } => {
                self.allow_vote(at, target);
                self.stand_still(at, Some((target, until)));
                return self.tell_cluster(at, cluster::Input::WritesPaused { offset });
            }
            H::Canvass { target } => {
                self.grant_again(at, target);
                return self.tell_cluster(at, cluster::Input::Canvass { replica: target });
            }
            H::WithdrawPromotion { target } => return self.withdraw(at, target),
            H::Exit => return self.exit(at),
            H::Finished { token, outcome } if token.0 & OWN_TOKEN != 0 => {
                return self.manual_finished(at, token, outcome);
            }
            H::Joined { .. } => return,
            H::Fence { until, ask } => Effect::Fence { until, exits: self.handover.shutdown_deadline().is_some(), ask },
            H::AskTakeover { target } => return self.ask_takeover(at, target),
            H::ResumePrimary => {
                self.heir = None;
                Effect::ResumePrimary
            }
            H::Unfence => {
                self.told.clear();
                self.tell_cluster(at, cluster::Input::GoOn);
                Effect::Unfence
            }
            H::Redirect { successor, epoch } => {
                self.told.clear();
                self.tell_cluster(at, cluster::Input::GoOn);
                self.heir = None;
                Effect::Redirect { successor, epoch }
            }
            H::OrderPromotion { target, until } => {
                self.allow_vote(at, target);
                self.stand_still(at, Some((target, until)));
                if !self.is_primary() {
                    // That somebody else won came first; the handover has just heard of it. The stream is not this node's.
                    return;
                }
                Effect::AppendOrder { target }
            }
            H::AskAck => Effect::AskAck,
            H::FinalSave => Effect::FinalSave,
            H::Finished { token, outcome } => Effect::Finished { token: Token(token.0), outcome },
            H::Log { level, text } => Effect::Log { level: level_of(level), text },
            H::Timeline(record) => Effect::Timeline(record),
        };
        self.effects.push_back(out);
    }

    /// A replica that the bus shows alive comes back when its connection breaks: whoever stops may wait for it.
    pub(crate) fn note_expected(&mut self, at: &Moment<'_>) {
        let expected = self.cluster.as_ref().is_some_and(Cluster::has_living_replica);
        if expected != self.last_expected {
            self.last_expected = expected;
            self.handover.handle(at.now, handover::Input::Expected(expected));
        }
    }

    /// A candidate whose links are all gone has ended: one that wins closes its replication link, but none of these.
    fn note_gone(&mut self, at: &Moment<'_>) {
        let Some((target, cluster)) = self.handover.promoting().zip(self.cluster.as_ref()) else { return };
        if !cluster.is_linked(&target) {
            self.handover.handle(at.now, handover::Input::Gone { target });
        }
    }

    /// Writes are held for a successor: nothing is acknowledged by any timer before it can have heard of that.
    fn stand_still(&mut self, at: &Moment<'_>, heir: Option<(NodeId, Mono)>) {
        self.tell_cluster(at, cluster::Input::StandStill { heir });
        self.drain_cluster(at);
    }

    /// Carries out what the cluster machine wants before anything else.
    fn drain_cluster(&mut self, at: &Moment<'_>) {
        while let Some(effect) = self.cluster.as_mut().and_then(Cluster::poll_effect) {
            self.on_cluster(at, effect);
        }
    }

    /// The handover ended what a replica had asked for; the cluster machine stops announcing it. After a success it has
    /// done so by itself.
    fn manual_finished(&mut self, at: &Moment<'_>, token: handover::Token, outcome: Outcome) {
        if self.manual.is_some_and(|(_, own)| own == token) {
            self.manual = None;
            if !matches!(outcome, Outcome::HandedOver { .. }) {
                self.tell_cluster(at, cluster::Input::ServiceEnded);
            }
        }
    }

    /// From here on the target doesn't get this node's vote, and not before it has certainly given up: its request may be
    /// on its way long after this handover is over. Where that vote is needed, and wasn't given yet, the target can't win
    /// any more.
    fn withdraw(&mut self, at: &Moment<'_>, target: NodeId) {
        let told = self.told.iter().find(|told| told.id == target).copied();
        let (since, before) = told.map_or((at.now, Epoch(0)), |told| (told.at, told.vote));
        self.withdrawn.push((target, since + self.limits.order_valid + REFUSAL_MARGIN));
        self.refuse_votes(at);
        self.stand_still(at, None);
        let Some(cluster) = &self.cluster else { return };
        if cluster.may_win(&target, before) {
            self.tell_cluster(at, cluster::Input::Recall { replica: target });
        } else {
            self.handover.handle(at.now, handover::Input::Withdrawn { target });
        }
    }

    /// The target is told to be primary: it gets this node's vote, whatever was before.
    fn allow_vote(&mut self, at: &Moment<'_>, target: NodeId) {
        let Some(cluster) = &self.cluster else { return };
        if !self.told.iter().any(|told| told.id == target) {
            self.told.push(Told { id: target, at: at.now, vote: cluster.last_vote_epoch() });
        }
        self.grant_again(at, target);
    }

    /// Refuses this candidate no more.
    fn grant_again(&mut self, at: &Moment<'_>, target: NodeId) {
        if self.withdrawn.iter().any(|(id, _)| *id == target) {
            self.withdrawn.retain(|(id, _)| *id != target);
            self.refuse_votes(at);
        }
    }

    /// After a pause the timers are due at once, and what the others said is still in the sockets: it counts first.
    pub(crate) fn note_pause(&mut self, at: &Moment<'_>) {
        if at.now.since(self.next_wake()) >= STOOD_MIN {
            self.handover.handle(at.now, handover::Input::Stood);
        }
    }

    /// Ends refusals whose time is over.
    pub(crate) fn forgive(&mut self, at: &Moment<'_>) {
        if self.withdrawn.iter().any(|(_, until)| *until <= at.now) {
            self.withdrawn.retain(|(_, until)| *until > at.now);
            self.refuse_votes(at);
        }
    }

    fn refuse_votes(&mut self, at: &Moment<'_>) {
        let refused = self.withdrawn.iter().map(|(id, _)| *id).collect();
        self.tell_cluster(at, cluster::Input::RefuseVotes(refused));
    }

    fn exit(&mut self, at: &Moment<'_>) {
        debug_assert_eq!(self.handover.phase(), Phase::Exited);
        if self.cluster.is_some() {
            let text = "Saving the cluster configuration file before exiting.".to_owned();
            self.effects.push_back(Effect::Log { level: LogLevel::Warning, text });
            let (token, origin) = (Token(OWN_TOKEN), Origin::Client(String::new()));
            let command = cluster::ClusterCommand::SaveConfig;
            self.tell_cluster(at, cluster::Input::Command { token, origin, command });
            self.drain_cluster(at);
        }
        self.exited = true;
        self.effects.push_back(Effect::Exit);
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::Verbose => LogLevel::Verbose,
        Level::Notice => LogLevel::Notice,
        Level::Warning => LogLevel::Warning,
    }
}
