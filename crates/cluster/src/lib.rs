//! Pure cluster machine: membership, gossip, failure detection, slot map, election.
