//! The records of all commands, by family. A record stands near nothing but its like; what it runs stands elsewhere.

mod acl;
mod bitmap;
mod client;
mod cluster;
mod cluster_node;
mod command;
mod config;
mod connection;
mod dump;
mod expire;
mod generic;
mod geo;
mod geo_radius;
mod hash;
mod hash_expire;
mod hyperloglog;
mod list;
mod migrate;
mod pubsub;
mod replication;
mod reports;
mod scripting;
mod server;
mod set;
mod sort;
mod stream;
mod stream_groups;
mod string;
mod transactions;
mod zset;
mod zset_many;

use crate::CommandSpec;

/// All families; the order gives commands their numbers.
pub(crate) static FAMILIES: &[&[CommandSpec]] = &[
    string::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    hash::COMMANDS,
    hash_expire::COMMANDS,
    zset::COMMANDS,
    zset_many::COMMANDS,
    geo::COMMANDS,
    geo_radius::COMMANDS,
    stream::COMMANDS,
    stream_groups::COMMANDS,
    generic::COMMANDS,
    sort::COMMANDS,
    dump::COMMANDS,
    migrate::COMMANDS,
    expire::COMMANDS,
    connection::COMMANDS,
    server::COMMANDS,
    reports::COMMANDS,
    replication::COMMANDS,
    cluster_node::COMMANDS,
    pubsub::COMMANDS,
    transactions::COMMANDS,
    scripting::COMMANDS,
];
