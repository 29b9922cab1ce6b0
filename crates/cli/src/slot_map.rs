//! Which node serves which slot, as this client last heard. A guess that redirects correct; never an authority.

use crate::{Endpoint, Reply};
use baton_base::Slot;
use std::collections::BTreeSet;

/// Marks a slot that nobody is known to serve.
const NOBODY: u16 = u16::MAX;

/// The owner of each slot. Cheap to correct slot by slot.
#[derive(Clone, Debug)]
pub struct SlotMap {
    /// Every endpoint heard of; an entry stays at its index.
    nodes: Vec<Endpoint>,
    /// Index into `nodes`, or [`NOBODY`].
    owners: Box<[u16]>,
}

impl Default for SlotMap {
    fn default() -> Self {
        Self::new()
    }
}

impl SlotMap {
    /// The map that knows nothing.
    pub fn new() -> Self {
        SlotMap { nodes: Vec::new(), owners: vec![NOBODY; Slot::COUNT].into_boxed_slice() }
    }

    /// Reads the reply of `CLUSTER SLOTS`, given by `source`. Rows that cannot be read are left out; `None` if the
    /// reply is no list at all.
    pub fn from_reply(reply: &Reply, source: &Endpoint) -> Option<Self> {
        let mut map = Self::new();
        for row in reply.as_slice()? {
            let Some([first, last, nodes @ ..]) = row.as_slice() else { continue };
            let (Some(first), Some(last)) = (slot(first), slot(last)) else { continue };
            for (position, node) in nodes.iter().enumerate() {
                let Some(endpoint) = endpoint(node, source) else { continue };
                let index = map.index_of(endpoint);
                if position == 0 && first <= last {
                    map.owners[first.index()..=last.index()].fill(index);
                }
            }
        }
        Some(map)
    }

    /// The node that serves the slot.
    pub fn owner(&self, slot: Slot) -> Option<&Endpoint> {
        self.nodes.get(usize::from(self.owners[slot.index()]))
    }

    /// Notes one slot's owner.
    pub fn set_owner(&mut self, slot: Slot, owner: Endpoint) {
        self.owners[slot.index()] = self.index_of(owner);
    }

    /// All nodes heard of, primaries and replicas.
    pub fn nodes(&self) -> &[Endpoint] {
        &self.nodes
    }

    /// The nodes that own at least one slot.
    pub fn owners(&self) -> BTreeSet<&Endpoint> {
        let mut indexes: Vec<u16> = self.owners.to_vec();
        indexes.dedup();
        indexes.into_iter().filter_map(|i| self.nodes.get(usize::from(i))).collect()
    }

    /// How many slots have an owner.
    pub fn slots_covered(&self) -> usize {
        self.owners.iter().filter(|&&o| o != NOBODY).count()
    }

    fn index_of(&mut self, endpoint: Endpoint) -> u16 {
        let at = self.nodes.iter().position(|n| *n == endpoint).unwrap_or_else(|| {
            // One index is kept for NOBODY; no cluster comes near this many nodes.
            if self.nodes.len() < usize::from(NOBODY) {
                self.nodes.push(endpoint);
            }
            self.nodes.len() - 1
        });
        at as u16
    }
}

fn slot(reply: &Reply) -> Option<Slot> {
    Slot::new(u16::try_from(reply.as_integer()?).ok()?)
}

/// A node of a row: address, port, id, and more that does not matter here. An empty or missing address stands for the
/// host that was asked.
fn endpoint(node: &Reply, source: &Endpoint) -> Option<Endpoint> {
    let [address, port, ..] = node.as_slice()? else { return None };
    let port = u16::try_from(port.as_integer()?).ok()?;
    let host = match address {
        Reply::Nil => String::new(),
        other => other.to_text()?,
    };
    Some(Endpoint::tcp(host, port).with_host_of(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: i64) -> Reply {
        Reply::Array(vec![
            Reply::Bulk(host.into()),
            Reply::Integer(port),
            Reply::Bulk(vec![b'a'; 40]),
            Reply::Array(vec![]),
        ])
    }

    fn row(first: i64, last: i64, nodes: Vec<Reply>) -> Reply {
        Reply::Array([vec![Reply::Integer(first), Reply::Integer(last)], nodes].concat())
    }

    #[test]
    fn first_node_of_a_row_owns_its_slots() {
        let rows = vec![
            row(0, 100, vec![node("a", 1), node("b", 2)]),
            row(101, 101, vec![node("", 3)]),
            row(5, 4, vec![node("x", 9)]),
            row(0, 16384, vec![node("x", 9)]),
            Reply::Nil,
        ];
        let mut map = SlotMap::from_reply(&Reply::Array(rows), &Endpoint::tcp("asked", 7)).unwrap();
        let s = |n| Slot::new(n).unwrap();
        assert_eq!(map.owner(s(0)), Some(&Endpoint::tcp("a", 1)));
        assert_eq!(map.owner(s(100)), Some(&Endpoint::tcp("a", 1)));
        assert_eq!(map.owner(s(101)), Some(&Endpoint::tcp("asked", 3)));
        assert_eq!(map.owner(s(102)), None);
        assert_eq!(map.slots_covered(), 102);
        map.set_owner(s(102), Endpoint::tcp("b", 2));
        assert_eq!(map.owner(s(102)), Some(&Endpoint::tcp("b", 2)));
        assert_eq!(map.owners().len(), 3);
    }

    #[test]
    fn an_error_is_no_map() {
        assert!(SlotMap::from_reply(&Reply::Error(crate::ErrorReply::new("ERR no")), &Endpoint::tcp("a", 1)).is_none());
    }
}
