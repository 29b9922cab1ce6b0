//! What a worker is to everybody else: its poll, its mailbox, its connections. Exactly one thread has it at any time. A thread
//! whose script takes long leaves it to a new one, a stand-in, and asks for it back when the script is over; only the connection
//! that runs the script stays with it. So no connection ever waits for the script of another longer than
//! `busy-reply-threshold`, and somebody always listens to SCRIPT KILL.
//!
//! What is meant for a connection that is away is kept here until it is back ([`Seat::come_back`]).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::{Deref, DerefMut};

use baton_base::Mono;
use mio::Poll;

use super::WorkerMessage;
use super::client::Client;
use super::hold::ReleaseQueue;
use super::unsent::Unsent;
use crate::clients::ClientId;
use crate::mailbox::Inbox;

/// Messages for connections that are away, at the most; who is sent more than that is disconnected.
const MISSED_MAX: usize = 1 << 16;

/// A worker's place in the server.
pub struct Seat {
    pub(super) poll: Poll,
    pub(super) inbox: Inbox<WorkerMessage>,
    pub(super) clients: Vec<Option<Box<Client>>>,
    pub(super) free: Vec<usize>,
    pub(super) by_id: HashMap<ClientId, usize>,
    /// Messages that are to be handled next, before those of the inbox.
    pub(super) pending: VecDeque<WorkerMessage>,
    /// Connections that wait for something with a deadline or for a hold.
    pub(super) waiting: usize,
    /// Connections that are over their soft output limit.
    pub(super) over_soft: usize,
    /// Connections with replies that wait for acknowledgements.
    pub(super) releases: ReleaseQueue,
    /// Connections with replies that wait for the lease to be back.
    pub(super) unleased: Vec<ClientId>,
    /// Connections whose replies wait for the end of the turn.
    pub(super) unsent: Unsent,
    /// Connections whose long replies are in line for their next piece.
    pub(super) replies: VecDeque<ClientId>,
    /// Connections whose requests have room that they may never fill.
    pub(super) roomy: Vec<ClientId>,
    pub(super) last_idle_check: Mono,
    /// When the first of those that wait for keys may have waited long enough.
    pub(super) next_deadline: Option<Mono>,
    /// Connections whose scripts have threads of their own.
    away: Vec<ClientId>,
    /// What they are to be told.
    missed: Vec<WorkerMessage>,
}

impl Seat {
    /// One without connections.
    pub(super) fn new(poll: Poll, inbox: Inbox<WorkerMessage>, now: Mono) -> Seat {
        Seat {
            poll,
            inbox,
            clients: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            pending: VecDeque::new(),
            waiting: 0,
            over_soft: 0,
            releases: ReleaseQueue::new(),
            unleased: Vec::new(),
            unsent: Unsent::default(),
            replies: VecDeque::new(),
            roomy: Vec::new(),
            last_idle_check: now,
            next_deadline: None,
            away: Vec::new(),
            missed: Vec::new(),
        }
    }

    /// A place for one more connection, registered there.
    pub(super) fn register(&mut self, client: &mut Client) -> io::Result<usize> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        let registered = client.conn.register(self.poll.registry(), mio::Token(index));
        if registered.is_err() {
            self.free.push(index);
        }
        registered.map(|()| index)
    }

    /// The next message to be handled.
    pub(super) fn next_message(&mut self) -> Option<WorkerMessage> {
        self.pending.pop_front()
    }

    /// Takes over what the mailbox has by now.
    pub(super) fn empty_mailbox(&mut self) {
        self.pending.extend(self.inbox.drain());
    }

    /// A connection goes on elsewhere while its script runs.
    pub(super) fn go_away(&mut self, client: ClientId) {
        self.away.push(client);
    }

    /// It is back: what it missed is handled now, and its socket is looked at, for what was reported meanwhile is not
    /// reported again.
    pub(super) fn come_back(&mut self, client: ClientId) {
        self.away.retain(|id| *id != client);
        self.pending.push_back(WorkerMessage::Look { client });
        for message in std::mem::take(&mut self.missed) {
            match message.addressee() {
                Some(id) if id != client => self.missed.push(message),
                Some(_) => self.pending.push_back(message),
                None => {
                    self.pending.push_back(WorkerMessage::Demoted);
                    if !self.away.is_empty() {
                        self.missed.push(WorkerMessage::Demoted);
                    }
                }
            }
        }
        self.look_at_all_again();
    }

    /// Whatever connections may wait for has perhaps happened while nobody looked.
    pub(super) fn look_at_all_again(&mut self) {
        use WorkerMessage as M;
        self.pending.extend([M::HoldsChanged, M::Notices, M::Acknowledged, M::Rerouted]);
    }

    /// Keeps a message for a connection that is away; gives back any other, and who has missed too much to be kept.
    pub(super) fn keep_for_absent(&mut self, message: WorkerMessage) -> Kept {
        if self.away.is_empty() {
            return Kept::No(message);
        }
        match message.addressee() {
            Some(id) if self.away.contains(&id) => {
                if self.missed.len() >= MISSED_MAX {
                    return Kept::TooMuch(id);
                }
                self.missed.push(message);
                Kept::Yes
            }
            None if matches!(message, WorkerMessage::Demoted) => {
                self.missed.push(WorkerMessage::Demoted);
                Kept::No(message)
            }
            _ => Kept::No(message),
        }
    }
}

/// What became of a message.
pub(super) enum Kept {
    /// It is kept.
    Yes,
    /// It is to be handled now.
    No(WorkerMessage),
    /// It was dropped, and this connection can't be told everything any more.
    TooMuch(ClientId),
}

/// The seat of a thread, as long as it is not left to another one.
pub(super) struct Place(Option<Box<Seat>>);

impl Place {
    /// Somebody sits there.
    pub(super) fn of(seat: Box<Seat>) -> Place {
        Place(Some(seat))
    }

    /// Whether the seat is left to another thread.
    #[inline]
    pub(super) fn is_left(&self) -> bool {
        self.0.is_none()
    }

    /// Leaves the seat, if it is not left already.
    pub(super) fn leave(&mut self) -> Option<Box<Seat>> {
        self.0.take()
    }

    /// Takes it again.
    pub(super) fn take(&mut self, seat: Box<Seat>) {
        self.0 = Some(seat);
    }
}

impl Deref for Place {
    type Target = Seat;

    #[inline]
    fn deref(&self) -> &Seat {
        self.0.as_deref().expect("it is left only while a script runs")
    }
}

impl DerefMut for Place {
    #[inline]
    fn deref_mut(&mut self) -> &mut Seat {
        self.0.as_deref_mut().expect("it is left only while a script runs")
    }
}
