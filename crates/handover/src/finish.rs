//! Redirect, linger and stop: what is left to do once a successor serves, or once it is clear that nobody will. Saving
//! happens here and never earlier.

use crate::run::{Cx, FenceState, Run, Save, Step, Turn};
use crate::{Effect, Failure, Kind, Level, Outcome, texts};
use baton_base::Mono;
use std::time::Duration;

impl Run {
    pub(crate) fn to_redirect(&self, cx: &Cx<'_>) -> Step {
        Step::Redirect { until: cx.now + cx.facts.limits.redirect_max }
    }

    pub(crate) fn enter_redirect(&mut self, cx: &mut Cx<'_>) {
        let (successor, epoch) = self.successor.expect("nobody is redirected without a successor");
        self.fence = FenceState::Open;
        self.told.clear();
        self.may_win.clear();
        self.takeover.turned = false;
        cx.emit(Effect::Redirect { successor, epoch });
        let held = self.fence_at.map_or(Duration::ZERO, |at| cx.now.since(at));
        let total = cx.now.since(self.started);
        let text = match self.takeover.heir.as_deref() {
            Some(addr) => texts::handed_over(&addr, total, held),
            None => texts::handed_over(&successor, total, held),
        };
        cx.log(Level::Notice, text);
    }

    pub(crate) fn redirect(&mut self, cx: &mut Cx<'_>, until: Mono) -> Turn {
        self.stay_if_called_off(cx);
        if !self.redirected && cx.now < until {
            return Turn::Wait(until);
        }
        let outcome = self.outcome();
        self.finish_where(cx, |kind| !kind.exits(), outcome);
        if !self.exit {
            return Turn::Idle;
        }
        let limits = &cx.facts.limits;
        Turn::Go(Step::Linger { until: cx.now + limits.linger_max, save_until: cx.now + limits.save_max })
    }

    pub(crate) fn linger(&mut self, cx: &mut Cx<'_>, until: Mono, save_until: Mono) -> Turn {
        self.stay_if_called_off(cx);
        if !self.exit {
            return Turn::Idle;
        }
        let saved = matches!(self.save, Save::Done { .. });
        let alone = self.clients == Some(0) || cx.now >= until;
        if !(saved && alone) && cx.now < save_until {
            return Turn::Wait(if cx.now < until { until } else { save_until });
        }
        if self.save != (Save::Done { ok: true }) {
            cx.log(Level::Warning, texts::SAVE_LEFT);
        }
        self.exit_with(cx, self.outcome())
    }

    pub(crate) fn ask_save(&mut self, cx: &mut Cx<'_>) {
        if self.save == Save::NotAsked {
            self.save = Save::Asked;
            cx.emit(Effect::FinalSave);
        }
    }

    pub(crate) fn enter_stop(&mut self, cx: &mut Cx<'_>) {
        self.log_lag(cx);
        match self.failure {
            // A replica was found and told; that it didn't win is in the log already.
            Failure::NotWanted | Failure::NotPromoted | Failure::Rejected => {}
            Failure::LegacyReplica => cx.log(Level::Warning, texts::LEGACY),
            _ => cx.log(Level::Warning, texts::NO_SUCCESSOR),
        }
        if self.fence == FenceState::Open {
            self.fence = FenceState::Closing;
        }
        self.hold(cx);
    }

    pub(crate) fn stop(&mut self, cx: &mut Cx<'_>, until: Mono) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.aborted {
            return self.call_off(cx);
        }
        if self.save == Save::NotAsked {
            let fenced = matches!(self.fence, FenceState::Closed(_));
            if !fenced && cx.now < until {
                return Turn::Wait(until);
            }
            if !fenced {
                cx.log(Level::Warning, texts::NOT_FENCED);
            }
            self.ask_save(cx);
        }
        match self.save {
            Save::Done { ok } if ok || self.force => self.exit_with(cx, Outcome::NoSuccessor(self.failure)),
            Save::Done { .. } => {
                cx.log(Level::Warning, texts::NOT_STOPPED);
                self.end(cx, Outcome::SaveFailed)
            }
            // Nobody else has the data, so the save takes as long as it takes.
            Save::NotAsked | Save::Asked => Turn::Wait(Mono::NEVER),
        }
    }

    /// Says once which replicas don't have everything, as every shutdown does (replication 10).
    pub(crate) fn log_lag(&mut self, cx: &mut Cx<'_>) {
        let replicas = &cx.facts.replicas;
        if std::mem::replace(&mut self.lag_logged, true) || replicas.is_empty() {
            return;
        }
        let end = match self.fence {
            FenceState::Closed(offset) => offset,
            FenceState::Open | FenceState::Closing => cx.facts.end,
        };
        let mut synced = 0;
        for replica in replicas {
            if replica.acked >= end {
                synced += 1;
            } else {
                cx.log(Level::Notice, texts::lagging(replica, end, cx.now));
            }
        }
        cx.log(Level::Notice, texts::in_sync(synced, replicas.len()));
    }

    /// Once another node is primary only the exit can be called off.
    fn stay_if_called_off(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.aborted) && self.exit {
            cx.log(Level::Notice, texts::SHUTDOWN_ABORTED);
            self.finish_where(cx, Kind::exits, Outcome::Aborted);
            self.exit = false;
        }
    }

    fn outcome(&self) -> Outcome {
        let (successor, epoch) = self.successor.expect("this step has a successor");
        Outcome::HandedOver { successor, epoch }
    }

    fn exit_with(&mut self, cx: &mut Cx<'_>, outcome: Outcome) -> Turn {
        self.finish_where(cx, |_| true, outcome);
        Turn::Exit
    }
}
