//! What of the two machines' doings goes into the history of changes. It only looks: no effect is made, held back or put
//! in another order here, but for the lines of the log that tell the story.

use crate::change::ChangeKind;
use crate::chronicle::{Own, When};
use crate::effect::Effect;
use crate::glue::Moment;
use crate::node::Node;
use baton_cluster::LogLevel;
use baton_handover as handover;
use baton_handover::Kind;

impl Moment<'_> {
    pub(crate) fn when(&self) -> When {
        When { now: self.now, wall: self.wall, last_heard: self.facts.last_interaction }
    }
}

impl Node {
    /// A handover is about to be requested.
    pub(crate) fn witness_request(&mut self, kind: Kind, wanted: bool) {
        let cause = match kind {
            Kind::Sigterm => ChangeKind::Sigterm,
            Kind::ShutdownFailover => ChangeKind::Shutdown,
            Kind::Command => ChangeKind::Failover,
        };
        self.chronicler.on_request(wanted.then_some(cause));
    }

    /// Looks at what the handover machine does.
    pub(crate) fn witness(&mut self, at: &Moment<'_>, effect: &handover::Effect) {
        use handover::Effect as H;
        let when = at.when();
        match effect {
            H::Timeline(record) => {
                let own = self.cluster.as_ref().map(|c| Own { id: c.id(), shard: c.shard(), epoch: c.config_epoch() });
                self.chronicler.on_record(when, own, *record);
            }
            H::OrderPromotion { target, .. } => self.chronicler.on_told(when, *target, true),
            H::AskTakeover { target } => self.chronicler.on_told(when, *target, true),
            H::AnnouncePaused { target, .. } => self.chronicler.on_told(when, *target, false),
            H::Redirect { successor, epoch } => self.chronicler.on_redirect(when, *successor, *epoch),
            _ => {}
        }
    }

    /// Puts what is new of the history into the log, behind everything that this input caused.
    pub(crate) fn tell_story(&mut self) {
        if self.exited {
            return;
        }
        for text in self.chronicler.poll_story() {
            self.effects.push_back(Effect::Log { level: LogLevel::Notice, text });
        }
    }
}
