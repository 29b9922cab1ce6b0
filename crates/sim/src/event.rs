//! What can happen in the world, and the queue that puts it in order: by time, then by who asked first.

use crate::data::{Op, Snapshot};
use crate::net::{ConnNo, Side};
use baton_base::{Mono, Offset};
use baton_cluster::{ClusterCommand, LinkFailure};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// A process, by its place.
pub type ProcNo = usize;
/// A client, by its place.
pub type ClientNo = usize;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Sets the client's own key in a slot.
    Set(u64),
    /// Sets the register of a slot, which all clients share.
    Put(u64),
    /// Reads a key of a slot.
    Read(u32),
}

impl Ask {
    /// Whether it changes anything.
    pub fn writes(self) -> bool {
        !matches!(self, Ask::Read(_))
    }
}

/// A request of a client. Retried ones get a new number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Who asks.
    pub client: ClientNo,
    /// Which of its requests.
    pub number: u64,
    /// The slot.
    pub slot: u16,
    /// What.
    pub ask: Ask,
}

/// The answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done.
    Ok,
    /// What was read; 0 for a key that isn't there.
    Value(u64),
    /// It was executed, and not acknowledged by enough replicas.
    Unacked,
    /// It was not executed, as too few replicas could acknowledge it.
    NoReplicas,
    /// The slot is there.
    Moved(ProcNo),
    /// The cluster is down, or the slot belongs to nobody.
    Down,
    /// The connection ended.
    Reset,
}

/// What travels on a connection.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Bytes: a bus packet, or lines of replication.
    Bytes(Vec<u8>),
    /// A snapshot, which follows its preamble.
    Snapshot(Rc<Snapshot>),
    /// A part of the replication stream.
    Stream {
        /// Offset before the first operation.
        from: Offset,
        /// The operations.
        ops: Rc<Vec<Op>>,
    },
}

/// What happens at one end of a connection.
#[derive(Clone, Debug)]
pub enum AtEnd {
    /// It is established.
    Opened,
    /// It can't be, and why.
    Failed(LinkFailure),
    /// Something arrived.
    Data(Payload),
    /// The other end is gone.
    Closed,
}

/// What a process does by itself after a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Later {
    /// Its earliest timer is due.
    Wake,
    /// The gate closed; the number tells which fence.
    Fenced(u64),
    /// The final save is done.
    Saved,
    /// A snapshot for the replica on this connection is made.
    SnapshotMade(ConnNo),
    /// What arrived on this connection is loaded.
    Loaded(ConnNo),
    /// The dataset is saved in the background.
    Save,
}

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// The first packet of a connection reaches the other side.
    Syn {
        /// The connection.
        conn: ConnNo,
        /// How often it was sent before.
        tries: u32,
    },
    /// Something that waited for the sender's disk leaves, if the sender still has the connection.
    Depart {
        /// The connection.
        conn: ConnNo,
        /// The end that sends.
        side: Side,
        /// What.
        payload: Payload,
    },
    /// Something at an end of a connection.
    Conn {
        /// The connection.
        conn: ConnNo,
        /// At which end.
        side: Side,
        /// What.
        what: AtEnd,
    },
    /// A process's own.
    Own {
        /// Which process.
        proc: ProcNo,
        /// In which of its lives.
        life: u64,
        /// What.
        what: Later,
    },
    /// A request reaches a process.
    Request {
        /// Which process.
        proc: ProcNo,
        /// The request.
        request: Request,
    },
    /// An answer reaches a client.
    Answer {
        /// Which client.
        client: ClientNo,
        /// To which of its requests.
        number: u64,
        /// The answer.
        answer: Answer,
    },
    /// A client's pause is over, or its patience.
    ClientWake {
        /// Which client.
        client: ClientNo,
        /// The request it waits for; later wakes of earlier requests count for nothing.
        number: u64,
    },
    /// An operator's command reaches a process.
    Command {
        /// Which process.
        proc: ProcNo,
        /// The command.
        command: Box<ClusterCommand>,
    },
    /// The process is to stop.
    Stop {
        /// Which process.
        proc: ProcNo,
        /// How.
        kind: baton_node::StopKind,
        /// `shutdown-timeout`, ms.
        timeout_ms: u64,
    },
    /// A shutdown is called off.
    Abort {
        /// Which process.
        proc: ProcNo,
    },
    /// A handover without a stop is asked for.
    HandOver {
        /// Which process.
        proc: ProcNo,
    },
    /// The director looks at the world.
    Direct,
    /// The fault or operation with this number begins (true) or ends.
    Fault {
        /// Its place in the plan.
        index: usize,
        /// Whether it begins.
        begins: bool,
    },
    /// A process stands still, or goes on.
    Stand {
        /// Which process.
        proc: ProcNo,
        /// Whether it stands still from now on.
        still: bool,
    },
    /// A process starts.
    Start {
        /// Which process.
        proc: ProcNo,
        /// Which of its lives it is to be; an earlier one means that something else started it.
        life: u64,
    },
}

/// Events to come.
#[derive(Default)]
pub struct Queue {
    /// When, who asked first, and the place of the event.
    order: BinaryHeap<Reverse<(Mono, u64, u32)>>,
    /// The events; an empty place is named in `free`.
    events: Vec<Option<Event>>,
    free: Vec<u32>,
    next: u64,
}

impl Queue {
    /// Puts an event in.
    pub fn push(&mut self, at: Mono, event: Event) {
        self.next += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).expect("memory ends earlier")
        });
        self.events[place as usize] = Some(event);
        self.order.push(Reverse((at, self.next, place)));
    }

    /// When the next event happens.
    pub fn next_at(&self) -> Option<Mono> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Mono, Event)> {
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        Some((at, self.events[place as usize].take().expect("every place in the order has its event")))
    }
}
