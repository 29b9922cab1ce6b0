//! The keys of a request, by the specifications of its command.

use baton_resp::Args;
use smallvec::SmallVec;

use crate::key_spec::{BeginSearch, FindKeys, KeyFlags, KeySpec};
use crate::spec::CommandSpec;

/// A key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPosition {
    /// Which argument it is.
    pub index: u32,
    /// What happens to it.
    pub flags: KeyFlags,
}

/// The keys of a request, in the order of the specifications.
pub type KeyPositions = SmallVec<[KeyPosition; 12]>;

/// The arguments don't say where the keys are: a count that is no number, or more keys than arguments. The command would
/// refuse them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysError;

/// Where the keys are, those included that only have a slot ([`KeyFlags::NOT_KEY`]). The arity was checked before.
#[inline]
pub fn key_positions(spec: &CommandSpec, args: Args<'_>) -> Result<KeyPositions, KeysError> {
    let mut found = KeyPositions::new();
    if let Some(index) = spec.single_key() {
        if index >= args.len() {
            return Err(KeysError);
        }
        found.push(KeyPosition { index: index as u32, flags: actual_flags(spec, &spec.keys[0], args) });
        return Ok(found);
    }
    if let Some(find_keys) = spec.find_keys {
        return Ok(find_keys(args));
    }
    for keys in spec.keys {
        collect(keys, actual_flags(spec, keys, args), args, &mut found)?;
    }
    Ok(found)
}

/// What the command does to the keys, with these arguments.
#[inline]
fn actual_flags(spec: &CommandSpec, keys: &KeySpec, args: Args<'_>) -> KeyFlags {
    match spec.key_flags {
        Some(of_args) if keys.flags.contains(KeyFlags::VARIABLE_FLAGS) => of_args(args),
        _ => keys.flags,
    }
}

fn collect(spec: &KeySpec, flags: KeyFlags, args: Args<'_>, found: &mut KeyPositions) -> Result<(), KeysError> {
    let Some(begin) = begin(spec.begin, args) else { return Ok(()) };
    if begin >= args.len() {
        return Ok(());
    }
    let (first, last, step) = match spec.find {
        FindKeys::Range { last, step, limit } => (begin, range_end(begin, last, limit, args.len()), step),
        FindKeys::KeyNum { count_at, first, step } => {
            let count = args.get(begin + count_at as usize).and_then(baton_base::num::parse_u64).ok_or(KeysError)?;
            let first = begin + first as usize;
            let Some(more) = count.checked_sub(1) else { return Err(KeysError) };
            let last = usize::try_from(more).ok().and_then(|n| n.checked_mul(step as usize)?.checked_add(first));
            (first, last.ok_or(KeysError)?, step)
        }
        FindKeys::Unknown => return Ok(()),
    };
    if last >= args.len() {
        return Err(KeysError);
    }
    for index in (first..=last).step_by(step.max(1) as usize) {
        found.push(KeyPosition { index: index as u32, flags });
    }
    Ok(())
}

/// The argument at which a search begins, if it can be found.
fn begin(search: BeginSearch, args: Args<'_>) -> Option<usize> {
    match search {
        BeginSearch::Index(at) => Some(at as usize),
        BeginSearch::Keyword { word, start_from } => {
            let is_word = |i: &usize| args[*i].eq_ignore_ascii_case(word.as_bytes());
            let place = if start_from >= 0 {
                (start_from as usize..args.len()).find(is_word)
            } else {
                let from = args.len().checked_sub(start_from.unsigned_abs() as usize)?;
                (1..=from).rev().find(is_word)
            };
            Some(place? + 1)
        }
        BeginSearch::Unknown => None,
    }
}

/// The last key of a range; before `begin` if there is none.
fn range_end(begin: usize, last: i32, limit: u32, argc: usize) -> usize {
    if last >= 0 {
        return begin + last as usize;
    }
    let end = argc.saturating_sub(last.unsigned_abs() as usize);
    match limit {
        0 | 1 => end,
        limit if last == -1 => begin + ((argc - begin) / limit as usize).saturating_sub(1),
        _ => end,
    }
}
