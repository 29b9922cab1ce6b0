//! The handover machine from outside: transcripts of whole handovers, a table of every phase and input, and what holds
//! for any sequence of inputs. `REWRITE=1` writes the recorded files anew.

mod healthy;
mod property;
mod rig;
mod table;
mod transcript;
