//! Rules of cluster-bus 11.1, one by one.
