//! Every deadline and bound of the machine in one place.

use std::time::Duration;

/// Deadlines and bounds. The defaults suit a local network; none depends on the node timeout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Lag up to which the fence may close whatever the pace, bytes.
    pub lag_bytes: u64,
    /// Lag up to which the fence may close, as time the candidate needs for it at the pace it showed.
    pub lag_time: Duration,
    /// How long catch-up may take before the fence closes on a lagging candidate, or a command gives up.
    pub catch_up_max: Duration,
    /// How long a less preferred candidate that is ready waits for a preferred one.
    pub prefer_grace: Duration,
    /// An acknowledgement older than this is no sign of life.
    pub silent_max: Duration,
    /// Least time between two requests for acknowledgement that an acknowledgement triggers.
    pub ask_min: Duration,
    /// A request for acknowledgement is repeated after this time.
    pub ask_again: Duration,
    /// How long the fence waits for the votes of the candidate. Writes run meanwhile, so it only delays the end.
    pub canvass_max: Duration,
    /// How long the end of the fence waits for the candidate that has its votes, where another one has everything: as long
    /// as that one would need for votes of its own.
    pub votes_grace: Duration,
    /// How long the gate may take to close.
    pub fence_max: Duration,
    /// How long the final offset may take to be acknowledged under the fence.
    pub drain_max: Duration,
    /// How long one ordered replica may take to claim before the next is tried.
    pub promote_max: Duration,
    /// How long a replica may take until it is asked to take over, where this node goes on serving otherwise: it can't be
    /// reached, or hangs.
    pub takeover_max: Duration,
    /// How long the answer of a replica that was asked is waited for. It may be primary already, so this is long: who
    /// goes on after it risks two primaries.
    pub doubt_max: Duration,
    /// How long an ordered replica might still win, since upstream gives a manual failover that long
    /// (`cluster-manual-failover-timeout`). Writes stay held so long after a failed order of a node that goes on serving.
    pub order_valid: Duration,
    /// How long to go on once the last candidate that was not told yet is gone. A replica whose connection only broke is
    /// back in a few milliseconds; where all nodes of a cluster are stopped together, each primary waits so long.
    pub alone_grace: Duration,
    /// How long a stop waits for a replica that lost its connection where it is known to live: it is back by then, unless
    /// something else is wrong. At most half of the time that the stop has.
    pub return_grace: Duration,
    /// How often a stop whose candidates fell silent under the fence serves again and looks for others.
    pub returns_max: u32,
    /// How long to go on once whoever was told to be primary, or the majority, is gone.
    pub gone_grace: Duration,
    /// How long a node that stood still listens to what happened meanwhile before it serves again after a failed order.
    pub stood_grace: Duration,
    /// How long the role flip and the answers to held clients may take.
    pub redirect_max: Duration,
    /// How long the old primary stays to redirect clients before it exits.
    pub linger_max: Duration,
    /// How long the final save may take once a successor has the data.
    pub save_max: Duration,
    /// Most requests that may wait for one handover.
    pub waiters_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Limits {
            lag_bytes: 16 << 10,
            lag_time: ms(2),
            catch_up_max: ms(1000),
            prefer_grace: ms(10),
            silent_max: ms(500),
            ask_min: ms(1),
            ask_again: ms(100),
            canvass_max: ms(30),
            votes_grace: ms(2),
            fence_max: ms(500),
            drain_max: ms(500),
            promote_max: ms(1000),
            takeover_max: ms(5000),
            doubt_max: ms(60_000),
            order_valid: ms(5000),
            alone_grace: ms(100),
            return_grace: ms(3000),
            returns_max: 3,
            gone_grace: ms(300),
            stood_grace: ms(500),
            redirect_max: ms(500),
            linger_max: ms(500),
            save_max: ms(600_000),
            waiters_max: 1024,
        }
    }
}

impl Limits {
    /// The longest time for which writes can be held, for a request with this timeout: until the node serves again, has
    /// handed over, or has nothing left to do but the final save.
    pub fn fence_total_max(&self, timeout: Duration) -> Duration {
        timeout + self.fence_max * 2 + self.drain_max * 2 + self.promote_max * 2 + self.order_valid
    }

    /// By how much longer they can be held where a replica is asked to take over.
    pub fn takeover_total_max(&self) -> Duration {
        self.takeover_max * 2 + self.doubt_max
    }
}
