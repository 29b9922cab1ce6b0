//! The keyspace: slots, tables, entries, expiry, views and snapshots; the only raw memory code.
