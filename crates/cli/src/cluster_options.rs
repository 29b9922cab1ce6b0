//! What a caller may decide about a cluster client, and what the client counts. Only data.

use crate::Login;
use std::time::Duration;

/// Whether a command whose fate is unknown (its link broke before the reply) may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Yes: executing it twice is the same as once (`SET k v`, `GET k`).
    Safe,
    /// No: report [`OutcomeUnknown`](crate::QueryError::OutcomeUnknown) instead (`INCR k`).
    Never,
}

/// Bounds and habits of a [`ClusterClient`](crate::ClusterClient).
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Who connects. Clustered servers have one database unless configured otherwise.
    pub login: Login,
    /// What [`query`](crate::ClusterClient::query) does with a command whose fate is unknown.
    pub repeat: Repeat,
    /// Longest wait for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest wait for the reply of one attempt.
    pub attempt_timeout: Duration,
    /// No new attempt starts later than this after the first.
    pub query_timeout: Duration,
    /// Most attempts for one command, redirects included.
    pub attempts_max: u32,
    /// Pause before the second attempt after a failure; doubles up to `pause_max`. Redirects are followed at once.
    pub pause_min: Duration,
    /// Longest pause between two attempts.
    pub pause_max: Duration,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            login: Login { redirect: true, ..Login::default() },
            repeat: Repeat::Safe,
            connect_timeout: Duration::from_millis(500),
            attempt_timeout: Duration::from_secs(1),
            query_timeout: Duration::from_secs(30),
            attempts_max: 2000,
            pause_min: Duration::from_millis(1),
            pause_max: Duration::from_millis(20),
        }
    }
}

/// What a client has been through since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Commands asked of the client.
    pub queries: u64,
    /// Times a command was sent, or could not be for want of a connection.
    pub attempts: u64,
    /// `MOVED` replies followed.
    pub redirects_moved: u64,
    /// `ASK` replies followed.
    pub redirects_ask: u64,
    /// `REDIRECT` replies followed.
    pub redirects_primary: u64,
    /// Replies that ask to come back later (`TRYAGAIN`, `CLUSTERDOWN`, `LOADING` and their like).
    pub refusals: u64,
    /// Connections opened to a place that had none before.
    pub connects: u64,
    /// Connections opened again to a place where one was lost.
    pub reconnects: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Connections that broke or timed out with a command under way.
    pub links_lost: u64,
    /// Times the slot map was read anew.
    pub map_refreshes: u64,
}
