//! Noise is no failure. An hour of it is `baton-sim noise 60`; here it is as long as an ordinary test may be.

use baton_sim::noise::endure;
use std::time::Duration;

#[test]
fn pauses_of_half_a_second_and_lost_packets_cause_no_election() {
    for seed in 1..=3 {
        let noise = endure(seed, Duration::from_secs(180)).expect("no invariant breaks");
        assert_eq!(noise.epochs, 0, "seed {seed}: {noise:?}");
        assert!(noise.pauses > 100 && noise.acknowledged > 1000, "seed {seed} shows nothing: {noise:?}");
    }
}
