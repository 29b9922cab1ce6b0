//! Two servers, told the same things.

use baton_cli::{Connection, Endpoint, Error, Login, Reply};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long one looks for a reply that may not come yet.
const GLANCE: Duration = Duration::from_millis(1);

/// A connection to each of the two.
#[derive(Debug)]
pub(crate) struct Pair {
    a: Connection,
    b: Connection,
}

impl Pair {
    /// Connects to both, in the protocol asked for.
    pub(crate) fn open(a: &Endpoint, b: &Endpoint, resp3: bool) -> Result<Pair, Error> {
        let open = |endpoint| {
            let mut connection = Connection::open(endpoint, PATIENCE, Some(PATIENCE))?;
            connection.log_in(&Login { resp3, ..Login::default() })?;
            Ok::<_, Error>(connection)
        };
        Ok(Pair { a: open(a)?, b: open(b)? })
    }

    /// Sends all of these to both and hands over the replies in pairs.
    pub(crate) fn tell(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<Vec<(Reply, Reply)>, Error> {
        self.send(commands)?;
        commands.iter().map(|_| Ok((self.a.receive_reply()?, self.b.receive_reply()?))).collect()
    }

    /// Sends to each what is meant for it, equally many, and hands over the replies in pairs.
    pub(crate) fn tell_each(&mut self, commands: [&[Vec<Vec<u8>>]; 2]) -> Result<Vec<(Reply, Reply)>, Error> {
        let [to_a, to_b] = commands;
        self.a.send_raw(&encoded(to_a))?;
        self.b.send_raw(&encoded(to_b))?;
        to_a.iter().zip(to_b).map(|_| Ok((self.a.receive_reply()?, self.b.receive_reply()?))).collect()
    }

    /// Sends all of these to both without waiting.
    pub(crate) fn send(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<(), Error> {
        let bytes = encoded(commands);
        self.a.send_raw(&bytes)?;
        self.b.send_raw(&bytes)
    }

    /// The connection to each server.
    pub(crate) fn sides(&mut self) -> [&mut Connection; 2] {
        [&mut self.a, &mut self.b]
    }
}

/// A reply, if it comes now.
pub(crate) fn glance(connection: &mut Connection) -> Result<Option<Reply>, Error> {
    connection.set_reply_timeout(Some(GLANCE));
    let seen = connection.receive_reply();
    connection.set_reply_timeout(Some(PATIENCE));
    match seen {
        Ok(reply) => Ok(Some(reply)),
        Err(Error::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn encoded(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for command in commands {
        out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for word in command {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}
