//! RESP2 and RESP3: request bytes to arguments, replies to bytes, and replies back from bytes. Incremental in both
//! directions; knows no socket, no command and no clock.
//!
//! Reading order: [`Args`] (what a command sees of its request), [`RequestParser`] (bytes of a client to arguments),
//! [`Out`] (the reply writer), [`decode()`] (replies read back, for links, tools and tests).

mod args;
pub mod decode;
mod inline;
mod limits;
mod out;
mod request;

pub use args::{ArgRange, Args, OwnedArgs};
pub use decode::{Reply, decode};
pub use limits::{INLINE_BYTES_MAX, Limits};
pub use out::{Out, Proto};
pub use request::{ProtocolError, RequestParser, Step};
