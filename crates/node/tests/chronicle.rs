//! The history of changes from hand-made notes and records: its order, its numbers, its name and its bounds.

use baton_base::{Epoch, Mono, NodeId, Offset, ShardId, WallMs};
use baton_handover::{Phase, Record};
use baton_node::{
    Asked, CHANGES_MAX, Change, ChangeKind, ChangeOutcome, Chronicler, Note, Own, Part, Resync, STEPS_MAX, Sight,
    StepKind, When,
};
use std::time::Duration;

fn id(digit: char) -> NodeId {
    NodeId::parse(digit.to_string().repeat(40).as_bytes()).unwrap()
}

fn shard() -> ShardId {
    ShardId::parse("abcdef01".repeat(5).as_bytes()).unwrap()
}

fn at(ms: u64) -> When {
    When { now: Mono::from_millis(ms), wall: WallMs(1_000_000 + ms), last_heard: None }
}

fn own() -> Option<Own> {
    Some(Own { id: id('1'), shard: shard(), epoch: Epoch(3) })
}

fn record(log: &mut Chronicler, ms: u64, phase: Phase) {
    log.on_record(at(ms), own(), Record { phase, at: Mono::from_millis(ms), offset: Offset(700) });
}

fn last(log: &Chronicler) -> Change {
    log.chronicle().changes.back().unwrap().as_ref().clone()
}

fn steps(change: &Change) -> Vec<&'static str> {
    change.steps.iter().map(|s| s.kind.token()).collect()
}

fn phase(change: &Change, name: &str) -> Option<Duration> {
    change.phases().find(|(n, _)| *n == name).map(|(_, took)| took)
}

fn claimed(epoch: u64, failed: bool) -> Note {
    Note::Claimed { old: id('1'), new: id('4'), shard: shard(), epoch: Epoch(epoch), failed }
}

fn failed() -> Note {
    Note::Failed { primary: id('1'), shard: shard(), epoch: Epoch(3) }
}

fn granted(epoch: u64, failed: bool) -> Note {
    Note::Granted { candidate: id('4'), primary: id('1'), shard: shard(), epoch: Epoch(epoch), failed }
}

fn won(epoch: u64, offset: u64, old_offset: u64) -> Note {
    let (offset, old_offset) = (Offset(offset), Offset(old_offset));
    Note::Won { old: id('1'), new: id('4'), shard: shard(), epoch: Epoch(epoch), offset, old_offset }
}

fn told(by: Asked) -> Note {
    Note::Told { by, primary: id('1'), shard: shard(), epoch: Epoch(3) }
}

/// The old primary's side of a handover, up to its successor's claim.
fn handed_over(log: &mut Chronicler) {
    log.on_request(Some(ChangeKind::Sigterm));
    record(log, 10, Phase::Choose);
    record(log, 11, Phase::CatchUp);
    record(log, 12, Phase::Fence);
    log.on_fenced(at(13), Offset(777));
    record(log, 13, Phase::Drain);
    record(log, 14, Phase::Promote);
    log.on_told(at(14), id('4'), true);
    log.on_note(at(15), granted(4, false));
    log.on_note(at(16), claimed(4, false));
    log.on_redirect(at(16), id('4'), Epoch(4));
    record(log, 16, Phase::Redirect);
    log.on_redirected(at(17));
}

#[test]
fn a_handover_at_the_old_primary() {
    let mut log = Chronicler::default();
    handed_over(&mut log);
    record(&mut log, 17, Phase::Linger);
    log.on_sight(at(20), Sight::Resynced(Resync::Partial));
    log.on_sight(at(30), Sight::Resynced(Resync::Full));
    record(&mut log, 40, Phase::Exited);
    let change = last(&log);
    assert_eq!(
        steps(&change),
        [
            "asked",
            "candidate-chosen",
            "writes-held",
            "fenced",
            "acknowledged",
            "told",
            "voted",
            "claim-seen",
            "clients-released",
            "resynced"
        ]
    );
    assert_eq!(change.id().to_string(), "abcdef01-4");
    assert_eq!(
        (change.kind, change.part, change.outcome),
        (ChangeKind::Sigterm, Part::OldPrimary, ChangeOutcome::Done)
    );
    assert_eq!((change.old, change.new, change.epoch), (Some(id('1')), Some(id('4')), Some(Epoch(4))));
    assert_eq!(change.final_offset, Some(Offset(777)));
    assert_eq!(change.resync, Some(Resync::Partial), "only the first one after the change is its own");
    assert_eq!(change.write_pause(), Some(Duration::from_millis(5)));
    assert_eq!(phase(&change, "fence"), Some(Duration::from_millis(1)));
    assert_eq!(phase(&change, "promote"), Some(Duration::from_millis(2)));
    let totals = &log.chronicle().totals;
    assert_eq!(totals.count(|_, _| true), 1);
    assert_eq!(totals.changes[&(ChangeKind::Sigterm, ChangeOutcome::Done)], 1);
    assert_eq!(totals.phases["drain"].count, 1);
    assert_eq!(totals.phases["drain"].sum_us, 1000);
}

#[test]
fn a_failover_at_the_successor() {
    let mut log = Chronicler::default();
    log.on_note(at(100), Note::Suspected { primary: id('1') });
    log.on_note(at(130), failed());
    let heard = When { last_heard: Some(Mono::from_millis(40)), ..at(130) };
    log.on_note(heard, Note::Scheduled { at: Mono::from_millis(150) });
    log.on_note(at(150), Note::Started { epoch: Epoch(4) });
    log.on_note(at(151), Note::Vote { voter: id('2') });
    log.on_note(at(152), Note::Vote { voter: id('3') });
    log.on_note(at(152), won(4, 900, 950));
    log.on_sight(at(160), Sight::FirstWrite(Mono::from_millis(159)));
    log.on_sight(at(161), Sight::FirstWrite(Mono::from_millis(161)));
    log.on_sight(at(900), Sight::ReplicaResynced(id('5'), Resync::Partial));
    log.on_sight(at(990), Sight::ReplicaResynced(id('1'), Resync::Full));
    let change = last(&log);
    assert_eq!(
        steps(&change),
        [
            "suspected",
            "confirmed",
            "last-heard",
            "election-scheduled",
            "election-started",
            "vote",
            "vote",
            "won",
            "first-write",
            "resynced"
        ]
    );
    let voters: Vec<_> = change.steps.iter().filter(|s| s.kind == StepKind::Vote).filter_map(|s| s.node).collect();
    assert_eq!(voters, [id('2'), id('3')]);
    assert_eq!((change.kind, change.part, change.outcome), (ChangeKind::Failure, Part::Successor, ChangeOutcome::Done));
    assert_eq!(change.id().to_string(), "abcdef01-4");
    assert_eq!((change.began, change.began_wall), (Mono::from_millis(100), WallMs(1_000_100)));
    assert_eq!(change.bytes_missing, Some(50));
    assert_eq!(change.resync, Some(Resync::Full), "another replica's does not count");
    assert_eq!(change.write_pause(), Some(Duration::from_millis(119)));
    assert_eq!(phase(&change, "detect"), Some(Duration::from_millis(30)));
    assert_eq!(phase(&change, "serve"), Some(Duration::from_millis(7)));
    assert_eq!(log.chronicle().totals.suspicions, 1);
}

#[test]
fn a_failover_at_a_voter_has_the_same_name() {
    let mut log = Chronicler::default();
    log.on_note(at(100), failed());
    log.on_note(at(105), granted(4, true));
    assert_ne!(last(&log).id().to_string(), "abcdef01-4", "nobody has won yet");
    assert!(log.poll_story().is_empty(), "a story is told once it has its name");
    log.on_note(at(107), claimed(4, true));
    let change = last(&log);
    assert_eq!(steps(&change), ["confirmed", "voted", "claim-seen"]);
    assert_eq!((change.part, change.id().to_string()), (Part::Voter, "abcdef01-4".to_owned()));
    let story = log.poll_story();
    let new = id('4');
    assert_eq!(
        story,
        [
            "Change of primary abcdef01-4 (failure): confirmed, +0.000 ms".to_owned(),
            format!("Change of primary abcdef01-4 (failure): voted {new}, +5.000 ms"),
            format!("Change of primary abcdef01-4 (failure): claim-seen {new}, +7.000 ms"),
        ]
    );
    assert!(log.poll_story().is_empty(), "each line is told once");
}

#[test]
fn a_manual_failover_at_the_successor() {
    let mut log = Chronicler::default();
    log.on_note(at(10), told(Asked::User));
    log.on_note(at(12), Note::Paused { offset: Offset(50) });
    log.on_note(at(13), Note::CaughtUp { offset: Offset(50) });
    log.on_note(at(13), Note::Scheduled { at: Mono::from_millis(13) });
    log.on_note(at(13), Note::Started { epoch: Epoch(4) });
    log.on_note(at(14), Note::Vote { voter: id('2') });
    log.on_note(at(14), won(4, 50, 64));
    let change = last(&log);
    assert_eq!((change.kind, change.part), (ChangeKind::ClusterFailover, Part::Successor));
    assert_eq!(change.bytes_missing, Some(0), "what follows the final offset is not data");
    assert_eq!(change.new, Some(id('4')));
}

#[test]
fn who_comes_back_has_recovered() {
    let mut log = Chronicler::default();
    log.on_note(at(10), Note::Suspected { primary: id('1') });
    log.on_note(at(11), Note::Cleared { node: id('1') });
    assert!(log.chronicle().changes.is_empty(), "a suspicion alone is no change");
    log.on_note(at(20), failed());
    log.on_note(at(30), Note::Cleared { node: id('1') });
    assert_eq!((steps(&last(&log)), last(&log).outcome), (vec!["confirmed", "ended"], ChangeOutcome::Recovered));
    log.on_note(at(40), failed());
    assert_eq!(log.chronicle().changes.len(), 2, "the next failure is a change of its own");
}

#[test]
fn a_handover_that_is_given_up() {
    let mut log = Chronicler::default();
    log.on_request(Some(ChangeKind::ClusterFailover));
    record(&mut log, 10, Phase::Choose);
    record(&mut log, 12, Phase::Fence);
    record(&mut log, 20, Phase::Idle);
    assert_eq!(last(&log).outcome, ChangeOutcome::Aborted);
    assert_eq!(
        steps(&last(&log)),
        ["asked", "candidate-chosen", "writes-held", "ended"],
        "who is near enough is chosen"
    );
    assert_eq!(last(&log).id().to_string(), "abcdef01-3.1");
    handed_over(&mut log);
    record(&mut log, 50, Phase::Idle);
    assert_eq!(last(&log).outcome, ChangeOutcome::Done, "what is done stays done");
    assert_eq!(log.chronicle().changes.len(), 2);
}

#[test]
fn a_stop_that_wants_nobody_is_no_change() {
    let mut log = Chronicler::default();
    log.on_request(None);
    record(&mut log, 10, Phase::Choose);
    record(&mut log, 11, Phase::Stop);
    assert!(log.chronicle().changes.is_empty());
    log.on_request(Some(ChangeKind::Sigterm));
    record(&mut log, 20, Phase::Choose);
    record(&mut log, 21, Phase::Stop);
    assert_eq!(last(&log).outcome, ChangeOutcome::NoSuccessor);
}

#[test]
fn elections_without_a_majority_are_counted() {
    let mut log = Chronicler::default();
    log.on_note(at(10), failed());
    for round in 0..200 {
        log.on_note(at(20 + round), Note::Started { epoch: Epoch(round) });
        log.on_note(at(21 + round), Note::Lost);
    }
    assert_eq!(log.chronicle().totals.elections_lost, 200);
    assert_eq!(last(&log).steps.len(), STEPS_MAX);
}

#[test]
fn only_the_latest_changes_are_kept() {
    let mut log = Chronicler::default();
    for round in 0..CHANGES_MAX as u64 + 10 {
        log.on_note(at(round), claimed(round, true));
    }
    assert_eq!(log.chronicle().changes.len(), CHANGES_MAX);
    assert_eq!(log.chronicle().changes[0].epoch, Some(Epoch(10)));
    assert_eq!(log.chronicle().totals.count(|_, _| true), CHANGES_MAX as u64 + 10);
}
