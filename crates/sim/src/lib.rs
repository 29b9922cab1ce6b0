//! Deterministic world: clock, network, disk, faults and invariants around the node core.
