//! Small clusters with a witness: what upstream can't do there, and what a witness must not spoil. With one primary or two, a
//! cluster without one is down until its primary is back (cluster-bus 15.4).

use crate::{Without, play, prove};

/// One primary, one replica and a witness are processes 0, 1 and 2.
const ONE: &str = "profile chaos\nshards 1\nwitnesses 1\npatience-ms 150";
/// Primaries 0 and 1, their replicas 2 and 3, and witness 4.
const TWO: &str = "profile chaos\nshards 2\nwitnesses 1\npatience-ms 150";
/// The same clusters without it.
const WITHOUT: Without = Without::Remedy("witnesses 0");
/// Writes that are acknowledged if clients go on during the fault; without, there are a third fewer at most.
const MANY: u64 = 2_700;

#[test]
fn the_only_primary_dies_and_is_replaced() {
    prove(&format!("{ONE}\nact 1000 4000 crash machine primary 0"), &WITHOUT, |report| report.acknowledged > MANY);
}

#[test]
fn the_only_primary_is_cut_off_and_is_replaced() {
    prove(&format!("{ONE}\nact 1000 4000 partition 1 0"), &WITHOUT, |report| report.acknowledged > MANY);
}

#[test]
fn a_primary_goes_on_without_the_witness_or_without_the_replica() {
    for cut in [4, 2] {
        play(&format!("{ONE}\nact 1000 4000 partition {cut} 0"), |report| {
            assert!(report.acknowledged > MANY && report.lost == 0, "{report:?}");
        });
    }
}

#[test]
fn a_replica_alone_with_the_clients_takes_nothing_over() {
    play(&format!("{ONE}\nact 1000 4000 partition 5 0"), |report| assert_eq!(report.lost, 0, "{report:?}"));
}

#[test]
fn one_of_two_primaries_dies_and_is_replaced() {
    prove(&format!("{TWO}\nact 1000 4000 crash machine primary 0"), &WITHOUT, |report| report.acknowledged > MANY);
}

#[test]
fn a_primary_with_the_witness_is_the_minority_of_five() {
    prove(&format!("{TWO}\nact 1000 4000 partition 17 0"), &WITHOUT, |report| report.acknowledged > MANY);
}

#[test]
fn a_shard_with_the_witness_is_the_majority_of_five() {
    // The other shard is whole on its side and has no majority: it is not replaced, and loses only what was under way.
    play(&format!("{TWO}\nact 1000 4000 partition 21 0"), |report| assert_eq!(report.lost, 0, "{report:?}"));
}

#[test]
fn two_primaries_go_on_without_the_witness() {
    play(&format!("{TWO}\nact 1000 4000 partition 16 0"), |report| {
        assert!(report.acknowledged > MANY && report.lost == 0, "{report:?}");
    });
}

#[test]
fn a_witness_that_comes_back_empty_is_a_new_one() {
    for (cluster, witness) in [(ONE, 2), (TWO, 4)] {
        play(&format!("{cluster}\nact 1000 300 crash disk proc {witness}"), |report| {
            assert_eq!(report.lost, 0, "{report:?}");
        });
    }
}
