//! One person's conversation with a server: the connection, what the prompt must show of its state, and following
//! redirects where that was asked for. Prints nothing; a lost connection is made anew only for the next command, never
//! to repeat one.

use crate::options::Options;
use crate::{Connection, Endpoint, Error, Login, Redirect, Reply};
use std::time::Duration;

/// Redirects followed for one command.
const REDIRECTS_MAX: u32 = 16;

/// A connection that remembers what the server does not tell again.
#[derive(Debug)]
pub(crate) struct Session {
    endpoint: Endpoint,
    login: Login,
    connect_timeout: Duration,
    follow: bool,
    connection: Option<Connection>,
    in_transaction: bool,
}

/// What a command led to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The places that the command was sent on to, each with the slot if it was a matter of slots.
    pub(crate) redirects: Vec<Redirect>,
    /// Push messages that came before the reply.
    pub(crate) pushes: Vec<Reply>,
    pub(crate) reply: Reply,
}

impl Session {
    pub(crate) fn new(options: &Options) -> Self {
        Session {
            endpoint: options.endpoint.clone(),
            login: options.login.clone(),
            connect_timeout: options.connect_timeout,
            follow: options.cluster,
            connection: None,
            in_transaction: false,
        }
    }

    /// Connects unless a living connection is there.
    pub(crate) fn connect(&mut self) -> Result<&mut Connection, Error> {
        if self.connection.as_ref().is_some_and(Connection::is_gone) {
            self.disconnect();
        }
        if self.connection.is_none() {
            let mut connection = Connection::open(&self.endpoint, self.connect_timeout, None)?;
            connection.log_in(&self.login)?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or(Error::Closed)
    }

    /// Forgets the connection, and with it the transaction.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
        self.in_transaction = false;
    }

    /// Connects elsewhere from now on.
    pub(crate) fn turn_to(&mut self, endpoint: Endpoint) {
        self.disconnect();
        self.endpoint = endpoint;
    }

    /// `127.0.0.1:6379[2](TX)> `
    pub(crate) fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".to_owned();
        }
        let database = if self.login.database == 0 { String::new() } else { format!("[{}]", self.login.database) };
        let transaction = if self.in_transaction { "(TX)" } else { "" };
        format!("{}{database}{transaction}> ", self.endpoint)
    }

    /// Sends one command and waits for its reply as long as it takes.
    pub(crate) fn execute(&mut self, args: &[Vec<u8>]) -> Result<Answer, Error> {
        let mut redirects = Vec::new();
        let mut asking = false;
        loop {
            let result = self.exchange(args, asking);
            let (reply, pushes) = match result {
                Ok(answer) => answer,
                Err(error) => {
                    self.disconnect();
                    return Err(error);
                }
            };
            let redirect = reply.as_error().filter(|_| self.follow).and_then(|e| e.redirect());
            match redirect {
                Some(redirect) if (redirects.len() as u32) < REDIRECTS_MAX => {
                    asking = matches!(redirect, Redirect::Ask { .. });
                    self.turn_to(redirect.to().clone().with_host_of(&self.endpoint));
                    redirects.push(redirect);
                }
                _ => {
                    self.note(args, &reply);
                    return Ok(Answer { redirects, pushes, reply });
                }
            }
        }
    }

    fn exchange(&mut self, args: &[Vec<u8>], asking: bool) -> Result<(Reply, Vec<Reply>), Error> {
        let connection = self.connect()?;
        if asking {
            connection.query(&["ASKING"])?;
        }
        connection.send(args)?;
        // Unsubscribing is answered by push messages alone, which no wait for a reply would ever see.
        let reply = if is_unsubscribe(args) { connection.receive()? } else { connection.receive_reply()? };
        let pushes = std::iter::from_fn(|| connection.take_push().map(Reply::Push)).collect();
        Ok((reply, pushes))
    }

    /// Keeps the prompt true.
    fn note(&mut self, args: &[Vec<u8>], reply: &Reply) {
        let name = args.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_slice(), reply) {
            (b"MULTI", reply) if reply.is_ok() => self.in_transaction = true,
            (b"EXEC" | b"DISCARD", _) => self.in_transaction = false,
            (b"SELECT", reply) if reply.is_ok() => {
                let number = args.get(1).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
                self.login.database = number.unwrap_or(self.login.database);
            }
            (b"AUTH", reply) if reply.is_ok() => self.keep_credentials(&args[1..]),
            (b"HELLO", reply) if reply.as_error().is_none() => match args.get(1).map(Vec::as_slice) {
                Some(b"3") => self.login.resp3 = true,
                Some(b"2") => self.login.resp3 = false,
                _ => {}
            },
            (b"RESET", reply) if reply.as_error().is_none() => {
                self.in_transaction = false;
                self.login.database = 0;
                self.login.resp3 = false;
            }
            _ => {}
        }
    }

    /// What `AUTH` proved is used again when the connection must be made anew.
    fn keep_credentials(&mut self, credentials: &[Vec<u8>]) {
        match credentials {
            [password] => (self.login.user, self.login.password) = (None, Some(password.clone())),
            [user, password] => {
                self.login.user = Some(String::from_utf8_lossy(user).into_owned());
                self.login.password = Some(password.clone());
            }
            _ => {}
        }
    }
}

fn is_unsubscribe(args: &[Vec<u8>]) -> bool {
    let name = args.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
    matches!(name.as_slice(), b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Parsed, parse};
    use crate::testing::FakeServer;

    fn session(server: &FakeServer, more: &[&str]) -> Session {
        let words: Vec<std::ffi::OsString> =
            ["-h", "127.0.0.1", "-p", &server.port().to_string()].iter().chain(more).map(Into::into).collect();
        match parse(&words, None).unwrap() {
            Parsed::Run(options) => Session::new(&options),
            other => panic!("{other:?}"),
        }
    }

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
    }

    #[test]
    fn prompt_shows_database_and_transaction() {
        let server = FakeServer::start(|args| match args[0].as_str() {
            "EXEC" => Some("*0\r\n".into()),
            "SELECT" if args[1] == "99" => Some("-ERR DB index is out of range\r\n".into()),
            _ => Some("+OK\r\n".into()),
        });
        let mut session = session(&server, &[]);
        let at = format!("127.0.0.1:{}", server.port());
        assert_eq!(session.prompt(), "not connected> ");
        for (line, suffix) in [
            ("ping", ""),
            ("select 2", "[2]"),
            ("select 99", "[2]"),
            ("multi", "[2](TX)"),
            ("exec", "[2]"),
            ("select 0", ""),
        ] {
            session.execute(&words(&line.to_uppercase())).unwrap();
            assert_eq!(session.prompt(), format!("{at}{suffix}> "), "after {line}");
        }
    }

    #[test]
    fn login_comes_first_and_again_after_a_loss() {
        let server = FakeServer::start(|args| match args[0].as_str() {
            "DIE" => None,
            _ => Some("+OK\r\n".into()),
        });
        let mut session = session(&server, &["-a", "pw", "-n", "4"]);
        session.execute(&words("PING")).unwrap();
        assert!(matches!(session.execute(&words("DIE")), Err(Error::Closed)));
        session.execute(&words("PING")).unwrap();
        let login = ["AUTH pw", "SELECT 4", "PING"];
        assert_eq!(server.seen(), [&login[..], &["DIE"], &login].concat());
    }

    #[test]
    fn redirects_are_followed_only_where_asked() {
        let owner = FakeServer::start(|_| Some("+here\r\n".into()));
        let moved = format!("-MOVED 1 127.0.0.1:{}\r\n", owner.port());
        let server =
            FakeServer::start(move |args| Some(if args[0] == "GET" { moved.clone() } else { "+OK\r\n".into() }));
        let stubborn = session(&server, &[]).execute(&words("GET k")).unwrap();
        assert_eq!(stubborn.reply.as_error().unwrap().code(), b"MOVED");
        let mut follower = session(&server, &["-c"]);
        let answer = follower.execute(&words("GET k")).unwrap();
        assert_eq!((answer.reply, answer.redirects.len()), (Reply::Status(b"here".to_vec()), 1));
        assert_eq!(follower.prompt(), format!("127.0.0.1:{}> ", owner.port()));
    }
}
