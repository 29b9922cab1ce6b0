//! Entry point of the `baton` program.
fn main() {}
