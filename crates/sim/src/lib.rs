//! A deterministic world around the very node that the server runs: its control plane, the replication link, the
//! sessions of replicas and their decisions. Everything else is a model: network, disks, clocks, clients, and a data
//! plane of plain keys with a journal of operations, since what is to be shown here is who may write and who has what.
//!
//! One seed decides everything ([`Plan`]); the same seed is the same run, event for event. A run brings a cluster up,
//! lets faults and operators loose on it, heals it, demands peace within a bound, and then asks for planned handovers,
//! which must lose nothing and keep nobody waiting. Upstream's rules lose acknowledged writes in crashes and partitions;
//! that is counted here, not forbidden.
//!
//! Reading order: [`plan`], [`world`], [`director`], [`process`], [`net`], [`disk`], [`invariant`]. It must never look at
//! a real clock, and nothing in it may depend on anything but the seed.

pub mod boot;
pub mod client;
pub mod clock;
pub mod data;
pub mod director;
pub mod disk;
pub mod event;
pub mod figures;
pub mod invariant;
pub mod io;
pub mod net;
pub mod noise;
pub mod operator;
pub mod plan;
pub mod plan_text;
pub mod process;
pub mod shrink;
pub mod trace;
pub mod world;

pub use io::Sabotage;
pub use plan::Plan;
pub use world::{Options, Report, run};
