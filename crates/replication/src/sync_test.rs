//! The table of answers to PSYNC and SYNC.

use super::*;
use crate::Level;
use crate::replconf::RdbFilter;
use baton_base::{Mono, ReplId};

fn id(c: char) -> ReplId {
    ReplId::parse(c.to_string().repeat(40).as_bytes()).unwrap()
}

/// A primary of history a (before byte 200: b) at offset 300 that retains 101..=300, with one replica.
struct Case {
    session: ReplicaSession,
    is_monitor: bool,
    has_pending_output: bool,
    backlog: Option<BacklogExtent>,
    primary_link: Option<PrimaryLink>,
    withheld: Withheld,
    failing_over: bool,
    replicas: usize,
}

fn case() -> Case {
    let mut session = ReplicaSession::new(1, Some("10.0.0.9".into()));
    session.port = 7001;
    session.capa.eof = true;
    session.capa.psync2 = true;
    Case {
        session,
        is_monitor: false,
        has_pending_output: false,
        backlog: Some(BacklogExtent { first: 101, histlen: 200 }),
        primary_link: None,
        withheld: Withheld::Nobody,
        failing_over: false,
        replicas: 1,
    }
}

fn answer(case: &Case, line: &str) -> (SyncDecision, Vec<LogLine>) {
    let history = History::restored_as_primary(id('b'), Offset(199), id('a'));
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let request =
        if args[0] == b"SYNC" { SyncRequest::Sync } else { SyncRequest::psync(&args[1..]).expect("two arguments") };
    let client =
        ClientView { session: &case.session, is_monitor: case.is_monitor, has_pending_output: case.has_pending_output };
    let node = NodeView {
        history: &history,
        end: Offset(300),
        backlog: case.backlog,
        primary_link: case.primary_link,
        withheld: case.withheld,
        failing_over: case.failing_over,
        replicas: case.replicas,
    };
    decide(request, &client, &node)
}

fn full(partial_failed: bool) -> SyncDecision {
    SyncDecision::FullResync { partial_failed, pre_psync: false, begin_history: false }
}

fn texts(logs: &[LogLine]) -> Vec<&str> {
    logs.iter().map(|l| l.text.as_str()).collect()
}

#[test]
fn who_continues() {
    let (a, b) = (id('a'), id('b'));
    let (decision, logs) = answer(&case(), &format!("PSYNC {a} 150"));
    let reply = format!("+CONTINUE {a}\r\n").into_bytes();
    assert_eq!(decision, SyncDecision::Continue { from: Offset(149), reply: reply.clone() });
    assert_eq!(
        texts(&logs),
        [
            "Replica 10.0.0.9:7001 asks for synchronization",
            "Partial resynchronization request from 10.0.0.9:7001 accepted. Sending 151 bytes of backlog starting from \
             offset 150.",
        ]
    );
    let from = |line: String| match answer(&case(), &line).0 {
        SyncDecision::Continue { from, .. } => Some(from.0),
        _ => None,
    };
    assert_eq!(from(format!("PSYNC {b} 200")), Some(199));
    assert_eq!(from(format!("PSYNC {b} 201")), None);
    assert_eq!(from(format!("PSYNC {a} 301")), Some(300));
    assert_eq!(from(format!("PSYNC {a} 302")), None);
    assert_eq!(from(format!("PSYNC {a} 101")), Some(100));
    assert_eq!(from(format!("PSYNC {a} 100")), None);
    assert_eq!(from(format!("PSYNC {} 150", a.as_str().to_uppercase())), Some(149));
    let mut old = case();
    old.session.capa.psync2 = false;
    let (decision, _) = answer(&old, &format!("PSYNC {a} 150"));
    assert_eq!(decision, SyncDecision::Continue { from: Offset(149), reply: b"+CONTINUE\r\n".to_vec() });
}

#[test]
fn why_not() {
    let (a, b, c) = (id('a'), id('b'), id('c'));
    let table = [
        ("PSYNC ? -1".into(), full(false), vec!["Full resync requested by replica 10.0.0.9:7001".to_string()]),
        (
            format!("PSYNC {c} 150"),
            full(true),
            vec![format!(
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{c}', my replication \
                 IDs are '{a}' and '{b}')"
            )],
        ),
        (
            format!("PSYNC {b} 201"),
            full(true),
            vec![
                "Partial resynchronization not accepted: Requested offset for second ID was 201, but I can reply up to 200"
                    .into(),
            ],
        ),
        (
            format!("PSYNC {a} 400"),
            full(true),
            vec![
                format!(
                    "Unable to partial resync with replica 10.0.0.9:7001 for lack of backlog (Replica request was \
                     {a}:400, and I can only reply with the range [101, 301])."
                ),
                "Warning: replica 10.0.0.9:7001 tried to PSYNC with an offset (400) that is greater than the primary \
                 replication offset (300)"
                    .into(),
            ],
        ),
    ];
    for (line, decision, expected) in table {
        let (got, logs) = answer(&case(), &line);
        assert_eq!(got, decision, "{line}");
        assert_eq!(texts(&logs)[1..], expected, "{line}");
    }
}

#[test]
fn the_first_replica_begins_a_history() {
    let first = Case { backlog: None, replicas: 0, ..case() };
    let (decision, logs) = answer(&first, &format!("PSYNC {} 150", id('a')));
    assert_eq!(decision, SyncDecision::FullResync { partial_failed: true, pre_psync: false, begin_history: true });
    assert_eq!(
        logs[1].text,
        format!(
            "Unable to partial resync with replica 10.0.0.9:7001 for lack of backlog (Replica request was: {}:150).",
            id('a')
        )
    );
    let (decision, _) = answer(&first, "SYNC");
    assert_eq!(decision, SyncDecision::FullResync { partial_failed: false, pre_psync: true, begin_history: true });
}

#[test]
fn refusals_in_order() {
    let any = format!("PSYNC {} 150", id('a'));
    let refused = |case: &Case, line: &str| match answer(case, line).0 {
        SyncDecision::Refuse(refusal) => refusal.to_string(),
        other => format!("{other:?}"),
    };
    let down = Some(PrimaryLink::Down);
    let mut worst = Case { failing_over: true, primary_link: down, has_pending_output: true, ..case() };
    worst.session.capa.eof = false;
    worst.session.request.filter = Some(RdbFilter::default());
    assert_eq!(refused(&worst, &any), "-NOMASTERLINK Can't SYNC while failing over");
    worst.failing_over = false;
    assert_eq!(refused(&worst, &any), "-NOMASTERLINK Can't SYNC while not connected with my master");
    worst.primary_link = Some(PrimaryLink::Up);
    assert_eq!(refused(&worst, &any), "-ERR SYNC and PSYNC are invalid with pending output");
    worst.has_pending_output = false;
    assert_eq!(refused(&worst, &any), "-ERR Filtered replica requires EOF capability");
    worst.session.capa.eof = true;
    let (decision, logs) = answer(&worst, &format!("PSYNC {} abc", id('a')));
    assert_eq!(decision, SyncDecision::Refuse(Refusal::BadOffset));
    assert_eq!(Refusal::BadOffset.to_string(), "-ERR value is not an integer or out of range");
    assert_eq!(
        (logs[1].level, logs[1].text.as_str()),
        (Level::Warning, "Replica 10.0.0.9:7001 asks for synchronization but with a wrong offset")
    );
}

#[test]
fn a_primary_that_may_have_less_refuses_whoever_would_lose_by_it() {
    let text = "-NOMASTERLINK Can't SYNC while replicas may have more data than this node";
    let is_refused = |withheld, line: String| {
        let refused =
            matches!(answer(&Case { withheld, ..case() }, &line).0, SyncDecision::Refuse(Refusal::MayHaveLess));
        assert_eq!(Refusal::MayHaveLess.to_string(), text);
        refused
    };
    let lines = [
        (format!("PSYNC {} 302", id('a')), true),
        (format!("PSYNC {} 302", id('c')), true),
        (format!("PSYNC {} 301", id('a')), false),
        (format!("PSYNC {} -1", id('c')), false),
        ("PSYNC ? 999".to_owned(), false),
        ("PSYNC ? -1".to_owned(), false),
        ("SYNC".to_owned(), false),
    ];
    for (line, has_more) in lines {
        assert!(is_refused(Withheld::Everybody, line.clone()), "{line}");
        assert!(!is_refused(Withheld::Nobody, line.clone()), "{line}");
        assert_eq!(is_refused(Withheld::WhoHasMore, line.clone()), has_more, "{line}");
    }
}

#[test]
fn replicas_and_monitors_are_ignored() {
    let mut attached = case();
    attached.session.become_online(Mono::ZERO);
    let monitor = Case { is_monitor: true, ..case() };
    for ignored in [attached, monitor] {
        assert_eq!(answer(&ignored, "PSYNC ? -1"), (SyncDecision::Ignore, vec![]));
    }
}

#[test]
fn a_replica_of_the_same_history_is_promoted_even_without_its_link() {
    let (a, c) = (id('a'), id('c'));
    let replica = Case { primary_link: Some(PrimaryLink::Down), ..case() };
    let (decision, logs) = answer(&replica, &format!("PSYNC {a} 999 failover"));
    assert_eq!(decision, SyncDecision::Promote { end: Offset(998) });
    assert_eq!(texts(&logs), [format!("Failover request received for replid {a}.")]);
    for endless in ["-1", "0", "1", "word", "-9223372036854775808"] {
        let (decision, _) = answer(&replica, &format!("PSYNC {a} {endless} FAILOVER"));
        assert_eq!(decision, SyncDecision::Promote { end: Offset(0) }, "{endless}");
    }
    let refused = |case: &Case, id| match answer(case, &format!("PSYNC {id} 1 FAILOVER")).0 {
        SyncDecision::Refuse(refusal) => refusal.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(refused(&replica, c), "-ERR PSYNC FAILOVER replid must match my replid.");
    assert_eq!(refused(&case(), a), "-ERR PSYNC FAILOVER can't be sent to a master.");
    let request = SyncRequest::psync(&[a.as_bytes(), b"5", b"FAILOVER"]).unwrap();
    assert_eq!(request.after_promotion(), SyncRequest::Psync { replid: a.as_bytes(), offset: b"5", failover: false });
}
