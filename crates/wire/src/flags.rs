//! Flag words of the header and of gossip entries (cluster-bus 1.2, 1.3). Bits that nobody has named yet are kept, so
//! that what was received can be looked at and passed on unchanged.

bitflags::bitflags! {
    /// What a node says about itself (header), or what the sender thinks of a node (gossip entry).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct NodeFlags: u16 {
        /// It is a primary.
        const PRIMARY = 0x0001;
        /// It is a replica.
        const REPLICA = 0x0002;
        /// Suspected by the sender alone.
        const PFAIL = 0x0004;
        /// Agreed to be failing.
        const FAIL = 0x0008;
        /// The sender itself; set in its own header.
        const MYSELF = 0x0010;
        /// Met, but its id isn't known yet.
        const HANDSHAKE = 0x0020;
        /// Its address isn't known any more.
        const NOADDR = 0x0040;
        /// A MEET still has to be sent to it.
        const MEET = 0x0080;
        /// A primary that may receive migrated replicas.
        const MIGRATE_TO = 0x0100;
        /// A replica that never fails over by itself.
        const NOFAILOVER = 0x0200;
        /// It understands ping extensions.
        const EXTENSIONS_SUPPORTED = 0x0400;
        /// It accepts light PUBLISH and PUBLISHSHARD packets.
        const LIGHT_HDR_PUBLISH = 0x0800;
        /// It accepts light MODULE packets, and repeated MEETs.
        const LIGHT_HDR_MODULE = 0x1000;
        /// A replica that sees its primary as FAIL.
        const MY_PRIMARY_FAIL = 0x2000;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// Flags of one message: the first byte of the header's `mflags`; the other two are sent as zero and ignored.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct MsgFlags: u8 {
        /// The sender, a primary, has stopped its writes for a manual failover; its offset stands still.
        const PAUSED = 0x01;
        /// An AUTH_REQUEST to be granted although the primary is not failing.
        const FORCEACK = 0x02;
        /// "I understand ping extensions", in every PING, PONG and MEET even when none follow.
        const EXT_DATA = 0x04;
        const _ = !0;
    }
}
