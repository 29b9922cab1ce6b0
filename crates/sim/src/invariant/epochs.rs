//! Epochs never go back: not in a process, and not from one life of a node to the next as far as it promised anything, by
//! a claim, a vote or a request for votes that left it (cluster-bus 6.1, 6.8, 15.3 S8).

use baton_base::{Epoch, Mono, NodeId};
use std::collections::BTreeMap;

/// The epochs of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// currentEpoch.
    pub current: Epoch,
    /// lastVoteEpoch.
    pub vote: Epoch,
    /// Epoch of its own claim; 0 for a replica.
    pub claim: Epoch,
}

#[derive(Clone, Copy, Default)]
struct Promised {
    at: Mono,
    standing: Standing,
}

/// What every node promised.
#[derive(Default)]
pub struct Epochs {
    living: BTreeMap<NodeId, Standing>,
    /// Promises that left, each larger than the one before in some respect.
    promised: BTreeMap<NodeId, Vec<Promised>>,
}

impl Epochs {
    /// A process stands here now.
    pub fn note(&mut self, node: NodeId, now: Standing) -> Result<(), String> {
        let before = self.living.insert(node, now).unwrap_or_default();
        let back = now.current < before.current || now.vote < before.vote;
        // A claim ends with the role, and only with it.
        let claim_back = now.claim < before.claim && now.claim != Epoch(0);
        if back || claim_back {
            return Err(format!("epochs of {node} went back from {before:?} to {now:?}"));
        }
        Ok(())
    }

    /// Something that promises these epochs leaves at this time.
    pub fn promise(&mut self, node: NodeId, departs: Mono, standing: Standing) {
        let list = self.promised.entry(node).or_default();
        let last = list.last().copied().unwrap_or_default().standing;
        let most = Standing {
            current: last.current.max(standing.current),
            vote: last.vote.max(standing.vote),
            claim: last.claim.max(standing.claim),
        };
        if most != last {
            list.push(Promised { at: departs, standing: most });
        }
    }

    /// A node died: what hadn't left by then was never said.
    pub fn died(&mut self, node: NodeId, at: Mono) {
        self.living.remove(&node);
        if let Some(list) = self.promised.get_mut(&node) {
            list.retain(|p| p.at <= at);
        }
    }

    /// A node came back from its disk.
    pub fn restarted(&mut self, node: NodeId, found: Standing) -> Result<(), String> {
        let Some(promised) = self.promised.get(&node).and_then(|list| list.last()) else { return Ok(()) };
        let Standing { current, vote, claim } = promised.standing;
        // A claim that ended with the role is none; an older one must not come back.
        let claim_back = found.claim != Epoch(0) && found.claim < claim;
        if found.current < current.max(claim) || found.vote < vote || claim_back {
            return Err(format!("{node} promised {:?} and came back with {found:?}", promised.standing));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_outlive_the_process() {
        let id = NodeId::new([b'a'; 40]).unwrap();
        let at = Mono::from_millis;
        let standing =
            |current, vote, claim| Standing { current: Epoch(current), vote: Epoch(vote), claim: Epoch(claim) };
        let mut epochs = Epochs::default();
        assert!(epochs.note(id, standing(5, 4, 3)).is_ok());
        assert!(epochs.note(id, standing(5, 4, 0)).is_ok());
        assert!(epochs.note(id, standing(4, 4, 0)).is_err());
        epochs.promise(id, at(10), standing(0, 4, 0));
        epochs.promise(id, at(20), standing(0, 6, 0));
        epochs.died(id, at(15));
        assert!(epochs.restarted(id, standing(5, 4, 3)).is_ok());
        assert!(epochs.restarted(id, standing(5, 3, 3)).is_err());
        epochs.promise(id, at(16), standing(5, 0, 5));
        assert!(epochs.restarted(id, standing(5, 4, 0)).is_ok());
        assert!(epochs.restarted(id, standing(5, 4, 4)).is_err());
    }
}
