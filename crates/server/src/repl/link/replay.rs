//! An append-only file's commands, applied as a replica applies its stream. Reads no file.

use std::sync::Arc;

use super::execute::Applier;
use super::stream::Stream;
use crate::shared::Shared;

/// Applies one log after the other. Whoever has it keeps everybody else away from the keys.
pub(crate) struct Replay(Applier);

impl Replay {
    /// Before the first one.
    pub(crate) fn new(shared: &Arc<Shared>) -> Replay {
        Replay(Applier::of_log(shared))
    }

    /// The next file begins.
    pub(crate) fn begin_file(&mut self) {
        self.0.begin_file();
    }

    /// Applies what is whole and forgets it.
    ///
    /// # Errors
    /// The text of the error of a command that this node does not know.
    pub(crate) fn apply(&mut self, stream: &mut Stream) -> Result<(), Vec<u8>> {
        self.0.replay(stream)?;
        stream.drop_whole();
        Ok(())
    }
}
