//! What a node must never forget, in a few bytes beside the configuration file: its epochs, and the failover it won last.
//! Such a record is durable long before a whole file is, so a vote, a candidacy or a won failover may be spoken of as
//! soon as it is. It must never say more than the file can be completed with.

use crate::conf::Restored;
use baton_base::{Epoch, NodeId, SlotBitmap};
use baton_wire::NodeFlags;
use std::fmt;

/// A failover that this node won.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victory {
    /// Its epoch: the configuration epoch of this node's claim.
    pub epoch: Epoch,
    /// The primary whose slots this node took.
    pub over: NodeId,
    /// Checksum of these slots. A file that gives `over` other slots can't tell what was won.
    pub slots: u64,
}

impl Victory {
    pub(crate) fn new(epoch: Epoch, over: NodeId, slots: &SlotBitmap) -> Victory {
        Victory { epoch, over, slots: checksum(slots) }
    }
}

/// The record. Its text form is one line of at most [`EpochRecord::TEXT_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochRecord {
    /// Whose epochs they are; the record of another identity (before a hard reset) counts for nothing.
    pub node: NodeId,
    /// currentEpoch.
    pub current: Epoch,
    /// lastVoteEpoch.
    pub last_vote: Epoch,
    /// The failover that this node won last, for as long as it is primary by it.
    pub victory: Option<Victory>,
}

impl EpochRecord {
    /// Length of the longest text.
    pub const TEXT_MAX: usize = 40 + 3 * 21 + 41 + 17;

    /// Reads the text form; none if it is no record.
    pub fn parse(text: &str) -> Option<EpochRecord> {
        let mut words = text.split_ascii_whitespace();
        let node = NodeId::parse(words.next()?.as_bytes()).ok()?;
        let (current, last_vote) = (Epoch(words.next()?.parse().ok()?), Epoch(words.next()?.parse().ok()?));
        let victory = match words.next() {
            None => None,
            Some(epoch) => Some(Victory {
                epoch: Epoch(epoch.parse().ok()?),
                over: NodeId::parse(words.next()?.as_bytes()).ok()?,
                slots: u64::from_str_radix(words.next()?, 16).ok()?,
            }),
        };
        words.next().is_none().then_some(EpochRecord { node, current, last_vote, victory })
    }
}

impl fmt::Display for EpochRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.node, self.current, self.last_vote)?;
        match &self.victory {
            None => Ok(()),
            Some(won) => write!(f, " {} {} {:016x}", won.epoch, won.over, won.slots),
        }
    }
}

impl Restored {
    /// Merges the record of [`Effect::SaveEpochs`](crate::Effect::SaveEpochs): of each epoch the larger one counts, and a
    /// failover that the file doesn't know of makes this node the primary of what it won.
    pub fn merge(&mut self, record: &EpochRecord) {
        if record.node != self.me {
            return;
        }
        self.current_epoch = self.current_epoch.max(record.current).max(record.last_vote);
        self.last_vote_epoch = self.last_vote_epoch.max(record.last_vote);
        if let Some(won) = record.victory {
            self.current_epoch = self.current_epoch.max(won.epoch);
            self.victory = Some(won);
            self.take_over(won);
        }
    }

    /// A record loses its victory, durably, before anything is said that comes after it. So where there is one, it is in
    /// force, however old the file is. The file completes it if it knows the slots that were won: as the loser's, or as
    /// this node's own from an earlier time as primary. Otherwise this node claims nothing: it may have won less.
    fn take_over(&mut self, won: Victory) {
        let at = |id| self.nodes.iter().position(|n| n.id == id);
        let Some(me) = at(self.me) else { return };
        let was_primary = self.nodes[me].flags.contains(NodeFlags::PRIMARY);
        if was_primary && self.nodes[me].config_epoch >= won.epoch {
            return;
        }
        let loser = at(won.over).filter(|i| self.nodes[*i].config_epoch < won.epoch);
        let holder = [loser, Some(me)].into_iter().flatten().find(|i| checksum(&self.nodes[*i].slots) == won.slots);
        if holder.is_none() && !was_primary {
            return;
        }
        let slots = holder.map_or_else(SlotBitmap::new, |i| std::mem::take(&mut self.nodes[i].slots));
        let winner = &mut self.nodes[me];
        winner.flags.remove(NodeFlags::REPLICA);
        winner.flags.insert(NodeFlags::PRIMARY);
        winner.primary = None;
        winner.config_epoch = won.epoch;
        winner.slots = slots;
        self.notices.push(format!("The failover of epoch {} over {} was won.", won.epoch, won.over));
    }
}

/// FNV-1a over the bitmap: enough to notice that a slot came or went.
fn checksum(slots: &SlotBitmap) -> u64 {
    slots
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf;

    fn id(digit: char) -> NodeId {
        NodeId::parse(digit.to_string().repeat(40).as_bytes()).unwrap()
    }

    fn file(me: &str, loser: &str) -> Restored {
        let text = format!(
            "{} 127.0.0.1:7001@17001,,shard-id={a} myself,{me}\n{} 127.0.0.1:7002@17002,,shard-id={a} {loser}\nvars \
             currentEpoch 4 lastVoteEpoch 0\n",
            id('1'),
            id('2'),
            a = id('a')
        );
        conf::parse(text.as_bytes(), false).unwrap()
    }

    fn victory(epoch: u64) -> EpochRecord {
        let slots = (0..=100).filter_map(baton_base::Slot::new).collect();
        let victory = Some(Victory::new(Epoch(epoch), id('2'), &slots));
        EpochRecord { node: id('1'), current: Epoch(epoch), last_vote: Epoch(2), victory }
    }

    fn merged(mut file: Restored, record: &EpochRecord) -> (Option<NodeId>, Epoch, usize) {
        file.merge(record);
        let me = file.nodes.iter().find(|n| n.id == file.me).unwrap();
        (me.primary, me.config_epoch, me.slots.len())
    }

    #[test]
    fn the_text_reads_back() {
        let longest = Victory { epoch: Epoch(u64::MAX), over: id('2'), slots: u64::MAX };
        let max = Epoch(u64::MAX);
        for victory in [None, Some(longest)] {
            let record = EpochRecord { node: id('1'), current: max, last_vote: max, victory };
            let text = record.to_string();
            assert!(text.len() <= EpochRecord::TEXT_MAX, "{}", text.len());
            assert_eq!(EpochRecord::parse(&text), Some(record));
            assert_eq!(EpochRecord::parse(&format!("{text} 1")), None);
        }
        assert_eq!(EpochRecord::parse("1 2"), None);
    }

    #[test]
    fn a_victory_newer_than_the_file_is_taken() {
        let replica = format!("slave {} 0 0 3 connected", id('2'));
        let old = || file(&replica, "master - 0 0 3 connected 0-100");
        assert_eq!(merged(old(), &victory(5)), (None, Epoch(5), 101));
        assert_eq!(merged(old(), &victory(3)), (Some(id('2')), Epoch(0), 0), "the loser has claimed again since");
        let other = EpochRecord { node: id('3'), ..victory(5) };
        assert_eq!(merged(old(), &other), (Some(id('2')), Epoch(0), 0), "a record of another identity");
        let moved = || file(&replica, "master - 0 0 3 connected 0-99");
        assert_eq!(merged(moved(), &victory(5)), (Some(id('2')), Epoch(0), 0), "what was won isn't known");
    }

    #[test]
    fn a_file_may_be_older_by_two_changes_of_role() {
        let primary = |slots: &str| file(&format!("master - 0 0 1 connected {slots}"), "master - 0 0 1 connected");
        assert_eq!(merged(primary("0-100"), &victory(5)), (None, Epoch(5), 101));
        assert_eq!(merged(primary("0-101"), &victory(5)), (None, Epoch(5), 0), "what was won isn't known");
        let elsewhere =
            file("slave 9999999999999999999999999999999999999999 0 0 2 connected", "master - 0 0 3 connected 0-100");
        assert_eq!(merged(elsewhere, &victory(5)), (None, Epoch(5), 101));
    }

    #[test]
    fn a_file_that_knows_more_stays() {
        let won = file("master - 0 0 5 connected 0-50", &format!("slave {} 0 0 5 connected", id('1')));
        assert_eq!(merged(won, &victory(5)), (None, Epoch(5), 51));
    }

    #[test]
    fn epochs_only_rise() {
        let mut file = file("master - 0 0 4 connected", "master - 0 0 3 connected 0-100");
        let record = |current, last_vote| EpochRecord {
            node: id('1'),
            current: Epoch(current),
            last_vote: Epoch(last_vote),
            victory: None,
        };
        file.merge(&record(3, 3));
        assert_eq!((file.current_epoch, file.last_vote_epoch), (Epoch(4), Epoch(3)));
        file.merge(&record(9, 1));
        assert_eq!((file.current_epoch, file.last_vote_epoch), (Epoch(9), Epoch(3)));
    }
}
