//! One attached replica as the feeder holds it: its connection, what is queued for it, its place in the journal, and what
//! it says. Moves bytes; what they mean for others is the feeder's.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_base::{Mono, Offset};
use baton_commands::{CommandSpec, Fail, Flags, NodeCommand as N, Run};
use baton_config::BufferLimit;
use baton_journal::Reader;
use baton_replication::ReplicaSession;
use baton_replication::session::{Replconf, ReplconfEnv};
use baton_resp::{Args, Limits, OwnedArgs, RequestParser, Step};

use crate::clients::ClientMeta;
use crate::conn::{Conn, Moved};
use crate::repl::Adopted;

/// Bytes of a snapshot file that are read at a time.
const FILE_READ_BYTES: usize = 64 * 1024;
/// Reads of one replica before the others get their turn.
const READS_MAX: usize = 16;
/// Unparsed bytes of a replica; it has nothing long to say.
const INPUT_BYTES_MAX: usize = 1 << 20;
/// Commands that a replica is refused.
const TOUCHES_KEYS: Flags = Flags::READONLY.union(Flags::WRITE).union(Flags::MAY_REPLICATE);
const NO_KEYSPACE: &str = "Replica can't interact with the keyspace";

/// How much of its snapshot a replica has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    /// It gets none (any more).
    None,
    /// More of it will be queued.
    Open,
    /// All of it is queued.
    Queued,
}

/// Why a replica is not served any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The connection ended.
    Lost,
    /// The history changed under it.
    Detached,
    /// It did something that ends the connection; the lines for the log.
    Broken(Vec<String>),
}

impl Gone {
    /// Ends the connection with this line in the log.
    pub(super) fn broken(line: impl Into<String>) -> Gone {
        Gone::Broken(vec![line.into()])
    }
}

/// What a client would be answered where a replica must not be: its connection carries the stream.
enum Reply {
    None,
    Some,
    Error(String),
}

impl Reply {
    /// An error without its code, as the log shows it.
    fn refusal(fail: &Fail) -> Reply {
        let text = fail.text();
        let text = String::from_utf8_lossy(&text);
        Reply::Error(text.strip_prefix("ERR ").unwrap_or(&text).to_owned())
    }
}

/// What a replica said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// It acknowledged something.
    pub(super) acked: bool,
    /// It wants this node to acknowledge to its own primary.
    pub(super) ack_wanted: bool,
    /// Its held stream begins.
    pub(super) starts: bool,
}

/// Bytes that go out before the stream.
struct Piece {
    bytes: Arc<Vec<u8>>,
    written: usize,
}

/// A snapshot that lies in a file.
struct FilePart {
    file: Arc<File>,
    at: u64,
    end: u64,
}

/// One attached replica, or a connection that asked to be one.
pub(super) struct Replica {
    /// Its stream.
    pub(super) conn: Conn,
    /// Its face to others.
    pub(super) meta: Arc<ClientMeta>,
    /// What it said and how far it is.
    pub(super) session: ReplicaSession,
    /// How much of its snapshot it has got.
    pub(super) bulk: Bulk,
    /// Its place in the journal, from the moment on at which its stream begins: it keeps what it will need.
    pub(super) reader: Option<Reader>,
    /// The stream is being sent.
    pub(super) streaming: bool,
    /// The kernel had room when last asked.
    pub(super) writable: bool,
    /// The kernel may have bytes.
    pub(super) readable: bool,
    queue: VecDeque<Piece>,
    queued_bytes: usize,
    file: Option<FilePart>,
    input: Vec<u8>,
    parser: RequestParser,
    over_soft_since: Option<Mono>,
}

impl Replica {
    /// A connection that was just handed over.
    pub(super) fn new(adopted: Adopted) -> Replica {
        let Adopted { conn, meta, session, output, input, .. } = adopted;
        let mut replica = Replica {
            conn,
            meta,
            session,
            bulk: Bulk::None,
            reader: None,
            streaming: false,
            writable: true,
            readable: true,
            queue: VecDeque::new(),
            queued_bytes: 0,
            file: None,
            input,
            parser: RequestParser::new(),
            over_soft_since: None,
        };
        replica.queue(output);
        replica
    }

    /// Queues bytes in front of the stream.
    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        self.queue_shared(Arc::new(bytes));
    }

    /// As [`Replica::queue`], for bytes that others get, too.
    pub(super) fn queue_shared(&mut self, bytes: Arc<Vec<u8>>) {
        if !bytes.is_empty() {
            self.queued_bytes += bytes.len();
            self.queue.push_back(Piece { bytes, written: 0 });
        }
    }

    /// Queues a snapshot that lies in a file.
    pub(super) fn queue_file(&mut self, file: Arc<File>, len: u64) {
        self.file = Some(FilePart { file, at: 0, end: len });
    }

    /// Queued bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Whether everything that was queued is written.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.file.is_none()
    }

    /// Whether writing could make progress now.
    pub(super) fn has_work(&self) -> bool {
        let lags = self.streaming && self.reader.as_ref().is_some_and(|r| r.lag_bytes() > 0);
        self.writable && (!self.is_drained() || lags)
    }

    /// Writes up to about `budget` bytes; gives how many.
    pub(super) fn pump(&mut self, budget: usize) -> Result<usize, Gone> {
        let mut sent = 0;
        while self.writable && sent < budget {
            let n = if let Some(piece) = self.queue.front() {
                self.conn.write(&piece.bytes[piece.written..])
            } else if self.file.is_some() {
                self.read_file()?;
                continue;
            } else if self.streaming {
                let Some(reader) = &mut self.reader else { break };
                match reader.chunk() {
                    Ok([]) => break,
                    Ok(chunk) => self.conn.write(chunk),
                    Err(_) => return Err(Gone::Detached),
                }
            } else {
                break;
            };
            match n {
                Moved::Bytes(n) => {
                    sent += n;
                    self.consume(n);
                }
                Moved::WouldBlock => self.writable = false,
                Moved::Closed => return Err(Gone::Lost),
            }
        }
        if sent > 0 {
            self.meta.net_out.fetch_add(sent as u64, Ordering::Relaxed);
        }
        Ok(sent)
    }

    fn consume(&mut self, n: usize) {
        match self.queue.front_mut() {
            Some(piece) => {
                piece.written += n;
                self.queued_bytes -= n;
                if piece.written == piece.bytes.len() {
                    self.queue.pop_front();
                }
            }
            None => {
                if let Some(reader) = &mut self.reader {
                    reader.consume(n);
                }
            }
        }
    }

    /// Queues the next part of the snapshot file.
    fn read_file(&mut self) -> Result<(), Gone> {
        let Some(part) = &mut self.file else { return Ok(()) };
        let want = usize::try_from(part.end - part.at).unwrap_or(usize::MAX).min(FILE_READ_BYTES);
        let mut bytes = vec![0; want];
        if let Err(e) = part.file.read_exact_at(&mut bytes, part.at) {
            return Err(Gone::broken(format!("Read error sending DB to replica: {e}")));
        }
        part.at += want as u64;
        if part.at == part.end {
            self.file = None;
        }
        self.queue(bytes);
        Ok(())
    }

    /// Reads and handles what it says.
    pub(super) fn listen(&mut self, now: Mono, buf: &mut [u8], env: &ReplconfEnv<'_>) -> Result<Said, Gone> {
        let mut said = Said::default();
        self.handle_input(now, env, &mut said)?;
        // A bound on reads, so that one that talks without end does not keep the others waiting.
        for _ in 0..READS_MAX {
            if !self.readable {
                break;
            }
            match self.conn.read(buf) {
                Moved::Bytes(n) => {
                    self.meta.net_in.fetch_add(n as u64, Ordering::Relaxed);
                    self.meta.last_active_us.store(now.as_micros(), Ordering::Relaxed);
                    self.input.extend_from_slice(&buf[..n]);
                    self.handle_input(now, env, &mut said)?;
                }
                Moved::WouldBlock => self.readable = false,
                Moved::Closed => return Err(Gone::Lost),
            }
        }
        Ok(said)
    }

    fn handle_input(&mut self, now: Mono, env: &ReplconfEnv<'_>, said: &mut Said) -> Result<(), Gone> {
        let limits = Limits::client(INPUT_BYTES_MAX as u64);
        let (mut at, mut ranges) = (0, Vec::new());
        let input = std::mem::take(&mut self.input);
        loop {
            ranges.clear();
            match self.parser.next(&input[at..], &limits, &mut ranges) {
                Step::Complete { consumed, .. } => {
                    self.handle_command(now, Args::new(&input[at..], &ranges), env, said)?;
                    at += consumed;
                }
                Step::Inline { consumed, args } => {
                    let words = OwnedArgs::from_slices(&args);
                    self.handle_command(now, words.as_args(), env, said)?;
                    at += consumed;
                }
                // A bare line end says that it is alive, loading.
                Step::Empty { consumed } => at += consumed,
                Step::Incomplete => break,
                Step::Fail(e) => {
                    let text = String::from_utf8_lossy(&e.text()).into_owned();
                    return Err(Gone::broken(format!("Protocol error from replica: {text}")));
                }
            }
        }
        self.input = input;
        self.input.drain(..at);
        if self.input.len() > INPUT_BYTES_MAX {
            return Err(Gone::broken("Closing replica that reached max query buffer length"));
        }
        Ok(())
    }

    fn handle_command(
        &mut self,
        now: Mono,
        args: Args<'_>,
        env: &ReplconfEnv<'_>,
        said: &mut Said,
    ) -> Result<(), Gone> {
        let spec = named(args);
        if let Some(spec) = spec {
            self.meta.last_command.store(i64::from(spec.id().0), Ordering::Relaxed);
        }
        self.meta.commands.fetch_add(1, Ordering::Relaxed);
        let reply = match baton_commands::find(args) {
            Err(fail) => Reply::refusal(&fail),
            Ok(spec) => match spec.run {
                Run::Node(N::Replconf) => self.hear_replconf(now, args, env, said),
                // Asking again is ignored; everything else would be answered, in the middle of the stream (replication 2.4).
                Run::Node(N::Psync | N::Sync) => Reply::None,
                _ if spec.flags.intersects(TOUCHES_KEYS) => Reply::Error(NO_KEYSPACE.into()),
                _ => Reply::Some,
            },
        };
        let error = match reply {
            Reply::None => return Ok(()),
            Reply::Some => None,
            Reply::Error(text) => Some(text),
        };
        let name = spec.map_or("<unknown>", |s| s.name);
        let line = self.meta.line(now);
        let mut lines = vec![format!("Replica generated a reply to command '{name}', disconnecting it: {line}")];
        lines.extend(error.map(|text| {
            format!(
                "== CRITICAL == This primary is sending an error to its replica: '{text}' after processing the command \
                 '{name}'"
            )
        }));
        Err(Gone::Broken(lines))
    }

    fn hear_replconf(&mut self, now: Mono, args: Args<'_>, env: &ReplconfEnv<'_>, said: &mut Said) -> Reply {
        let options: Vec<&[u8]> = args.skip(1).iter().collect();
        match self.session.handle_replconf(now, &options, env) {
            Replconf::Acked { stream_from } => {
                said.acked = true;
                said.starts |= stream_from.is_some();
                Reply::None
            }
            Replconf::AckWanted => {
                said.ack_wanted = true;
                Reply::None
            }
            Replconf::Ignored => Reply::None,
            Replconf::Ok => Reply::Some,
            Replconf::Error(error) => Reply::Error(error.to_string()),
        }
    }

    /// Whether more waits for it than it may let pile up (replication 2.1); the limits never fall below the backlog.
    pub(super) fn over_limit(&mut self, now: Mono, limit: BufferLimit, backlog_bytes: u64) -> bool {
        let lag = self.reader.as_ref().map_or(0, Reader::lag_bytes);
        let waiting = self.queued_bytes as u64 + lag;
        let over = |limit: u64| limit > 0 && waiting > limit.max(backlog_bytes);
        if !over(limit.soft_bytes) {
            self.over_soft_since = None;
        }
        let since = over(limit.soft_bytes).then(|| *self.over_soft_since.get_or_insert(now));
        let too_long = since.is_some_and(|since| now.since(since).as_secs() as i64 >= limit.soft_seconds.max(1));
        over(limit.hard_bytes) || too_long
    }

    /// Mirrors what others see.
    pub(super) fn publish(&self) {
        let lag = self.reader.as_ref().filter(|_| self.streaming).map_or(0, Reader::lag_bytes);
        self.meta.output_bytes.store(self.queued_bytes as u64 + lag, Ordering::Relaxed);
    }

    /// Where its stream begins: the offset of the cut, or of the request.
    pub(super) fn stream_from(&self) -> Option<Offset> {
        self.reader.as_ref().map(Reader::position)
    }
}

/// The command or subcommand that a request names, whatever its arguments.
fn named(args: Args<'_>) -> Option<&'static CommandSpec> {
    let spec = baton_commands::lookup(args.name())?;
    if spec.subcommands.is_empty() { Some(spec) } else { spec.subcommand(args.get(1)?) }
}

#[cfg(test)]
#[path = "replica_test.rs"]
mod tests;
