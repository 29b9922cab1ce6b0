//! What clients that asked for it (`CLIENT MAINT_NOTIFICATIONS ON`) are told of a change of primary, and when. This is the one
//! place that knows which message belongs to which step: the messages follow from what two successive versions of the
//! [`World`] say, and are published with the later one. So whoever is sent elsewhere because of a version can be told of it
//! before. Decides nothing, and knows no connection: who has heard what is in [`crate::node::notices`].
//!
//! | What changed in the world | Message |
//! |---|---|
//! | writes are held for a planned change, or a stop | `FAILING_OVER seq seconds` |
//! | that hold is over, whatever became of it | `FAILED_OVER seq` |
//! | a node took over everything that a failed one served (cluster; on every other node) | `SMIGRATED seq [[from, to, slots]]` |
//! | a node took over everything that this one served, which is about to end (cluster) | the same, a moment later |
//! | this node follows another one instead of serving (outside of clusters) | `MOVING seq seconds host:port` |

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use baton_base::{Mono, Slot, WallMs};
use baton_cluster::{EndpointType, NO_OWNER, NodeView, Topology};

use crate::world::{HoldReason, Role, World};

/// Messages that are kept for connections that are busy or come now. One change of primary makes three.
const KEPT_MAX: usize = 8;
/// How long clients of a node that ends are left to follow redirections before they are told of the change: some drop the
/// connection to the old node when told, and fall over themselves if they are following a redirection at that time. Who
/// sends nothing meanwhile has to be told, because nobody redirects it once the node is gone. Well within the time for which
/// such a node lingers.
const TOLD_AFTER: Duration = Duration::from_millis(150);
/// How long clients keep to the address that MOVING names, in seconds; then they look where they were told to connect. Long
/// enough for names and service addresses to follow.
pub const MOVING_SECONDS: u64 = 30;
/// The same for clients that want no address: they connect anew after half of it, and whoever serves does so already.
pub const MOVING_BLINDLY_SECONDS: u64 = 1;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Commands may take longer: up to so many seconds.
    FailingOver {
        /// At the most.
        seconds: u64,
    },
    /// They don't any more.
    FailedOver,
    /// All slots that one node served are served by another one.
    SlotsMoved(Box<SlotsMoved>),
    /// Another node serves instead of this one.
    Moving {
        /// Its address.
        host: Arc<str>,
        /// Its port.
        port: u16,
    },
}

/// Who took over from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsMoved {
    /// Who served them.
    pub from: NodeView,
    /// Who serves them.
    pub to: NodeView,
    /// The former was marked as failed.
    pub failed: bool,
    /// Which: `0-5460,5462`.
    pub slots: String,
    /// How clients are told of nodes.
    pub endpoint: EndpointType,
}

/// A message with its two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its place among this process's messages, from 1.
    pub place: u64,
    /// The number that clients see. They take two messages of one kind with the same number for one, whoever sent them,
    /// and older numbers for outdated.
    pub sequence: i64,
    /// The message.
    pub notice: Notice,
}

/// The latest messages.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    latest: Arc<[Numbered]>,
    /// One that is due later.
    later: Option<(Mono, i64, Notice)>,
    /// The number of the MOVING by which this node, outside of a cluster, told that it handed over.
    moved: Option<i64>,
}

impl Notices {
    /// The place of the latest message; 0 if there was none.
    #[inline]
    pub fn end(&self) -> u64 {
        self.latest.last().map_or(0, |n| n.place)
    }

    /// Where a connection that begins to listen now begins: a change that is under way concerns it, too.
    pub fn begin(&self) -> u64 {
        match self.latest.last() {
            Some(Numbered { notice: Notice::FailingOver { .. }, place, .. }) => place - 1,
            _ => self.end(),
        }
    }

    /// The messages behind this place that are still known.
    pub fn after(&self, place: u64) -> impl Iterator<Item = &Numbered> {
        self.latest.iter().filter(move |n| n.place > place)
    }

    /// The number of the latest MOVING, if this node has followed others ever since: whoever writes here should have gone.
    pub fn moved(&self) -> Option<i64> {
        self.moved
    }

    /// When a message is due that was put off.
    pub fn next_due(&self) -> Option<Mono> {
        self.later.as_ref().map(|(due, ..)| *due)
    }

    /// Says now what was put off until now.
    pub fn say_due(&mut self, now: Mono) {
        if let Some((_, sequence, notice)) = self.later.take_if(|(due, ..)| *due <= now) {
            self.add([(sequence, notice)]);
        }
    }

    /// Adds messages behind the others, forgetting the oldest.
    fn add(&mut self, new: impl IntoIterator<Item = (i64, Notice)>) {
        let mut all = self.latest.to_vec();
        for (sequence, notice) in new {
            let place = all.last().map_or(1, |n| n.place + 1);
            if matches!(notice, Notice::Moving { .. }) {
                self.moved = Some(sequence);
            }
            all.push(Numbered { place, sequence, notice });
        }
        self.latest = all[all.len().saturating_sub(KEPT_MAX)..].into();
    }
}

/// Adds what clients have to be told of the step from one world to the next; tells whether there is anything.
pub fn note(before: &World, after: &mut World, now: Mono, wall: WallMs) -> bool {
    let mut found = Vec::new();
    if let (Some(old), Some(new)) = (&before.topology, &after.topology)
        && !Arc::ptr_eq(old, new)
    {
        for (sequence, moved) in taken_over(old, new) {
            let leaves = before.holds.has(HoldReason::Shutdown) && moved.from.id == new.myself().id;
            if moved.failed {
                found.push((sequence, Notice::SlotsMoved(Box::new(moved))));
            } else if leaves {
                after.notices.later = Some((now + TOLD_AFTER, sequence, Notice::SlotsMoved(Box::new(moved))));
            }
        }
    }
    let plain = sequence_of(after.topology.as_deref(), wall);
    if before.topology.is_none() && after.topology.is_none() {
        let serves = |w: &World| w.role == Role::Primary || w.takeover;
        if let (true, false, Role::Replica { host, port }) = (serves(before), serves(after), &after.role) {
            found.push((plain, Notice::Moving { host: Arc::clone(host), port: *port }));
        }
    }
    match (before.holds.fenced_until(), after.holds.fenced_until()) {
        (None, Some(until)) if after.role == Role::Primary => {
            let seconds = until.since(now).as_millis().div_ceil(1000).max(1) as u64;
            found.push((plain, Notice::FailingOver { seconds }));
        }
        (Some(_), None) => found.push((plain, Notice::FailedOver)),
        _ => {}
    }
    if after.role == Role::Primary {
        after.notices.moved = None;
    }
    if !found.is_empty() {
        after.notices.add(found);
    }
    before.notices.end() != after.notices.end()
}

/// The number of messages about this node alone. In a cluster it lies behind all changes up to now and before the next one,
/// outside of one it is the time, which grows across restarts and nodes.
fn sequence_of(topology: Option<&Topology>, wall: WallMs) -> i64 {
    topology.map_or(wall.0 as i64, |t| sequence_of_change(t, Slot::COUNT - 1))
}

/// The number of a change, made so that all nodes give it the same one: clients hear of it from each of them.
/// Changes of several shards may be seen in one epoch; their lowest slots differ. Where elections overlap, a node may know a
/// later epoch by then, and clients act twice, which harms nobody.
fn sequence_of_change(topology: &Topology, slot: usize) -> i64 {
    (topology.current_epoch.0 as i64).saturating_mul(Slot::COUNT as i64).saturating_add(slot as i64)
}

/// Nodes all of whose slots belong to one other node now.
///
/// Of these, clients are told where the old owner can't or soon won't redirect them. Where it stays they find out by being
/// redirected: some forget a node altogether when they are told that its slots moved, although it is a replica now. Slots
/// that move one by one are left to redirections, too: clients would read the whole topology anew for each.
fn taken_over(old: &Topology, new: &Topology) -> Vec<(i64, SlotsMoved)> {
    #[derive(Clone, Copy)]
    enum Heir {
        Unseen,
        One(u16),
        Several,
    }
    if old.owners == new.owners && old.nodes.iter().map(|n| n.id).eq(new.nodes.iter().map(|n| n.id)) {
        return Vec::new();
    }
    let mut heirs = vec![Heir::Unseen; old.nodes.len()];
    for (was, is) in old.owners.iter().zip(new.owners.iter()) {
        let Some(heir) = heirs.get_mut(usize::from(*was)) else { continue };
        *heir = match *heir {
            Heir::Unseen => Heir::One(*is),
            Heir::One(one) if one == *is => Heir::One(one),
            _ => Heir::Several,
        };
    }
    let mut found = Vec::new();
    for (index, heir) in heirs.into_iter().enumerate() {
        let (Heir::One(heir), from) = (heir, &old.nodes[index]) else { continue };
        let Some(to) = new.node(heir).filter(|to| heir != NO_OWNER && to.id != from.id) else { continue };
        let ranges = ranges(old, index as u16);
        let lowest = ranges.first().map_or(0, |r| r.0);
        let slots = text(&ranges);
        let failed = from.failed || new.nodes.iter().any(|n| n.id == from.id && n.failed);
        let moved =
            SlotsMoved { from: NodeView::clone(from), to: to.clone(), failed, slots, endpoint: new.endpoint_type };
        found.push((sequence_of_change(new, lowest), moved));
    }
    found
}

fn ranges(topology: &Topology, owner: u16) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for slot in (0..Slot::COUNT).filter(|slot| topology.owners[*slot] == owner) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == slot => *last = slot,
            _ => ranges.push((slot, slot)),
        }
    }
    ranges
}

fn text(ranges: &[(usize, usize)]) -> String {
    let mut out = String::new();
    for (first, last) in ranges {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = if first == last { write!(out, "{comma}{first}") } else { write!(out, "{comma}{first}-{last}") };
    }
    out
}

#[cfg(test)]
mod tests;
