//! The section as Valkey 9.1.2 prints it, and ROLE.

use super::*;
use crate::link::TransferStatus;
use crate::session::ReplconfEnv;
use baton_base::ReplId;

fn session(ack: &str) -> ReplicaSession {
    let mut session = ReplicaSession::new(1, Some("127.0.0.1".into()));
    session.port = 7777;
    session.become_online(Mono::ZERO);
    let env = ReplconfEnv { cluster_enabled: false, knows_node: &|_| false };
    session.handle_replconf(Mono::ZERO, &[b"ack", ack.as_bytes()], &env);
    session
}

fn history() -> History {
    History::fresh(ReplId::parse(b"791ef2df64e959357559dc4c42b11cceeabac19f").unwrap())
}

fn primary<'a>(history: &'a History, sessions: &'a [&'a ReplicaSession]) -> ReplicationInfo<'a> {
    ReplicationInfo {
        replica: None,
        sessions,
        good_replicas: None,
        failover: FailoverState::None,
        history,
        end: Offset(50),
        backlog: Some(BacklogExtent { first: 1, histlen: 50 }),
        backlog_bytes: 10_485_760,
    }
}

#[test]
fn a_primary() {
    let (history, online, mut waiting) = (history(), session("0"), ReplicaSession::new(2, Some("::1".into())));
    waiting.await_snapshot(Mono::ZERO, false);
    let sessions = [&online, &waiting];
    let info = ReplicationInfo { good_replicas: Some(1), ..primary(&history, &sessions) };
    assert_eq!(
        info.render(Mono::from_millis(1_500)),
        "role:master\r\n\
         connected_slaves:2\r\n\
         min_slaves_good_slaves:1\r\n\
         slave0:ip=127.0.0.1,port=7777,state=online,offset=0,lag=1,type=replica\r\n\
         slave1:ip=::1,port=0,state=wait_bgsave,offset=0,lag=0,type=replica\r\n\
         replicas_waiting_psync:0\r\n\
         master_failover_state:no-failover\r\n\
         master_replid:791ef2df64e959357559dc4c42b11cceeabac19f\r\n\
         master_replid2:0000000000000000000000000000000000000000\r\n\
         master_repl_offset:50\r\n\
         second_repl_offset:-1\r\n\
         repl_backlog_active:1\r\n\
         repl_backlog_size:10485760\r\n\
         repl_backlog_first_byte_offset:1\r\n\
         repl_backlog_histlen:50\r\n"
    );
    let replicas = vec![("127.0.0.1".to_string(), 7777, Offset(0))];
    assert_eq!(info.role(), Role::Primary { offset: Offset(50), replicas });
}

fn link(transfer: Option<TransferStatus>, is_up: bool) -> LinkStatus {
    LinkStatus {
        host: "10.0.0.1".into(),
        port: 6379,
        state: if is_up { "connected" } else { "sync" },
        is_up,
        last_io_seconds: is_up.then_some(3),
        transfer,
        down_seconds: None,
    }
}

#[test]
fn a_replica_whose_link_stands() {
    let history = history();
    let link = link(None, true);
    let replica = ReplicaInfo {
        link: &link,
        read_offset: Some(Offset(60)),
        applied_offset: Some(Offset(50)),
        priority: 100,
        read_only: true,
        announced: true,
    };
    let info = ReplicationInfo { replica: Some(replica), ..primary(&history, &[]) };
    assert!(info.render(Mono::ZERO).starts_with(
        "role:slave\r\n\
         master_host:10.0.0.1\r\n\
         master_port:6379\r\n\
         master_link_status:up\r\n\
         master_last_io_seconds_ago:3\r\n\
         master_sync_in_progress:0\r\n\
         slave_read_repl_offset:60\r\n\
         slave_repl_offset:50\r\n\
         replicas_repl_buffer_size:0\r\n\
         replicas_repl_buffer_peak:0\r\n\
         slave_priority:100\r\n\
         slave_read_only:1\r\n\
         replica_announced:1\r\n\
         connected_slaves:0\r\n"
    ));
    let role = Role::Replica { host: "10.0.0.1".into(), port: 6379, state: "connected", offset: 50 };
    assert_eq!(info.role(), role);
}

#[test]
fn a_replica_that_receives_a_snapshot() {
    let history = history();
    let link = link(Some(TransferStatus { total_bytes: Some(300), read_bytes: 100, last_io_seconds: 2 }), false);
    let replica = ReplicaInfo {
        link: &link,
        read_offset: None,
        applied_offset: None,
        priority: 0,
        read_only: false,
        announced: false,
    };
    let info = ReplicationInfo { replica: Some(replica), ..primary(&history, &[]) };
    let text = info.render(Mono::ZERO);
    assert!(text.contains(
        "master_link_status:down\r\n\
         master_last_io_seconds_ago:-1\r\n\
         master_sync_in_progress:1\r\n\
         slave_read_repl_offset:1\r\n\
         slave_repl_offset:1\r\n\
         replicas_repl_buffer_size:0\r\n\
         replicas_repl_buffer_peak:0\r\n\
         master_sync_total_bytes:300\r\n\
         master_sync_read_bytes:100\r\n\
         master_sync_left_bytes:200\r\n\
         master_sync_perc:33.33\r\n\
         master_sync_last_io_seconds_ago:2\r\n\
         master_link_down_since_seconds:-1\r\n\
         slave_priority:0\r\n"
    ));
    let role = Role::Replica { host: "10.0.0.1".into(), port: 6379, state: "sync", offset: -1 };
    assert_eq!(info.role(), role);
}
