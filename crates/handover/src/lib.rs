//! The pure handover machine: choose, catch up, fence, drain, promote, redirect, linger.
//!
//! One machine runs every planned change of a primary: SIGTERM, SHUTDOWN FAILOVER, CLUSTER FAILOVER as its old primary
//! sees it, and outside of clusters FAILOVER. It must never hold a clock, a socket, a thread or a client: facts and the time go in through
//! [`Handover::handle`], [`Effect`]s come out, and the node carries them out in order.
//!
//! What it promises, from every phase and whatever comes in: it ends in serving again, in having handed over, or in
//! exit; each phase has a deadline; the fence is never closed for longer than [`Limits`] and the request allow; nothing
//! in it waits for a periodic tick where an input can drive it.

mod choice;
mod drain;
mod effect;
mod finish;
mod input;
mod limits;
mod machine;
mod pace;
mod promote;
mod run;
mod seek;
mod takeover;
mod texts;

pub use effect::{Effect, Failure, Level, Outcome, Phase, Record};
pub use input::{Input, Kind, Promotion, Replica, ReplicaState, Request, Token};
pub use limits::Limits;
pub use machine::Handover;
