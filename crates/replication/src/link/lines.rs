//! Reply lines out of a byte stream. Keeps at most one line and takes nothing beyond it, because what follows a line may
//! be a snapshot.

/// Longest line of a primary that is accepted, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1024;

/// The beginning of a line that has not ended yet.
#[derive(Clone, Debug, Default)]
pub(super) struct LineBuffer(Vec<u8>);

/// A line did not end within [`LINE_BYTES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LineTooLong;

impl LineBuffer {
    /// Takes bytes up to the end of a line. Gives how many were taken, and the line without its end if it is whole.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), LineTooLong> {
        let end = bytes.iter().position(|b| *b == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if self.0.len() + part.len() > LINE_BYTES_MAX {
            return Err(LineTooLong);
        }
        self.0.extend_from_slice(part);
        if end.is_none() {
            return Ok((part.len(), None));
        }
        let mut line = std::mem::take(&mut self.0);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok((part.len() + 1, Some(line)))
    }
}
