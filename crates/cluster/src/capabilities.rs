//! What a node of this kind can do beyond upstream's protocol, said in the header's private room (cluster-bus 1.9). A node
//! that says nothing is taken for one that follows upstream's rules alone.

use baton_wire::PrivateBlob;

/// A set of abilities. The first byte of the room holds them; later releases may append, and unknown bits are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Capabilities(u8);

impl Capabilities {
    /// Upstream's rules alone.
    pub(crate) const NONE: Capabilities = Capabilities(0);
    /// It keeps to leases: it answers who asks for one, and votes against nobody to whom it promised not to.
    pub(crate) const LEASE: Capabilities = Capabilities(1);
    /// It votes without having slots.
    pub(crate) const WITNESS: Capabilities = Capabilities(1 << 1);

    /// What a header says.
    pub(crate) fn read(blob: Option<PrivateBlob>) -> Capabilities {
        Capabilities(blob.and_then(|blob| blob.as_bytes().first().copied()).unwrap_or(0))
    }

    /// What goes into the header; nothing if there is nothing to say.
    pub(crate) fn to_blob(self) -> Option<PrivateBlob> {
        if self == Capabilities::NONE { None } else { PrivateBlob::new(&[self.0]).ok() }
    }

    /// Both sets together.
    pub(crate) const fn with(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// Whether all of these are there.
    #[cfg(test)]
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
        assert_eq!(Capabilities::read(all.to_blob()), all);
        assert_eq!(Capabilities::read(None), Capabilities::NONE);
        assert_eq!(Capabilities::NONE.to_blob(), None);
        assert!(Capabilities::read(PrivateBlob::new(&[0xff, 7]).ok()).has(all), "a later release says more");
        assert!(!Capabilities::LEASE.has(all));
    }
}
