//! A replica's session from its first word to the stream, and what it may not do.

use super::*;

const T: fn(u64) -> Mono = |s| Mono::from_millis(s * 1000);
const REPLID: ReplId = ReplId::NONE;

fn say(session: &mut ReplicaSession, now: Mono, line: &str) -> Replconf {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let known = NodeId::parse(&[b'a'; 40]).unwrap();
    let env = ReplconfEnv { cluster_enabled: true, knows_node: &|id| *id == known };
    session.handle_replconf(now, &args, &env)
}

fn replica() -> ReplicaSession {
    let mut session = ReplicaSession::new(7, Some("127.0.0.1".into()));
    for line in ["listening-port 7001", "capa eof capa psync2", "version 9.1.2"] {
        assert_eq!(say(&mut session, T(0), line), Replconf::Ok);
    }
    session
}

#[test]
fn streamed_snapshot_then_first_ack_then_stream() {
    let mut session = replica();
    assert_eq!(session.state_name(), None);
    session.await_snapshot(T(1), false);
    assert_eq!((session.state_name(), session.wants_keepalive()), (Some("wait_bgsave"), true));
    let hello = session.begin_snapshot(T(2), &REPLID, Offset(500), SnapshotTarget::Socket);
    assert_eq!(hello, format!("+FULLRESYNC {REPLID} 500\r\n").into_bytes());
    assert_eq!((session.state_name(), session.wants_keepalive()), (Some("wait_bgsave"), false));
    let (stream, log) = session.snapshot_sent(T(3));
    assert_eq!(stream, None);
    assert_eq!(
        log.text,
        "Streamed RDB transfer with replica 127.0.0.1:7001 succeeded (socket). Waiting for REPLCONF ACK from replica to \
         enable streaming"
    );
    assert_eq!(session.state_name(), Some("online"));
    assert_eq!(say(&mut session, T(4), "ACK 500"), Replconf::Acked { stream_from: Some(Offset(500)) });
    assert_eq!(say(&mut session, T(5), "ACK 520 FACK 510"), Replconf::Acked { stream_from: None });
    assert_eq!((session.ack(), session.fsynced()), (Offset(520), Offset(510)));
}

#[test]
fn snapshot_with_length_is_followed_by_the_stream() {
    let mut tool = ReplicaSession::new(7, Some("::1".into()));
    tool.await_snapshot(T(0), true);
    assert_eq!(tool.begin_snapshot(T(0), &REPLID, Offset(9), SnapshotTarget::Disk), b"");
    assert!(tool.wants_keepalive());
    tool.send_bulk();
    assert_eq!(tool.state_name(), Some("send_bulk"));
    let (stream, log) = tool.snapshot_sent(T(1));
    assert_eq!(stream, Some(Offset(9)));
    assert_eq!(log.text, "Synchronization with replica ::1:<unknown-replica-port> succeeded");
    assert!(tool.timed_out(T(10_000), Duration::from_secs(60)).is_none(), "SYNC has no acknowledgements");
}

#[test]
fn one_that_wants_only_the_snapshot_never_follows_the_stream() {
    let mut session = replica();
    say(&mut session, T(0), "rdb-only 1");
    session.await_snapshot(T(0), false);
    session.begin_snapshot(T(0), &REPLID, Offset(9), SnapshotTarget::Socket);
    assert_eq!(session.snapshot_sent(T(1)).0, None);
    assert_eq!(session.state_name(), Some("rdb_transmitted"));
    assert_eq!(say(&mut session, T(2), "ack 9"), Replconf::Acked { stream_from: None });
    assert!(!session.is_online());
}

#[test]
fn acknowledgements_only_grow_and_only_replicas_give_them() {
    let mut session = replica();
    assert_eq!(say(&mut session, T(1), "ack 100"), Replconf::Ignored);
    assert_eq!(session.ack(), Offset(0));
    session.become_online(T(1));
    say(&mut session, T(2), "ack 100");
    say(&mut session, T(3), "ack 50");
    say(&mut session, T(4), "ack -7");
    assert_eq!((session.ack(), session.lag_seconds(T(6))), (Offset(100), 2));
    assert_eq!(say(&mut session, T(9), "ack many"), Replconf::Ignored);
    assert_eq!(session.lag_seconds(T(9)), 5);
    assert_eq!(say(&mut session, T(9), "getack *"), Replconf::AckWanted);
}

#[test]
fn what_the_environment_decides() {
    let mut session = replica();
    let unknown = format!("set-cluster-node-id {}", "b".repeat(40));
    let Replconf::Error(error) = say(&mut session, T(0), &unknown) else { panic!("is unknown") };
    assert_eq!(error.to_string(), format!("Unknown node {}", "b".repeat(40)));
    assert_eq!(say(&mut session, T(0), &format!("SET-CLUSTER-NODE-ID {}", "a".repeat(40))), Replconf::Ok);
    assert_eq!(session.node_id, NodeId::parse(&[b'a'; 40]).ok());
    let Replconf::Error(error) = say(&mut session, T(0), "set-rdb-client-id 5") else { panic!("is unknown") };
    assert_eq!(error.to_string(), "Unrecognized RDB client id 5");
    let alone = ReplconfEnv { cluster_enabled: false, knows_node: &|_| true };
    let args: [&[u8]; 2] = [b"set-cluster-node-id", &[b'a'; 40]];
    assert_eq!(session.handle_replconf(T(0), &args, &alone), Replconf::Error(ReplconfError::NoCluster));
}

/// A node that was introduced a moment ago may attach before the bus has told who it is.
#[test]
fn a_node_that_becomes_known_later_has_its_name() {
    let mut session = ReplicaSession::new(7, None);
    let stranger = ReplconfEnv { cluster_enabled: true, knows_node: &|_| false };
    let id = [b'a'; 40];
    let args: [&[u8]; 2] = [b"set-cluster-node-id", &id];
    let answer = session.handle_replconf(T(0), &args, &stranger);
    assert!(matches!(answer, Replconf::Error(ReplconfError::UnknownNode(_))));
    assert_eq!(session.node_id.map(|id| *id.as_bytes()), Some(id));
    let args: [&[u8]; 2] = [b"set-cluster-node-id", b"nonsense"];
    assert!(matches!(session.handle_replconf(T(0), &args, &stranger), Replconf::Error(_)));
    assert_eq!(session.node_id.map(|id| *id.as_bytes()), Some(id));
}

#[test]
fn pairs_before_an_error_count() {
    let mut session = ReplicaSession::new(7, None);
    assert!(matches!(say(&mut session, T(0), "listening-port 5 nope 1 capa eof"), Replconf::Error(_)));
    assert_eq!((session.port, session.capa.eof), (5, false));
}

#[test]
fn silence_has_its_price() {
    let timeout = Duration::from_secs(60);
    let mut session = replica();
    session.become_online(T(0));
    assert_eq!(session.timed_out(T(60), timeout), None);
    let line = session.timed_out(T(61), timeout).unwrap();
    assert_eq!(line.text, "Disconnecting timedout replica (streaming sync): 127.0.0.1:7001");
    session = replica();
    session.await_snapshot(T(0), false);
    assert_eq!(session.timed_out(T(1000), timeout), None);
    session.begin_snapshot(T(1000), &REPLID, Offset(0), SnapshotTarget::Socket);
    session.snapshot_progress(T(1030));
    assert_eq!(session.timed_out(T(1090), timeout), None);
    let line = session.timed_out(T(1091), timeout).unwrap();
    assert_eq!(line.text, "Disconnecting timedout replica (full sync): 127.0.0.1:7001");
}

#[test]
fn names() {
    let mut session = replica();
    assert_eq!(session.name(), "127.0.0.1:7001");
    say(&mut session, T(0), "ip-address fe80::1");
    assert_eq!(session.name(), "[fe80::1]:7001");
    assert_eq!(ReplicaSession::new(3, None).name(), "client id #3");
}
