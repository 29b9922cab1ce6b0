//! The end of a job at its source, once the target has been told that it may take over: the slots stay held until it is known
//! who has them, however long that takes. Writing on when time is up would lose what was written if the target has taken
//! them after all (cluster-bus 15.3, S11).

use std::time::Duration;

use baton_base::Mono;

use super::{End, Export, NOT_MINE};
use crate::slot_jobs::State;
use crate::slot_jobs::fate::{Fate, fate};

const UNPAUSED: &str = "Unpaused before migration completed (the target has not taken the slots over)";
const RELEASED: &str = "Unpaused before migration completed (migration may have succeeded with lost writes)";
/// How often a target is asked that did not say what became of the slots.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for its answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How long to wait between looks at who has the slots.
const LOOK_EVERY: Duration = Duration::from_micros(500);

impl Export<'_> {
    /// Waits until this node has heard that the target has the slots, or that it never will.
    pub(super) fn settle(&mut self) -> Result<(), End> {
        let mut ending: Option<End> = None;
        let mut ask_at = Mono::ZERO;
        loop {
            if let Some(end) = self.decided() {
                return end;
            }
            let now = self.shared.clock.mono();
            match &ending {
                None => {
                    ending = self.go_on(now).err();
                    if ending.is_some() {
                        self.wire.hang_up();
                    }
                }
                Some(_) if self.job.is_released() => {
                    let line = self.job.line();
                    self.shared.log.warning(&format!("Write loss risk! Slot migration {line}: {RELEASED}"));
                    return Err(RELEASED.into());
                }
                Some(_) if now >= ask_at => {
                    if self.ask() == Some(Fate::Ours) {
                        // Who has just taken them has said so on the bus before it answered.
                        return self.decided().unwrap_or_else(|| Err(ending.unwrap_or(End::Over)));
                    }
                    ask_at = self.shared.clock.mono() + ASK_EVERY;
                }
                Some(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// How it ended, as far as this node has heard.
    fn decided(&self) -> Option<Result<(), End>> {
        let world = self.shared.world.load();
        let topology = world.topology.as_ref()?;
        let owners = |id| self.job.slots.iter().all(|slot| topology.owner(slot).map(|node| node.id) == Some(id));
        if self.job.target.is_some_and(owners) {
            return Some(if self.job.state() == State::Cancelled { Err(End::Over) } else { Ok(()) });
        }
        let all_mine = self.job.slots.iter().all(|slot| topology.is_mine(slot));
        (world.role.is_replica() || !all_mine).then(|| Err(NOT_MINE.into()))
    }

    /// Hears the target as long as there is time.
    fn go_on(&mut self, now: Mono) -> Result<(), End> {
        if self.job.state().is_over() {
            return Err(End::Over);
        }
        if self.until <= now {
            return Err(UNPAUSED.into());
        }
        self.wire.send_some()?;
        self.wire.listen(now)?;
        std::thread::sleep(LOOK_EVERY);
        Ok(())
    }

    /// Asks the target itself; none if it does not answer.
    fn ask(&self) -> Option<Fate> {
        let mut wire = super::connect(self.shared, self.job, ANSWER).ok()?;
        let replies = wire.replies(&[&[b"CLUSTER", b"GETSLOTMIGRATIONS"], &[b"CLUSTER", b"SLOTS"]])?;
        let [jobs, slots] = &replies[..] else { return None };
        Some(fate(jobs, slots, &self.job.name, self.job.slots.first()?, self.job.target?))
    }
}
