//! Whole handovers as text: verbs stand at the margin, what the machine does under them is indented.

use crate::rig::{Rig, check};
use std::fmt::Write;
use std::path::Path;

/// Plays the verbs of a recorded file and compares everything.
fn play(name: &str) {
    let file = format!("transcripts/{name}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handover").join(&file);
    let script = std::fs::read_to_string(path).unwrap();
    let mut rig = Rig::new();
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(out, "{line}").unwrap();
        match line {
            "" => {}
            "new" => rig = Rig::new(),
            comment if comment.starts_with('#') => {}
            verb => out += &rig.run(verb),
        }
    }
    check(&file, &out);
}

macro_rules! transcripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            play(stringify!($name));
        }
    )*};
}

transcripts! {
    canvass
    sigterm
    sigterm_without_replica
    sigterm_waits
    sigterm_forsaken
    sigterm_expects
    sigterm_gives_up
    command_announced
    command_ordered
    command_waits
    joins
    aborts
    stop_for_nobody
    choice
    target_gone
    failover
    failover_forced
    failover_ends
    takeover_at_sigterm
    stood
}
