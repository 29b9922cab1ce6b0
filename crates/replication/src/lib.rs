//! Pure replication machines: the replica's link and the primary's side of a synchronisation.
