//! What a request asks for, by the flags of its command: EXEC by those of all that was queued, a script by what its first line
//! says of it (replication 3.4).

use baton_commands::{CommandSpec, Flags, NodeCommand as N, Run};
use baton_resp::Args;
use baton_script::{ScriptFlags, parse_header};

use super::client::Client;
use super::context::Context;
use crate::scripts::Scripts;

/// Flags of a request.
pub(super) struct Asked {
    /// Those that it or something queued has.
    any: Flags,
    /// Those that all of them have.
    all: Flags,
}

impl Asked {
    /// What this request asks for.
    pub(super) fn of(cx: &Context<'_>, client: &Client, spec: &'static CommandSpec, args: Args<'_>) -> Asked {
        let scripts = &cx.shared.scripts;
        let own = flags_of(scripts, spec, args);
        let mut asked = Asked { any: own, all: own };
        if matches!(spec.run, Run::Node(N::Exec))
            && let Some(transaction) = &client.transaction
        {
            for (spec, args) in &transaction.queue {
                let flags = flags_of(scripts, spec, args.as_args());
                asked.any = asked.any.union(flags);
                asked.all = asked.all.intersection(flags);
            }
        }
        asked
    }

    /// Whether any of it has one of these flags.
    pub(super) fn has(&self, flags: Flags) -> bool {
        self.any.intersects(flags)
    }

    /// Whether some of it is not allowed in a state in which commands with this flag are.
    pub(super) fn needs_more_than(&self, flag: Flags) -> bool {
        !self.all.contains(flag)
    }
}

/// The flags of a command, or of the script that it runs.
fn flags_of(scripts: &Scripts, spec: &CommandSpec, args: Args<'_>) -> Flags {
    let text = args.get(1).unwrap_or_default();
    let said = match spec.run {
        Run::Node(N::Eval | N::EvalRo) if text.starts_with(b"#!") => parse_header(text).ok().and_then(|h| h.flags),
        Run::Node(N::Evalsha | N::EvalshaRo) => scripts.of_sha(text).and_then(|script| script.flags),
        Run::Node(N::Fcall | N::FcallRo) => scripts.functions().function(text).map(|(_, function)| function.flags),
        _ => None,
    };
    said.map_or(spec.flags, |said| said_instead(spec.flags, said))
}

/// A script that says what it does is judged by that, not by what scripts may do.
fn said_instead(flags: Flags, said: ScriptFlags) -> Flags {
    let mut flags = flags.difference(Flags::STALE | Flags::DENYOOM | Flags::WRITE | Flags::MAY_REPLICATE);
    if !said.contains(ScriptFlags::NO_WRITES) {
        flags |= Flags::WRITE;
    }
    // Who writes nothing takes no memory either.
    if !said.intersects(ScriptFlags::NO_WRITES | ScriptFlags::ALLOW_OOM) {
        flags |= Flags::DENYOOM;
    }
    if said.contains(ScriptFlags::ALLOW_STALE) {
        flags |= Flags::STALE;
    }
    flags
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn flags(words: &[&str]) -> Flags {
        let args = OwnedArgs::from_slices(words);
        flags_of(&Scripts::default(), baton_commands::lookup(words[0].as_bytes()).unwrap(), args.as_args())
    }

    #[test]
    fn a_script_is_judged_by_what_it_says() {
        let plain = flags(&["eval", "return 1", "0"]);
        assert!(plain.contains(Flags::STALE | Flags::MAY_REPLICATE) && !plain.contains(Flags::WRITE));
        let writer = flags(&["eval_ro", "#!lua\nreturn 1", "0"]);
        assert!(
            writer.contains(Flags::WRITE | Flags::DENYOOM) && !writer.intersects(Flags::STALE | Flags::MAY_REPLICATE)
        );
        let reader = flags(&["eval", "#!lua flags=no-writes,allow-stale\nreturn 1", "0"]);
        assert!(reader.contains(Flags::STALE) && !reader.intersects(Flags::WRITE | Flags::DENYOOM));
        assert!(!flags(&["eval", "#!lua flags=allow-oom\nreturn 1", "0"]).contains(Flags::DENYOOM));
        assert_eq!(flags(&["eval", "#!lua flags=unknown\nreturn 1", "0"]), plain);
        assert_eq!(flags(&["evalsha", "0", "0"]), plain);
    }
}
