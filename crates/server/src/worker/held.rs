//! Replies of one connection that must not be sent yet, and where in its output they lie. A release mark: everything in
//! front of the first of them may go. It knows offsets and instants, neither sockets nor who acknowledges.

use std::collections::VecDeque;

use baton_base::{Mono, Offset, Slot};

/// Replies of one connection that may be held at a time; its further requests wait then.
const REPLIES_MAX: usize = 4096;
/// Bytes of output behind the first held reply, likewise.
const BYTES_MAX: usize = 1 << 20;

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldReply {
    /// Where it begins in the output buffer.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// It may be sent once so much is acknowledged.
    pub needs: Offset,
    /// When an error takes its place.
    pub until: Mono,
    /// The command changed something.
    pub wrote: bool,
    /// A slot of the command, to say where it is served now; none if there is no single one.
    pub slot: Option<Slot>,
}

/// The held replies of a connection, in order.
#[derive(Debug, Default)]
pub struct HeldReplies {
    queue: VecDeque<HeldReply>,
    /// Nothing from here on may go, whatever is acknowledged (see [`super::unleased`]).
    barrier: Option<usize>,
    /// It is known to the worker as one that waits for the first reply's offset.
    pub queued_for: Option<Offset>,
}

impl HeldReplies {
    /// Whether everything may go.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The first one.
    pub fn front(&self) -> Option<&HeldReply> {
        self.queue.front()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Holds a reply, the last in the output.
    pub fn push(&mut self, reply: HeldReply) {
        debug_assert!(self.queue.back().is_none_or(|last| last.end <= reply.start), "replies are in order");
        self.queue.push_back(reply);
    }

    /// Where the last of them ends.
    pub fn last_end(&self) -> Option<usize> {
        self.queue.back().map(|last| last.end)
    }

    /// How much of an output of this length may go.
    pub fn sendable(&self, len: usize) -> usize {
        let first = self.queue.front().map_or(len, |first| first.start);
        self.barrier.map_or(first, |barrier| first.min(barrier))
    }

    /// Lets nothing go from here on. What is not allowed already stays so.
    pub fn set_barrier(&mut self, from: usize) {
        self.barrier = Some(self.barrier.map_or(from, |barrier| barrier.min(from)));
    }

    /// Whether there is a place behind which nothing may go.
    pub fn has_barrier(&self) -> bool {
        self.barrier.is_some()
    }

    /// Lets everything go that need not wait for an acknowledgement.
    pub fn lift_barrier(&mut self) {
        self.barrier = None;
    }

    /// Whether no further request of the connection may run for now.
    pub fn is_full(&self, output_len: usize) -> bool {
        self.queue.len() >= REPLIES_MAX || output_len - self.sendable(output_len) >= BYTES_MAX
    }

    /// So many bytes are gone from the front of the output.
    pub fn shift(&mut self, bytes: usize) {
        for reply in &mut self.queue {
            reply.start -= bytes;
            reply.end -= bytes;
        }
        if let Some(barrier) = &mut self.barrier {
            *barrier -= bytes;
        }
    }

    /// Lets go what needs no more than this.
    pub fn release(&mut self, acked: Offset) {
        while self.queue.front().is_some_and(|first| first.needs <= acked) {
            self.queue.pop_front();
        }
    }

    /// Puts an error in the place of each reply that `text` has one for; the others stay held. What lies between stays as
    /// it is.
    pub fn replace(&mut self, output: &mut Vec<u8>, mut text: impl FnMut(&HeldReply) -> Option<String>) {
        let Some(first) = self.queue.front() else { return };
        // Behind the first one places are about to change.
        self.barrier = self.barrier.map(|barrier| barrier.min(first.start));
        let tail = output.split_off(first.start);
        let origin = first.start;
        let (mut taken, mut kept) = (0, VecDeque::new());
        for mut reply in std::mem::take(&mut self.queue) {
            output.extend_from_slice(&tail[taken..reply.start - origin]);
            taken = reply.end - origin;
            match text(&reply) {
                Some(error) => {
                    output.push(b'-');
                    output.extend_from_slice(error.as_bytes());
                    output.extend_from_slice(b"\r\n");
                }
                None => {
                    let bytes = &tail[reply.start - origin..taken];
                    (reply.start, reply.end) = (output.len(), output.len() + bytes.len());
                    output.extend_from_slice(bytes);
                    kept.push_back(reply);
                }
            }
        }
        output.extend_from_slice(&tail[taken..]);
        self.queue = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(range: std::ops::Range<usize>, needs: u64) -> HeldReply {
        HeldReply {
            start: range.start,
            end: range.end,
            needs: Offset(needs),
            until: Mono::from_millis(needs),
            wrote: true,
            slot: None,
        }
    }

    #[test]
    fn what_lies_before_the_first_goes() {
        let mut held = HeldReplies::default();
        assert_eq!(held.sendable(10), 10);
        held.push(reply(4..6, 100));
        held.push(reply(6..8, 50));
        assert_eq!(held.sendable(10), 4);
        held.release(Offset(99));
        assert_eq!(held.sendable(10), 4, "a later reply never overtakes");
        held.release(Offset(100));
        assert_eq!((held.sendable(10), held.len()), (10, 0));
    }

    #[test]
    fn an_error_takes_the_place_of_its_reply_only() {
        let mut held = HeldReplies::default();
        let mut output = b"+a\r\n+b\r\n+c\r\n+d\r\n".to_vec();
        held.push(reply(4..8, 1));
        held.push(reply(12..16, 2));
        held.replace(&mut output, |r| (r.needs == Offset(1)).then(|| "NO".to_owned()));
        assert_eq!(output, b"+a\r\n-NO\r\n+c\r\n+d\r\n");
        assert_eq!(held.front(), Some(&HeldReply { start: 13, end: 17, ..reply(12..16, 2) }));
        held.shift(9);
        assert_eq!(held.sendable(8), 4);
    }

    #[test]
    fn nothing_passes_a_barrier() {
        let mut held = HeldReplies::default();
        held.set_barrier(6);
        held.push(reply(8..12, 1));
        assert_eq!(held.sendable(12), 6);
        held.release(Offset(1));
        assert_eq!(held.sendable(12), 6);
        held.shift(4);
        held.set_barrier(5);
        assert_eq!(held.sendable(8), 2);
        held.lift_barrier();
        assert_eq!(held.sendable(8), 8);
    }

    #[test]
    fn a_connection_may_not_hold_without_end() {
        let mut held = HeldReplies::default();
        held.push(reply(0..1, 1));
        assert!(!held.is_full(BYTES_MAX - 1) && held.is_full(BYTES_MAX));
        (1..REPLIES_MAX).for_each(|i| held.push(reply(i..i + 1, 1)));
        assert!(held.is_full(REPLIES_MAX));
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Say(Option<u64>),
        Acknowledge(u64),
        TimeOut(u64),
        Send,
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let deed = prop_oneof![
            4 => prop::option::of(0..50u64).prop_map(Deed::Say),
            1 => (0..60u64).prop_map(Deed::Acknowledge),
            1 => (0..60u64).prop_map(Deed::TimeOut),
            1 => Just(Deed::Send),
        ];
        prop::collection::vec(deed, 0..80)
    }

    proptest! {
        /// A naive twin: a list of replies, each with what it waits for.
        #[test]
        fn a_list_of_replies_agrees(deeds in deeds()) {
            let (mut held, mut output, mut sent) = (HeldReplies::default(), Vec::new(), Vec::new());
            let (mut list, mut list_sent): (VecDeque<(String, Option<u64>)>, Vec<u8>) = (VecDeque::new(), Vec::new());
            let mut acked = 0;
            for (n, deed) in deeds.into_iter().enumerate() {
                match deed {
                    Deed::Say(needs) => {
                        let (start, text) = (output.len(), format!("+{n}\r\n"));
                        output.extend_from_slice(text.as_bytes());
                        if let Some(needs) = needs {
                            held.push(reply(start..output.len(), needs));
                        }
                        list.push_back((text, needs));
                    }
                    Deed::Acknowledge(to) => {
                        acked = acked.max(to);
                        held.release(Offset(acked));
                        for (_, needs) in &mut list {
                            match needs {
                                Some(n) if *n <= acked => *needs = None,
                                Some(_) => break,
                                None => {}
                            }
                        }
                    }
                    Deed::TimeOut(at) => {
                        let over = |needs: u64| needs <= at;
                        held.replace(&mut output, |r| over(r.needs.0).then(|| "E".to_owned()));
                        for (text, needs) in &mut list {
                            if needs.is_some_and(over) {
                                (*text, *needs) = ("-E\r\n".to_owned(), None);
                            }
                        }
                    }
                    Deed::Send => {
                        let go = held.sendable(output.len());
                        sent.extend(output.drain(..go));
                        held.shift(go);
                        while list.front().is_some_and(|(_, needs)| needs.is_none()) {
                            list_sent.extend(list.pop_front().map(|(text, _)| text.into_bytes()).unwrap_or_default());
                        }
                    }
                }
                let waiting: Vec<u8> = list.iter().flat_map(|(text, _)| text.bytes()).collect();
                prop_assert_eq!(&output, &waiting);
                prop_assert_eq!(&sent, &list_sent);
            }
        }
    }
}
