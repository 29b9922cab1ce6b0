//! Cuts the byte stream of a bus link into packets. The first 14 bytes decide whether a packet may be waited for; memory
//! grows only with bytes that arrived, and never beyond one packet of the largest size and one feed.

use crate::field::{array_at, u16_at, u32_at};
use crate::layout::{self, FRAME_PREFIX_BYTES, HEADER_BYTES, LIGHT_HEADER_BYTES};
use crate::{BadFrame, Kind};

/// A buffer this much larger than what it holds is given back when it runs empty.
const IDLE_BYTES_MAX: usize = 64 << 10;

/// Receives bytes of one link and yields whole packets.
///
/// After every [`Framer::feed`] call [`Framer::next_packet`] until it yields none. Once it has failed the link is to be
/// closed; it then keeps failing.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// How many of `bytes` have been yielded already.
    taken: usize,
}

impl Framer {
    /// A framer for a fresh link.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Adds what was read from the link.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > IDLE_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole packet, if it has arrived. Its signature and length are sound, nothing else is checked.
    pub fn next_packet(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        let rest = &self.bytes[self.taken..];
        if rest.len() < FRAME_PREFIX_BYTES {
            return Ok(None);
        }
        let len = packet_len(rest)?;
        let start = self.taken;
        if self.bytes.len() - start < len {
            return Ok(None);
        }
        self.taken += len;
        Ok(Some(&self.bytes[start..start + len]))
    }

    /// Bytes held that have not been yielded, for memory accounting.
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.taken
    }
}

/// Length of the packet that begins with these at least 14 bytes (cluster-bus 1.7, first stage).
pub(crate) fn packet_len(bytes: &[u8]) -> Result<usize, BadFrame> {
    let len = u32_at(bytes, layout::TOTLEN) as usize;
    let kind = u16_at(bytes, layout::TYPE);
    let len_min = if kind & layout::TYPE_LIGHT_BIT != 0 { LIGHT_HEADER_BYTES } else { HEADER_BYTES };
    let len_max = match Kind::from_number(kind) {
        Kind::Publish | Kind::PublishShard | Kind::Module => layout::PUBLISH_PACKET_BYTES_MAX,
        _ => layout::PING_PACKET_BYTES_MAX,
    };
    let sound = array_at(bytes, 0) == layout::SIGNATURE && (len_min..=len_max).contains(&len);
    if sound { Ok(len) } else { Err(BadFrame) }
}
