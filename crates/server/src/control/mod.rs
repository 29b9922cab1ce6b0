//! The control plane: one thread that owns the cluster and handover machines, decides roles, answers administrative
//! commands, hears signals and ends the server. It shares nothing with the workers but the published world, the gate and
//! the journal's offsets.
//!
//! Reading order: [`message`] (what others tell it), [`boot`] (what it starts with), [`run`] (its loop: events to inputs
//! of the machines), [`perform`] (effects of the machines to deeds), [`stop`] (signals and shutdown), [`standalone`] and
//! [`siblings`] (roles outside of clusters), [`bus`], `shed`, [`nodes_file`] and [`saver`] (sockets
//! and files of the cluster).

pub mod boot;
pub mod bus;
pub mod message;
pub mod nodes_file;
pub mod perform;
pub mod run;
pub mod saver;
mod shed;
pub mod siblings;
pub mod standalone;
pub mod stop;

pub use message::{Answer, ControlMessage, FailoverRequest, ReplyTo, ShutdownRequest, TakeoverNews};
pub use run::{Control, seed};
