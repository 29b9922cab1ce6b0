//! Two servers, told the same things.

use baton_cli::{Connection, Endpoint, Error, Login, Reply};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

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
        let mut bytes = Vec::new();
        for command in commands {
            encode(command, &mut bytes);
        }
        self.a.send_raw(&bytes)?;
        self.b.send_raw(&bytes)?;
        commands.iter().map(|_| Ok((self.a.receive_reply()?, self.b.receive_reply()?))).collect()
    }
}

fn encode(command: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for word in command {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
