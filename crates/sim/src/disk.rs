//! The disk of one process: what was written survives the process, only what was synced survives the machine, and a
//! write that was still under way survives neither.

use crate::data::Snapshot;
use baton_base::{Mono, ReplId, Rng};
use baton_cluster::EpochRecord;

/// One write.
#[derive(Clone, Debug)]
pub enum Write {
    /// The cluster configuration file.
    Config(String),
    /// The record of epochs beside it.
    Epochs(EpochRecord),
    /// A dataset and the history it belongs to.
    Data(ReplId, Box<Snapshot>),
}

impl Write {
    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        match self {
            Write::Config(text) => text.len(),
            Write::Epochs(_) => 0,
            Write::Data(_, snapshot) => snapshot.bytes() as usize,
        }
    }
}

#[derive(Clone, Debug)]
struct Pending {
    done: Mono,
    sync: bool,
    write: Write,
}

/// What a starting process finds.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The cluster configuration file, empty if there is none.
    pub config: String,
    /// The record of epochs.
    pub epochs: Option<EpochRecord>,
    /// The dataset.
    pub data: Option<(ReplId, Snapshot)>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The process alone.
    Process,
    /// The machine: what wasn't synced may be lost.
    Machine,
    /// The disk is gone too.
    Disk,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What is sure to be there whatever happens.
    synced: Image,
    /// Writes since the last sync that counts, in order.
    pending: Vec<Pending>,
}

impl Disk {
    /// Starts a write that will be done at a later time.
    pub fn write(&mut self, now: Mono, done: Mono, sync: bool, write: Write) {
        // Syncs are waited for one after the other, so a synced write stands on everything before it.
        self.pending.push(Pending { done, sync, write });
        self.settle(now);
    }

    /// What a process that ends now leaves behind.
    pub fn end(&mut self, now: Mono, how: End, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        if how == End::Disk {
            self.synced = Image::default();
            return;
        }
        let written: Vec<Pending> = pending.into_iter().filter(|p| p.done <= now).collect();
        let synced = written.iter().rposition(|p| p.sync).map_or(0, |last| last + 1);
        // A machine that fails has written back some prefix of the rest.
        let kept = match how {
            End::Machine => synced + rng.below((written.len() - synced) as u64 + 1) as usize,
            _ => written.len(),
        };
        for p in written.into_iter().take(kept) {
            self.synced.apply(p.write);
        }
    }

    /// What a process that starts finds.
    pub fn image(&self) -> Image {
        self.synced.clone()
    }

    /// Keeps the list short: of unsynced files only the newest few matter.
    fn settle(&mut self, now: Mono) {
        const PENDING_MAX: usize = 64;
        const PENDING_BYTES_MAX: usize = 1 << 20;
        let bytes: usize = self.pending.iter().map(|p| p.write.bytes()).sum();
        if self.pending.len() <= PENDING_MAX && bytes <= PENDING_BYTES_MAX {
            return;
        }
        let until = self.pending.iter().rposition(|p| p.sync && p.done <= now);
        let cut = until.map_or(self.pending.len() / 2, |last| last + 1);
        for p in self.pending.drain(..cut) {
            self.synced.apply(p.write);
        }
    }
}

impl Image {
    fn apply(&mut self, write: Write) {
        match write {
            Write::Config(text) => self.config = text,
            Write::Epochs(record) => self.epochs = Some(record),
            Write::Data(replid, snapshot) => self.data = Some((replid, *snapshot)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Write {
        Write::Config(text.to_owned())
    }

    #[test]
    fn only_what_was_synced_in_time_is_sure() {
        let at = Mono::from_millis;
        let build = || {
            let mut disk = Disk::default();
            disk.write(at(0), at(1), true, config("a"));
            disk.write(at(1), at(2), false, config("b"));
            disk.write(at(2), at(9), true, config("c"));
            disk
        };
        let found = |how, now, seed| {
            let mut disk = build();
            disk.end(at(now), how, &mut Rng::new(seed));
            disk.image().config
        };
        assert_eq!(found(End::Process, 5, 1), "b");
        assert_eq!(found(End::Process, 9, 1), "c");
        assert_eq!(found(End::Machine, 9, 1), "c");
        assert_eq!(found(End::Disk, 9, 1), "");
        let after_power_loss: Vec<String> = (0..20).map(|seed| found(End::Machine, 5, seed)).collect();
        assert!(after_power_loss.iter().all(|c| c == "a" || c == "b"));
        assert!(after_power_loss.contains(&"a".to_owned()) && after_power_loss.contains(&"b".to_owned()));
    }
}
