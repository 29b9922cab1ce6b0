//! The connection to the target of a job. Once the target has agreed nothing here waits, whatever the target does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::Mono;
use baton_replication::command;
use baton_resp::{Reply, decode};

use crate::clients::{ClientFlags, ClientMeta};
use crate::shared::Shared;

/// Bytes of replies that are not whole, at most.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Longest answer to a question.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Words that nobody has waited for, at most.
const WORDS_MAX: usize = 16;

/// Why it is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It ended.
    Lost,
    /// The target says what makes no sense.
    Nonsense,
}

/// A connection with what is to be sent and what came.
pub(super) struct Wire {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    words: Vec<String>,
    /// When the target was last told that this node is there.
    pub(super) said: Mono,
    /// When it was last heard.
    pub(super) heard: Mono,
    /// How long a reply may take.
    patience: Duration,
    meta: Arc<ClientMeta>,
    shared: Arc<Shared>,
}

impl Wire {
    /// Connects; what is asked first has replies, each of which may take so long.
    pub(super) fn open(shared: &Arc<Shared>, to: SocketAddr, connect: Duration, reply: Duration) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&to, connect)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(reply))?;
        stream.set_write_timeout(Some(reply))?;
        let now = shared.clock.mono();
        let here = stream.local_addr().map_or_else(|_| String::new(), |addr| addr.to_string());
        let meta = shared.clients.add(to.to_string(), here, stream.as_raw_fd().into(), false, now);
        meta.set_flags(ClientFlags::SLOT_EXPORT, true);
        let (out, input, words, shared) = (Vec::new(), Vec::new(), Vec::new(), Arc::clone(shared));
        Ok(Wire { stream, out, sent: 0, input, words, said: now, heard: now, patience: reply, meta, shared })
    }

    /// One request with a reply of one line; gives the error that it is, if it is one.
    pub(super) fn ask(&mut self, words: &[&[u8]]) -> io::Result<Result<(), String>> {
        self.stream.write_all(&command(words))?;
        let (mut received, mut byte) = (Vec::new(), [0]);
        while !received.ends_with(b"\r\n") {
            if received.len() >= REPLY_BYTES_MAX || self.stream.read(&mut byte)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            received.push(byte[0]);
        }
        Ok(match received.strip_prefix(b"-") {
            None => Ok(()),
            Some(text) => Err(String::from_utf8_lossy(text.trim_ascii_end()).into_owned()),
        })
    }

    /// The replies to some requests; none if they don't come in time.
    pub(super) fn replies(&mut self, requests: &[&[&[u8]]]) -> Option<Vec<Reply>> {
        for words in requests {
            self.stream.write_all(&command(words)).ok()?;
        }
        let until = self.shared.clock.mono() + self.patience;
        let (mut replies, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
        while replies.len() < requests.len() {
            if self.shared.clock.mono() >= until || self.input.len() > ANSWER_BYTES_MAX {
                return None;
            }
            let read = self.stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            self.input.extend_from_slice(&piece[..read]);
            while let Some((reply, length)) = decode(&self.input).ok()? {
                self.input.drain(..length);
                replies.push(reply);
            }
        }
        Some(replies)
    }

    /// From here on nothing waits for the target.
    pub(super) fn stop_waiting(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    /// Appends whole commands to what is to be sent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends a word about the job.
    pub(super) fn say(&mut self, word: &[u8], now: Mono) {
        self.said = now;
        self.push(&command(&[b"CLUSTER", b"SYNCSLOTS", word]));
    }

    /// Bytes that are still to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends what the connection takes now.
    pub(super) fn send_some(&mut self) -> Result<(), Broken> {
        while self.unsent() > 0 {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(Broken::Lost),
                Ok(n) => {
                    self.sent += n;
                    self.meta.net_out.fetch_add(n as u64, Ordering::Relaxed);
                }
                Err(e) if is_patience(&e) => break,
                Err(_) => return Err(Broken::Lost),
            }
        }
        if self.unsent() == 0 {
            self.out.clear();
            self.sent = 0;
        } else if self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        self.meta.output_bytes.store(self.unsent() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Hears what the target says, if it does.
    pub(super) fn listen(&mut self, now: Mono) -> Result<bool, Broken> {
        if self.meta.doomed.load(Ordering::Acquire) {
            return Err(Broken::Lost);
        }
        let mut piece = [0; 4096];
        let read = match self.stream.read(&mut piece) {
            Ok(0) => return Err(Broken::Lost),
            Ok(n) => n,
            Err(e) if is_patience(&e) => return Ok(false),
            Err(_) => return Err(Broken::Lost),
        };
        self.input.extend_from_slice(&piece[..read]);
        self.heard = now;
        self.meta.net_in.fetch_add(read as u64, Ordering::Relaxed);
        self.meta.last_active_us.store(now.as_micros(), Ordering::Relaxed);
        while let Some((said, length)) = decode(&self.input).map_err(|_| Broken::Nonsense)? {
            self.input.drain(..length);
            let text = said.items().and_then(<[Reply]>::last).and_then(Reply::text);
            let word = text.map(|text| String::from_utf8_lossy(text).to_ascii_uppercase());
            self.words.extend(word.filter(|word| word != "ACK"));
        }
        let excess = self.words.len() > WORDS_MAX || self.input.len() > REPLY_BYTES_MAX;
        if excess { Err(Broken::Nonsense) } else { Ok(true) }
    }

    /// Whether the target has said a word; it is forgotten then.
    pub(super) fn has_said(&mut self, word: &str) -> bool {
        let at = self.words.iter().position(|said| said == word);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Ends it for both sides: a target that has not read everything gives up when it has.
    pub(super) fn hang_up(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.clients.remove(self.meta.id);
    }
}

/// Whether there is just nothing to be done now.
fn is_patience(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
