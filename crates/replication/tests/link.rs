//! Transcripts of the replica's link: what is said and done, line by line. `<` came from the primary, `>` is sent to it,
//! `!` is another effect, `#` a log line.

use baton_base::{Mono, NodeId, Offset, ReplId};
use baton_replication::ReplicaLink;
use baton_replication::link::{Auth, ConnId, Effect, Input, Payload, Position, Settings, Start};
use proptest::prelude::*;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

struct World {
    link: ReplicaLink,
    now: Mono,
    conn: ConnId,
    trace: Vec<String>,
}

fn replid(text: &str) -> ReplId {
    ReplId::parse(text.as_bytes()).unwrap()
}

fn at(offset: u64) -> Option<Position> {
    Some(Position { replid: replid(ID), offset: Offset(offset) })
}

/// Commands as words, the way they read in a transcript.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let Some(_) = text.strip_prefix('*') else { return text.escape_debug().to_string() };
    let mut out = String::new();
    for line in text.split("\r\n").filter(|l| !l.is_empty()) {
        match line.as_bytes()[0] {
            b'*' if !out.is_empty() => out.push_str(" | "),
            b'*' | b'$' => {}
            _ if out.is_empty() || out.ends_with(" | ") => out.push_str(line),
            _ => out.push_str(&format!(" {line}")),
        }
    }
    out
}

impl World {
    fn new(settings: Settings) -> Self {
        World { link: ReplicaLink::new(settings), now: Mono::ZERO, conn: ConnId(0), trace: vec![] }
    }

    /// A link that was told to follow and is connected.
    fn following(settings: Settings, resume: Option<Position>) -> Self {
        let mut world = World::new(settings);
        world.start(resume, false);
        world.give(Input::Connected(world.conn));
        world.trace.clear();
        world
    }

    fn start(&mut self, resume: Option<Position>, takeover: bool) {
        let (host, port) = ("127.0.0.1".into(), 6380);
        self.give(Input::Start(Start { host, port, resume, was_primary: false, takeover }));
    }

    fn give(&mut self, input: Input) {
        let mut out = vec![];
        self.link.handle(self.now, input, &mut out);
        self.note(out);
    }

    fn say(&mut self, text: &str) -> usize {
        let mut out = vec![];
        let taken = self.link.receive(self.now, self.conn, text.as_bytes(), &mut out);
        for line in text[..taken].split_terminator('\n') {
            self.trace.push(format!("< {line}").trim_end().to_string());
        }
        self.note(out);
        taken
    }

    fn pass(&mut self, ms: u64) {
        self.now = Mono::from_millis(self.now.as_millis() + ms);
        self.give(Input::Tick);
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.trace.push(match effect {
                Effect::Log(line) => format!("# {}", line.text),
                Effect::Send { conn, bytes } => {
                    assert_eq!(conn, self.conn);
                    format!("> {}", words(&bytes))
                }
                Effect::Connect { conn, host, port } => {
                    assert!(conn > self.conn);
                    self.conn = conn;
                    format!("! connect {host} {port}")
                }
                Effect::Close(conn) => {
                    assert_eq!(conn, self.conn);
                    "! close".into()
                }
                Effect::BeginTransfer { payload, source, .. } => {
                    let end = match payload {
                        Payload::Len(n) => format!("{n} bytes"),
                        Payload::Eof(mark) => format!("up to {}", String::from_utf8_lossy(&mark)),
                    };
                    format!("! transfer {end} of {:?}", source.map(|p| p.offset.0))
                }
                Effect::AdoptHistory(position) => format!("! adopt {:?}", position.map(|p| p.offset.0)),
                Effect::ContinueHistory { replid } => format!("! continue {replid:?}"),
                Effect::StreamStarts { from, .. } => format!("! stream from {from}"),
                Effect::TakeoverAsked => "! takeover asked".into(),
                Effect::TakeoverGone => "! takeover gone".into(),
                Effect::TakeoverAccepted => "! takeover accepted".into(),
                Effect::TakeoverRejected => "! takeover rejected".into(),
            });
        }
    }

    #[track_caller]
    fn expect(&mut self, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(self.trace, expected);
        self.trace.clear();
    }

    /// Everything up to PSYNC's reply, without a look at it.
    fn introduce(&mut self) {
        self.say("+PONG\r\n");
        self.say("+OK\r\n+OK\r\n+OK\r\n");
        self.trace.clear();
    }
}

#[test]
fn full_synchronisation_with_valkey() {
    let mut w = World::new(Settings { listening_port: 27431, ..Settings::default() });
    w.start(None, false);
    w.give(Input::Connected(w.conn));
    w.say("+PONG\r\n");
    w.say("+OK\r\n+O");
    w.say("K\r\n+OK\r\n");
    w.say("\n");
    w.say(&format!("+FULLRESYNC {ID} 100\r\n"));
    w.say("\n");
    assert_eq!(w.say("$18\r\nREDIS0011"), 5, "the payload is left alone");
    w.give(Input::Heard { conn: w.conn, bytes: 18 });
    w.give(Input::DataReplaced(w.conn));
    w.give(Input::TransferDone(w.conn));
    w.give(Input::AckNow);
    w.expect(&format!(
        "
        # Connecting to PRIMARY 127.0.0.1:6380
        ! connect 127.0.0.1 6380
        # PRIMARY <-> REPLICA sync started
        # Non blocking connect for SYNC fired the event.
        > PING
        < +PONG
        # Primary replied to PING, replication can continue...
        > REPLCONF listening-port 27431 | REPLCONF capa eof capa psync2 | REPLCONF version 9.1.2
        < +OK
        < +O
        < K
        < +OK
        # Partial resynchronization not possible (no cached primary)
        > PSYNC ? -1
        <
        < +FULLRESYNC {ID} 100
        # Full resync from primary: {ID}:100
        <
        < $18
        # PRIMARY <-> REPLICA sync: receiving 18 bytes from primary to parser
        ! transfer 18 bytes of Some(100)
        ! adopt Some(100)
        # PRIMARY <-> REPLICA sync: Finished with success
        ! stream from 100
        > REPLCONF ACK 100
        > REPLCONF ACK 100
        "
    ));
}

/// Redis 7.0 knows neither `version` nor anything after it, and answers the rest alike.
#[test]
fn streamed_snapshot_from_redis_7() {
    let mut w = World::following(Settings::default(), at(7));
    w.say("+PONG\r\n");
    w.say("+OK\r\n+OK\r\n-ERR Unrecognized REPLCONF option: version\r\n");
    let mark = "91d387a1e0edb2c5c97aafd1c5c6654e1f92496f";
    w.say(&format!("+FULLRESYNC {NEW} 0\r\n$EOF:{mark}\r\nREDIS0010"));
    w.give(Input::TransferDone(w.conn));
    w.link.applied(Offset(50), Some(Offset(20)));
    w.pass(1000);
    w.expect(&format!(
        "
        < +PONG
        # Primary replied to PING, replication can continue...
        > REPLCONF listening-port 6379 | REPLCONF capa eof capa psync2 | REPLCONF version 9.1.2
        < +OK
        < +OK
        < -ERR Unrecognized REPLCONF option: version
        # (Non critical) Primary does not understand REPLCONF VERSION: -ERR Unrecognized REPLCONF option: version
        # Trying a partial resynchronization (request {ID}:8).
        > PSYNC {ID} 8
        < +FULLRESYNC {NEW} 0
        < $EOF:{mark}
        # Full resync from primary: {NEW}:0
        # PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to parser
        ! transfer up to {mark} of Some(0)
        ! adopt Some(0)
        # PRIMARY <-> REPLICA sync: Finished with success
        ! stream from 0
        > REPLCONF ACK 0
        > REPLCONF ACK 50 FACK 20
        "
    ));
}

#[test]
fn a_whole_introduction() {
    let auth = Some(Auth { user: Some("u".into()), password: b"pw".to_vec() });
    let node_id = NodeId::parse(&[b'c'; 40]).ok();
    let settings =
        Settings { listening_port: 99, announce_ip: Some("10.0.0.1".into()), auth, node_id, ..Settings::default() };
    assert!(!format!("{settings:?}").contains("pw"));
    let mut w = World::following(settings, None);
    w.say("-NOAUTH Authentication required.\r\n");
    w.say("+OK\r\n+OK\r\n-ERR a\r\n-ERR b\r\n-ERR c\r\n");
    w.say("-ERR d\r\n");
    w.trace.retain(|l| !l.starts_with('<'));
    w.expect(&format!(
        "
        # Primary replied to PING, replication can continue...
        > AUTH u pw | REPLCONF listening-port 99 | REPLCONF ip-address 10.0.0.1 | REPLCONF capa eof capa psync2 | \
        REPLCONF version 9.1.2 | REPLCONF SET-CLUSTER-NODE-ID {}
        # (Non critical) Primary does not understand REPLCONF ip-address: -ERR a
        # (Non critical) Primary does not understand REPLCONF capa: -ERR b
        # (Non critical) Primary does not understand REPLCONF VERSION: -ERR c
        # (Non critical) Primary does not understand REPLCONF SET-CLUSTER-NODE-ID: -ERR d
        # Partial resynchronization not possible (no cached primary)
        > PSYNC ? -1
        ",
        "c".repeat(40)
    ));
}

/// Of what the peer answers about its id, which lets the replica go on to PSYNC.
#[test]
fn the_node_at_the_address_must_be_the_one_that_is_meant() {
    let meant = NodeId::parse(&[b'd'; 40]).ok();
    let told = |id: char| format!("$40\r\n{}\r\n", id.to_string().repeat(40));
    let refusals =
        [told('e'), "-ERR This instance has cluster support disabled\r\n".to_owned(), "$1\r\nd\r\n".to_owned()];
    let consents = [told('d'), "-NOPERM no\r\n".to_owned(), "-ERR unknown command\r\n".to_owned(), "+d\r\n".to_owned()];
    for (reply, goes_on) in refusals.iter().map(|r| (r, false)).chain(consents.iter().map(|r| (r, true))) {
        let mut w = World::following(Settings { primary_id: meant, ..Settings::default() }, None);
        w.say("+PONG\r\n");
        assert!(w.trace.iter().any(|l| l.ends_with("| CLUSTER MYID")), "{:?}", w.trace);
        w.say("+OK\r\n+OK\r\n+OK\r\n");
        w.trace.clear();
        w.say(reply);
        assert_eq!(w.trace.iter().any(|l| l.contains("PSYNC")), goes_on, "{reply}");
        assert_eq!(w.trace.iter().any(|l| l == "! close"), !goes_on, "{reply}");
        let said =
            w.trace.iter().any(|l| l.contains("# Not synchronizing with the primary: there is another node now"));
        assert_eq!(said, !goes_on, "{:?}", w.trace);
        w.trace.clear();
        w.pass(1000);
        assert_eq!(w.trace.iter().any(|l| l.starts_with("! connect")), !goes_on, "it tries again: {:?}", w.trace);
    }
}

#[test]
fn wrong_password() {
    let auth = Some(Auth { user: None, password: b"pw".to_vec() });
    let mut w = World::following(Settings { auth, ..Settings::default() }, None);
    w.say("+PONG\r\n");
    w.trace.clear();
    w.say("-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n");
    w.pass(99);
    w.pass(1);
    w.expect(
        "
        < -WRONGPASS invalid username-password pair or user is disabled.
        # Unable to AUTH to PRIMARY: -WRONGPASS invalid username-password pair or user is disabled.
        ! close
        # Connecting to PRIMARY 127.0.0.1:6380
        ! connect 127.0.0.1 6380
        # PRIMARY <-> REPLICA sync started
        ",
    );
}

#[test]
fn partial_resynchronisation_after_a_lost_link() {
    let mut w = World::following(Settings::default(), at(100));
    w.introduce();
    w.say("+CONTINUE\r\n*1\r\n$4\r\nPING\r\n");
    w.link.applied(Offset(114), None);
    w.give(Input::Lost { conn: w.conn, resumable: true });
    w.give(Input::Connected(w.conn));
    w.expect(
        "
        < +CONTINUE
        # Successful partial resynchronization with primary.
        ! continue None
        # PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization.
        ! stream from 100
        > REPLCONF ACK 100
        # Connection with primary lost.
        # Caching the disconnected primary state.
        ! close
        # Reconnecting to PRIMARY 127.0.0.1:6380
        ! connect 127.0.0.1 6380
        # PRIMARY <-> REPLICA sync started
        # Non blocking connect for SYNC fired the event.
        > PING
        ",
    );
    w.say("+PONG\r\n");
    w.trace.clear();
    w.say("+OK\r\n+OK\r\n+OK\r\n");
    w.say(&format!("+CONTINUE {NEW}\r\n"));
    w.expect(&format!(
        "
        < +OK
        < +OK
        < +OK
        # Trying a partial resynchronization (request {ID}:115).
        > PSYNC {ID} 115
        < +CONTINUE {NEW}
        # Successful partial resynchronization with primary.
        # Primary replication ID changed to {NEW}
        ! continue Some(bbbbbbbb)
        # PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization.
        ! stream from 114
        > REPLCONF ACK 114
        "
    ));
}

#[test]
fn a_violation_of_the_protocol_is_not_resumed() {
    let mut w = World::following(Settings::default(), at(100));
    w.introduce();
    w.say("+CONTINUE\r\n");
    w.give(Input::Lost { conn: w.conn, resumable: false });
    w.give(Input::Connected(w.conn));
    w.say("+PONG\r\n");
    w.trace.clear();
    w.say("+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(w.trace.last().unwrap(), "> PSYNC ? -1");
}

#[test]
fn what_is_no_answer_to_psync_is_retried_with_sync() {
    for (reply, log) in [
        ("-ERR unknown command", "Primary does not support PSYNC or is in error state (reply: -ERR unknown command)"),
        ("+GARBAGE", "Unexpected reply to PSYNC from primary: +GARBAGE"),
        // Nothing was asked that could go on.
        ("+CONTINUE", "Unexpected reply to PSYNC from primary: +CONTINUE"),
        ("-NOAUTH Auth", "Unexpected reply to PSYNC from primary: -NOAUTH Auth"),
    ] {
        let mut w = World::following(Settings::default(), None);
        w.introduce();
        w.say(&format!("{reply}\r\n"));
        w.say("$18\r\n");
        w.give(Input::TransferDone(w.conn));
        w.pass(5000);
        w.expect(&format!(
            "
            < {reply}
            # {log}
            # Retrying with SYNC...
            > SYNC\\r\\n
            < $18
            # PRIMARY <-> REPLICA sync: receiving 18 bytes from primary to parser
            ! transfer 18 bytes of None
            ! adopt None
            # PRIMARY <-> REPLICA sync: Finished with success
            ! stream from 0
            "
        ));
    }
}

#[test]
fn try_later_slows_down_up_to_a_second() {
    let mut w = World::following(Settings::default(), at(1));
    let mut pauses = vec![];
    for _ in 0..6 {
        w.introduce();
        w.say("-LOADING Valkey is loading the dataset in memory\r\n");
        w.trace.clear();
        let begun = w.now;
        w.now = w.link.deadline();
        pauses.push(w.now.ms_since(begun));
        w.pass(0);
        assert_eq!(w.trace[0], "# Connecting to PRIMARY 127.0.0.1:6380");
        w.give(Input::Connected(w.conn));
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn a_failed_transfer_is_retried_once_at_once_and_keeps_what_it_can() {
    let mut w = World::following(Settings::default(), at(100));
    w.introduce();
    w.say(&format!("+FULLRESYNC {NEW} 5\r\n$10\r\n"));
    w.trace.clear();
    w.give(Input::TransferFailed(w.conn));
    w.give(Input::Connected(w.conn));
    w.say("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(w.trace.last().unwrap(), &format!("> PSYNC {ID} 101"), "the data is still there");
    assert_eq!(w.trace[1], "# Reconnecting to PRIMARY 127.0.0.1:6380 after failure");
    w.say(&format!("+FULLRESYNC {NEW} 5\r\n$10\r\n"));
    w.give(Input::DataReplaced(w.conn));
    w.trace.clear();
    w.give(Input::TransferFailed(w.conn));
    w.expect("! close");
    w.pass(200);
    w.give(Input::Connected(w.conn));
    w.say("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(w.trace.last().unwrap(), "> PSYNC ? -1", "the data is gone");
}

#[test]
fn aborted_before_the_payload() {
    for (line, log) in [
        (
            "-ERR BGSAVE failed, replication can't continue",
            "PRIMARY aborted replication with an error: ERR BGSAVE failed, replication can't continue",
        ),
        (
            "xxx",
            "Bad protocol from PRIMARY, the first byte is not '$' (we received 'xxx'), are you sure the host and port are \
             right?",
        ),
    ] {
        let mut w = World::following(Settings::default(), None);
        w.introduce();
        w.say("+FULLRESYNC zz\r\n");
        w.say(&format!("{line}\r\n"));
        w.expect(&format!(
            "
            < +FULLRESYNC zz
            # Primary replied with wrong +FULLRESYNC syntax.
            < {line}
            # {log}
            ! close
            # Reconnecting to PRIMARY 127.0.0.1:6380 after failure
            ! connect 127.0.0.1 6380
            # PRIMARY <-> REPLICA sync started
            "
        ));
    }
}

#[test]
fn bad_pings_and_connections() {
    let mut w = World::following(Settings::default(), None);
    w.say("-ERR whatever\r\n");
    w.pass(100);
    w.give(Input::ConnectFailed { conn: w.conn, reason: "Connection refused".into(), refused: true });
    w.expect(
        "
        < -ERR whatever
        # Error reply to PING from primary: '-ERR whatever'
        ! close
        # Connecting to PRIMARY 127.0.0.1:6380
        ! connect 127.0.0.1 6380
        # PRIMARY <-> REPLICA sync started
        # Error condition on socket for SYNC: Connection refused
        ! close
        ",
    );
    assert_eq!(w.link.status(w.now).state, "connect");
}

#[test]
fn silence_in_every_phase() {
    let minute = 60_000;
    let mut w = World::following(Settings::default(), at(100));
    w.pass(minute);
    w.expect("");
    w.pass(1);
    assert_eq!(w.trace[0], "# Timeout connecting to the PRIMARY...");
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.say(&format!("+FULLRESYNC {NEW} 5\r\n"));
    w.trace.clear();
    w.pass(minute);
    w.say("\n");
    w.pass(minute);
    w.expect("<");
    w.pass(1);
    assert!(w.trace[0].starts_with("# Timeout receiving bulk data from PRIMARY... If the problem persists"));
    w.pass(1000);
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.say("+CONTINUE\r\n");
    w.trace.clear();
    w.pass(minute);
    w.give(Input::Heard { conn: w.conn, bytes: 14 });
    w.pass(minute);
    w.expect("> REPLCONF ACK 100\n> REPLCONF ACK 100");
    w.pass(1);
    assert_eq!(w.trace[..2], ["# PRIMARY timeout: no data nor PING received...", "# Connection with primary lost."]);
}

#[test]
fn a_loading_replica_shows_that_it_lives() {
    let mut w = World::following(Settings::default(), None);
    w.introduce();
    w.say(&format!("+FULLRESYNC {NEW} 5\r\n"));
    w.pass(1000);
    w.say("$10\r\n");
    w.trace.clear();
    w.pass(1000);
    w.pass(999);
    w.expect("> \\n");
    w.pass(1);
    w.expect("> \\n");
}

#[test]
fn a_peer_that_refuses_connections_for_two_seconds_has_ended() {
    let mut w = World::new(Settings::default());
    w.start(at(100), true);
    let refuse = |w: &mut World, refused: bool| {
        w.give(Input::ConnectFailed { conn: w.conn, reason: "Connection refused".into(), refused });
        w.pass(100);
    };
    let gone = |w: &World| w.trace.iter().filter(|l| *l == "! takeover gone").count();
    (0..20).for_each(|_| refuse(&mut w, true));
    assert_eq!(gone(&w), 0);
    refuse(&mut w, false);
    (0..20).for_each(|_| refuse(&mut w, true));
    assert_eq!(gone(&w), 0, "any other failure begins the count anew");
    refuse(&mut w, true);
    assert_eq!(gone(&w), 1);
}

#[test]
fn takeover() {
    let mut w = World::new(Settings::default());
    w.start(at(100), true);
    // The peer may not be there yet; writes are held, so it is tried often.
    for _ in 0..5 {
        w.give(Input::ConnectFailed { conn: w.conn, reason: "Connection refused".into(), refused: true });
        w.pass(100);
    }
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.say(&format!("+CONTINUE {NEW}\r\n"));
    w.trace.retain(|l| !l.starts_with('#'));
    w.expect(&format!(
        "
        < +CONTINUE {NEW}
        ! takeover accepted
        ! continue Some(bbbbbbbb)
        ! stream from 100
        > REPLCONF ACK 100
        "
    ));
}

#[test]
fn refused_takeover() {
    for reply in [
        "-NOMASTERLINK Can't SYNC while failing over",
        "-ERR PSYNC FAILOVER replid must match my replid.",
        "-ERR PSYNC FAILOVER can't be sent to a master.",
    ] {
        let mut w = World::new(Settings::default());
        w.start(at(100), true);
        w.give(Input::Connected(w.conn));
        w.say("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
        assert_eq!(w.trace[w.trace.len() - 2..], [format!("> PSYNC {ID} 101 FAILOVER"), "! takeover asked".into()]);
        w.say(&format!("{reply}\r\n"));
        assert_eq!(w.trace[w.trace.len() - 2..], ["! close", "! takeover rejected"]);
        assert!(!w.link.is_started());
        assert_eq!(w.link.deadline(), Mono::NEVER);
    }
}

/// The reply of a peer that was promoted can get lost; what it says to the same request later is no refusal.
#[test]
fn a_promotion_whose_reply_got_lost_is_found_out() {
    let mut w = World::new(Settings::default());
    w.start(at(100), true);
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.give(Input::Lost { conn: w.conn, resumable: true });
    w.pass(100);
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.say("-ERR PSYNC FAILOVER can't be sent to a master.\r\n");
    assert_eq!(w.trace.last().unwrap(), &format!("> PSYNC {ID} 101"));
    // It still loses no patience: the peer may be busy.
    w.say("-LOADING Valkey is loading the dataset in memory\r\n");
    w.pass(100);
    w.give(Input::Connected(w.conn));
    w.introduce();
    w.say(&format!("+CONTINUE {NEW}\r\n"));
    w.trace.retain(|l| !l.starts_with('#'));
    assert_eq!(w.trace[1], "! takeover accepted");
    assert!(w.link.is_up());
}

#[test]
fn what_an_old_connection_says_does_not_count() {
    let mut w = World::following(Settings::default(), at(100));
    let old = w.conn;
    w.start(at(100), false);
    w.trace.clear();
    let mut out = vec![];
    assert_eq!(w.link.receive(w.now, old, b"+PONG\r\n", &mut out), 0);
    w.note(out);
    w.give(Input::Lost { conn: old, resumable: false });
    w.give(Input::TransferDone(old));
    w.give(Input::Connected(old));
    w.expect("");
    assert_eq!(w.link.status(w.now).state, "connecting");
    w.give(Input::Stop);
    w.expect("! close");
    assert_eq!(w.link.status(w.now).state, "none");
}

#[test]
fn a_line_without_end_is_not_kept() {
    let mut w = World::following(Settings::default(), None);
    w.say(&"x".repeat(2000));
    w.expect("# Failed to read response from the server: line too long\n! close");
}

#[derive(Clone, Debug)]
enum Event {
    Bytes(Vec<u8>),
    Given(u8),
    Pass(u64),
    Applied(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let lines = vec![
        "+PONG\r\n".to_string(),
        "+OK\r\n".into(),
        "+OK\r\n+OK\r\n+OK\r\n".into(),
        "\n".into(),
        "-ERR x\r\n".into(),
        "-LOADING\r\n".into(),
        "+CONTINUE\r\n".into(),
        format!("+CONTINUE {NEW}\r\n"),
        format!("+FULLRESYNC {NEW} 5\r\n"),
        "+FULLRESYNC\r\n".into(),
        "$10\r\n".into(),
        format!("$EOF:{ID}\r\n"),
    ];
    prop_oneof![
        6 => prop::sample::select(lines).prop_map(|l| Event::Bytes(l.into_bytes())),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Event::Bytes),
        4 => (0..9u8).prop_map(Event::Given),
        1 => (0..70_000u64).prop_map(Event::Pass),
        1 => any::<u64>().prop_map(Event::Applied),
    ]
}

proptest! {
    /// Whatever a primary says and whenever: no panic, one connection at a time, effects only about that one, and a link
    /// that is started never sleeps for ever.
    #[test]
    fn any_primary(events in prop::collection::vec(event(), 0..60)) {
        let mut link = ReplicaLink::new(Settings::default());
        let (mut now, mut open) = (Mono::ZERO, None);
        let start = Start { host: "h".into(), port: 1, resume: at(9), was_primary: true, takeover: false };
        let mut out = vec![];
        link.handle(now, Input::Start(start.clone()), &mut out);
        for event in events {
            let conn = open.unwrap_or(ConnId(0));
            match event {
                Event::Bytes(bytes) => prop_assert!(link.receive(now, conn, &bytes, &mut out) <= bytes.len()),
                Event::Pass(ms) => now = Mono::from_millis(now.as_millis() + ms),
                Event::Applied(offset) => link.applied(Offset(offset), None),
                Event::Given(which) => link.handle(now, given(which, conn, &start), &mut out),
            }
            link.handle(now, Input::Tick, &mut out);
            for effect in out.drain(..) {
                match effect {
                    Effect::Connect { conn, .. } => prop_assert!(open.replace(conn).is_none()),
                    Effect::Close(conn) => prop_assert_eq!(open.take(), Some(conn)),
                    Effect::Send { conn, .. } | Effect::BeginTransfer { conn, .. } | Effect::StreamStarts { conn, .. } =>
                        prop_assert_eq!(open, Some(conn)),
                    Effect::Log(line) => prop_assert!(!line.text.contains(['\r', '\n'])),
                    _ => {}
                }
            }
            prop_assert_eq!(link.is_started(), link.deadline() < Mono::NEVER);
            prop_assert!(link.deadline() > now);
        }
    }
}

fn given(which: u8, conn: ConnId, start: &Start) -> Input {
    match which {
        0 | 1 => Input::Connected(conn),
        2 => Input::ConnectFailed { conn, reason: "x".into(), refused: false },
        3 => Input::Lost { conn, resumable: true },
        4 => Input::Heard { conn, bytes: u64::MAX },
        5 => Input::TransferDone(conn),
        6 => Input::TransferFailed(conn),
        7 => Input::Start(start.clone()),
        _ => Input::DataReplaced(conn),
    }
}
