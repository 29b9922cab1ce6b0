//! The pure cluster machine: membership, gossip, failure detection, slot map, elections and manual failover of one node,
//! compatible with the bus of Valkey 9. Time, packets and facts come in as [`Input`]; everything it wants goes out as
//! [`Effect`]. It must never read a clock, touch a socket or draw an unseeded random number.

pub mod conf;

mod accession;
mod announce;
mod blacklist;
mod capabilities;
mod claims;
mod cluster;
mod command;
mod complaints;
mod cron;
mod debug;
mod effect;
mod election;
mod epoch;
mod failure;
mod gossip;
mod grant;
mod handshake;
mod homecoming;
mod input;
mod lease;
mod lines;
mod link;
mod links;
mod manual;
mod node;
mod note;
mod orphans;
mod packet;
mod prospects;
mod queueing;
mod quorum_writes;
mod record;
mod render;
mod replicas;
mod roles;
mod route;
mod send;
mod settings;
mod show;
mod silenced;
mod slots;
mod sole;
mod state;
mod stats;
mod todo;
mod topology;
mod validate;
mod vote;
mod voters;

pub use cluster::{Boot, Cluster};
pub use command::{ClusterCommand, FailoverMode, LinkSide, SetSlot};
pub use effect::{Effect, LogLevel};
pub use input::{Facts, Input, KeyCounts, LinkFailure, Origin, Token};
pub use link::LinkId;
pub use node::{Address, Labels};
pub use note::{Asked, Note};
pub use record::{EpochRecord, Victory};
pub use route::{Presence, Route, RouteQuery, route};
pub use settings::{EndpointType, Settings};
pub use show::{ClusterReply, LinkView, Member, MemberHealth, Shard, SlotRange};
pub use topology::{Audience, DownReason, Health, NO_OWNER, NodeView, SyncGrant, Topology};
pub use voters::{Electorate, Voters};
