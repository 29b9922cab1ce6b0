//! The states of the link and what leads from one to the next. Parsing is in `reply`, the introduction in `settings`.

use super::lines::LineBuffer;
use super::reply::{Preamble, PsyncReply};
use super::settings::Asked;
use super::takeover::{self, Takeover};
use super::{ConnId, Effect, Input, Payload, Position, Settings, Start};
use crate::LogLine;
use crate::text::{command, shown};
use baton_base::{Mono, Offset, ReplId};
use std::collections::VecDeque;
use std::time::Duration;

/// Period of acknowledgements, and of signs of life while a snapshot is loaded.
const ACK_PERIOD: Duration = Duration::from_secs(1);

/// The replica's side of a synchronisation. See the module for how to drive it.
#[derive(Debug)]
pub struct ReplicaLink {
    pub(super) settings: Settings,
    pub(super) primary: Option<Primary>,
    /// What the dataset is, as far as it has a history that can go on.
    position: Option<Position>,
    /// Fsynced up to here, if an AOF is written.
    fsynced: Option<Offset>,
    pub(super) state: State,
    conn_last: u64,
    /// Attempts that failed since the link last stood.
    failures: u32,
    /// When the link was lost; none if it never stood.
    pub(super) down_since: Option<Mono>,
}

/// Whom the link follows.
#[derive(Debug)]
pub(super) struct Primary {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) takeover: Takeover,
}

#[derive(Debug)]
pub(super) enum State {
    /// Follows nobody.
    None,
    /// The next attempt is made at this time.
    Connect { at: Mono },
    /// Waits for the connection.
    Connecting(Wire),
    /// Waits for replies.
    Handshake { wire: Wire, step: Step, lines: LineBuffer },
    /// Waits for the snapshot, or receives and loads it.
    Transfer { wire: Wire, transfer: Transfer },
    /// The stream flows.
    Connected { wire: Wire, ack_at: Mono, acks: bool },
}

/// A connection, and when it last showed life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    pub(super) conn: ConnId,
    pub(super) heard_at: Mono,
}

/// Whose reply is awaited.
#[derive(Debug)]
pub(super) enum Step {
    Ping,
    Introduction(VecDeque<Asked>),
    Psync,
}

#[derive(Debug)]
pub(super) struct Transfer {
    source: Option<Position>,
    /// Present until the line before the payload was read.
    preamble: Option<LineBuffer>,
    /// Length of the payload if it was told.
    pub(super) total: Option<u64>,
    pub(super) read: u64,
    /// When the next sign of life is sent.
    newline_at: Mono,
}

/// When to try again.
enum Retry {
    /// At once if nothing failed since the link stood; the text ends the log line.
    AtOnce(&'static str),
    /// After a pause.
    Later,
}

impl ReplicaLink {
    /// A link that follows nobody.
    pub fn new(settings: Settings) -> Self {
        ReplicaLink {
            settings,
            primary: None,
            position: None,
            fsynced: None,
            state: State::None,
            conn_last: 0,
            failures: 0,
            down_since: None,
        }
    }

    /// Takes over changed settings; the introduction of the next connection uses them.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Says what was applied: the position that is acknowledged, and asked for after a lost connection. Only moves at
    /// command boundaries outside of transactions (replication I3). `fsynced` is sent along if an AOF is written.
    pub fn applied(&mut self, offset: Offset, fsynced: Option<Offset>) {
        if let (State::Connected { .. }, Some(position)) = (&self.state, &mut self.position) {
            position.offset = position.offset.max(offset);
        }
        self.fsynced = fsynced;
    }

    /// Says what is synced to disk, if an AOF is written.
    pub fn fsynced(&mut self, fsynced: Option<Offset>) {
        self.fsynced = fsynced;
    }

    /// When [`Input::Tick`] is wanted at the latest.
    pub fn deadline(&self) -> Mono {
        let silence = |wire: &Wire| wire.heard_at + self.settings.timeout + Duration::from_micros(1);
        match &self.state {
            State::None => Mono::NEVER,
            State::Connect { at } => *at,
            State::Connecting(wire) | State::Handshake { wire, .. } => silence(wire),
            State::Transfer { wire, transfer } => silence(wire).min(transfer.newline_at),
            State::Connected { wire, ack_at, .. } => silence(wire).min(*ack_at),
        }
    }

    /// Handles one event.
    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Start(start) => self.start(now, start, out),
            Input::Stop => self.stop(out),
            Input::Connected(conn) if self.awaits(conn) => {
                self.note_attempt(now, false, out);
                self.greet(now, conn, out);
            }
            Input::ConnectFailed { conn, reason, refused } if self.awaits(conn) => {
                self.note_attempt(now, refused, out);
                out.push(warning(format!("Error condition on socket for SYNC: {}", shown(reason.as_bytes()))));
                self.fail(now, Retry::Later, out);
            }
            Input::Lost { conn, resumable } if self.is_current(conn) => self.lost(now, resumable, out),
            Input::Heard { conn, bytes } if self.is_current(conn) => self.heard(now, bytes),
            Input::DataReplaced(conn) if self.is_current(conn) => self.position = None,
            Input::TransferDone(conn) if self.is_current(conn) => self.finish_transfer(now, conn, out),
            Input::TransferFailed(conn) if self.is_current(conn) => {
                self.fail(now, Retry::AtOnce(" after failure"), out);
            }
            Input::AckNow => self.acknowledge(out),
            Input::Tick => self.tick(now, out),
            // About a connection that is no more.
            _ => {}
        }
    }

    /// Takes bytes that arrived: reply lines and the line before a snapshot, nothing else. Gives how many were taken; what
    /// remains belongs to whoever the effects name, or to nobody if the connection was closed.
    pub fn receive(&mut self, now: Mono, conn: ConnId, bytes: &[u8], out: &mut Vec<Effect>) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.is_current(conn) {
            let lines = match &mut self.state {
                State::Handshake { lines, .. } => lines,
                State::Transfer { transfer: Transfer { preamble: Some(lines), .. }, .. } => lines,
                _ => break,
            };
            let Ok((n, line)) = lines.take(&bytes[taken..]) else {
                out.push(warning("Failed to read response from the server: line too long"));
                self.fail(now, Retry::Later, out);
                break;
            };
            taken += n;
            if let Some(wire) = self.wire_mut() {
                wire.heard_at = now;
            }
            if let Some(line) = line {
                self.line(now, conn, &line, out);
            }
        }
        taken
    }

    fn start(&mut self, now: Mono, start: Start, out: &mut Vec<Effect>) {
        self.close(out);
        if start.was_primary && start.resume.is_some() {
            out.push(notice(
                "Before turning into a replica, using my own primary parameters to synthesize a cached primary: \
                 I may be able to synchronize with the new primary with just a partial transfer.",
            ));
        }
        self.position = start.resume;
        self.failures = 0;
        self.down_since = None;
        let takeover = Takeover::at_start(start.takeover);
        self.primary = Some(Primary { host: start.host, port: start.port, takeover });
        self.connect(now, "Connecting to PRIMARY", "", out);
    }

    fn stop(&mut self, out: &mut Vec<Effect>) {
        self.close(out);
        self.primary = None;
        self.position = None;
        self.down_since = None;
        self.state = State::None;
    }

    fn connect(&mut self, now: Mono, verb: &str, suffix: &str, out: &mut Vec<Effect>) {
        let Some(primary) = &self.primary else { return };
        self.conn_last += 1;
        let conn = ConnId(self.conn_last);
        out.push(notice(format!("{verb} {}:{}{suffix}", primary.host, primary.port)));
        out.push(Effect::Connect { conn, host: primary.host.clone(), port: primary.port });
        out.push(notice("PRIMARY <-> REPLICA sync started"));
        self.state = State::Connecting(Wire { conn, heard_at: now });
    }

    fn greet(&mut self, now: Mono, conn: ConnId, out: &mut Vec<Effect>) {
        out.push(notice("Non blocking connect for SYNC fired the event."));
        out.push(Effect::Send { conn, bytes: command(&[b"PING"]) });
        let wire = Wire { conn, heard_at: now };
        self.state = State::Handshake { wire, step: Step::Ping, lines: LineBuffer::default() };
    }

    fn line(&mut self, now: Mono, conn: ConnId, line: &[u8], out: &mut Vec<Effect>) {
        match &mut self.state {
            State::Transfer { .. } => self.preamble(now, conn, line, out),
            // A bare line end says no more than that the primary lives.
            State::Handshake { .. } if line.is_empty() => {}
            State::Handshake { step: Step::Ping, .. } => self.pong(now, conn, line, out),
            State::Handshake { step: Step::Introduction(asked), .. } => {
                let (last, done) = Asked::take(asked, line);
                self.introduced(now, conn, last, done, line, out);
            }
            State::Handshake { step: Step::Psync, .. } => self.psync_reply(now, conn, line, out),
            _ => {}
        }
    }

    fn pong(&mut self, now: Mono, conn: ConnId, line: &[u8], out: &mut Vec<Effect>) {
        let fine: [&[u8]; 4] = [b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"];
        if !fine.iter().any(|prefix| line.starts_with(prefix)) {
            out.push(warning(format!("Error reply to PING from primary: '{}'", shown(line))));
            return self.fail(now, Retry::Later, out);
        }
        out.push(notice("Primary replied to PING, replication can continue..."));
        let (bytes, asked) = self.settings.introduction();
        out.push(Effect::Send { conn, bytes });
        self.step(Step::Introduction(asked));
    }

    fn introduced(
        &mut self,
        now: Mono,
        conn: ConnId,
        asked: Option<Asked>,
        done: bool,
        line: &[u8],
        out: &mut Vec<Effect>,
    ) {
        if let Some(text) = asked.and_then(|about| self.settings.objection(about, line)) {
            out.push(warning(text));
            return self.fail(now, Retry::Later, out);
        }
        match asked {
            Some(Asked::Auth) if line.starts_with(b"-") => {
                out.push(warning(format!("Unable to AUTH to PRIMARY: {}", shown(line))));
                return self.fail(now, Retry::Later, out);
            }
            Some(option) if line.starts_with(b"-") => out.push(notice(format!(
                "(Non critical) Primary does not understand REPLCONF {}: {}",
                option.name(),
                shown(line)
            ))),
            _ => {}
        }
        if done {
            self.ask_psync(conn, out);
        }
    }

    fn ask_psync(&mut self, conn: ConnId, out: &mut Vec<Effect>) {
        let offset = self.position.map(|p| p.offset.plus(1).to_string());
        let (id, wanted): (&[u8], &[u8]) = match (&self.position, &offset) {
            (Some(position), Some(offset)) => {
                out.push(notice(format!("Trying a partial resynchronization (request {}:{offset}).", position.replid)));
                (position.replid.as_bytes(), offset.as_bytes())
            }
            _ => {
                out.push(notice("Partial resynchronization not possible (no cached primary)"));
                (b"?", b"-1")
            }
        };
        let mut args = vec![&b"PSYNC"[..], id, wanted];
        let promotes = self.primary.as_mut().is_some_and(|p| p.takeover.count_request());
        if promotes {
            args.push(b"FAILOVER");
        }
        out.push(Effect::Send { conn, bytes: command(&args) });
        if promotes {
            out.push(Effect::TakeoverAsked);
        }
        self.step(Step::Psync);
    }

    fn psync_reply(&mut self, now: Mono, conn: ConnId, line: &[u8], out: &mut Vec<Effect>) {
        let reply = PsyncReply::read(line);
        // The primary can't go on with something that was not asked for.
        let nothing_to_continue = matches!(reply, PsyncReply::Continue(_)) && self.position.is_none();
        let accepted = matches!(reply, PsyncReply::Continue(_) | PsyncReply::FullResync(_)) && !nothing_to_continue;
        if self.was_promoted_before(line) {
            self.primary.iter_mut().for_each(|p| p.takeover = Takeover::Promoted);
            self.ask_psync(conn, out);
            return;
        }
        let is_promoted = self.primary.as_ref().is_some_and(|p| p.takeover == Takeover::Promoted);
        if is_promoted && reply == PsyncReply::TryLater {
            self.fail(now, Retry::Later, out);
            return;
        }
        if self.is_takeover() && !accepted {
            out.push(notice(format!("Primary does not support PSYNC or is in error state (reply: {})", shown(line))));
            self.stop(out);
            out.push(Effect::TakeoverRejected);
            return;
        }
        if self.is_takeover() {
            out.push(Effect::TakeoverAccepted);
            self.primary.iter_mut().for_each(|p| p.takeover = Takeover::None);
        }
        match (reply, self.position) {
            (PsyncReply::Continue(id), Some(position)) => self.go_on(now, conn, position, id, out),
            (PsyncReply::FullResync(source), _) => self.await_payload(now, source, out),
            (PsyncReply::TryLater, _) => {
                let reply = shown(line);
                out.push(notice(format!("Primary is currently unable to PSYNC but should be in the future: {reply}")));
                self.fail(now, Retry::Later, out);
            }
            (PsyncReply::NotSupported, _) => {
                out.push(notice(format!(
                    "Primary does not support PSYNC or is in error state (reply: {})",
                    shown(line)
                )));
                self.retry_with_sync(now, conn, out);
            }
            (PsyncReply::Unexpected | PsyncReply::Continue(_), _) => {
                out.push(warning(format!("Unexpected reply to PSYNC from primary: {}", shown(line))));
                self.retry_with_sync(now, conn, out);
            }
        }
    }

    fn go_on(&mut self, now: Mono, conn: ConnId, position: Position, id: Option<ReplId>, out: &mut Vec<Effect>) {
        out.push(notice("Successful partial resynchronization with primary."));
        if let Some(new) = id.filter(|id| *id != position.replid) {
            out.push(notice(format!("Primary replication ID changed to {new}")));
        }
        self.position = Some(Position { replid: id.unwrap_or(position.replid), ..position });
        out.push(Effect::ContinueHistory { replid: id });
        out.push(notice("PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization."));
        self.become_connected(now, conn, true, out);
    }

    fn retry_with_sync(&mut self, now: Mono, conn: ConnId, out: &mut Vec<Effect>) {
        out.push(notice("Retrying with SYNC..."));
        out.push(Effect::Send { conn, bytes: b"SYNC\r\n".to_vec() });
        self.enter_transfer(now, None);
    }

    fn await_payload(&mut self, now: Mono, source: Option<Position>, out: &mut Vec<Effect>) {
        match source {
            Some(p) => out.push(notice(format!("Full resync from primary: {}:{}", p.replid, p.offset))),
            None => out.push(warning("Primary replied with wrong +FULLRESYNC syntax.")),
        }
        self.enter_transfer(now, source);
    }

    fn enter_transfer(&mut self, now: Mono, source: Option<Position>) {
        let Some(wire) = self.wire_mut().copied() else { return };
        let preamble = Some(LineBuffer::default());
        let transfer = Transfer { source, preamble, total: None, read: 0, newline_at: now + ACK_PERIOD };
        self.state = State::Transfer { wire, transfer };
    }

    fn preamble(&mut self, now: Mono, conn: ConnId, line: &[u8], out: &mut Vec<Effect>) {
        let State::Transfer { transfer, .. } = &mut self.state else { return };
        let trouble = match Preamble::read(line) {
            Preamble::Alive => return,
            Preamble::Payload(payload) => {
                transfer.preamble = None;
                transfer.total = match payload {
                    Payload::Len(n) => Some(n),
                    Payload::Eof(_) => None,
                };
                let what = transfer
                    .total
                    .map_or("streamed RDB from primary with EOF".into(), |n| format!("{n} bytes from primary"));
                out.push(notice(format!("PRIMARY <-> REPLICA sync: receiving {what} to parser")));
                out.push(Effect::BeginTransfer { conn, payload, source: transfer.source });
                return;
            }
            Preamble::Aborted => format!("PRIMARY aborted replication with an error: {}", shown(&line[1..])),
            Preamble::BadProtocol => format!(
                "Bad protocol from PRIMARY, the first byte is not '$' (we received '{}'), are you sure the host and \
                 port are right?",
                shown(line)
            ),
        };
        out.push(warning(trouble));
        self.fail(now, Retry::AtOnce(" after failure"), out);
    }

    fn finish_transfer(&mut self, now: Mono, conn: ConnId, out: &mut Vec<Effect>) {
        let State::Transfer { transfer: Transfer { source, preamble: None, .. }, .. } = self.state else { return };
        self.position = source;
        out.push(Effect::AdoptHistory(source));
        out.push(notice("PRIMARY <-> REPLICA sync: Finished with success"));
        // A primary that gave no position predates PSYNC and does not know acknowledgements (replication 2.2).
        self.become_connected(now, conn, source.is_some(), out);
    }

    fn become_connected(&mut self, now: Mono, conn: ConnId, acks: bool, out: &mut Vec<Effect>) {
        self.failures = 0;
        self.down_since = None;
        let wire = Wire { conn, heard_at: now };
        self.state = State::Connected { wire, ack_at: now + ACK_PERIOD, acks };
        let from = self.position.map_or(Offset(0), |p| p.offset);
        out.push(Effect::StreamStarts { conn, from });
        self.acknowledge(out);
    }

    fn acknowledge(&mut self, out: &mut Vec<Effect>) {
        let position = self.position.filter(|_| !self.settings.acks_frozen);
        let (State::Connected { wire, acks: true, .. }, Some(position)) = (&self.state, position) else { return };
        let (offset, fsynced) = (position.offset.to_string(), self.fsynced.map(|o| o.to_string()));
        let mut args = vec![&b"REPLCONF"[..], b"ACK", offset.as_bytes()];
        if let Some(fsynced) = &fsynced {
            args.extend([&b"FACK"[..], fsynced.as_bytes()]);
        }
        out.push(Effect::Send { conn: wire.conn, bytes: command(&args) });
    }

    fn heard(&mut self, now: Mono, bytes: u64) {
        if let Some(wire) = self.wire_mut() {
            wire.heard_at = now;
        }
        if let State::Transfer { transfer, .. } = &mut self.state {
            transfer.read = transfer.read.saturating_add(bytes);
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if let State::Connect { at } = self.state {
            if at <= now {
                self.connect(now, "Connecting to PRIMARY", "", out);
            }
            return;
        }
        let timeout = self.settings.timeout;
        if self.wire_mut().is_some_and(|wire| now.since(wire.heard_at) > timeout) {
            self.silence(now, out);
            return;
        }
        match &mut self.state {
            State::Transfer { wire, transfer } if transfer.newline_at <= now => {
                transfer.newline_at = now + ACK_PERIOD;
                if transfer.preamble.is_none() {
                    out.push(Effect::Send { conn: wire.conn, bytes: b"\n".to_vec() });
                }
            }
            State::Connected { ack_at, .. } if *ack_at <= now => {
                *ack_at = now + ACK_PERIOD;
                self.acknowledge(out);
            }
            _ => {}
        }
    }

    fn silence(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let text = match self.state {
            State::Connected { .. } => {
                out.push(warning("PRIMARY timeout: no data nor PING received..."));
                return self.lost(now, true, out);
            }
            State::Transfer { .. } => {
                "Timeout receiving bulk data from PRIMARY... If the problem persists try to set the 'repl-timeout' \
                 parameter in valkey.conf to a larger value."
            }
            _ => "Timeout connecting to the PRIMARY...",
        };
        out.push(warning(text));
        self.fail(now, Retry::AtOnce(" after failure"), out);
    }

    fn lost(&mut self, now: Mono, resumable: bool, out: &mut Vec<Effect>) {
        match &self.state {
            State::Connected { .. } => {
                out.push(notice("Connection with primary lost."));
                if resumable && self.position.is_some() {
                    out.push(notice("Caching the disconnected primary state."));
                } else {
                    self.position = None;
                }
                self.down_since = Some(now);
                self.fail(now, Retry::AtOnce(""), out);
            }
            State::Transfer { .. } => {
                out.push(warning("I/O error trying to sync with PRIMARY: connection lost"));
                self.fail(now, Retry::AtOnce(" after failure"), out);
            }
            State::Handshake { step: Step::Psync, .. } => {
                out.push(warning("Primary did not reply to PSYNC, will try later"));
                self.fail(now, Retry::Later, out);
            }
            _ => {
                out.push(warning("Failed to read response from the server: connection lost"));
                self.fail(now, Retry::Later, out);
            }
        }
    }

    /// Gives the connection up and plans the next attempt. Failures in a row slow down, whatever their kind.
    fn fail(&mut self, now: Mono, retry: Retry, out: &mut Vec<Effect>) {
        self.close(out);
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        match retry {
            Retry::AtOnce(suffix) if first => self.connect(now, "Reconnecting to PRIMARY", suffix, out),
            _ if self.is_takeover() => self.state = State::Connect { at: now + takeover::RETRY },
            _ => self.state = State::Connect { at: now + self.settings.retry_pause(self.failures) },
        }
    }

    fn close(&mut self, out: &mut Vec<Effect>) {
        if let Some(wire) = self.wire_mut() {
            out.push(Effect::Close(wire.conn));
        }
        self.state = State::None;
    }

    fn step(&mut self, to: Step) {
        if let State::Handshake { step, .. } = &mut self.state {
            *step = to;
        }
    }

    fn wire_mut(&mut self) -> Option<&mut Wire> {
        match &mut self.state {
            State::None | State::Connect { .. } => None,
            State::Connecting(wire)
            | State::Handshake { wire, .. }
            | State::Transfer { wire, .. }
            | State::Connected { wire, .. } => Some(wire),
        }
    }

    fn is_current(&mut self, conn: ConnId) -> bool {
        self.wire_mut().is_some_and(|wire| wire.conn == conn)
    }

    fn awaits(&self, conn: ConnId) -> bool {
        matches!(&self.state, State::Connecting(wire) if wire.conn == conn)
    }
}

fn notice(text: impl Into<String>) -> Effect {
    Effect::Log(LogLine::notice(text))
}

fn warning(text: impl Into<String>) -> Effect {
    Effect::Log(LogLine::warning(text))
}
