//! The manual failover (cluster-bus 8): a replica asks its primary to stand still, catches up to the last byte and then
//! is elected, the old primary voting for it. Phases are named after what they wait for.

use crate::canvass::For;
use crate::cluster::{Cluster, Turn};
use crate::command::FailoverMode;
use crate::effect::{Effect, LogLevel};
use crate::input::Origin;
use crate::link::LinkId;
use crate::note::{Asked, Note};
use crate::show::ClusterReply;
use baton_base::{Mono, NodeId, Offset};
use baton_wire::{Body, Kind, MsgFlags};
use std::time::Duration;

/// What this node does in a manual failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manual {
    /// Nothing.
    Idle,
    /// Replica: the primary was asked; its final offset is awaited.
    Requested { end: Mono },
    /// Replica: the final offset is known and not reached yet.
    CatchingUp { end: Mono, target: Offset },
    /// Replica: it may stand.
    Ready { end: Mono, consent: Consent },
    /// Primary: writes are being stopped for this replica; `paused_at` is set once none can happen any more.
    Serving { end: Mono, replica: NodeId, link: LinkId, paused_at: Option<Offset> },
}

/// Why a replica may stand although its primary lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// A user forced it, and answers for what is lost.
    Forced,
    /// The primary said so over the link, and holds its writes since: the stream stands still here.
    Given { at: Offset },
    /// It did, and the link broke: whoever is there when it stands again may serve writes.
    Unsure,
}

impl Manual {
    /// Whether a replica may stand because of it.
    pub(crate) fn is_ready(self) -> bool {
        matches!(self, Manual::Ready { .. })
    }

    /// Whether a replica goes by what its primary says, or is about to.
    pub(crate) fn is_by_consent(self) -> bool {
        match self {
            Manual::Requested { .. } | Manual::CatchingUp { .. } => true,
            Manual::Ready { consent, .. } => consent != Consent::Forced,
            Manual::Idle | Manual::Serving { .. } => false,
        }
    }

    fn end(self) -> Option<Mono> {
        match self {
            Manual::Idle => None,
            Manual::Requested { end }
            | Manual::CatchingUp { end, .. }
            | Manual::Ready { end, .. }
            | Manual::Serving { end, .. } => Some(end),
        }
    }
}

impl Cluster {
    /// CLUSTER FAILOVER.
    pub(crate) fn failover(
        &mut self,
        turn: &Turn<'_>,
        origin: &Origin,
        mode: FailoverMode,
        replica_id: Option<&str>,
    ) -> Result<ClusterReply, String> {
        if let Some(id) = replica_id {
            if matches!(origin, Origin::Client(_)) {
                return Err("ERR syntax error".to_owned());
            }
            if id != self.me.as_str() {
                return Ok(ClusterReply::Ok);
            }
        }
        if self.is_primary() {
            return Err("ERR You should send CLUSTER FAILOVER to a replica".to_owned());
        }
        let Some(primary) = self.my_primary() else {
            return Err("ERR I'm a replica but my master is unknown to me".to_owned());
        };
        let (primary, failed) = (primary.id, primary.failed());
        if mode == FailoverMode::Default && (failed || self.open_outbound(&primary).is_none()) {
            return Err("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE".to_owned());
        }
        let incomplete = mode == FailoverMode::Force && !turn.facts.dataset_complete;
        if incomplete && matches!(origin, Origin::Client(_)) {
            let text = "ERR My dataset is not complete; CLUSTER FAILOVER TAKEOVER would go on with what there is of it";
            return Err(text.to_owned());
        }
        self.reset_manual();
        let end = turn.now + self.manual_timeout();
        let from = match origin {
            Origin::Client(client) => format!("user request from '{client}'"),
            Origin::PrimaryLink => format!("primary request from '{}'", self.name_of(&primary)),
        };
        let who = if *origin == Origin::PrimaryLink { "primary" } else { "user" };
        match mode {
            FailoverMode::Takeover => {
                self.log(LogLevel::Notice, format!("Taking over the primary ({from})."));
                self.note_told(Asked::Takeover, primary);
                self.bump_epoch();
                self.take_over(turn, self.current_epoch);
            }
            FailoverMode::Force => {
                self.log(LogLevel::Notice, format!("Forced failover {who} request accepted ({from})."));
                self.note_told(if *origin == Origin::PrimaryLink { Asked::Primary } else { Asked::Forced }, primary);
                let given = Consent::Given { at: turn.facts.offset };
                self.manual_ready(end, if *origin == Origin::PrimaryLink { given } else { Consent::Forced });
            }
            FailoverMode::Default => {
                self.log(LogLevel::Notice, format!("Manual failover {who} request accepted ({from})."));
                self.manual = Manual::Requested { end };
                self.note_told(Asked::User, primary);
                if !self.canvass(turn, For::User) {
                    self.ask_for_pause(turn, &primary);
                }
            }
        }
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn manual_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.manual_failover_timeout_ms)
    }

    fn manual_ready(&mut self, end: Mono, consent: Consent) {
        self.manual = Manual::Ready { end, consent };
        self.reset_for_manual();
        self.todo.failover = true;
    }

    /// Primary: one of my replicas wants to take over. Only once the data plane confirms that writes have stopped does
    /// any packet say PAUSED.
    pub(crate) fn on_mfstart(&mut self, turn: &Turn<'_>, link: LinkId, sender: NodeId) {
        if !self.is_primary() || self.nodes[&sender].primary != Some(self.me) {
            return;
        }
        // Whoever knows the final offset may win at any moment; a second promise would only take the first one's place.
        if matches!(self.manual, Manual::Serving { replica, paused_at: Some(_), .. } if replica != sender) {
            let text = format!("Manual failover request of {} ignored: another one is going on.", self.named(&sender));
            self.log(LogLevel::Notice, text);
            return;
        }
        // An earlier one is replaced without letting writes run in between.
        let end = turn.now + self.manual_timeout();
        self.manual = Manual::Serving { end, replica: sender, link, paused_at: None };
        self.log(LogLevel::Warning, format!("Manual failover requested by replica {}.", self.named(&sender)));
        self.emit(Effect::PauseWrites { replica: sender, until: turn.now + self.manual_timeout() * 2 });
    }

    /// Replica: asks the primary to stand still, if that is still wanted.
    pub(crate) fn ask_for_pause(&mut self, turn: &Turn<'_>, primary: &NodeId) {
        if matches!(self.manual, Manual::Requested { .. }) && self.myself().primary == Some(*primary) {
            self.send_to(turn, primary, MsgFlags::empty(), Body::MfStart);
        }
    }

    /// Replica: the request may have left on a link whose other end had gone.
    pub(crate) fn repeat_mfstart(&mut self, turn: &Turn<'_>, id: &NodeId) {
        if !self.canvasses_first() {
            self.ask_for_pause(turn, id);
        }
    }

    /// Primary: the final offset is fixed; the replica hears it at once, on the link it asked on.
    pub(crate) fn on_writes_paused(&mut self, turn: &Turn<'_>, offset: Offset) {
        let Manual::Serving { replica, link, paused_at, .. } = &mut self.manual else { return };
        *paused_at = Some(offset);
        let (replica, link) = (*replica, *link);
        if self.links.contains_key(&link) {
            self.send_ping(turn, link, Kind::Ping);
        } else {
            self.ping(turn, &replica);
        }
    }

    /// Replica: the primary stands still at this offset.
    pub(crate) fn on_paused_offset(&mut self, _turn: &Turn<'_>, target: Offset) {
        let Manual::Requested { end } = self.manual else { return };
        self.log(LogLevel::Notice, format!("Received replication offset for paused primary manual failover: {target}"));
        self.manual = Manual::CatchingUp { end, target };
        self.note(Note::Paused { offset: target });
        self.todo.failover = true;
    }

    /// Replica: goes on once everything has been processed, and back where the link shows that the primary may.
    pub(crate) fn run_manual(&mut self, turn: &Turn<'_>) {
        // Votes that arrived while the process stood still must not count for a request that is over since.
        self.expire_manual(turn);
        let up = turn.facts.link_up;
        match self.manual {
            Manual::CatchingUp { end, target } if turn.facts.dataset_complete && turn.facts.offset == target => {
                let text = "All primary replication stream processed, manual failover can start.";
                self.log(LogLevel::Notice, text.to_owned());
                self.note(Note::CaughtUp { offset: target });
                self.manual_ready(end, Consent::Given { at: target });
            }
            // What the primary says next tells whether it still stands still.
            Manual::CatchingUp { end, .. } if !up => self.manual = Manual::Requested { end },
            Manual::Ready { consent: Consent::Given { at }, .. } if turn.facts.offset != at => {
                self.lose_consent("the primary writes again");
            }
            Manual::Ready { end, consent: Consent::Given { .. } } if !up => {
                self.manual = Manual::Ready { end, consent: Consent::Unsure };
            }
            Manual::Ready { consent: Consent::Unsure, .. } if up => self.lose_consent("the primary is back"),
            _ => {}
        }
        if self.leave_is_lost(turn.now) {
            self.lose_consent("the primary failed before it let this node take over");
        }
    }

    /// A node connected to me. If it is the primary that let me stand, and its stream broke before, it was started anew.
    pub(crate) fn doubt_consent(&mut self, turn: &Turn<'_>, id: NodeId) {
        let Manual::Ready { consent, .. } = self.manual else { return };
        let apart = match consent {
            Consent::Forced => false,
            Consent::Given { .. } => !turn.facts.link_up,
            Consent::Unsure => true,
        };
        if apart && self.myself().primary == Some(id) {
            self.lose_consent("the primary is back");
        }
    }

    pub(crate) fn lose_consent(&mut self, why: &str) {
        self.log(LogLevel::Notice, format!("Manual failover given up: {why}."));
        self.note(Note::GivenUp);
        self.reset_manual();
        self.election.reset();
    }

    /// Each side gives up for itself.
    pub(crate) fn expire_manual(&mut self, turn: &Turn<'_>) {
        if self.manual.end().is_some_and(|end| turn.now > end) {
            self.log(LogLevel::Warning, "Manual failover timed out.".to_owned());
            self.note(Note::GivenUp);
            self.reset_manual();
        }
    }

    /// Primary: who holds the writes ended it, so PAUSED is not said any more. The writes are not this machine's then.
    pub(crate) fn end_service(&mut self) {
        if matches!(self.manual, Manual::Serving { .. }) {
            self.manual = Manual::Idle;
        }
    }

    /// Ends any manual failover; a primary serves writes again, once the topology of this turn is out.
    pub(crate) fn reset_manual(&mut self) {
        if matches!(self.manual, Manual::Serving { .. }) {
            self.todo.resume_writes = true;
        }
        self.manual = Manual::Idle;
    }
}
