//! A replica's way to its primary: connect, introduce itself, ask to go on where it stopped, take a snapshot or the
//! stream, acknowledge, notice silence, start over (replication 1.1, 1.4, 1.7, 2.2, 2.3).
//!
//! How to drive it: give every event to [`ReplicaLink::handle`], bytes of the connection to [`ReplicaLink::receive`]
//! first (it takes lines only and says how many bytes it took), call it with [`Input::Tick`] no later than
//! [`ReplicaLink::deadline`], keep [`ReplicaLink::applied`] current while the stream is applied, and do the effects in
//! order. The machine never looks at a clock and never touches payload or stream bytes.

mod effect;
mod lines;
mod machine;
mod reply;
mod settings;
mod status;
mod takeover;

pub use effect::{ConnId, Effect, Input, Payload, Position, Start};
pub use machine::ReplicaLink;
pub use settings::{Auth, Settings};
pub use status::{LinkStatus, TransferStatus};
