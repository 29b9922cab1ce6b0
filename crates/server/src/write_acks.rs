//! Quorum writes, `write-ack-replicas N`: what threads share about them. The reply of a write waits until N replicas have
//! acknowledged its offset, and so does every reply that could reveal a write that they don't have. It never holds a
//! reply itself: that is `worker::held`, one connection at a time; what exactly a reply waits for is
//! `baton_replication::reply_holds`, which the simulator obeys, too.
//!
//! What is promised while N > 0, and by which rule:
//! 1. **No false OK.** A reply leaves after N replicas acknowledged the offset of its write. A replica acknowledges what it
//!    has applied, so N + 1 nodes have it by then. `baton-cluster` (`quorum_writes`) lets a replica stand by itself only
//!    if it knows that enough others have no more than it has, so that whoever wins has it, too.
//! 2. **Reads don't run ahead.** A read may show a write that is not acknowledged yet, and must not be the only trace of
//!    it after a failover. So each slot remembers the largest offset that was written to it, and the reply of a read waits
//!    for that one. The offset is noted while the slot is locked, and looked up after the reader had the lock: it sees
//!    every write that the reader saw, and at worst a later one, which only makes it wait longer.
//! 3. **Reads don't lag behind.** A node that lost its role without knowing yet answers reads with what is old. So a read
//!    also waits until N replicas have acknowledged something that was appended after it ran: replicas that elected
//!    somebody else acknowledge nothing to this node any more (rule 1), so the answer can't come then. Writes carry that
//!    proof in themselves, and all reads of one moment share one request for acknowledgement. In a cluster with write leases
//!    a lease that lasts after the read ran is the same proof at no cost, except while a handover holds the writes.
//! 4. **Inherited data count as unacknowledged.** Whoever is promoted, starts, or is told to begin with this, has data that
//!    its present replicas may lack: the old primary may never have had them acknowledged. They are covered by a floor: all
//!    reads wait until N replicas acknowledged the offset at that moment.
//! 5. **Honest when it fails.** A write is refused before it runs when fewer than N replicas are there. One that ran and
//!    is not acknowledged in time, or when the role is lost, is answered with an error that says just that.
//!
//! Acknowledgements are asked for in the stream (`REPLCONF GETACK`), by the feeder, as long as a reply waits: that works
//! with replicas of every kind, and comes at once instead of once a second. A few requests are under way at a time, so
//! that one of them speaks for all the writes that came since the one before.
//!
//! With `appendfsync always` replies wait here, too, for the log to be durable (aof 7): for their own write, and for the
//! writes that they could reveal (rule 2). That needs no replica and no rule of the others.
//!
//! While N is 0 and no log is waited for, nothing here is written to, and a batch of commands costs one comparison.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use baton_base::{Offset, Slot};
use baton_replication::reply_holds::floor;

use crate::stats::Count;

/// What threads share about quorum writes.
pub struct WriteAcks {
    /// By slot: the offset after the latest write, while N > 0. Written under the slot's lock.
    marks: Box<[AtomicU64]>,
    /// All slots count as written up to here.
    floor: AtomicU64,
    /// N replicas have everything up to here. All ones while N is 0, so that nothing waits.
    acked: AtomicU64,
    /// The log is durable up to here. All ones while replies don't wait for that.
    synced: AtomicU64,
    /// The largest offset that a reply waits for.
    wanted: AtomicU64,
    /// Replicas that would acknowledge a write now.
    present: AtomicU64,
    /// By worker: whether it has replies that wait.
    waiting: Box<[AtomicBool]>,
    /// Replies that had to wait.
    pub replies_held: Count,
    /// Writes that ran and were not acknowledged in time.
    pub writes_unacked: Count,
    /// Reads whose answer was not acknowledged in time.
    pub reads_unacked: Count,
    /// Writes that were refused because there were too few replicas.
    pub writes_refused: Count,
}

/// Nothing waits for acknowledgements.
const OFF: u64 = u64::MAX;

impl WriteAcks {
    /// Nothing is acknowledged, and everything that there is has to be.
    pub fn new(workers: usize, replicas: u64) -> WriteAcks {
        WriteAcks {
            marks: (0..Slot::COUNT).map(|_| AtomicU64::new(0)).collect(),
            floor: AtomicU64::new(floor(Offset(0)).0),
            acked: AtomicU64::new(if replicas == 0 { OFF } else { 0 }),
            synced: AtomicU64::new(OFF),
            wanted: AtomicU64::new(0),
            present: AtomicU64::new(0),
            waiting: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            replies_held: Count::default(),
            writes_unacked: Count::default(),
            reads_unacked: Count::default(),
            writes_refused: Count::default(),
        }
    }

    /// A write to this slot ends at this offset. The caller has the slot locked.
    pub fn note_write(&self, slot: Slot, end: Offset) {
        // The lock orders this for whoever locks the slot later.
        self.marks[slot.index()].fetch_max(end.0, Ordering::Relaxed);
    }

    /// All slots count as written up to here.
    pub fn cover(&self, end: Offset) {
        self.floor.fetch_max(floor(end).0, Ordering::SeqCst);
    }

    /// What a reply has to wait for that was made after a look at this slot.
    pub fn revealed_by(&self, slot: Slot) -> Offset {
        let mark = self.marks[slot.index()].load(Ordering::Relaxed);
        Offset(mark.max(self.floor.load(Ordering::Relaxed)))
    }

    /// Replies that tell of no more than this may be sent: N replicas have everything up to here, and it is durable.
    pub fn acked(&self) -> Offset {
        self.acked_by_replicas().min(Offset(self.synced.load(Ordering::SeqCst)))
    }

    /// N replicas have everything up to here.
    pub fn acked_by_replicas(&self) -> Offset {
        Offset(self.acked.load(Ordering::SeqCst))
    }

    /// From here on replies wait until the log is durable, which it is up to here.
    pub fn begin_syncing(&self, durable: Offset) {
        self.synced.store(durable.0, Ordering::SeqCst);
    }

    /// The log is durable up to here. Tells whether that is news.
    pub fn raise_synced(&self, to: Offset) -> bool {
        self.synced.fetch_max(to.0, Ordering::SeqCst) < to.0
    }

    /// Replies don't wait for the log any more.
    pub fn stop_syncing(&self) {
        self.synced.store(OFF, Ordering::SeqCst);
    }

    /// N replicas have everything up to here. Tells whether that is news.
    pub fn raise_acked(&self, to: Offset) -> bool {
        self.acked.fetch_max(to.0, Ordering::SeqCst) < to.0
    }

    /// A new history, or another N: what was acknowledged before proves nothing, and what is there has to be acknowledged
    /// by the present replicas. Nobody executes commands meanwhile.
    pub fn begin_anew(&self, replicas: u64, end: Offset) {
        self.cover(end);
        self.wanted.store(0, Ordering::SeqCst);
        self.acked.store(if replicas == 0 { OFF } else { 0 }, Ordering::SeqCst);
    }

    /// The largest offset that a reply waits for.
    pub fn wanted(&self) -> Offset {
        Offset(self.wanted.load(Ordering::SeqCst))
    }

    /// A reply waits for this offset. The feeder is to be woken after it.
    pub fn want(&self, offset: Offset) {
        self.wanted.fetch_max(offset.0, Ordering::SeqCst);
    }

    /// Replicas that would acknowledge a write now.
    pub fn present(&self) -> u64 {
        self.present.load(Ordering::Relaxed)
    }

    /// Tells how many replicas would acknowledge a write now.
    pub fn set_present(&self, count: u64) {
        self.present.store(count, Ordering::Relaxed);
    }

    /// A worker says whether it has replies that wait. It looks at [`WriteAcks::acked`] once more after it said so, and
    /// whoever raises that asks for this afterwards: so one of the two sees the other.
    pub fn set_waiting(&self, worker: u32, waits: bool) {
        if let Some(flag) = self.waiting.get(worker as usize) {
            flag.store(waits, Ordering::SeqCst);
        }
    }

    /// The workers that have replies that wait.
    pub fn waiting_workers(&self) -> impl Iterator<Item = usize> + '_ {
        self.waiting.iter().enumerate().filter(|(_, flag)| flag.load(Ordering::SeqCst)).map(|(i, _)| i)
    }

    /// What was counted, with its name in INFO.
    pub fn counts(&self) -> [(&'static str, &Count); 4] {
        [
            ("replies_held", &self.replies_held),
            ("writes_unacked", &self.writes_unacked),
            ("reads_unacked", &self.reads_unacked),
            ("writes_refused", &self.writes_refused),
        ]
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&self) {
        self.counts().into_iter().for_each(|(_, count)| count.reset());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reveals_its_own_writes_and_what_was_inherited() {
        let acks = WriteAcks::new(1, 1);
        let (a, b) = (Slot::of_key(b"a"), Slot::of_key(b"b"));
        assert_eq!(acks.revealed_by(a), Offset(1));
        acks.note_write(a, Offset(50));
        acks.note_write(a, Offset(40));
        assert_eq!((acks.revealed_by(a), acks.revealed_by(b)), (Offset(50), Offset(1)));
        acks.cover(Offset(45));
        assert_eq!((acks.revealed_by(a), acks.revealed_by(b)), (Offset(50), Offset(45)));
    }

    #[test]
    fn what_was_acknowledged_before_a_promotion_proves_nothing_after_it() {
        let acks = WriteAcks::new(1, 1);
        assert!(acks.raise_acked(Offset(100)));
        assert!(!acks.raise_acked(Offset(90)));
        acks.want(Offset(120));
        acks.begin_anew(1, Offset(95));
        assert_eq!((acks.acked(), acks.wanted()), (Offset(0), Offset(0)));
        assert_eq!(acks.revealed_by(Slot::default()), Offset(95));
    }

    #[test]
    fn without_a_number_of_replicas_nothing_waits() {
        let acks = WriteAcks::new(1, 0);
        assert_eq!(acks.acked(), Offset(u64::MAX));
        acks.begin_anew(2, Offset(7));
        assert_eq!(acks.acked(), Offset(0));
        acks.begin_anew(0, Offset(9));
        assert_eq!(acks.acked(), Offset(u64::MAX));
    }

    #[test]
    fn what_replicas_have_is_held_until_the_log_is_durable_and_the_other_way_round() {
        let acks = WriteAcks::new(1, 1);
        acks.begin_syncing(Offset(10));
        acks.raise_acked(Offset(50));
        assert_eq!((acks.acked(), acks.acked_by_replicas()), (Offset(10), Offset(50)));
        assert!(acks.raise_synced(Offset(60)));
        assert!(!acks.raise_synced(Offset(60)));
        assert_eq!(acks.acked(), Offset(50));
        acks.stop_syncing();
        assert!(!acks.raise_synced(Offset(70)), "a thread that comes late holds nobody");
        assert_eq!(acks.acked(), Offset(50));
    }

    #[test]
    fn only_workers_that_wait_are_woken() {
        let acks = WriteAcks::new(3, 1);
        acks.set_waiting(1, true);
        assert_eq!(acks.waiting_workers().collect::<Vec<_>>(), [1]);
        acks.set_waiting(1, false);
        assert_eq!(acks.waiting_workers().count(), 0);
    }
}
