//! One server: a child process, its port, its folder and its log. Ends it by its own id only.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use baton_cli::{Connection, Endpoint, Reply};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a log that are looked at.
const LOG_TAIL_BYTES: u64 = 16 * 1024;
/// Lines of a log that are shown when a server has died.
const LAST_WORDS_LINES: usize = 8;

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// What comes before the server's own arguments.
    pub(crate) first_args: Vec<OsString>,
}

/// A server, running or not.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    folder: PathBuf,
    log: PathBuf,
    child: Child,
    /// How it ended, once that is known.
    ended: Option<ExitStatus>,
}

impl Server {
    /// Starts a server in its own folder below `root`, with default settings but for what a test on one machine needs.
    pub(crate) fn start(program: &Program, root: &Path, port: u16, node_timeout: Duration) -> Result<Server, Error> {
        let folder = root.join(port.to_string());
        let log = root.join(format!("node-{port}.log"));
        fs::create_dir_all(&folder).map_err(local(format!("make {}", folder.display())))?;
        let child = spawn(program, &folder, &log, port, node_timeout)?;
        Ok(Server { port, folder, log, child, ended: None })
    }

    /// Starts it again after it has ended, in the same folder.
    pub(crate) fn restart(&mut self, program: &Program, node_timeout: Duration) -> Result<(), Error> {
        self.child = spawn(program, &self.folder, &self.log, self.port, node_timeout)?;
        self.ended = None;
        Ok(())
    }

    /// Its client port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; none while it runs.
    pub(crate) fn status(&mut self) -> Result<Option<ExitStatus>, Error> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().map_err(local(format!("watch process {}", self.child.id())))?;
        }
        Ok(self.ended)
    }

    /// An error with its last words if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<(), Error> {
        match self.status()? {
            None => Ok(()),
            Some(status) => Err(Error::Died { port: self.port, status, last_words: self.last_words() }),
        }
    }

    /// Sends it a signal, unless it has ended: its id may belong to somebody else by then.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.status()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).map_err(|e| local(format!("signal process {}", self.child.id()))(e.into()))
    }

    /// Ends it at once.
    pub(crate) fn destroy(&mut self) {
        if self.ended.is_none() {
            // It may have ended meanwhile, which is as good.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Result<Connection, Error> {
        let endpoint = Endpoint::tcp("127.0.0.1", self.port);
        Connection::open(&endpoint, CONNECT_TIMEOUT, Some(REPLY_TIMEOUT)).map_err(|source| self.link_error(source))
    }

    /// Sends one command over a connection of its own; an error reply is an error.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Reply, Error> {
        let reply = self.connect()?.query(words).map_err(|source| self.link_error(source))?;
        match reply.as_error() {
            None => Ok(reply),
            Some(e) => Err(Error::Refused { port: self.port, command: words.join(" "), reply: e.to_string() }),
        }
    }

    /// A field of INFO.
    pub(crate) fn info(&self, section: &str, field: &str) -> Result<Option<String>, Error> {
        let text = self.command(&["INFO", section])?.to_text().unwrap_or_default();
        let found = text.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == field);
        Ok(found.map(|(_, value)| value.to_owned()))
    }

    pub(crate) fn link_error(&self, source: baton_cli::Error) -> Error {
        Error::Link { port: self.port, source }
    }

    /// The last line of its log that holds these words, from the words on.
    pub(crate) fn last_log(&self, words: &str) -> Option<String> {
        let text = tail(&self.log).ok()?;
        let line = text.lines().rev().find(|line| line.contains(words))?;
        line.find(words).map(|at| line[at..].to_owned())
    }

    fn last_words(&self) -> String {
        let text = tail(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join("\n")
    }
}

fn spawn(program: &Program, folder: &Path, log: &Path, port: u16, node_timeout: Duration) -> Result<Child, Error> {
    let writing = local(format!("write {}", log.display()));
    let out = OpenOptions::new().create(true).append(true).open(log).map_err(&writing)?;
    let err = out.try_clone().map_err(&writing)?;
    let mut command = Command::new(&program.path);
    command
        .args(&program.first_args)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", ""])
        .args(["--cluster-node-timeout", &node_timeout.as_millis().to_string()])
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Ctrl-C is for the demonstration, which then ends its servers itself.
        .process_group(0);
    command.spawn().map_err(local(format!("start {}", program.path.display())))
}

fn local(doing: String) -> impl Fn(io::Error) -> Error {
    move |source| Error::Local { doing: doing.clone(), source }
}

/// The end of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
