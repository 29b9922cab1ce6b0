//! What a request asks for: which script or function, with which keys and arguments.

use std::sync::Arc;

use baton_base::num::parse_i64;
use baton_commands::NodeCommand as N;
use baton_resp::Args;
use baton_script::{FunctionSpec, Library, Script, ScriptFlags};

use super::err;
use crate::node::Refusal;
use crate::scripts::Scripts;

/// What runs.
pub(crate) enum Target {
    /// A script, and whether it was not known before.
    Script(Arc<Script>, bool),
    /// A function of a library.
    Function(Arc<Library>, FunctionSpec),
}

impl Target {
    /// What it says about itself; none if it says nothing: then it may do what its caller may.
    pub(super) fn flags(&self) -> Option<ScriptFlags> {
        match self {
            Target::Script(script, _) => script.flags,
            Target::Function(_, function) => Some(function.flags),
        }
    }

    /// Whether it was found to need more than the slots that it declares.
    pub(super) fn needs_world(&self) -> bool {
        match self {
            Target::Script(script, _) => script.needs_world(),
            Target::Function(library, _) => library.needs_world(),
        }
    }

    /// Remembers that it needs more than the slots that it declares.
    pub(super) fn note_needs_world(&self) {
        match self {
            Target::Script(script, _) => script.note_needs_world(),
            Target::Function(library, _) => library.note_needs_world(),
        }
    }
}

/// A request, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) target: Target,
    pub(crate) keys: Vec<&'a [u8]>,
    pub(crate) argv: Vec<&'a [u8]>,
}

/// Takes a request apart.
pub(crate) fn parse<'a>(scripts: &Scripts, command: N, args: Args<'a>) -> Result<Request<'a>, Refusal> {
    let text = args.at(1);
    let target = match command {
        N::Evalsha | N::EvalshaRo => {
            let script = scripts.of_sha(text).ok_or("NOSCRIPT No matching script.")?;
            Some(Target::Script(script, false))
        }
        N::Fcall | N::FcallRo => {
            let functions = scripts.functions();
            let (library, function) = functions.function(text).ok_or("ERR Function not found")?;
            Some(Target::Function(Arc::clone(library), function.clone()))
        }
        _ => None,
    };
    let bad_count = if matches!(command, N::Fcall | N::FcallRo) {
        "ERR Bad number of keys provided"
    } else {
        "ERR value is not an integer or out of range"
    };
    let count = parse_i64(args.at(2)).ok_or(bad_count)?;
    if count > args.len() as i64 - 3 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
    let target = match target {
        Some(target) => target,
        None => {
            let (script, fresh) = scripts.of_text(text).map_err(|text| err(&text))?;
            Target::Script(script, fresh)
        }
    };
    let (keys, argv) = (args.skip(3).iter().take(count).collect(), args.skip(3 + count).iter().collect());
    Ok(Request { target, keys, argv })
}
