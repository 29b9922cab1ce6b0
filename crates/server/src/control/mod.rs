//! The control plane: one thread that owns the cluster machine, decides roles, answers administrative commands, hears
//! signals and ends the server. It shares nothing with the workers but the published world, the gate and the journal's
//! offsets.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use crossbeam_channel::Sender;
use mio::{Events, Poll, Token};

use baton_cluster::{ClusterCommand, ClusterReply, Origin};

use crate::clients::ClientId;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::shared::Shared;
use crate::worker::WorkerMessage;

/// What SHUTDOWN or a signal asked for (replication 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownRequest {
    /// Save even without save points.
    pub save: bool,
    /// Don't save even with save points.
    pub nosave: bool,
    /// Don't wait for lagging replicas.
    pub now: bool,
    /// End even if saving fails.
    pub force: bool,
    /// Refuse where ending would endanger the cluster.
    pub safe: bool,
    /// Hand over to a replica first.
    pub failover: bool,
}

/// What the other threads tell the control thread.
pub enum ControlMessage {
    /// REPLICAOF; none for NO ONE.
    ReplicaOf {
        /// The new primary.
        target: Option<(String, u16)>,
        /// Who asks, for the log.
        who: String,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// A CLUSTER command.
    Cluster {
        /// Which.
        command: ClusterCommand,
        /// Who asks.
        origin: Origin,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// A message of PUBLISH or SPUBLISH for the other nodes.
    Publish {
        /// Its channel.
        channel: Vec<u8>,
        /// Its payload.
        message: Vec<u8>,
        /// Only for the own shard.
        sharded: bool,
    },
    /// SHUTDOWN.
    Shutdown {
        /// How.
        request: ShutdownRequest,
        /// Where an error goes; success ends the process.
        reply: ReplyTo,
    },
    /// SHUTDOWN ABORT.
    ShutdownAbort(ReplyTo),
    /// CONFIG SET changed something.
    SettingsChanged,
    /// CONFIG RESETSTAT.
    ResetStats,
    /// A replica came, went, or acknowledged something.
    ReplicasChanged,
    /// The link to the primary changed its state, or more of the stream is applied.
    LinkChanged,
    /// A peer asked, by PSYNC ... FAILOVER, to be followed instead: become primary.
    Promote(Sender<()>),
}

/// Where the control thread's answer goes.
pub enum ReplyTo {
    /// A connection that waits for it.
    Client {
        /// Its worker.
        worker: u32,
        /// The connection.
        client: ClientId,
    },
    /// A thread that waits for it.
    Thread(Sender<Answer>),
    /// Nobody.
    Nobody,
}

impl ReplyTo {
    /// Sends the answer.
    pub fn answer(self, shared: &Shared, answer: Answer) {
        match self {
            ReplyTo::Client { worker, client } => {
                if let Some(w) = shared.threads().workers.get(worker as usize) {
                    w.send(WorkerMessage::Answer { client, answer });
                }
            }
            ReplyTo::Thread(to) => drop(to.send(answer)),
            ReplyTo::Nobody => {}
        }
    }
}

/// The control thread's answer to a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `+OK`.
    Ok,
    /// An error with its code.
    Error(String),
    /// What the cluster machine replied.
    Cluster(ClusterReply),
    /// Close the connection without a reply.
    Close,
}

/// The control thread.
pub struct Control {
    shared: Arc<Shared>,
    poll: Poll,
    inbox: Inbox<ControlMessage>,
}

/// The outside half of the control thread.
pub struct ControlSeed {
    poll: Poll,
    inbox: Inbox<ControlMessage>,
}

const INBOX: Token = Token(0);

/// Makes the mailbox of the control thread.
pub fn seed() -> io::Result<(Mailbox<ControlMessage>, ControlSeed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), INBOX)?;
    Ok((to, ControlSeed { poll, inbox }))
}

impl Control {
    /// Takes the control plane's files and sockets into use.
    pub fn start(shared: Arc<Shared>, seed: ControlSeed, _rng_seed: u64) -> io::Result<Control> {
        Ok(Control { shared, poll: seed.poll, inbox: seed.inbox })
    }

    /// Controls until the server ends; gives its exit code.
    pub fn run(mut self) -> ExitCode {
        let mut events = Events::with_capacity(64);
        loop {
            let _ = self.poll.poll(&mut events, Some(std::time::Duration::from_millis(100)));
            let now = self.shared.clock.mono();
            self.shared.change_world(|w| w.holds.expire(now));
            for message in self.inbox.drain().collect::<Vec<_>>() {
                if let ControlMessage::Shutdown { reply, .. } = message {
                    reply.answer(&self.shared, Answer::Close);
                    return ExitCode::SUCCESS;
                }
            }
        }
    }
}
