//! Switches of DEBUG that tests of clusters use (cluster-bus 12.1). All off in normal life.

/// The switches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DebugHooks {
    /// Type of packet to drop, -1 for none, -2 for all.
    pub(crate) drop_type: i32,
    /// Also close the link of a dropped packet.
    pub(crate) close_on_drop: bool,
    pub(crate) random_ping_off: bool,
    pub(crate) reconnection_off: bool,
}

impl Default for DebugHooks {
    fn default() -> DebugHooks {
        DebugHooks { drop_type: -1, close_on_drop: false, random_ping_off: false, reconnection_off: false }
    }
}

impl DebugHooks {
    /// Whether a packet of this raw type is to be dropped.
    pub(crate) fn drops(&self, number: u16) -> bool {
        self.drop_type == -2 || self.drop_type == i32::from(number)
    }
}
