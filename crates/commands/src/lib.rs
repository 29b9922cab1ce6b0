//! The command registry as data and the keyspace commands on a View.
