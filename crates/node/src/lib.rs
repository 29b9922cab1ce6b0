//! Pure wiring of one node's control plane.
