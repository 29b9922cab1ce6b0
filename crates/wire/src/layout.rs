//! Where every field of a packet lies (cluster-bus 1.2, 1.4, 1.5, 1.6) and how large a packet may be. Offsets only: no
//! code that reads or writes.

/// Bytes of the full header; the body of a full packet starts here.
pub const HEADER_BYTES: usize = 2256;
/// Bytes of the light header; the body of a light packet starts here.
pub const LIGHT_HEADER_BYTES: usize = 16;
/// Bytes of one gossip entry.
pub const GOSSIP_BYTES: usize = 104;
/// Largest packet accepted that is neither PUBLISH nor MODULE. Upstream has no limit; the largest honest one, a PING
/// with 65535 gossip entries and 65535 forgotten nodes, takes 10.5 MB.
pub const PING_PACKET_BYTES_MAX: usize = 16 << 20;
/// Largest PUBLISH, PUBLISHSHARD or MODULE packet accepted: a message of the default `proto-max-bulk-len` and room for
/// the channel.
pub const PUBLISH_PACKET_BYTES_MAX: usize = (512 << 20) + (16 << 20);

/// Bytes that are enough to judge a packet's signature, length and type (cluster-bus 1.1).
pub(crate) const FRAME_PREFIX_BYTES: usize = 14;
/// The light-header bit of the type field.
pub(crate) const TYPE_LIGHT_BIT: u16 = 0x8000;
/// What every packet starts with.
pub(crate) const SIGNATURE: [u8; 4] = *b"RCmb";
/// The only protocol version.
pub(crate) const VERSION: u16 = 1;
/// Bytes of an id without terminator.
pub(crate) const ID_BYTES: usize = 40;
/// Bytes of an IP text field, including at least one NUL.
pub(crate) const IP_BYTES: usize = 46;

pub(crate) const TOTLEN: usize = 4;
pub(crate) const VER: usize = 8;
pub(crate) const PORT: usize = 10;
pub(crate) const TYPE: usize = 12;
pub(crate) const COUNT: usize = 14;
pub(crate) const CURRENT_EPOCH: usize = 16;
pub(crate) const CONFIG_EPOCH: usize = 24;
pub(crate) const OFFSET: usize = 32;
pub(crate) const SENDER: usize = 40;
pub(crate) const SLOTS: usize = 80;
pub(crate) const REPLICA_OF: usize = 2128;
pub(crate) const IP: usize = 2168;
pub(crate) const EXTENSIONS: usize = 2214;
pub(crate) const PRIVATE: usize = 2216;
pub(crate) const PORT_OTHER: usize = 2246;
pub(crate) const PORT_BUS: usize = 2248;
pub(crate) const FLAGS: usize = 2250;
pub(crate) const STATE: usize = 2252;
pub(crate) const MFLAGS: usize = 2253;

/// Bytes of the `notused` room that [`crate::PrivateBlob`] lives in.
pub(crate) const PRIVATE_BYTES: usize = 30;

/// Fields of a gossip entry, from its start.
pub(crate) mod gossip {
    pub(crate) const PING_SENT: usize = 40;
    pub(crate) const PONG_RECEIVED: usize = 44;
    pub(crate) const IP: usize = 48;
    pub(crate) const PORT: usize = 94;
    pub(crate) const PORT_BUS: usize = 96;
    pub(crate) const FLAGS: usize = 98;
    pub(crate) const PORT_OTHER: usize = 100;
}

/// Bytes of an UPDATE body: epoch, id, bitmap.
pub(crate) const UPDATE_BYTES: usize = 8 + ID_BYTES + 2048;
/// Bytes of a PUBLISH body before the channel.
pub(crate) const PUBLISH_PREFIX_BYTES: usize = 8;
/// Bytes of a MODULE body before the payload.
pub(crate) const MODULE_PREFIX_BYTES: usize = 13;
/// Bytes of an extension before its payload.
pub(crate) const EXTENSION_PREFIX_BYTES: usize = 8;

const _: () = assert!(MFLAGS + 3 == HEADER_BYTES);
const _: () = assert!(PRIVATE + PRIVATE_BYTES == PORT_OTHER);
const _: () = assert!(gossip::PORT_OTHER + 4 == GOSSIP_BYTES);
const _: () = assert!(HEADER_BYTES + 65535 * (GOSSIP_BYTES + 56) < PING_PACKET_BYTES_MAX);
const _: () = assert!(PUBLISH_PACKET_BYTES_MAX < u32::MAX as usize);
