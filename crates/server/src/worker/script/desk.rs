//! What a running script reaches: commands, by the same records and the same execution as those of clients, the log, and
//! questions about rights.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use baton_base::Slot;
use baton_commands::{CommandSpec, Fail, Flags, Run as Runs};
use baton_resp::{Args, Out, Proto};
use baton_script::Host;
use baton_store::View;

use super::rights::{self, Rights};
use crate::clients::ClientId;
use crate::monitor::{self, Source};
use crate::node::{self, Refusal};
use crate::pubsub::{Push, Subscriber};
use crate::renames::{self, Named};
use crate::running::Run;
use crate::scripts::write_log;
use crate::worker::client::Client;
use crate::worker::context::Context;
use crate::worker::{count, dispatch, exec, routing};

/// The host of one run.
pub(super) struct Desk<'d, 'a, 's> {
    cx: &'d mut Context<'a>,
    client: &'d mut Client,
    /// The slots it has; none while the world stands still.
    view: Option<&'d mut View<'s>>,
    rights: Rights,
    /// Nothing that it does is propagated.
    silent: bool,
    /// Slots that it reached beside those that it declared.
    reached: Vec<Slot>,
    /// The slot of its keys in a cluster, once there is one.
    slot: Option<Slot>,
    /// The error that its latest command was counted with.
    counted: Option<Vec<u8>>,
    /// What others know of it.
    run: &'d Run,
}

type RunOnView = fn(&mut baton_commands::Exec<'_, '_>) -> Result<(), baton_commands::Fail>;

impl<'d, 'a, 's> Desk<'d, 'a, 's> {
    pub(super) fn new(
        cx: &'d mut Context<'a>,
        client: &'d mut Client,
        view: Option<&'d mut View<'s>>,
        rights: Rights,
        key: Option<&&[u8]>,
        run: &'d Run,
    ) -> Desk<'d, 'a, 's> {
        let slot = key.map(|key| Slot::of_key(key));
        Desk { cx, client, view, rights, silent: false, reached: Vec::new(), slot, counted: None, run }
    }

    /// What remains to be told at the end: the error that the latest command was counted with, and further slots.
    pub(super) fn into_account(self) -> (Option<Vec<u8>>, Vec<Slot>) {
        (self.counted, self.reached)
    }

    /// Runs a command; false if it needs more than the slots at hand.
    fn serve(&mut self, args: Args<'_>, out: &mut Out) -> bool {
        let spec = match named(args) {
            Ok(spec) => spec,
            Err(text) => {
                self.refuse(&text, out);
                return true;
            }
        };
        if let Err(Refusal(text)) = self.admit(spec, args) {
            self.cx.reject_to(out, spec, text.as_bytes());
            self.counted = Some(text.as_bytes().to_vec());
            return true;
        }
        let began = Instant::now();
        let kept = self.silent.then(|| std::mem::take(&mut self.cx.local.unit));
        let ran = match (spec.run, self.view.is_some()) {
            (Runs::Keyspace(run), true) => self.on_slots(spec, run, args, out),
            (Runs::Keyspace(run), false) => {
                self.on_world(spec, run, args, out);
                true
            }
            (Runs::Registry(_) | Runs::Container, _) | (_, false) => self.beside(spec, args, out),
            (Runs::Node(command), true) if node::runs_beside_locks(command) => self.beside(spec, args, out),
            _ => false,
        };
        if let Some(kept) = kept {
            self.cx.local.unit = kept;
        }
        if ran {
            // The sizes that their logs tell of are those of the script.
            let cost = count::Cost { nanos: count::nanos_since(began), ..count::Cost::default() };
            self.cx.count_inner(self.client, spec, args, cost);
            if self.cx.monitored && monitor::is_shown(spec) {
                self.cx.show(self.client, Source::Script, args);
            }
            let error = out.buf.strip_prefix(b"-").and_then(|text| text.strip_suffix(b"\r\n"));
            self.counted = error.map(<[u8]>::to_vec);
        }
        ran
    }

    /// Answers what is no command.
    fn refuse(&mut self, text: &[u8], out: &mut Out) {
        out.error_bytes(text);
        self.cx.shared.stats.count_error(self.cx.local.lane.0, text);
        self.counted = Some(text.to_vec());
    }

    /// Whether a command may run in this script; the checks come in upstream's order. A script that wrote is not kept from
    /// writing more by what others do meanwhile: it would leave half of what it does.
    fn admit(&mut self, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), Refusal> {
        if !spec.arity_fits(args.len()) {
            return Err("ERR Wrong number of args calling command from script".into());
        }
        if spec.flags.contains(Flags::NOSCRIPT) && !self.cx.world.scripts_call_all {
            let redis = self.cx.world.settings.bool(baton_config::Id::ExtendedRedisCompatibility);
            let name = if redis { "Redis" } else { "Valkey" };
            return Err(format!("ERR This {name} command is not allowed from script").into());
        }
        if !spec.flags.contains(Flags::STALE) && dispatch::is_stale(self.cx) {
            return Err("ERR Can not execute the command on a stale replica".into());
        }
        rights::may_call(self.cx, self.client, spec, args)?;
        let writes = spec.flags.contains(Flags::WRITE);
        // What replicas are told of counts, too: so such a script can run while writes are held.
        if self.rights.read_only && spec.flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE) {
            return Err("ERR Write commands are not allowed from read-only scripts.".into());
        }
        if writes && !self.run.wrote() {
            if self.cx.world.role.is_replica() && self.cx.world.hot.replica_read_only {
                return Err("READONLY You can't write against a read only replica.".into());
            }
            dispatch::check_write(self.cx)?;
        }
        if spec.flags.contains(Flags::DENYOOM) && !self.rights.allow_oom && !self.run.wrote() {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        self.check_slot(spec, args)?;
        if writes {
            self.run.note_write()?;
        }
        Ok(())
    }

    /// In a cluster, keys have to be served here, and to have one slot.
    fn check_slot(&mut self, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), Refusal> {
        if self.cx.world.topology.is_none() {
            return Ok(());
        }
        routing::check_called(self.cx, self.client, spec, args)?;
        for key in exec::declared_keys(self.cx, spec, args) {
            self.cx.local.reached.note(key.slot);
            if !self.rights.cross_slot && *self.slot.get_or_insert(key.slot) != key.slot {
                return Err("ERR Script attempted to access keys that do not hash to the same slot".into());
            }
        }
        Ok(())
    }

    /// Runs a command on the slots at hand, and on those that it can have without waiting.
    fn on_slots(&mut self, spec: &'static CommandSpec, run: RunOnView, args: Args<'_>, out: &mut Out) -> bool {
        let Some(view) = self.view.as_deref_mut() else { return false };
        let keys = exec::declared_keys(self.cx, spec, args);
        // Arguments that hide where the keys are: the command will refuse them, but may look at any key first.
        if keys.is_empty() || (spec.reaches_all(args) && !self.cx.world.env.cluster) {
            return false;
        }
        for key in &keys {
            if !view.try_reach(key.slot) {
                return false;
            }
            if !self.reached.contains(&key.slot) {
                self.reached.push(key.slot);
                self.run.reach(key.slot);
            }
        }
        view.select(self.client.db);
        let mut caller = self.client.called(out);
        exec::on_view(self.cx, &mut caller, spec, view, run, args, &keys);
        exec::finish(self.cx, &mut caller, spec, view, args, &keys, false);
        view.take_outcome();
        true
    }

    /// Runs a command on everything, while the world stands still.
    fn on_world(&mut self, spec: &'static CommandSpec, run: RunOnView, args: Args<'_>, out: &mut Out) {
        let shared = Arc::clone(self.cx.shared);
        let keys = exec::declared_keys(self.cx, spec, args);
        let rule = self.cx.expiry_rule(self.client, spec.flags.contains(Flags::WRITE));
        let mut view = shared.store.view_all(self.client.db, self.cx.now.wall, rule);
        let mut caller = self.client.called(out);
        exec::on_view(self.cx, &mut caller, spec, &mut view, run, args, &keys);
        exec::finish(self.cx, &mut caller, spec, &mut view, args, &keys, false);
    }

    /// Runs a command that takes no slot of the script's.
    fn beside(&mut self, spec: &'static CommandSpec, args: Args<'_>, out: &mut Out) -> bool {
        std::mem::swap(&mut self.client.out, out);
        dispatch::execute(self.cx, self.client, spec, args, None);
        std::mem::swap(&mut self.client.out, out);
        true
    }
}

const UNKNOWN: &str = "ERR Unknown command called from script";

/// The command of a request.
fn named(args: Args<'_>) -> Result<&'static CommandSpec, Cow<'static, [u8]>> {
    let named = baton_commands::lookup(args.name()).ok_or(Cow::Borrowed(UNKNOWN.as_bytes()))?;
    match args.get(1) {
        Some(sub) if !named.subcommands.is_empty() => {
            named.subcommand(sub).ok_or_else(|| Fail::unknown_subcommand(named.name, sub).text().into_owned().into())
        }
        _ => Ok(named),
    }
}

impl Host for Desk<'_, '_, '_> {
    fn call(&mut self, args: Args<'_>, proto: Proto, reply: &mut Vec<u8>) -> bool {
        let mut out = Out { buf: std::mem::take(reply), proto };
        let named =
            if self.cx.world.renames.is_empty() { Named::Itself } else { self.cx.world.renames.named(args.name()) };
        let ran = match named {
            Named::Itself => self.serve(args, &mut out),
            Named::Other(spec) => self.serve(renames::by_own_name(spec, args).as_args(), &mut out),
            Named::Nothing => {
                self.refuse(UNKNOWN.as_bytes(), &mut out);
                true
            }
        };
        *reply = out.buf;
        ran
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        write_log(&self.cx.shared.log, level, text);
    }

    fn may_call(&mut self, args: Args<'_>) -> Result<bool, Vec<u8>> {
        match baton_commands::find(args) {
            Ok(spec) => Ok(rights::could_call(self.cx, self.client, spec, args)),
            Err(_) => Err(b"Invalid command passed to server.acl_check_cmd()".to_vec()),
        }
    }

    fn set_repl(&mut self, bits: u8) {
        const REPLICAS: u8 = 2;
        self.silent = bits & REPLICAS == 0;
    }
}

/// Hands a message to its listener: behind the reply of the running command if that is its own connection, and not before
/// a script is done that may still be taken back.
pub fn pass_on(cx: &mut Context<'_>, me: ClientId, to: Subscriber, push: Push, own: bool) {
    if let Some(outbox) = &mut cx.local.outbox {
        outbox.push((to, push));
    } else if to.client == me && own {
        cx.local.own_pushes.push(push);
    } else if to.worker == cx.local.index {
        cx.local.deliveries.push((to.client, push));
    } else {
        cx.shared.deliver(to, push);
    }
}

/// Hands out the messages of a script that is done.
pub(super) fn hand_out(cx: &mut Context<'_>, me: ClientId) {
    for (to, push) in cx.local.outbox.take().unwrap_or_default() {
        pass_on(cx, me, to, push, true);
    }
}
