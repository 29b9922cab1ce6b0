//! Replies of what values consist of.

use baton_resp::Out;
use baton_values::Str;

/// Writing texts of values.
pub(crate) trait ReplyText {
    /// A text, as a bulk string.
    fn text(&mut self, text: Str<'_>);
}

impl ReplyText for Out {
    #[inline]
    fn text(&mut self, text: Str<'_>) {
        match text {
            Str::Bytes(bytes) => self.bulk(bytes),
            Str::Int(n) => self.bulk_int(n),
        }
    }
}
