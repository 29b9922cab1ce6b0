//! Every maximum of a request. Nothing here is allocated ahead of the bytes that justify it.

/// Longest inline request, and longest line that announces a count or a length, in bytes without its line end.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Most arguments of one request.
const ARGS_MAX: u64 = i32::MAX as u64;

/// Most arguments of one request, and longest argument, of a client that has to authenticate first.
const ARGS_MAX_UNAUTHENTICATED: u64 = 10;
const BULK_BYTES_MAX_UNAUTHENTICATED: u64 = 16384;

/// What one client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// Whether the client has passed authentication, or needs none.
    pub authenticated: bool,
}

impl Limits {
    /// The limits of an ordinary client, given `proto-max-bulk-len`.
    pub const fn client(bulk_bytes_max: u64) -> Limits {
        Limits { bulk_bytes_max, authenticated: true }
    }

    /// The limits of a client that still has to authenticate.
    pub const fn unauthenticated(bulk_bytes_max: u64) -> Limits {
        Limits { bulk_bytes_max, authenticated: false }
    }

    /// The limits of the link from the primary: what the primary accepted is accepted here.
    pub const fn primary_link() -> Limits {
        Limits { bulk_bytes_max: i64::MAX as u64, authenticated: true }
    }

    pub(crate) fn check_args(&self, count: u64) -> Result<(), crate::ProtocolError> {
        if count > ARGS_MAX {
            Err(crate::ProtocolError::MultibulkLength)
        } else if count > ARGS_MAX_UNAUTHENTICATED && !self.authenticated {
            Err(crate::ProtocolError::UnauthenticatedMultibulkLength)
        } else {
            Ok(())
        }
    }

    pub(crate) fn check_bulk(&self, bytes: u64) -> Result<(), crate::ProtocolError> {
        if bytes > self.bulk_bytes_max {
            Err(crate::ProtocolError::BulkLength)
        } else if bytes > BULK_BYTES_MAX_UNAUTHENTICATED && !self.authenticated {
            Err(crate::ProtocolError::UnauthenticatedBulkLength)
        } else {
            Ok(())
        }
    }
}
