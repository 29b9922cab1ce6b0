//! Scripts and functions: EVAL, FCALL and their kin, SCRIPT and FUNCTION.
//!
//! A script runs on the thread of its connection, on a view of the slots of the keys that it declares. A key of another slot
//! is reached by locking that slot on the way, if it is free right now: who never waits may lock in any order. If it is
//! not free, or if a command has to see the world standing still, everything that the script did is taken back
//! before anybody saw it, and it runs again with the world standing still; the script is remembered as one that begins so.
//!
//! What it does to keys is one unit of the stream, made of its commands' effects.
//!
//! A script that takes long is known to everybody ([`running`](crate::running)), and its thread leaves the other connections to
//! another one ([`attendance`]).
//!
//! Reading order: [`request`] (which script, what with), [`rights`] (may it run, and what may it do), [`run`], [`desk`]
//! (its commands), then [`cached`] and [`functions`] (SCRIPT and FUNCTION).

mod attendance;
mod cached;
mod desk;
mod functions;
pub(crate) mod request;
mod rights;
mod run;

use std::rc::Rc;

use baton_commands::{CommandSpec, NodeCommand as N};
use baton_resp::Args;
use baton_script::Engine;

use super::client::Client;
use super::context::{Context, Local};
use crate::node::{Outcome, Refusal};
use crate::scripts::Loader;
use crate::shared::Shared;

pub use attendance::Attendance;
pub use desk::pass_on;

/// A worker's own machine, and which scripts it has compiled.
pub struct Machine {
    engine: Engine,
    /// [`ScriptCache::epoch`](baton_script::ScriptCache::epoch) of the compiled scripts.
    epoch: u64,
    /// Scripts may leave their sandbox (`lua-enable-insecure-api`).
    is_insecure: bool,
}

/// Runs a command of the family; none if it is another's.
pub fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    command: N,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Option<Outcome> {
    Some(match command {
        N::Eval | N::EvalRo | N::Evalsha | N::EvalshaRo | N::Fcall | N::FcallRo => {
            run::run(cx, client, command, spec, args)
        }
        N::ScriptDebug | N::ScriptExists | N::ScriptFlush | N::ScriptKill | N::ScriptLoad | N::ScriptShow => {
            cached::run(cx, client, command, args)
        }
        N::FunctionDelete
        | N::FunctionDump
        | N::FunctionFlush
        | N::FunctionKill
        | N::FunctionList
        | N::FunctionLoad
        | N::FunctionRestore
        | N::FunctionStats => functions::run(cx, client, command, args),
        _ => return None,
    })
}

/// Takes the worker's machine, made if it has none; it is to be put back.
fn take_machine(cx: &mut Context<'_>, epoch: u64) -> Result<Box<Machine>, Refusal> {
    let is_insecure = cx.world.settings.bool(baton_config::Id::LuaEnableInsecureApi);
    match cx.local.machine.take().filter(|machine| machine.is_insecure == is_insecure) {
        Some(mut machine) => {
            if machine.epoch != epoch {
                machine.engine.forget_scripts();
                machine.epoch = epoch;
            }
            Ok(machine)
        }
        None => {
            let attendance = Rc::clone(&cx.local.attendance);
            let engine = crate::scripts::engine(is_insecure, Box::new(move || attendance.look()))
                .map_err(|e| Refusal(format!("ERR {e}").into()))?;
            Ok(Box::new(Machine { engine, epoch, is_insecure }))
        }
    }
}

impl Context<'_> {
    fn put_back_machine(&mut self, machine: Box<Machine>) {
        self.shared.stats.lanes[self.local.lane.0].machine_bytes.set(machine.engine.memory_bytes() as u64);
        self.local.machine = Some(machine);
    }
}

impl Local {
    /// Gives back the memory of what is not there any more: the whole machine, unless it has functions, whose variables
    /// would be lost with it.
    pub(super) fn forget_scripts(&mut self, shared: &Shared) {
        let lane = &shared.stats.lanes[self.lane.0];
        self.loader = Loader::default();
        lane.loader_bytes.set(0);
        self.machine = self.machine.take().filter(|machine| {
            let libraries = shared.scripts.functions();
            machine.engine.keep_libraries(|id| libraries.has_id(id));
            machine.engine.forget_scripts();
            machine.engine.library_count() > 0
        });
        lane.machine_bytes.set(self.machine.as_ref().map_or(0, |machine| machine.engine.memory_bytes()) as u64);
    }
}

/// The text of a refusal that is made of bytes.
fn refusal(text: &[u8]) -> Refusal {
    Refusal(String::from_utf8_lossy(text).into_owned().into())
}

/// The same for a text without its code.
fn err(text: &[u8]) -> Refusal {
    refusal(&[b"ERR ", text].concat())
}
