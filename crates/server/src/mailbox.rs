//! Messages between threads: a queue of values and a wake-up of the receiving thread's poll, sent at most once until the
//! receiver looks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::{Registry, Token, Waker};

/// The sending side; cheap to clone.
pub struct Mailbox<T> {
    queue: Sender<T>,
    bell: Arc<Bell>,
}

/// The receiving side.
pub struct Inbox<T> {
    queue: Receiver<T>,
    bell: Arc<Bell>,
}

struct Bell {
    rung: AtomicBool,
    waker: Waker,
}

/// A mailbox whose receiver polls `registry`; its wake-ups appear there under `token`.
///
/// The queue has no bound of its own: threads write to each other in both directions, and two that wait for room in each
/// other's full queues would wait for ever. What is queued is bounded by where it comes from: a message a connection, a
/// message a command that waits, a change of state; and published messages by the output limits of their listeners.
pub fn mailbox<T>(registry: &Registry, token: Token) -> io::Result<(Mailbox<T>, Inbox<T>)> {
    #[expect(clippy::disallowed_methods, reason = "two threads with bounded queues to each other could wait for ever")]
    let (send, receive) = unbounded();
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), waker: Waker::new(registry, token)? });
    Ok((Mailbox { queue: send, bell: Arc::clone(&bell) }, Inbox { queue: receive, bell }))
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox { queue: self.queue.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Mailbox<T> {
    /// Queues a message and wakes the receiver. A message to a thread that has ended is dropped.
    pub fn send(&self, message: T) {
        let _ = self.queue.send(message);
        self.ring();
    }

    /// Wakes the receiver without a message.
    pub fn ring(&self) {
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            // A full counter of the event descriptor means that the receiver is woken anyway.
            let _ = self.bell.waker.wake();
        }
    }
}

impl<T> Inbox<T> {
    /// Everything queued now. Later messages ring again.
    pub fn drain(&self) -> impl Iterator<Item = T> + '_ {
        self.bell.rung.store(false, Ordering::Release);
        let waiting = self.queue.len();
        self.queue.try_iter().take(waiting.max(64))
    }

    /// Whether messages wait.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn a_message_wakes_the_receiver() {
        let mut poll = Poll::new().unwrap();
        let (to, inbox) = mailbox::<u32>(poll.registry(), Token(9)).unwrap();
        let other = to.clone();
        std::thread::spawn(move || (0..3).for_each(|n| other.send(n)));
        let mut got = Vec::new();
        let mut events = Events::with_capacity(4);
        while got.len() < 3 {
            poll.poll(&mut events, None).unwrap();
            assert!(events.iter().all(|e| e.token() == Token(9)));
            got.extend(inbox.drain());
        }
        assert_eq!(got, [0, 1, 2]);
    }
}
