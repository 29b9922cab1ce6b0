//! Commands that wait for others: said on connections of their own, one after the other so that both servers know the same
//! order, and given up in the end where nothing came. Must never leave anybody waiting.

use crate::check::words;
use crate::pair::{Pair, glance};
use crate::speech::Said;
use baton_cli::{Connection, Endpoint, Error, Reply};
use std::time::{Duration, Instant};

/// Connections that wait at the same time.
pub(crate) const WAITERS: usize = 3;
/// Longest time until a server has either answered or begun to wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection pair that asks, and what came back so far.
#[derive(Debug)]
struct Waiter {
    pair: Pair,
    ids: [Reply; 2],
    said: Option<Said>,
    replies: [Option<Reply>; 2],
}

/// All that may wait.
#[derive(Debug)]
pub(crate) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(crate) fn open(a: &Endpoint, b: &Endpoint, resp3: bool) -> Result<Self, Error> {
        let open = |_| {
            let mut pair = Pair::open(a, b, resp3)?;
            let (a, b) = pair.tell(&[words(&["CLIENT", "ID"])])?.pop().unwrap_or((Reply::Nil, Reply::Nil));
            Ok(Waiter { pair, ids: [a, b], said: None, replies: [None, None] })
        };
        Ok(Waiters((0..WAITERS).map(open).collect::<Result<_, Error>>()?))
    }

    /// Asks on the connections, one for each; returns when all have an answer or are known to wait.
    pub(crate) fn ask(&mut self, main: &mut Pair, questions: Vec<Said>) -> Result<(), Error> {
        for (waiter, said) in self.0.iter_mut().zip(questions) {
            let mut blocked = [0; 2];
            for (count, side) in blocked.iter_mut().zip(main.sides()) {
                *count = blocked_clients(side)?;
            }
            waiter.pair.send(std::slice::from_ref(&said.command))?;
            for (at, (asking, asked)) in waiter.pair.sides().into_iter().zip(main.sides()).enumerate() {
                waiter.replies[at] = settled(asking, asked, blocked[at])?;
            }
            waiter.said = Some(said);
        }
        Ok(())
    }

    /// Gives up what still waits, and hands over what was asked with both servers' replies.
    pub(crate) fn end(&mut self, main: &mut Pair, with_error: bool) -> Result<Vec<(Said, Reply, Reply)>, Error> {
        let mut out = Vec::new();
        for waiter in &mut self.0 {
            let Some(said) = waiter.said.take() else { continue };
            let [a, b] = waiter.ids.each_ref().map(|id| {
                let Reply::Integer(id) = id else { return vec![words(&["PING"])] };
                vec![words(&["CLIENT", "UNBLOCK", &id.to_string(), if with_error { "ERROR" } else { "TIMEOUT" }])]
            });
            main.tell_each([&a, &b])?;
            let mut got = Vec::new();
            for (reply, side) in waiter.replies.iter_mut().zip(waiter.pair.sides()) {
                got.push(match reply.take() {
                    Some(reply) => reply,
                    None => side.receive_reply()?,
                });
            }
            if let Ok([a, b]) = <[Reply; 2]>::try_from(got) {
                out.push((said, a, b));
            }
        }
        Ok(out)
    }
}

/// The reply, or `None` as soon as the server says that one more client waits.
fn settled(asking: &mut Connection, asked: &mut Connection, before: u64) -> Result<Option<Reply>, Error> {
    let begun = Instant::now();
    loop {
        if let Some(reply) = glance(asking)? {
            return Ok(Some(reply));
        }
        if blocked_clients(asked)? > before {
            return Ok(None);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::TimedOut { after: PATIENCE });
        }
    }
}

fn blocked_clients(side: &mut Connection) -> Result<u64, Error> {
    let reply = side.query(&["INFO", "clients"])?;
    let (Reply::Bulk(text) | Reply::Verbatim(text)) = &reply else { return Ok(0) };
    let text = String::from_utf8_lossy(text);
    let count = text.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
    Ok(count.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
}
