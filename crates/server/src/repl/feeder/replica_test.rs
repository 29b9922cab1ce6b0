//! A replica's connection over a socket pair: what is sent comes in order, what is said is heard.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use baton_base::{Mono, Offset};
use baton_journal::{Journal, Settings};
use baton_replication::ReplicaSession;
use baton_replication::session::ReplconfEnv;

use super::*;
use crate::clients::Clients;

struct Rig {
    replica: Replica,
    peer: UnixStream,
}

/// A replica that follows the stream, and the other end of its connection.
fn rig() -> Rig {
    let (mine, peer) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    let conn = Conn::Unix(mio::net::UnixStream::from_std(mine));
    let meta = Clients::default().add("peer:0".into(), "me:0".into(), 0, true, Mono::ZERO);
    let mut session = ReplicaSession::new(1, None);
    session.become_online(Mono::ZERO);
    let adopted = Adopted { conn, meta, session, psync: None, output: Vec::new(), input: Vec::new() };
    Rig { replica: Replica::new(adopted), peer }
}

impl Rig {
    fn says(&mut self, bytes: &[u8]) -> Result<Said, Gone> {
        self.peer.write_all(bytes).unwrap();
        self.replica.readable = true;
        let env = ReplconfEnv { cluster_enabled: false, knows_node: &|_| false };
        self.replica.listen(Mono::from_millis(5), &mut [0; 7], &env)
    }

    fn hears(&mut self, n: usize) -> Vec<u8> {
        let mut got = vec![0; n];
        self.peer.read_exact(&mut got).unwrap();
        got
    }
}

#[test]
fn queued_pieces_go_before_the_file_and_the_file_before_the_stream() {
    let mut rig = rig();
    let journal = Journal::new(Settings::default());
    journal.activate();
    journal.append_raw(b"STREAM");
    let path = std::env::temp_dir().join(format!("baton-replica-test-{}", std::process::id()));
    std::fs::write(&path, b"FILE").unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    rig.replica.reader = Some(journal.reader(Offset(0)).unwrap());
    rig.replica.queue(b"HEAD".to_vec());
    rig.replica.queue_file(file, 4);
    assert_eq!((rig.replica.pump(1 << 20), rig.replica.is_drained()), (Ok(8), true));
    rig.replica.streaming = true;
    assert!(rig.replica.has_work());
    assert_eq!(rig.replica.pump(1 << 20), Ok(6));
    assert_eq!((rig.hears(14), rig.replica.has_work()), (b"HEADFILESTREAM".to_vec(), false));
    journal.set_position(Offset(100));
    assert_eq!(rig.replica.pump(1 << 20), Err(Gone::Detached));
}

#[test]
fn acknowledgements_are_heard_in_pieces_and_line_ends_say_nothing() {
    let mut rig = rig();
    assert_eq!(rig.says(b"\n\n*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$"), Ok(Said::default()));
    let said = rig.says(b"2\r\n42\r\n").unwrap();
    assert!(said.acked && !said.ack_wanted);
    assert_eq!(rig.replica.session.ack(), Offset(42));
    assert!(rig.says(b"REPLCONF GETACK *\r\n").unwrap().ack_wanted);
    assert_eq!(rig.says(b"PSYNC ? -1\r\n"), Ok(Said::default()));
}

#[test]
fn whatever_would_be_answered_ends_the_connection() {
    let keyspace = Some("Replica can't interact with the keyspace");
    for (said, name, error) in [
        ("PING", "ping", None),
        ("XINFO HELP", "xinfo|help", None),
        ("GET k", "get", keyspace),
        ("PUBLISH a b", "publish", keyspace),
        ("SET k", "set", Some("wrong number of arguments for 'set' command")),
        ("nosuch", "<unknown>", Some("unknown command 'nosuch', with args beginning with: ")),
        ("XINFO nosuch", "<unknown>", Some("unknown subcommand 'nosuch'. Try XINFO HELP.")),
        ("REPLCONF capa eof", "replconf", None),
        ("REPLCONF foo bar", "replconf", Some("Unrecognized REPLCONF option: foo")),
    ] {
        let Err(Gone::Broken(lines)) = rig().says(format!("{said}\r\n").as_bytes()) else { panic!("{said}") };
        let first = format!("Replica generated a reply to command '{name}', disconnecting it: id=");
        assert!(lines[0].starts_with(&first), "{lines:?}");
        let second = error.map(|text| {
            format!("== CRITICAL == This primary is sending an error to its replica: '{text}' after processing the command '{name}'")
        });
        assert_eq!(lines.get(1), second.as_ref());
    }
    assert!(matches!(rig().says(b"*1\r\n+x\r\n"), Err(Gone::Broken(_))));
    let mut rig = rig();
    rig.peer.shutdown(std::net::Shutdown::Both).unwrap();
    rig.replica.readable = true;
    let env = ReplconfEnv { cluster_enabled: false, knows_node: &|_| false };
    assert_eq!(rig.replica.listen(Mono::ZERO, &mut [0; 7], &env), Err(Gone::Lost));
}

#[test]
fn limits_count_queue_and_lag_and_never_fall_below_the_backlog() {
    let mut rig = rig();
    let limit = BufferLimit { hard_bytes: 100, soft_bytes: 50, soft_seconds: 2 };
    let secs = |s: u64| Mono::from_millis(s * 1000);
    rig.replica.queue(vec![0; 60]);
    assert!(!rig.replica.over_limit(secs(0), limit, 60));
    assert!(!rig.replica.over_limit(secs(0), limit, 10));
    assert!(!rig.replica.over_limit(secs(1), limit, 10));
    assert!(rig.replica.over_limit(secs(2), limit, 10));
    // Falling below the soft limit in between starts the time anew.
    assert!(!rig.replica.over_limit(secs(3), limit, 60));
    assert!(!rig.replica.over_limit(secs(4), limit, 10));
    let journal = Journal::new(Settings::default());
    journal.activate();
    rig.replica.reader = Some(journal.reader(Offset(0)).unwrap());
    journal.append_raw(&[0; 41]);
    assert!(rig.replica.over_limit(secs(4), limit, 10));
    assert!(!rig.replica.over_limit(secs(4), BufferLimit::default(), 10));
}
