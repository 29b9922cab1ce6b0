//! The end of the server: signals, SHUTDOWN, and the final save.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_config::{Id, ShutdownWords};
use baton_handover::{Replica, ReplicaState};
use baton_node::{Input, StopKind};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

use super::message::{Answer, ControlMessage, ReplyTo, ShutdownRequest};
use super::run::Control;
use crate::clients::ClientFlags;
use crate::shared::Shared;

/// Makes signals arrive as messages. A limit to the size of files is an error of who writes, and not the end.
pub(super) fn hear_signals(shared: &Arc<Shared>) -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("baton-signals".into()).spawn(move || {
        for signal in signals.forever() {
            if !shared.first_load.is_over() {
                shared.log.warning(&format!("Received {} scheduling shutdown...", name_of(signal)));
                leave_while_loading(&shared);
            }
            shared.threads().control.send(ControlMessage::Signal(signal));
        }
    })?;
    Ok(())
}

/// Ends the process before the dataset is loaded: there is nothing to hand over, and nothing to save that the files don't have.
pub(crate) fn leave_while_loading(shared: &Shared) -> ! {
    shared.log.warning("User requested shutdown...");
    say_goodbye(shared);
    std::process::exit(0)
}

fn name_of(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}

/// The last words, and files that must not stay behind.
fn say_goodbye(shared: &Shared) {
    let settings = Arc::clone(&shared.world.peek().settings);
    let pid_file = settings.text(Id::PidFile);
    if !pid_file.is_empty() {
        shared.log.notice("Removing the pid file.");
        // It may have been removed by whoever supervises the server.
        let _ = std::fs::remove_file(pid_file);
    }
    let socket = settings.text(Id::UnixSocket);
    if !socket.is_empty() {
        shared.log.notice("Removing the unix socket file.");
        let _ = std::fs::remove_file(socket);
    }
    shared.log.warning("Valkey is now ready to exit, bye bye...");
}

/// Connections of clients that may still have to be redirected. Outside of clusters only those who said that they can be, or
/// asked to be told.
pub(super) fn clients_left(shared: &Shared) -> usize {
    let others = ClientFlags::REPLICA | ClientFlags::PRIMARY;
    let clustered = shared.world.peek().topology.is_some();
    let able = ClientFlags::CAPA_REDIRECT | ClientFlags::NOTIFIED;
    let counts = |flags: ClientFlags| !flags.intersects(others) && (clustered || flags.intersects(able));
    shared.clients.list().iter().filter(|c| counts(c.flags())).count()
}

impl Control {
    pub(super) fn on_signal(&mut self, signal: i32) {
        let settings = Arc::clone(&self.shared.world.peek().settings);
        let words = if signal == SIGINT { settings.shutdown_on_sigint() } else { settings.shutdown_on_sigterm() };
        if signal == SIGINT && self.stopping.is_some() {
            self.shared.log.warning("You insist... exiting now.");
            self.leave(ExitCode::FAILURE);
            return;
        }
        self.shared.log.warning(&format!("Received {} scheduling shutdown...", name_of(signal)));
        let has = |word| words.contains(word);
        let by_default = signal == SIGTERM && words.is_default() && settings.bool(Id::HandoverOnShutdown);
        let handover = by_default && !self.leaves_choice_to_sentinel();
        let request = ShutdownRequest {
            save: has(ShutdownWords::SAVE),
            nosave: has(ShutdownWords::NOSAVE),
            now: has(ShutdownWords::NOW),
            force: has(ShutdownWords::FORCE),
            safe: has(ShutdownWords::SAFE),
            failover: handover || has(ShutdownWords::FAILOVER),
        };
        self.begin_stop(request, StopKind::Sigterm, ReplyTo::Nobody);
    }

    pub(super) fn shutdown(&mut self, request: ShutdownRequest, reply: ReplyTo) {
        self.begin_stop(request, StopKind::ShutdownFailover, reply);
    }

    fn begin_stop(&mut self, request: ShutdownRequest, with_handover: StopKind, reply: ReplyTo) {
        self.shared.log.warning("User requested shutdown...");
        if request.safe && self.is_voting_primary() {
            let log = &self.shared.log;
            if request.force {
                log.warning("This is a voting primary. Shutting down may cause the cluster to go down.");
            } else {
                log.warning("This is a voting primary. Shutting down may cause the cluster to go down. Can't exit.");
                log.warning("Errors trying to shut down the server. Check the logs for more information.");
                let text = "ERR Errors trying to SHUTDOWN. Check logs.";
                reply.answer(&self.shared, Answer::Error(text.into()));
                return;
            }
        }
        if self.stopping.is_none() {
            self.stopping = Some(request);
        }
        let is_primary = self.node.is_primary() && (self.bus.is_some() || !self.follows_somebody());
        let kind = if request.failover && is_primary { with_handover } else { StopKind::Plain };
        let seconds = self.shared.world.peek().settings.uint(Id::ShutdownTimeout);
        let timeout = if request.now { Duration::ZERO } else { Duration::from_secs(seconds) };
        let token = self.expect_answer(reply);
        self.feed_replicas();
        self.feed(Input::Stop { token, kind, timeout, force: request.force });
    }

    fn is_voting_primary(&self) -> bool {
        let topology = self.node.topology();
        self.node.is_primary() && topology.is_some_and(|t| t.owners.contains(&t.me))
    }

    pub(super) fn abort_shutdown(&mut self, reply: ReplyTo) {
        if self.node.shutdown_deadline().is_none() {
            reply.answer(&self.shared, Answer::Error("ERR No shutdown in progress.".into()));
            return;
        }
        self.feed(Input::Abort);
        self.shared.log.warning("Shutdown manually aborted.");
        reply.answer(&self.shared, Answer::Ok);
    }

    /// Tells the machines who is attached and how far they are.
    pub(super) fn feed_replicas(&mut self) {
        let list = self.shared.repl.replicas.load_full();
        let replicas = list.iter().filter_map(|view| {
            let s = &view.session;
            let state = match s.state_name()? {
                "wait_bgsave" => ReplicaState::WaitBgsave,
                "send_bulk" => ReplicaState::SendBulk,
                _ => ReplicaState::Online,
            };
            let version =
                s.version.map_or(0, |v| u32::from(v.major) << 16 | u32::from(v.minor) << 8 | u32::from(v.patch));
            Some(Replica {
                addr: s.name(),
                id: view.node,
                state,
                complete: s.is_online(),
                acked: s.ack(),
                acked_at: s.acked_at(),
                version,
                priority: 100,
                same_zone: true,
            })
        });
        let replicas = replicas.collect();
        self.feed(Input::Replicas(replicas));
    }

    /// Saves what this way of stopping calls for. In a thread of its own, because the bus has to be answered meanwhile.
    pub(super) fn final_save(&mut self) {
        let request = self.stopping.unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        let telling = std::mem::take(&mut self.telling);
        let keeps_role = super::standalone::keeps_role(&self.shared);
        let work = move || {
            let ok = shared.aof.prepare_end(&shared, request.force);
            let ok = ok
                && match crate::persist::save_for_shutdown(&shared, request.save, request.nosave) {
                    Ok(()) => true,
                    Err(e) => {
                        shared.log.warning(&format!("Error trying to save the DB, can't exit. {e}"));
                        false
                    }
                };
            if keeps_role {
                super::standalone::keep_role(&shared);
            }
            telling.into_iter().for_each(|told| drop(told.join()));
            shared.threads().control.send(ControlMessage::Saved(ok));
        };
        if let Err(e) = std::thread::Builder::new().name("baton-final-save".into()).spawn(work) {
            self.shared.log.warning(&format!("No thread for the final save: {e}"));
            self.shared.threads().control.send(ControlMessage::Saved(false));
        }
    }

    /// Ends the process.
    pub(super) fn leave(&mut self, code: ExitCode) {
        self.shared.stopping.store(true, Ordering::Release);
        // What was written since the final save began.
        self.shared.aof.complete(&self.shared);
        say_goodbye(&self.shared);
        self.exit = Some(code);
    }
}
