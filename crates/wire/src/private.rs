//! Our own few bytes in the header's `notused` room, which upstream sends as zero and ignores (cluster-bus 1.9). They
//! are tagged, so that a later upstream release that uses the room is not misread, and absent unless set.

use crate::layout::PRIVATE_BYTES;
use std::fmt;

/// Marks the room as ours.
const MAGIC: [u8; 4] = *b"BTN\x01";
const PREFIX_BYTES: usize = MAGIC.len() + 1;

/// Up to 25 bytes that travel in the header of every full packet. Their meaning is the cluster core's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivateBlob {
    bytes: [u8; PrivateBlob::BYTES_MAX],
    len: u8,
}

/// Why bytes are no private blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a private blob holds at most 25 bytes")]
pub struct PrivateTooLong;

impl PrivateBlob {
    /// The most bytes that fit.
    pub const BYTES_MAX: usize = PRIVATE_BYTES - PREFIX_BYTES;

    /// A blob of these bytes.
    pub fn new(content: &[u8]) -> Result<PrivateBlob, PrivateTooLong> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..content.len()).ok_or(PrivateTooLong)?.copy_from_slice(content);
        Ok(PrivateBlob { bytes, len: content.len() as u8 })
    }

    /// Its content.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Reads the room; none when somebody else's bytes, or zeros, are there.
    pub(crate) fn from_room(room: &[u8; PRIVATE_BYTES]) -> Option<PrivateBlob> {
        let rest = room.strip_prefix(&MAGIC)?;
        let (&len, content) = rest.split_first()?;
        PrivateBlob::new(content.get(..usize::from(len))?).ok()
    }

    pub(crate) fn to_room(self) -> [u8; PRIVATE_BYTES] {
        let mut room = [0; PRIVATE_BYTES];
        room[..MAGIC.len()].copy_from_slice(&MAGIC);
        room[MAGIC.len()] = self.len;
        room[PREFIX_BYTES..].copy_from_slice(&self.bytes);
        room
    }
}

impl fmt::Debug for PrivateBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private {:02x?}", self.as_bytes())
    }
}
