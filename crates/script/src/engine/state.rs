//! What is known of the running script beside its Lua values: protocol, chance, and whether it has to end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use baton_resp::{ArgRange, Proto};
use mlua::{Function, HookTriggers, Lua, VmState};

use crate::libs::cjson::{Settings, Shared};

/// Why a script was ended before its own end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Somebody wished it, for this reason.
    Killed(String),
    /// Its host can't go on.
    Abandoned,
}

/// What a script's host says when it is asked, every so often, whether the script may go on.
pub type Watch = Box<dyn Fn() -> Option<String>>;

/// Instructions between two looks at the watch.
const LOOK_EVERY: u32 = 100_000;

/// The state of the running script.
pub(crate) struct State {
    /// The protocol in which it sees replies.
    pub(crate) proto: Cell<Proto>,
    /// Its chance: 48 bits.
    pub(crate) random: Cell<u64>,
    /// Set once it has to end.
    pub(crate) halt: RefCell<Option<Halt>>,
    /// Answers what scripts ask their host beside commands.
    pub(crate) ask: RefCell<Option<Function>>,
    /// Arguments of the command that it calls: bytes and where each lies. Kept for its memory.
    pub(crate) args: RefCell<(Vec<u8>, Vec<ArgRange>)>,
    /// The reply of that command.
    pub(crate) reply: RefCell<Vec<u8>>,
    /// What the script set about JSON.
    pub(crate) json: Shared,
    watch: Watch,
}

impl State {
    pub(crate) fn new(watch: Watch) -> State {
        State {
            proto: Cell::new(Proto::V2),
            random: Cell::new(seeded(0)),
            halt: RefCell::default(),
            ask: RefCell::default(),
            args: RefCell::default(),
            reply: RefCell::default(),
            json: Shared::default(),
            watch,
        }
    }

    /// Makes ready for the next script.
    pub(crate) fn begin(&self, seed: u32) {
        self.proto.set(Proto::V2);
        self.random.set(seeded(seed));
        *self.json.borrow_mut() = Settings::default();
    }

    /// Ends the running script: this error can't be caught, because whatever catches errors has them explained first.
    pub(crate) fn end(&self, why: Halt) -> mlua::Error {
        let mut halt = self.halt.borrow_mut();
        match halt.get_or_insert(why) {
            Halt::Killed(text) => mlua::Error::runtime(text),
            Halt::Abandoned => mlua::Error::runtime("the script is to be run again"),
        }
    }

    /// The error that goes on ending a script that has to end.
    pub(crate) fn still_ending(&self) -> Option<mlua::Error> {
        let halt = self.halt.borrow().clone();
        halt.map(|halt| self.end(halt))
    }

    /// The next 31 bits of chance: the generator that scripts have always had, so that the same seed gives the same numbers.
    pub(crate) fn next_random(&self) -> u32 {
        let next = self.random.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        self.random.set(next);
        (next >> 17) as u32
    }
}

/// The state of chance that follows from a seed.
pub(crate) fn seeded(seed: u32) -> u64 {
    u64::from(seed) << 16 | 0x330E
}

/// Has the watch asked every so often.
pub(crate) fn look_now_and_then(state: &Rc<State>, lua: &Lua) -> mlua::Result<()> {
    let state = Rc::clone(state);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(LOOK_EVERY), move |_, _| {
        match (state.still_ending(), (state.watch)()) {
            (Some(e), _) => Err(e),
            (None, Some(text)) => Err(state.end(Halt::Killed(text))),
            (None, None) => Ok(VmState::Continue),
        }
    })
}
