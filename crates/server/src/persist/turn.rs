//! One writer of the snapshot file at a time.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

use crate::shared::Shared;

/// Who may write the snapshot file.
#[derive(Debug, Default)]
pub struct Turn {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// The right to write the snapshot file; given back when dropped. It may move to another thread.
pub struct MyTurn {
    shared: Arc<Shared>,
}

impl MyTurn {
    /// Takes the turn if it is free.
    pub fn take(shared: &Arc<Shared>) -> Option<MyTurn> {
        let mut taken = shared.persist.turn.taken.lock();
        if *taken {
            return None;
        }
        *taken = true;
        Some(MyTurn { shared: Arc::clone(shared) })
    }

    /// Waits for the turn: as long as whoever has it takes to finish, or to see that it is to stop.
    pub fn wait_for(shared: &Arc<Shared>) -> MyTurn {
        let turn = &shared.persist.turn;
        let mut taken = turn.taken.lock();
        while *taken {
            turn.freed.wait(&mut taken);
        }
        *taken = true;
        MyTurn { shared: Arc::clone(shared) }
    }
}

impl Drop for MyTurn {
    fn drop(&mut self) {
        let turn = &self.shared.persist.turn;
        *turn.taken.lock() = false;
        turn.freed.notify_one();
    }
}
