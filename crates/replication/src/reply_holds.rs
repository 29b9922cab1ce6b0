//! What replies wait for where N replicas have to acknowledge writes (quorum writes), and when they are asked to. One rule
//! for whoever has a data plane; it holds no reply itself, and knows no N: that is in the acknowledged offset it is given.

use baton_base::{Mono, Offset};
use std::collections::VecDeque;
use std::time::Duration;

/// Requests that are under way at a time. One would make a write that comes just after it wait twice as long; with many,
/// replicas would be busy with answering.
const ROUNDS_MAX: usize = 4;
/// A request that is not answered for so long is made again: a replica may have come since.
const AGAIN: Duration = Duration::from_millis(100);
/// Length of a request in the stream (`REPLCONF GETACK *`): `*3` and three bulk strings.
pub const GETACK_BYTES: u64 = 37;

/// Up to where everything counts as unacknowledged when a history begins, goes on under another primary, or has to be
/// acknowledged by more replicas: its present end. An empty one, too, is none that a replica could have acknowledged.
pub fn floor(end: Offset) -> Offset {
    Offset(end.0.max(1))
}

/// What the reply of a command tells of. A command that looked at no key tells of nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Up to here what it looked at was written, by anybody.
    pub revealed: Offset,
    /// The end of what it wrote itself.
    pub wrote: Option<Offset>,
    /// A write lease lasted after it ran, and no handover holds the writes: nobody else was primary by then.
    pub leased: bool,
}

impl Told {
    /// Up to where N replicas have to have everything before the reply is sent, where the stream ends at `end`.
    ///
    /// An own write that is acknowledged proves that this node was still primary. A read needs another proof: the lease,
    /// or something acknowledged that comes after it.
    pub fn needs(&self, end: Offset) -> Offset {
        match self.wrote {
            Some(wrote) => self.revealed.max(wrote),
            None if self.leased => self.revealed,
            None => self.revealed.max(end.plus(1)),
        }
    }
}

/// Requests for acknowledgement that are under way: what an answer says to be applied at least, and when it was made.
/// That is all in front of the request: upstream's replicas answer before they count the request itself.
#[derive(Debug, Default)]
pub struct Rounds(VecDeque<(Offset, Mono)>);

impl Rounds {
    /// Whether to ask now, where replies wait for `wanted` and replicas have acknowledged `acked`.
    pub fn is_due(&mut self, wanted: Offset, acked: Offset, now: Mono) -> bool {
        if wanted <= acked {
            self.0.clear();
            return false;
        }
        self.0.retain(|(upto, at)| *upto > acked && now.since(*at) < AGAIN);
        self.0.len() < ROUNDS_MAX && self.0.back().is_none_or(|(upto, _)| *upto < wanted)
    }

    /// A request was appended, and the stream ends behind it now.
    pub fn asked(&mut self, end: Offset, now: Mono) {
        self.0.push_back((Offset(end.0.saturating_sub(GETACK_BYTES)), now));
    }

    /// When a request counts as lost and may have to be made again.
    pub fn deadline(&self) -> Mono {
        self.0.front().map_or(Mono::NEVER, |(_, at)| *at + AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_its_own_proof_and_a_read_needs_one() {
        let told = |wrote, leased| Told { revealed: Offset(70), wrote, leased };
        assert_eq!(told(Some(Offset(90)), false).needs(Offset(100)), Offset(90));
        assert_eq!(
            told(Some(Offset(60)), false).needs(Offset(100)),
            Offset(70),
            "what others wrote shows in its reply"
        );
        assert_eq!(told(None, true).needs(Offset(100)), Offset(70));
        assert_eq!(told(None, false).needs(Offset(100)), Offset(101));
        assert_eq!((floor(Offset(0)), floor(Offset(9))), (Offset(1), Offset(9)));
    }

    #[test]
    fn one_request_speaks_for_all_that_came_before_it() {
        let (mut rounds, now) = (Rounds::default(), Mono::from_millis(1));
        assert!(!rounds.is_due(Offset(0), Offset(0), now));
        assert_eq!(rounds.deadline(), Mono::NEVER);
        assert!(rounds.is_due(Offset(10), Offset(5), now));
        rounds.asked(Offset(84), now);
        assert!(!rounds.is_due(Offset(40), Offset(5), now), "what is under way answers it");
        assert!(rounds.is_due(Offset(50), Offset(5), now));
        assert!(!rounds.is_due(Offset(50), Offset(50), now));
    }

    #[test]
    fn only_so_many_are_under_way_and_lost_ones_are_repeated() {
        let (mut rounds, now) = (Rounds::default(), Mono::from_millis(1));
        for end in 1..=ROUNDS_MAX as u64 {
            assert!(rounds.is_due(Offset(end), Offset(0), now));
            rounds.asked(Offset(end + GETACK_BYTES), now);
        }
        assert!(!rounds.is_due(Offset(99), Offset(0), now));
        assert!(rounds.is_due(Offset(99), Offset(1), now), "an answer makes room");
        assert_eq!(rounds.deadline(), now + AGAIN);
        assert!(rounds.is_due(Offset(3), Offset(0), now + AGAIN), "a lost request is made again");
    }
}
