//! The program as a library, so that tests and the demonstration can start servers in place.
//!
//! Reading order: [`shared`] (what threads share), [`world`] (what commands see), [`gate`], [`worker`] (the data plane),
//! [`node`] (commands of the node itself), [`control`] (the control plane), [`repl`] (replicas and primary), [`persist`]
//! and [`aof`] (files), [`start`] (from the command line to running threads).

pub mod acl;
pub mod aof;
pub mod apply;
pub mod blocked;
pub mod client_memory;
pub mod clients;
pub mod clock;
pub mod command_log;
pub mod conn;
pub mod control;
pub mod entries;
pub mod events;
pub mod eviction;
pub mod first_load;
pub mod function_change;
pub mod gate;
pub mod keeper;
pub mod latency;
pub mod lease;
pub mod listen;
pub mod log;
pub mod mailbox;
pub mod memory;
pub mod metrics;
pub mod migrate;
pub mod monitor;
pub mod node;
pub mod notices;
pub mod os;
pub mod os_memory;
pub mod persist;
pub mod pubsub;
pub mod relay;
pub mod renames;
pub mod repl;
pub mod running;
pub mod scripts;
pub mod seen;
pub mod shared;
pub mod slot_jobs;
pub mod slot_stats;
pub mod start;
pub mod stats;
pub mod tracking;
pub mod worker;
pub mod world;
pub mod write_acks;
pub mod written_here;
