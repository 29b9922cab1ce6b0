//! Which history a dataset belongs to. A replication id names one; the previous id is remembered with the offset up to
//! which both were the same, so that whoever followed the old one can follow the new one without a full synchronisation.
//! The current offset is the journal's and comes in as an argument: it is never stored twice.

use baton_base::{Offset, ReplId};

/// The ids a node answers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct History {
    /// The current history.
    pub replid: ReplId,
    /// The previous history, [`ReplId::NONE`] if there is none.
    pub replid2: ReplId,
    /// Number of the first byte (from 1) that the previous history does not share; none without a previous history.
    pub second_offset: Option<Offset>,
    /// The current id was told to somebody who may ask for it.
    given: bool,
}

/// What the journal retains, as PSYNC counts: bytes are numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BacklogExtent {
    /// Number of the first retained byte.
    pub first: u64,
    /// Retained bytes.
    pub histlen: u64,
}

impl BacklogExtent {
    /// Number of the byte that comes next, the largest one that can be asked for.
    pub fn next(&self) -> u64 {
        self.first.saturating_add(self.histlen)
    }
}

/// Why a partial resynchronisation is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartialRefusal {
    /// The id is neither the current nor the previous one.
    OtherHistory,
    /// The id is the previous one, but the replica went further in it than we share.
    BeyondSecond {
        /// The last byte that may be asked for under the previous id.
        second_offset: Offset,
    },
    /// There is no backlog.
    NoBacklog,
    /// The byte is not retained, or does not exist yet.
    NotRetained(BacklogExtent),
}

impl History {
    /// A history that begins here.
    pub fn fresh(replid: ReplId) -> Self {
        History { replid, replid2: ReplId::NONE, second_offset: None, given: false }
    }

    /// The current id, for a replica that is about to follow it.
    pub fn give(&mut self) -> ReplId {
        self.given = true;
        self.replid
    }

    /// This node, whose data ends at `end`, is about to follow somebody. Gives the id to ask for. A primary that restarted
    /// from its snapshot begins a history that nobody knows; as long as it has neither written to it nor told it, its data
    /// is a place in the previous one, which its successor knows. Then it goes back to that.
    pub fn follow(&mut self, end: Offset) -> ReplId {
        let unused = !self.given && self.second_offset == Some(end.plus(1)) && self.replid2 != ReplId::NONE;
        if unused {
            *self = History::fresh(self.replid2);
        }
        self.replid
    }

    /// This node becomes a primary at offset `end` (replication 6, promote): what it followed becomes the previous
    /// history. `fresh` is a new random id.
    pub fn promote(&mut self, end: Offset, fresh: ReplId) {
        self.shift(end, fresh);
    }

    /// A full synchronisation was loaded: the dataset is the primary's, nothing older is known.
    pub fn adopt(&mut self, replid: ReplId) {
        *self = History::fresh(replid);
    }

    /// The primary went on with our stream at offset `end`, maybe under another id (replication 1.4). Tells whether the
    /// id changed; then sub-replicas are to be disconnected, so that they learn it.
    #[must_use]
    pub fn continue_as(&mut self, replid: Option<ReplId>, end: Offset) -> bool {
        match replid {
            Some(new) if new != self.replid => {
                self.shift(end, new);
                true
            }
            _ => false,
        }
    }

    /// Restart as a replica from a snapshot that carries an id (replication 6): the node asks to go on with it.
    pub fn restored_as_replica(replid: ReplId) -> Self {
        History::fresh(replid)
    }

    /// Restart as a primary from a snapshot taken at `offset` of `replid`: a new history whose past is known.
    pub fn restored_as_primary(replid: ReplId, offset: Offset, fresh: ReplId) -> Self {
        let mut history = History::fresh(replid);
        history.shift(offset, fresh);
        history
    }

    /// Whether a replica that asks for byte number `wanted` of history `asked` can be served from the backlog
    /// (replication 1.3). On success, the offset after which its stream begins.
    pub fn partial_ok(
        &self,
        asked: &[u8],
        wanted: i64,
        backlog: Option<BacklogExtent>,
    ) -> Result<Offset, PartialRefusal> {
        let is_current = asked.eq_ignore_ascii_case(self.replid.as_bytes());
        let is_second = asked.eq_ignore_ascii_case(self.replid2.as_bytes());
        match self.second_offset {
            _ if is_current => {}
            Some(second) if is_second && in_range(wanted, second.0) => {}
            Some(second_offset) if is_second => return Err(PartialRefusal::BeyondSecond { second_offset }),
            _ => return Err(PartialRefusal::OtherHistory),
        }
        let extent = backlog.ok_or(PartialRefusal::NoBacklog)?;
        match u64::try_from(wanted) {
            // `first` is at least 1, so a wanted byte has a predecessor.
            Ok(n) if (extent.first..=extent.next()).contains(&n) && n > 0 => Ok(Offset(n - 1)),
            _ => Err(PartialRefusal::NotRetained(extent)),
        }
    }

    fn shift(&mut self, end: Offset, new: ReplId) {
        self.replid2 = self.replid;
        self.second_offset = Some(end.plus(1));
        self.replid = new;
        self.given = false;
    }
}

/// Whether `wanted` is at most `limit`; a negative number always is.
fn in_range(wanted: i64, limit: u64) -> bool {
    u64::try_from(wanted).map_or(true, |n| n <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(c: u8) -> ReplId {
        ReplId::parse(&[c; 40]).unwrap()
    }

    /// Current id a, previous b up to byte 100.
    fn history() -> History {
        History { replid: id(b'a'), replid2: id(b'b'), second_offset: Some(Offset(100)), given: true }
    }

    #[test]
    fn a_history_that_was_never_used_is_given_up() {
        let restored = || History::restored_as_primary(id(b'a'), Offset(7), id(b'b'));
        assert_eq!(restored().follow(Offset(7)), id(b'a'));
        assert_eq!(restored().follow(Offset(8)), id(b'b'), "it wrote");
        let mut history = restored();
        assert_eq!(history.give(), id(b'b'));
        assert_eq!(history.follow(Offset(7)), id(b'b'), "who was told may have become the primary");
        history.promote(Offset(9), id(b'c'));
        assert_eq!(history.follow(Offset(9)), id(b'b'), "nobody was told the newest");
        assert_eq!(history, History::fresh(id(b'b')));
        assert_eq!(History::fresh(id(b'a')).follow(Offset(0)), id(b'a'));
    }

    #[test]
    fn partial_table() {
        use PartialRefusal::{BeyondSecond, NoBacklog, NotRetained, OtherHistory};
        let kept = BacklogExtent { first: 50, histlen: 100 };
        let (a, b, upper, c) = ([b'a'; 40], [b'b'; 40], [b'A'; 40], [b'c'; 40]);
        type Row<'a> = (&'a [u8], i64, Option<BacklogExtent>, Result<Offset, PartialRefusal>);
        let table: [Row<'_>; 14] = [
            (&a, 50, Some(kept), Ok(Offset(49))),
            (&upper, 150, Some(kept), Ok(Offset(149))),
            (&a, 49, Some(kept), Err(NotRetained(kept))),
            (&a, 151, Some(kept), Err(NotRetained(kept))),
            (&a, -1, Some(kept), Err(NotRetained(kept))),
            (&a, i64::MIN, Some(kept), Err(NotRetained(kept))),
            (&a, 120, None, Err(NoBacklog)),
            (&b, 100, Some(kept), Ok(Offset(99))),
            (&b, 101, Some(kept), Err(BeyondSecond { second_offset: Offset(100) })),
            (&b, -1, Some(kept), Err(NotRetained(kept))),
            (&c, 60, Some(kept), Err(OtherHistory)),
            (b"?", -1, Some(kept), Err(OtherHistory)),
            (&a[..39], 60, Some(kept), Err(OtherHistory)),
            (b"", 60, None, Err(OtherHistory)),
        ];
        for (asked, wanted, backlog, expected) in table {
            assert_eq!(history().partial_ok(asked, wanted, backlog), expected, "{asked:?} {wanted}");
        }
    }

    #[test]
    fn forty_zeros_are_no_history() {
        let fresh = History::fresh(id(b'a'));
        let kept = BacklogExtent { first: 1, histlen: 10 };
        assert_eq!(fresh.partial_ok(&[b'0'; 40], 1, Some(kept)), Err(PartialRefusal::OtherHistory));
    }

    #[test]
    fn restart_as_primary_serves_those_who_were_not_further() {
        let history = History::restored_as_primary(id(b'a'), Offset(500), id(b'n'));
        let kept = BacklogExtent { first: 501, histlen: 0 };
        assert_eq!(history.partial_ok(&[b'a'; 40], 501, Some(kept)), Ok(Offset(500)));
        assert!(history.partial_ok(&[b'a'; 40], 502, Some(kept)).is_err());
    }

    proptest! {
        /// The point of the second id: a sibling at or behind the promoted replica continues, one ahead never does.
        #[test]
        fn after_promotion_only_shared_bytes_continue(end in 0..10_000u64, sibling in 0..10_000u64) {
            let mut history = History::fresh(id(b'a'));
            history.promote(Offset(end), id(b'n'));
            let kept = BacklogExtent { first: 1, histlen: end + 500 };
            let answer = history.partial_ok(&[b'a'; 40], sibling as i64 + 1, Some(kept));
            prop_assert_eq!(answer.is_ok(), sibling <= end);
            let mut follower = History::fresh(id(b'a'));
            prop_assert!(follower.continue_as(Some(history.replid), Offset(sibling)));
            prop_assert!(!follower.continue_as(Some(history.replid), Offset(sibling)));
            prop_assert!(!follower.continue_as(None, Offset(sibling)));
            prop_assert_eq!((follower.replid, follower.replid2), (id(b'n'), id(b'a')));
        }

        #[test]
        fn no_request_panics(asked: Vec<u8>, wanted: i64, first: u64, histlen: u64) {
            let _ = history().partial_ok(&asked, wanted, Some(BacklogExtent { first, histlen }));
        }
    }
}
