//! Tests of the whole crate through its public face: facts of the registry, recorded transcripts, and rules that no recording
//! shows.

mod compared;
mod compatibility;
mod facts;
mod rules;
mod runner;
mod transcripts;
