//! Running a script: on the slots that it declares, and once more with the world standing still if that was not enough.

use std::sync::Arc;

use baton_base::Slot;
use baton_commands::{CommandSpec, NodeCommand as N};
use baton_resp::{Args, Out, OwnedArgs};
use baton_script::{Call, Halt, Ran};
use baton_store::View;

use super::desk::{Desk, hand_out};
use super::request::{self, Request, Target};
use super::rights::{self, Rights};
use super::{Machine, refusal, take_machine};
use crate::monitor::Source;
use crate::node::{Outcome, Refusal};
use crate::running::{Run, Text};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};
use crate::worker::{exec, routing};

/// EVAL, EVALSHA, FCALL and their reading kin.
pub(super) fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    command: N,
    spec: &'static CommandSpec,
    args: Args<'_>,
) -> Outcome {
    let shared = Arc::clone(cx.shared);
    if cx.monitored {
        // Its own commands are shown behind it.
        cx.show(client, Source::Client(&client.meta), args);
    }
    let request = request::parse(&shared.scripts, command, args)?;
    let read_only = matches!(command, N::EvalRo | N::EvalshaRo | N::FcallRo);
    if shared.running.is_full() {
        return Err(cx.busy_with(&[]));
    }
    let machine = take_machine(cx, shared.scripts.cache().epoch())?;
    let ended = prepare(cx, &machine, &request, read_only).map(|rights| {
        let mut script =
            Running { machine: &machine, request: &request, rights, args, out: Out::new(client.out.proto) };
        let (ran, counted) = script.attempts(cx, client);
        (ran, counted, script.out)
    });
    cx.put_back_machine(machine);
    let (ran, counted, reply) = ended?;
    match ran {
        Ran::Done => {
            client.out.raw(&reply.buf);
            if let Some(text) = reply.buf.strip_prefix(b"-").and_then(|text| text.strip_suffix(b"\r\n")) {
                cx.note_failed(spec, text, counted.as_deref() == Some(text));
            }
        }
        Ran::Failed(text) => fail(cx, client, spec, &text, counted.as_deref()),
        Ran::Halted(Halt::Killed(text)) => fail(cx, client, spec, text.as_bytes(), None),
        Ran::Halted(Halt::Abandoned) => {
            fail(cx, client, spec, b"ERR Error running script, it could not be run to its end", None);
        }
    }
    Ok(Flow::Next)
}

/// Answers with the error of a script that failed; one that a command of it made is counted already.
fn fail(cx: &mut Context<'_>, client: &mut Client, spec: &CommandSpec, text: &[u8], counted: Option<&[u8]>) {
    client.out.error_bytes(text);
    cx.note_failed(spec, text, counted.is_some_and(|first| text.starts_with(first)));
}

/// Compiles a script that came with its text, and finds out what it may do.
fn prepare(cx: &mut Context<'_>, machine: &Machine, request: &Request<'_>, ro: bool) -> Result<Rights, Refusal> {
    if let Target::Script(script, fresh) = &request.target {
        machine.engine.check(script).map_err(|text| refusal(&text))?;
        if *fresh {
            cx.shared.scripts.keep(script, false);
        }
    }
    if let Target::Function(library, _) = &request.target
        && !machine.engine.has_library(library.id)
    {
        let libraries = cx.shared.scripts.functions();
        if machine.engine.library_count() > libraries.len() {
            machine.engine.keep_libraries(|id| libraries.has_id(id));
        }
    }
    rights::of(cx, request.target.flags(), ro)
}

/// A script with what it runs with.
struct Running<'r> {
    machine: &'r Machine,
    request: &'r Request<'r>,
    rights: Rights,
    args: Args<'r>,
    out: Out,
}

impl Running<'_> {
    /// Runs it until it has got what it needs. Gives also the error that its latest command was counted with.
    fn attempts(&mut self, cx: &mut Context<'_>, client: &mut Client) -> (Ran, Option<Vec<u8>>) {
        let outer = std::mem::replace(&mut cx.in_transaction, true);
        let (db, seed) = (client.db, cx.local.rng.next_u64() as u32);
        let first = if cx.still.is_some() || self.request.target.needs_world() {
            None
        } else {
            let ended = self.on_slots(cx, client, seed);
            if ended.is_none() {
                self.request.target.note_needs_world();
                self.out.buf.clear();
                client.db = db;
            }
            ended
        };
        let ended = match first {
            Some(ended) => ended,
            None => cx.stop_world(|cx| self.on_world(cx, client, seed, outer)).unwrap_or_else(refused),
        };
        cx.in_transaction = outer;
        if client.db != db {
            client.db = db;
            client.publish_state();
        }
        cx.serve_ready();
        ended
    }

    /// Why it is not to run here, if its keys have left since it was admitted.
    fn moved_meanwhile(&self, cx: &mut Context<'_>, client: &Client, view: &mut View<'_>) -> Option<Refusal> {
        cx.open.as_ref()?;
        let places = self.request.keys.iter().map(|key| (client.db, *key)).collect();
        let text = routing::moved_meanwhile(cx, client, view, places)?;
        exec::propagate_expired(cx, client.meta.id, view);
        Some(text.into())
    }

    /// Has somebody watch over it, should it take long.
    fn begin(&self, cx: &mut Context<'_>, client: &Client, slots: Option<Vec<Slot>>) -> Arc<Run> {
        let text = match &self.request.target {
            Target::Script(script, _) => Text::Script(Arc::clone(script)),
            Target::Function(_, function) => {
                Text::Function { name: function.name.clone(), request: OwnedArgs::from(self.args) }
            }
        };
        let run = Arc::new(Run::new(text, cx.shared.clock.mono(), slots));
        let seat = cx.seat.as_mut().and_then(|place| place.leave());
        let deliveries = std::mem::take(&mut cx.local.deliveries);
        cx.local.attendance.begin(&run, client.meta.id, seat, deliveries);
        run
    }

    /// It is over.
    fn finish(cx: &mut Context<'_>) {
        let (seat, mut earlier) = cx.local.attendance.finish();
        if let (Some(place), Some(seat)) = (&mut cx.seat, seat) {
            place.take(seat);
        }
        earlier.append(&mut cx.local.deliveries);
        cx.local.deliveries = earlier;
    }

    /// Runs it on its slots; none if it needs more than that, and has done nothing.
    fn on_slots(&mut self, cx: &mut Context<'_>, client: &mut Client, seed: u32) -> Option<(Ran, Option<Vec<u8>>)> {
        let shared = Arc::clone(cx.shared);
        let mut slots: Vec<Slot> = self.request.keys.iter().map(|key| Slot::of_key(key)).collect();
        slots.sort_unstable();
        slots.dedup();
        let rule = cx.expiry_rule(client, !self.rights.read_only);
        let mut view = match shared.store.view_many_or_give_up(&slots, client.db, cx.now.wall, rule) {
            Ok(view) => view,
            Err(held) => return Some(refused(cx.busy(held))),
        };
        if let Some(text) = self.moved_meanwhile(cx, client, &mut view) {
            return Some(refused(text));
        }
        if !self.rights.read_only {
            view.begin_undo();
        }
        cx.local.outbox = Some(Vec::new());
        let ready = cx.local.ready.len();
        let run = self.begin(cx, client, Some(slots.clone()));
        let mut desk = Desk::new(cx, client, Some(&mut view), self.rights, self.request.keys.first(), &run);
        let ran = execute(self.machine, self.request, seed, &mut desk, &mut self.out);
        let (counted, reached) = desk.into_account();
        Self::finish(cx);
        if let Ran::Halted(halt) = &ran {
            // Nobody has seen anything of it.
            let again = *halt == Halt::Abandoned;
            view.roll_back();
            cx.local.unit.clear();
            cx.local.outbox = None;
            cx.local.ready.truncate(ready);
            return if again { None } else { Some((ran, None)) };
        }
        view.end_undo();
        slots.extend(reached);
        if !cx.local.unit.is_empty() {
            client.last_write = cx.append_unit();
            if cx.holds_replies {
                slots.iter().for_each(|slot| cx.shared.write_acks.note_write(*slot, client.last_write));
            }
        }
        if cx.holds_replies {
            cx.reveals(&slots);
        }
        hand_out(cx, client.meta.id);
        Some((ran, counted))
    }

    /// Runs it with the world standing still; each of its commands takes what locks it needs and gives them back.
    fn on_world(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        seed: u32,
        in_transaction: bool,
    ) -> (Ran, Option<Vec<u8>>) {
        if !in_transaction {
            let shared = Arc::clone(cx.shared);
            let mut view = shared.store.view_all(client.db, cx.now.wall, cx.expiry_rule(client, false));
            if let Some(text) = self.moved_meanwhile(cx, client, &mut view) {
                return refused(text);
            }
        }
        let run = self.begin(cx, client, None);
        let mut desk = Desk::new(cx, client, None, self.rights, self.request.keys.first(), &run);
        let ran = execute(self.machine, self.request, seed, &mut desk, &mut self.out);
        let (counted, _) = desk.into_account();
        if run.ends_halfway() {
            stand_still();
        }
        Self::finish(cx);
        if !in_transaction && !cx.local.unit.is_empty() {
            client.last_write = cx.append_unit();
        }
        if cx.holds_replies {
            cx.shared.write_acks.cover(cx.shared.journal.end());
            cx.reveals_all();
        }
        (ran, counted)
    }
}

/// What becomes of a script that could not begin.
fn refused(Refusal(text): Refusal) -> (Ran, Option<Vec<u8>>) {
    (Ran::Failed(text.into_owned().into_bytes()), None)
}

/// The server ends, and a script with it that has written half of what it writes, everywhere: nobody may see that. The world
/// stands still until the process is gone.
#[cold]
fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

fn execute(machine: &Machine, request: &Request<'_>, seed: u32, desk: &mut Desk<'_, '_, '_>, out: &mut Out) -> Ran {
    let call = Call { keys: &request.keys, argv: &request.argv, seed };
    match &request.target {
        Target::Script(script, _) => machine.engine.eval(script, &call, desk, out),
        Target::Function(library, function) => machine.engine.call(library, function, &call, desk, out),
    }
}
