//! Scripts that take long: who they are, what they hold, and that they are to end. A script is known here from the moment
//! on that it has run for `busy-reply-threshold`; from then on whoever needs what it holds is told so instead of waiting.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use baton_base::{Mono, Slot};
use baton_resp::OwnedArgs;
use baton_script::Script;
use parking_lot::Mutex;

use crate::gate::Lane;

/// Scripts that may take long at the same time: each has a thread. Further ones are told that the server is busy.
pub const RUNS_MAX: usize = 8;

/// What runs.
pub enum Text {
    /// A script.
    Script(Arc<Script>),
    /// A function.
    Function {
        /// Its name.
        name: Box<[u8]>,
        /// The request that called it.
        request: OwnedArgs,
    },
}

/// One run of a script.
pub struct Run {
    /// What runs.
    pub text: Text,
    /// When it began.
    pub began: Mono,
    /// What it holds; none is everything.
    held: Mutex<Option<Vec<Slot>>>,
    state: AtomicU8,
}

/// It wrote: it can't be ended without leaving half of what it does.
const WROTE: u8 = 1;
/// It is to end. Only the end of the server ends one that wrote.
const ENDS: u8 = 2;

impl Run {
    /// A run that begins, and holds these slots.
    pub fn new(text: Text, began: Mono, slots: Option<Vec<Slot>>) -> Run {
        Run { text, began, held: Mutex::new(slots), state: AtomicU8::new(0) }
    }

    /// It holds one more slot.
    pub fn reach(&self, slot: Slot) {
        if let Some(slots) = &mut *self.held.lock()
            && !slots.contains(&slot)
        {
            slots.push(slot);
        }
    }

    fn holds(&self, slot: Slot) -> bool {
        self.held.lock().as_ref().is_none_or(|slots| slots.contains(&slot))
    }

    /// It is about to write.
    ///
    /// # Errors
    /// It is to end, and may write no more: why.
    pub fn note_write(&self) -> Result<(), String> {
        if self.advance(ENDS, WROTE) { Ok(()) } else { Err(self.end_text()) }
    }

    /// Whether it wrote.
    pub fn wrote(&self) -> bool {
        self.state.load(Ordering::Acquire) & WROTE != 0
    }

    /// Has it end; false if it wrote.
    fn kill(&self) -> bool {
        self.advance(WROTE, ENDS)
    }

    /// Sets a bit, unless this other one is set.
    fn advance(&self, unless: u8, bit: u8) -> bool {
        let next = |state: u8| (state & unless == 0).then_some(state | bit);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Why it is to end, if it is.
    pub fn ending(&self) -> Option<String> {
        (self.state.load(Ordering::Acquire) & ENDS != 0).then(|| self.end_text())
    }

    /// Whether it is to end although it wrote, because the server ends.
    pub fn ends_halfway(&self) -> bool {
        self.state.load(Ordering::Acquire) == WROTE | ENDS
    }

    fn end_text(&self) -> String {
        format!("ERR Script killed by user with {}.", self.kill_command())
    }

    /// How it is called in the log.
    pub fn name(&self) -> String {
        match &self.text {
            Text::Script(script) => script.sha.to_string(),
            Text::Function { name, .. } => {
                String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into_owned()
            }
        }
    }

    /// Whether it is a function.
    pub fn is_function(&self) -> bool {
        matches!(self.text, Text::Function { .. })
    }

    /// The command that ends it.
    pub fn kill_command(&self) -> &'static str {
        if self.is_function() { "FUNCTION KILL" } else { "SCRIPT KILL" }
    }

    /// What somebody is told who needs what it holds.
    fn busy_text(&self, server: &str) -> String {
        busy_text(self.kill_command(), server)
    }
}

fn busy_text(command: &str, server: &str) -> String {
    format!("BUSY {server} is busy running a script. You can only call {command} or SHUTDOWN NOSAVE.")
}

/// The runs that take long.
#[derive(Default)]
pub struct Running {
    count: AtomicUsize,
    runs: Mutex<Vec<Arc<Run>>>,
    /// Lanes of stand-ins that nobody uses.
    lanes: Mutex<Vec<Lane>>,
}

impl Running {
    /// None yet, with these lanes for stand-ins.
    pub fn new(lanes: Range<usize>) -> Running {
        Running { lanes: Mutex::new(lanes.map(Lane).collect()), ..Running::default() }
    }

    /// Whether there is any.
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether there are so many that no further script may begin.
    pub fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= RUNS_MAX
    }

    /// Whether one of them holds this slot.
    pub fn holds(&self, slot: Slot) -> bool {
        self.any() && self.runs.lock().iter().any(|run| run.holds(slot))
    }

    /// A run takes long.
    pub fn enter(&self, run: &Arc<Run>) {
        self.runs.lock().push(Arc::clone(run));
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// It is over.
    pub fn leave(&self, run: &Arc<Run>) {
        let mut runs = self.runs.lock();
        let before = runs.len();
        runs.retain(|other| !Arc::ptr_eq(other, run));
        self.count.fetch_sub(before - runs.len(), Ordering::SeqCst);
    }

    /// A lane for a stand-in.
    pub fn take_lane(&self) -> Option<Lane> {
        self.lanes.lock().pop()
    }

    /// A lane is free for the next stand-in.
    pub fn give_lane(&self, lane: Lane) {
        self.lanes.lock().push(lane);
    }

    /// What somebody is told who needs these slots; none if nobody holds any. Who needs no slot needs the server as a whole.
    pub fn refusal(&self, slots: &[Slot], server: &str) -> Option<String> {
        let runs = self.runs.lock();
        let in_the_way = |run: &&Arc<Run>| slots.is_empty() || slots.iter().any(|slot| run.holds(*slot));
        runs.iter().find(in_the_way).map(|run| run.busy_text(server))
    }

    /// What somebody is told who gave up, even if what he waited for is over by now.
    pub fn busy(&self, slots: &[Slot], server: &str) -> String {
        let any = self.refusal(slots, server).or_else(|| self.refusal(&[], server));
        any.unwrap_or_else(|| busy_text("SCRIPT KILL", server))
    }

    /// The longest running one.
    pub fn first(&self) -> Option<Arc<Run>> {
        self.runs.lock().first().map(Arc::clone)
    }

    /// Ends what may be ended, of functions or of scripts.
    ///
    /// # Errors
    /// The text of the refusal.
    pub fn kill(&self, functions: bool, server: &str) -> Result<(), String> {
        let runs = self.runs.lock();
        let Some(first) = runs.first() else { return Err("NOTBUSY No scripts in execution right now.".into()) };
        let named: Vec<_> = runs.iter().filter(|run| run.is_function() == functions).collect();
        if named.is_empty() {
            return Err(first.busy_text(server));
        }
        let killed = named.iter().filter(|run| run.kill()).count();
        if killed > 0 { Ok(()) } else { Err(UNKILLABLE.into()) }
    }

    /// Ends all of them, because the server ends.
    pub fn abort(&self) {
        self.runs.lock().iter().for_each(|run| _ = run.state.fetch_or(ENDS, Ordering::AcqRel));
    }
}

/// How much of a name the log shows, in bytes.
const NAME_BYTES_MAX: usize = 128;

const UNKILLABLE: &str = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(is_function: bool, slots: Option<&[u16]>) -> Arc<Run> {
        let slots = slots.map(|slots| slots.iter().map(|n| Slot::new(*n).unwrap()).collect());
        let text = if is_function {
            Text::Function { name: b"f"[..].into(), request: OwnedArgs::default() }
        } else {
            Text::Script(Arc::new(Script::new(b"return 1").unwrap()))
        };
        Arc::new(Run::new(text, Mono::default(), slots))
    }

    #[test]
    fn only_who_needs_what_a_script_holds_is_refused() {
        let running = Running::default();
        let slot = |n| Slot::new(n).unwrap();
        assert_eq!(running.refusal(&[slot(1)], "Valkey"), None);
        let first = run(false, Some(&[1]));
        running.enter(&first);
        assert!(running.refusal(&[slot(0), slot(1)], "Valkey").unwrap().contains("SCRIPT KILL"));
        assert!(running.refusal(&[], "Valkey").is_some());
        assert_eq!(running.refusal(&[slot(2)], "Valkey"), None);
        first.reach(slot(2));
        assert!(running.holds(slot(2)) && !running.holds(slot(7)));
        let second = run(true, None);
        running.enter(&second);
        assert!(running.holds(slot(7)) && running.refusal(&[slot(7)], "Valkey").unwrap().contains("FUNCTION KILL"));
        running.leave(&first);
        running.leave(&second);
        assert!(!running.any());
    }

    #[test]
    fn who_wrote_is_not_ended_and_who_is_to_end_writes_no_more() {
        let running = Running::default();
        assert!(running.kill(false, "Valkey").unwrap_err().starts_with("NOTBUSY"));
        let (a, b) = (run(false, None), run(false, None));
        running.enter(&a);
        assert!(running.kill(true, "Valkey").unwrap_err().starts_with("BUSY"));
        assert_eq!(a.note_write(), Ok(()));
        assert!(running.kill(false, "Valkey").unwrap_err().starts_with("UNKILLABLE") && a.ending().is_none());
        assert_eq!(a.note_write(), Ok(()));
        running.enter(&b);
        assert!(running.kill(false, "Valkey").is_ok() && b.ending().is_some() && a.ending().is_none());
        assert!(b.note_write().is_err());
        running.abort();
        assert!(a.ends_halfway() && a.ending().is_some() && !b.ends_halfway());
    }
}
