//! What happened, folded into one number as it happens, and told as text only to whoever listens. Two runs of one seed
//! are the same run exactly if the numbers are equal.

use baton_base::Mono;

/// Where the text goes.
pub type Listener = Box<dyn FnMut(Mono, &str)>;

/// The running hash of a run.
pub struct Trace {
    hash: u64,
    events: u64,
    listener: Option<Listener>,
}

impl Trace {
    /// An empty trace.
    pub fn new(listener: Option<Listener>) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, events: 0, listener }
    }

    /// Folds an event in: when, what kind, and two numbers that tell it from others. The text is made only if somebody
    /// listens.
    pub fn note(&mut self, at: Mono, kind: u8, a: u64, b: u64, text: impl FnOnce() -> String) {
        self.events += 1;
        for word in [at.as_micros(), u64::from(kind), a, b] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        self.say(at, text);
    }

    /// Tells something that follows from what was folded in already.
    pub fn say(&mut self, at: Mono, text: impl FnOnce() -> String) {
        if let Some(listener) = &mut self.listener {
            listener(at, &text());
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.listener.is_some()
    }

    /// The number so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events were folded in.
    pub fn events(&self) -> u64 {
        self.events
    }
}
