//! Scripts that stand in an append-only file: servers of long ago wrote those instead of what they did. They run once more, on
//! the whole keyspace, and nobody but the log hears of them. The stream of a primary has none.

use std::sync::Arc;
use std::time::Duration;

use baton_base::Mono;
use baton_commands::{Exec, NodeCommand, Run, Waits};
use baton_config::Id;
use baton_resp::{Args, Out, Proto};
use baton_script::{Call, Engine, Host};
use baton_store::{DbIndex, Expiry};

use super::execute::{Turn, keys_of};
use crate::scripts::write_log;
use crate::shared::Shared;
use crate::worker::script::request::{self, Target};

/// The machine that runs them.
pub(super) struct Scripted {
    engine: Engine,
    /// When the running script began.
    began: Arc<parking_lot::Mutex<Option<Mono>>>,
}

impl Scripted {
    fn new(shared: &Arc<Shared>) -> Option<Scripted> {
        let is_insecure = shared.world.peek().settings.bool(Id::LuaEnableInsecureApi);
        let began = Arc::new(parking_lot::Mutex::new(None));
        let (shared, since) = (Arc::clone(shared), Arc::clone(&began));
        let watch = move || {
            complain_once(&shared, &since);
            None
        };
        let engine = crate::scripts::engine(is_insecure, Box::new(watch)).ok()?;
        Some(Scripted { engine, began })
    }
}

/// Says of a script that takes long that it does.
fn complain_once(shared: &Shared, since: &parking_lot::Mutex<Option<Mono>>) {
    let threshold = u64::try_from(shared.world.peek().settings.int(Id::BusyReplyThreshold)).unwrap_or_default();
    let mut since = since.lock();
    let took = since.map_or(Duration::ZERO, |began| shared.clock.mono().since(began));
    if threshold > 0 && took >= Duration::from_millis(threshold) {
        *since = None;
        let millis = took.as_millis();
        shared.log.warning(&format!("Slow script detected: still in execution after {millis} milliseconds."));
    }
}

impl Turn<'_> {
    /// Runs a command of the log that is no command on keys: a script, or nothing that changes anything.
    #[cold]
    pub(super) fn script(&mut self, command: NodeCommand, args: Args<'_>) {
        use NodeCommand as N;
        if !matches!(command, N::Eval | N::EvalRo | N::Evalsha | N::EvalshaRo | N::Fcall | N::FcallRo) {
            return;
        }
        let shared = Arc::clone(&self.applier.shared);
        let Ok(request) = request::parse(&shared.scripts, command, args) else { return };
        let Some(scripts) = self.applier.scripts.take().or_else(|| Scripted::new(&shared)) else { return };
        *scripts.began.lock() = Some(shared.clock.mono());
        let (db, seed) = (self.applier.db, self.applier.rng.next_u64() as u32);
        let call = Call { keys: &request.keys, argv: &request.argv, seed };
        let (mut host, mut out) = (LogHost { turn: self, db }, Out::new(Proto::V2));
        // What it answers, or fails with, was answered when it was written.
        match &request.target {
            Target::Script(script, _) => drop(scripts.engine.eval(script, &call, &mut host, &mut out)),
            Target::Function(library, function) => {
                drop(scripts.engine.call(library, function, &call, &mut host, &mut out));
            }
        }
        self.applier.scripts = Some(scripts);
    }
}

/// What such a script reaches: the keyspace, and the log.
struct LogHost<'h, 't> {
    turn: &'h mut Turn<'t>,
    /// The database that it has selected.
    db: DbIndex,
}

impl LogHost<'_, '_> {
    fn serve(&mut self, args: Args<'_>, out: &mut Out) {
        let shared = Arc::clone(&self.turn.applier.shared);
        let spec = match baton_commands::find(args) {
            Ok(spec) => spec,
            Err(fail) => return out.error_bytes(&fail.text()),
        };
        match spec.run {
            Run::Keyspace(run) => {
                let keys = keys_of(&shared, spec, args);
                let mut view = shared.store.view_all(self.db, self.turn.now, Expiry::Ignore);
                let Turn { applier, env, .. } = &mut *self.turn;
                let (effects, rng, env) = (&mut applier.effects, &mut applier.rng, &*env);
                effects.clear();
                let (view_of, out_of) = (&mut view, &mut *out);
                let (waits, before) = (Waits::Never, out_of.buf.len());
                let mut exec = Exec {
                    view: view_of,
                    args,
                    keys: &keys,
                    out: out_of,
                    effects,
                    rng,
                    env,
                    touch: true,
                    waits,
                    in_script: true,
                };
                if let Err(fail) = run(&mut exec) {
                    out.buf.truncate(before);
                    out.error_bytes(&fail.text());
                }
                let garbage = view.take_outcome().garbage;
                self.turn.applier.garbage.extend(garbage.map(|garbage| *garbage));
            }
            Run::Registry(run) => {
                if let Err(fail) = run(args, out) {
                    out.error_bytes(&fail.text());
                }
            }
            Run::Node(NodeCommand::Ping) => out.simple("PONG"),
            Run::Node(NodeCommand::Select) => match baton_commands::db_index(args.at(1), shared.store.databases()) {
                Ok(db) => {
                    self.db = db;
                    out.ok();
                }
                Err(fail) => out.error_bytes(&fail.text()),
            },
            _ => out.error("ERR This command is not allowed from script"),
        }
    }
}

impl Host for LogHost<'_, '_> {
    fn call(&mut self, args: Args<'_>, proto: Proto, reply: &mut Vec<u8>) -> bool {
        let mut out = Out { buf: std::mem::take(reply), proto };
        self.serve(args, &mut out);
        *reply = out.buf;
        true
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        write_log(&self.turn.applier.shared.log, level, text);
    }

    fn may_call(&mut self, _: Args<'_>) -> Result<bool, Vec<u8>> {
        Ok(true)
    }

    fn set_repl(&mut self, _: u8) {}
}
