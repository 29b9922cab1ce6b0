//! Where the log begins and ends: at the start, by CONFIG SET, when a replica's data is replaced, at the end of the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_config::{AppendFsync, Settings};

use super::load::Opened;
use super::log::OpenLog;
use super::sieve::Sieve;
use super::{Aof, Phase, rewrite, sync};
use crate::listen::text_of;
use crate::shared::Shared;

impl Aof {
    /// Goes on writing behind what was loaded at the start. Nobody gets at the data yet.
    pub fn resume(&self, shared: &Arc<Shared>, opened: Opened) {
        let Opened { dir, manifest, log, noted } = opened;
        let settings = Arc::clone(&shared.world.peek().settings);
        crate::repl::begin_history_still(shared);
        let len = manifest.incrs().last().map_or(0, |last| dir.length(&last.name).unwrap_or(0));
        let reader =
            shared.journal.reader(shared.journal.end()).expect("the end of an active journal can be read from");
        let mut sieve = Sieve::default();
        sieve.begin_file(shared.journal.selected_db());
        self.policy.store(settings.choice::<AppendFsync>() as u8, Ordering::SeqCst);
        self.install(shared, OpenLog::new(log, len, reader, sieve, noted), Phase::On);
        self.measure(&dir, &manifest);
        let base = manifest.base().map_or(0, |base| dir.length(&base.name).unwrap_or(0));
        self.status.base_bytes.store(base, Ordering::Relaxed);
        *self.files.lock() = Some(manifest);
    }

    /// `appendonly yes` at run time: the log begins with a snapshot.
    pub fn switch_on(&self, shared: &Arc<Shared>, settings: &Settings) {
        self.policy.store(settings.choice::<AppendFsync>() as u8, Ordering::SeqCst);
        self.status.begin_anew();
        self.set_phase(Phase::Beginning);
        let status = &self.status;
        if status.rewriting.load(Ordering::SeqCst) {
            shared.log.notice(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and \
                 starting a rewrite now.",
            );
            rewrite::cancel(shared);
            status.scheduled.store(true, Ordering::SeqCst);
        } else if !rewrite::begin(shared) {
            shared.log.notice(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to \
                 start when possible.",
            );
            status.scheduled.store(true, Ordering::SeqCst);
        }
    }

    /// `appendonly no` at run time: the files stay as they are.
    pub fn switch_off(&self, shared: &Shared) {
        // Who waits for it to be durable hears that there is none, whatever is synced now.
        self.set_phase(Phase::Off);
        self.complete(shared);
        rewrite::cancel(shared);
        self.status.scheduled.store(false, Ordering::SeqCst);
        self.uninstall(shared);
        self.status.begin_anew();
        shared.tell_workers(|| crate::worker::WorkerMessage::Acknowledged);
    }

    /// The data and the stream were replaced by those of a primary: the log begins anew. Until its base is whole the files
    /// of before stay, which are whole, if old.
    pub fn begin_again(&self, shared: &Arc<Shared>) {
        if !self.is_open() {
            return;
        }
        rewrite::cancel(shared);
        self.uninstall(shared);
        self.set_phase(Phase::Beginning);
        if self.status.rewriting.load(Ordering::SeqCst) || !rewrite::begin(shared) {
            self.status.scheduled.store(true, Ordering::SeqCst);
        }
    }

    /// Writes and syncs everything that there is.
    pub fn complete(&self, shared: &Shared) {
        self.write(shared);
        let (files, covers) = sync::unsynced(self);
        match sync::sync_all(&files) {
            Ok(()) => {
                self.is_durable(shared, covers);
                if shared.write_acks.raise_synced(covers) {
                    super::ring_waiting(shared);
                }
            }
            Err(e) => shared.log.warning(&format!("Fail to fsync the AOF file: {}.", text_of(&e))),
        }
    }

    /// The server is about to end. False if it can't yet: the first base is not whole, and `force` does not say that it
    /// need not be.
    pub fn prepare_end(&self, shared: &Shared, force: bool) -> bool {
        if self.phase() == Phase::Beginning {
            if !force {
                shared.log.warning("Writing initial AOF, can't exit.");
                return false;
            }
            shared.log.warning("Writing initial AOF. Exit anyway.");
        }
        if self.status.rewriting.load(Ordering::SeqCst) {
            shared.log.warning("There is a child rewriting the AOF. Killing it!");
            rewrite::cancel(shared);
        }
        if self.is_open() {
            shared.log.notice("Calling fsync() on the AOF file.");
            self.complete(shared);
        }
        true
    }
}
