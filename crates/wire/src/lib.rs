//! Cluster-bus messages to bytes and back, layouts pinned by golden bytes.
