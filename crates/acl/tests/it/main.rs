//! What rules mean: transcripts of the original, and properties against a naive twin.

mod properties;
mod transcripts;
