//! Commands after which the server talks without being asked: subscriptions and `MONITOR`. Prints what comes until the
//! link ends or the person presses Enter.

use crate::{Connection, Error, Reply};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often a waiting listener looks whether Enter was pressed.
const GLANCE: Duration = Duration::from_millis(100);

/// Whether the command starts a stream of messages.
pub(crate) fn starts_stream(args: &[Vec<u8>]) -> bool {
    let name = args.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
    matches!(name.as_slice(), b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"MONITOR")
}

/// Sends the command and hands every message to `show` until the link ends or, with `until_enter`, a line was typed.
/// The connection is good for nothing else afterwards. An error reply is shown and ends it.
pub(crate) fn stream(
    connection: &mut Connection,
    args: &[Vec<u8>],
    until_enter: bool,
    mut show: impl FnMut(&Reply),
) -> Result<(), Error> {
    connection.send(args)?;
    let first = connection.receive()?;
    show(&first);
    if first.as_error().is_some() {
        return Ok(());
    }
    if !until_enter {
        loop {
            show(&connection.receive()?);
        }
    }
    let entered = Arc::new(AtomicBool::new(false));
    let told = entered.clone();
    let listener = thread::spawn(move || {
        let mut line = String::new();
        // Whether a line came or the input ended, the wish is the same.
        drop(io::stdin().read_line(&mut line));
        told.store(true, Ordering::SeqCst);
    });
    connection.set_reply_timeout(Some(GLANCE));
    let mut result = Ok(());
    while !entered.load(Ordering::SeqCst) {
        match connection.receive() {
            Ok(message) => show(&message),
            Err(Error::TimedOut { .. }) => {}
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    if let Err(error) = &result {
        show(&Reply::Status(format!("{error}. Press Enter to go on.").into_bytes()));
    }
    // The line that the thread waits for must not be taken from the prompt.
    drop(listener.join());
    result
}
