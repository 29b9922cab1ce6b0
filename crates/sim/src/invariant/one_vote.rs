//! A voter votes at most once in an epoch, whether or not it was started anew in between, unless its disk is gone: all of
//! Raft-like election safety rests on it (cluster-bus 7.5 check 4, 15.3 S8).

use baton_base::{Epoch, Mono, NodeId};
use std::collections::BTreeMap;

/// Votes that left a voter.
#[derive(Default)]
pub struct Votes {
    cast: BTreeMap<(NodeId, Epoch), (NodeId, Mono)>,
}

impl Votes {
    /// A vote leaves at this time.
    pub fn note(&mut self, departs: Mono, voter: NodeId, epoch: Epoch, candidate: NodeId) -> Result<(), String> {
        let (first, _) = *self.cast.entry((voter, epoch)).or_insert((candidate, departs));
        if first != candidate {
            return Err(format!("{voter} voted for {first} and for {candidate} in epoch {epoch}"));
        }
        Ok(())
    }

    /// The voter died: what hadn't left by then was never said.
    pub fn forget_unsent(&mut self, voter: NodeId, died: Mono) {
        self.cast.retain(|(id, _), (_, departs)| *id != voter || *departs <= died);
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.cast.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_vote_again_is_one_vote() {
        let [v, a, b] = [b'c', b'a', b'b'].map(|c| NodeId::new([c; 40]).unwrap());
        let mut votes = Votes::default();
        let at = Mono::from_millis;
        assert!(votes.note(at(5), v, Epoch(1), a).is_ok());
        assert!(votes.note(at(6), v, Epoch(1), a).is_ok());
        assert!(votes.note(at(7), v, Epoch(1), b).is_err());
        assert!(votes.note(at(7), v, Epoch(2), b).is_ok());
        votes.forget_unsent(v, at(6));
        assert!(votes.note(at(8), v, Epoch(2), a).is_ok());
        assert!(votes.note(at(8), v, Epoch(1), b).is_err());
    }
}
