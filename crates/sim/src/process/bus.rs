//! The bus connections of a process by what its node calls them. Links are numbered in the order in which they come, so
//! their connections are in lists; a large cluster has millions of them. Who is at their ends is the network's business.

use crate::net::ConnNo;
use baton_node::LinkId;

/// Bits of the number of an accepted connection that tell it from others of the same life.
const ACCEPTED_BITS: u32 = 32;

/// See the file.
pub(super) struct BusLinks {
    /// Tells accepted connections of this life of the process from those of others.
    life: u64,
    outbound: Vec<Option<ConnNo>>,
    inbound: Vec<Option<ConnNo>>,
}

impl BusLinks {
    /// None yet.
    pub(super) fn new(life: u64) -> BusLinks {
        BusLinks { life, outbound: Vec::new(), inbound: Vec::new() }
    }

    /// A connection was accepted: gives its name.
    pub(super) fn accept(&mut self, conn: ConnNo) -> LinkId {
        self.inbound.push(Some(conn));
        LinkId::inbound((self.life << ACCEPTED_BITS) | self.inbound.len() as u64)
    }

    /// A connection is begun, to which the node gave this name.
    pub(super) fn insert(&mut self, link: LinkId, conn: ConnNo) {
        let place = place(link);
        self.outbound.resize(self.outbound.len().max(place + 1), None);
        self.outbound[place] = Some(conn);
    }

    /// It is closed.
    pub(super) fn remove(&mut self, link: LinkId) {
        let list = if link.is_inbound() { &mut self.inbound } else { &mut self.outbound };
        if let Some(conn) = list.get_mut(place(link)) {
            *conn = None;
        }
    }

    /// Its connection, if it is open or being made.
    pub(super) fn conn(&self, link: LinkId) -> Option<ConnNo> {
        let list = if link.is_inbound() { &self.inbound } else { &self.outbound };
        list.get(place(link)).copied().flatten()
    }

    /// The connections that this process made, oldest first.
    pub(super) fn outbound(&self) -> impl Iterator<Item = ConnNo> {
        self.outbound.iter().copied().flatten()
    }
}

/// Numbers begin with 1.
fn place(link: LinkId) -> usize {
    (link.number() & ((1 << ACCEPTED_BITS) - 1)) as usize - 1
}
