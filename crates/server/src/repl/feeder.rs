//! The feeder thread.

use std::io;
use std::sync::Arc;

use mio::{Events, Poll, Token};

use super::FeederMessage;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::shared::Shared;

/// The outside half of the thread.
pub struct Seed {
    poll: Poll,
    inbox: Inbox<FeederMessage>,
}

/// Makes the mailbox of the thread.
pub fn seed() -> io::Result<(Mailbox<FeederMessage>, Seed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), Token(0))?;
    Ok((to, Seed { poll, inbox }))
}

/// Runs the thread until it is told to stop.
pub fn run(_shared: Arc<Shared>, mut seed: Seed) {
    let mut events = Events::with_capacity(64);
    loop {
        let _ = seed.poll.poll(&mut events, None);
        for message in seed.inbox.drain() {
            if matches!(message, FeederMessage::Stop) {
                return;
            }
        }
    }
}
