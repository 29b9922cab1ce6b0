//! Changes of the libraries of functions, as commands ask for them: read and tried first, made at one moment then. The same
//! for clients and for what a primary sends.

use baton_commands::NodeCommand as N;
use baton_rdb::{VersionPolicy, restore_functions};
use baton_resp::Args;
use baton_script::{Libraries, Library, NotAdded};

use crate::node::Refusal;
use crate::scripts::Loader;
use crate::shared::Shared;

/// What is to change.
pub enum FunctionChange {
    /// These come.
    Add {
        /// In order.
        libraries: Vec<Library>,
        /// They come from a dump.
        saved: bool,
        /// In the place of those with the same names, instead of being refused for their sake.
        replaces: bool,
        /// All that are there go first.
        flushes: bool,
    },
    /// This one goes.
    Delete(Box<[u8]>),
}

impl FunctionChange {
    /// What FUNCTION LOAD, DELETE, FLUSH and RESTORE ask for; the texts of libraries are run to find out what they register.
    ///
    /// # Errors
    /// The error for the client.
    pub fn of(
        shared: &Shared,
        loader: &mut Loader,
        command: N,
        args: Args<'_>,
        versions: VersionPolicy,
    ) -> Result<FunctionChange, Refusal> {
        match command {
            N::FunctionLoad => load(shared, loader, args),
            N::FunctionDelete => Ok(FunctionChange::Delete(args.at(2).into())),
            N::FunctionFlush => {
                check_length(args, "flush", 3)?;
                let is = |word: &[u8]| args.get(2).is_none_or(|mode| mode.eq_ignore_ascii_case(word));
                if !is(b"sync") && !is(b"async") {
                    return Err("ERR FUNCTION FLUSH only supports SYNC|ASYNC option".into());
                }
                Ok(FunctionChange::Add { libraries: Vec::new(), saved: false, replaces: false, flushes: true })
            }
            _ => restore(shared, loader, args, versions),
        }
    }

    /// Makes the change, all of it or none.
    ///
    /// # Errors
    /// The error for the client.
    pub fn apply(self, all: &mut Libraries) -> Result<(), Refusal> {
        match self {
            FunctionChange::Delete(name) if all.remove(&name) => Ok(()),
            FunctionChange::Delete(_) => Err("ERR Library not found".into()),
            FunctionChange::Add { libraries, saved, replaces, flushes } => {
                let refused = |why: NotAdded| err(&if saved { why.text_of_saved() } else { why.text() });
                // One library is added or refused as a whole; of several a later one may be refused.
                if let (1, false) = (libraries.len(), flushes) {
                    return libraries.into_iter().try_for_each(|one| all.add(one, replaces)).map_err(refused);
                }
                let mut changed = if flushes { Libraries::default() } else { all.clone() };
                let added = libraries.into_iter().try_for_each(|library| changed.add(library, replaces));
                added.map_err(refused)?;
                *all = changed;
                Ok(())
            }
        }
    }
}

/// An error of this text, without its code.
fn err(text: &[u8]) -> Refusal {
    Refusal(format!("ERR {}", String::from_utf8_lossy(text)).into())
}

fn check_length(args: Args<'_>, name: &str, most: usize) -> Result<(), Refusal> {
    if args.len() <= most {
        return Ok(());
    }
    Err(format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try FUNCTION HELP.").into())
}

fn made(shared: &Shared, loader: &mut Loader, code: &[u8]) -> Result<Library, Refusal> {
    shared.scripts.library(code, loader, shared.clock, &shared.log).map_err(|text| err(&text))
}

fn load(shared: &Shared, loader: &mut Loader, args: Args<'_>) -> Result<FunctionChange, Refusal> {
    let last = args.len() - 1;
    let mut replaces = false;
    for option in args.iter().take(last).skip(2) {
        if !option.eq_ignore_ascii_case(b"replace") {
            return Err(err(&[b"Unknown option given: ", option].concat()));
        }
        replaces = true;
    }
    let library = made(shared, loader, args.at(last))?;
    Ok(FunctionChange::Add { libraries: vec![library], saved: false, replaces, flushes: false })
}

fn restore(
    shared: &Shared,
    loader: &mut Loader,
    args: Args<'_>,
    versions: VersionPolicy,
) -> Result<FunctionChange, Refusal> {
    check_length(args, "restore", 4)?;
    let is = |word: &[u8]| args.get(3).is_some_and(|policy| policy.eq_ignore_ascii_case(word));
    let (replaces, flushes) = (is(b"replace"), is(b"flush"));
    if args.len() == 4 && !is(b"append") && !replaces && !flushes {
        return Err("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.".into());
    }
    let sources = restore_functions(args.at(2), versions).map_err(|e| Refusal(format!("ERR {e}").into()))?;
    let libraries: Result<Vec<Library>, Refusal> = sources.iter().map(|code| made(shared, loader, code)).collect();
    Ok(FunctionChange::Add { libraries: libraries?, saved: true, replaces, flushes })
}
