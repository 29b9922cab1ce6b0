//! MIGRATE: keys travel to another server as payloads and are deleted here once they have arrived there.
//!
//! No worker waits for the network. The command hands an [`Order`] to a mover, a thread of its own, and its connection
//! waits. The mover first has the keys held ([`hold`]): from then on whoever would change one of them waits, reads and
//! everybody else go on. It sends the values ([`transfer`]) and tells the worker what arrived. Then the command is judged
//! once more like any that was held: a node that is no primary any more, or whose writes stand still, deletes nothing. So
//! no write can come between the value that was sent and its deletion.
//!
//! Nothing here changes a key; that is `node::migrate`.

pub mod hold;
pub mod movers;
pub mod transfer;

use std::time::Duration;

use baton_store::DbIndex;

pub use hold::{KeyHold, Moving, SlotHold};
pub use movers::Movers;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Name or address of the target.
    pub host: String,
    /// Its port, as given.
    pub port: String,
    /// The database there.
    pub to: i64,
    /// Longest time without progress.
    pub timeout: Duration,
    /// The keys stay here, too.
    pub copy: bool,
    /// They take the place of keys with their names.
    pub replace: bool,
    /// User, where one is named, and password.
    pub auth: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// The target is a node of a cluster, which may be importing the slot.
    pub asking: bool,
    /// Whether payloads are compressed.
    pub compress: bool,
    /// The database here.
    pub from: DbIndex,
    /// The keys.
    pub names: Vec<Box<[u8]>>,
}

impl Order {
    /// Under what connections to the target are kept.
    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// How a transfer ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// The keys that the target has acknowledged.
    pub arrived: Vec<Box<[u8]>>,
    /// What the client is told, if not that all is well.
    pub error: Option<String>,
}

impl Transferred {
    fn failed(text: &str) -> Transferred {
        Transferred { arrived: Vec::new(), error: Some(text.to_owned()) }
    }
}

/// A transfer that is over, on its way to the command. Its keys are still held.
pub struct Moved {
    /// How it ended.
    pub transferred: Transferred,
    /// Ends with this; none if it could not begin.
    pub hold: Option<KeyHold>,
}
