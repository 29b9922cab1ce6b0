//! What a node of this kind can do beyond upstream's protocol, said in the header's private room (cluster-bus 1.9). A node
//! that says nothing is taken for one that follows upstream's rules alone.
//!
//! The room holds, in this order: a byte of abilities; the eight bytes of the newest electorate, zero for upstream's rule; in
//! a vote, sixteen characters of the candidate's id. What is behind the last that is not empty is left out.

use crate::voters::Digest;
use baton_base::NodeId;
use baton_wire::PrivateBlob;

/// Bytes of the room in a vote.
const VOTE_BYTES: usize = 25;

/// A set of abilities. The first byte of the room holds them, and the eight after it what its sender knows of the voters,
/// where that is not upstream's rule; later releases may append, and unknown bits are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Capabilities(u8);

impl Capabilities {
    /// Upstream's rules alone.
    pub(crate) const NONE: Capabilities = Capabilities(0);
    /// It keeps to leases: it answers who asks for one, and votes against nobody to whom it promised not to.
    pub(crate) const LEASE: Capabilities = Capabilities(1);
    /// It votes without having slots.
    pub(crate) const WITNESS: Capabilities = Capabilities(1 << 1);
    /// It lets all members vote where one is a witness.
    pub(crate) const MEMBERS: Capabilities = Capabilities(1 << 2);
    /// As a replica it takes over from a primary that is [`Capabilities::BEHIND`]. While its data is being loaded it says
    /// nothing at all, so whatever offset it says is the one that it has.
    pub(crate) const STEPS_IN: Capabilities = Capabilities(1 << 3);
    /// It was started again, has less data than a replica of its own, and serves nobody until that has taken over.
    pub(crate) const BEHIND: Capabilities = Capabilities(1 << 4);
    /// As a primary it gives leave to whom it hands over to; as a replica it takes over from such a primary only with that.
    pub(crate) const LEAVE: Capabilities = Capabilities(1 << 5);
    /// Its primary's stream flowed into this process, so it still has all that it ever acknowledged to that primary.
    pub(crate) const KEEPS_ACKED: Capabilities = Capabilities(1 << 6);
    /// It acknowledges nothing to its failed primary any more, and its offset is that of this primary's stream.
    pub(crate) const ACKS_FROZEN: Capabilities = Capabilities(1 << 7);

    /// What a header says.
    pub(crate) fn read(blob: Option<PrivateBlob>) -> Capabilities {
        Capabilities(blob.and_then(|blob| blob.as_bytes().first().copied()).unwrap_or(0))
    }

    /// What goes into the header with the sender's newest electorate; nothing if there is nothing to say.
    pub(crate) fn to_blob(self, electorate: Digest) -> Option<PrivateBlob> {
        if electorate != Digest::default() {
            let mut bytes = [self.0; 9];
            bytes[1..].copy_from_slice(&electorate.0.to_be_bytes());
            return PrivateBlob::new(&bytes).ok();
        }
        if self == Capabilities::NONE { None } else { PrivateBlob::new(&[self.0]).ok() }
    }

    /// The room of a vote for this candidate.
    pub(crate) fn to_vote(self, electorate: Digest, candidate: &NodeId) -> Option<PrivateBlob> {
        let mut bytes = [self.0; VOTE_BYTES];
        bytes[1..9].copy_from_slice(&electorate.0.to_be_bytes());
        bytes[9..].copy_from_slice(&candidate.as_bytes()[..VOTE_BYTES - 9]);
        PrivateBlob::new(&bytes).ok()
    }

    /// Whether a vote is for this candidate, as far as it says for whom it is.
    pub(crate) fn may_be_for(blob: Option<PrivateBlob>, candidate: &NodeId) -> bool {
        let named = blob.as_ref().and_then(|blob| blob.as_bytes().get(9..VOTE_BYTES));
        named.is_none_or(|named| candidate.as_bytes().starts_with(named))
    }

    /// The newest electorate of a header's sender.
    pub(crate) fn electorate(blob: Option<PrivateBlob>) -> Digest {
        let bytes = blob.as_ref().and_then(|blob| blob.as_bytes().get(1..9)).and_then(|bytes| bytes.try_into().ok());
        Digest(bytes.map_or(0, u64::from_be_bytes))
    }

    /// Both sets together.
    pub(crate) const fn with(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// Whether all of these are there.
    pub(crate) const fn has(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let all = Capabilities::LEASE.with(Capabilities::WITNESS);
        assert_eq!(Capabilities::read(all.to_blob(Digest(0))), all);
        assert_eq!(Capabilities::electorate(all.to_blob(Digest(0))), Digest(0));
        assert_eq!(Capabilities::read(all.to_blob(Digest(7))), all);
        assert_eq!(Capabilities::electorate(all.to_blob(Digest(7))), Digest(7));
        assert_eq!(Capabilities::read(None), Capabilities::NONE);
        assert_eq!(Capabilities::NONE.to_blob(Digest(0)), None);
        assert!(Capabilities::read(PrivateBlob::new(&[0xff, 7]).ok()).has(all), "a later release says more");
        assert!(!Capabilities::LEASE.has(all));
    }

    #[test]
    fn a_vote_names_its_candidate() {
        let id = |digit: &str| NodeId::parse(digit.repeat(40).as_bytes()).unwrap();
        for electorate in [Digest(0), Digest(7)] {
            let vote = Capabilities::LEASE.to_vote(electorate, &id("a"));
            assert!(Capabilities::may_be_for(vote, &id("a")) && !Capabilities::may_be_for(vote, &id("b")));
            assert_eq!(Capabilities::read(vote), Capabilities::LEASE);
            assert_eq!(Capabilities::electorate(vote), electorate);
        }
        let of_others = [None, Capabilities::LEASE.to_blob(Digest(0)), Capabilities::LEASE.to_blob(Digest(7))];
        assert!(of_others.into_iter().all(|vote| Capabilities::may_be_for(vote, &id("b"))), "they don't say");
    }
}
