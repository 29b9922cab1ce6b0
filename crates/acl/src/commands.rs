//! Which commands a selector allows: a bit for each command and subcommand, and the rules that made them so, for people to read.
//! Never looks at keys or channels.

use std::collections::BTreeMap;

use baton_commands::{Categories, CommandId, CommandSpec, Flags, docs};
use baton_resp::Args;

use crate::rule_error::RuleError;

/// The commands that a selector allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCommands {
    /// By the number of the command.
    bits: Box<[u64]>,
    /// Nothing was taken away since all commands were allowed.
    is_all: bool,
    /// The latest rule about all commands allowed them: so it would those that do not exist yet.
    future: bool,
    /// First arguments with which a command is allowed that is not allowed as such.
    first_args: BTreeMap<CommandId, Vec<Box<[u8]>>>,
    /// The rules since the latest one about all commands, without those that a later one made void: whether it allows, and
    /// what. Bits alone would not say what was meant for commands that come with another version.
    rules: Vec<(bool, Box<[u8]>)>,
}

const WORD_BITS: usize = 64;

impl AllowedCommands {
    /// None at all.
    pub fn none() -> AllowedCommands {
        AllowedCommands {
            bits: vec![0; baton_commands::count().div_ceil(WORD_BITS)].into_boxed_slice(),
            is_all: false,
            future: false,
            first_args: BTreeMap::new(),
            rules: Vec::new(),
        }
    }

    /// Whether every command is allowed, whatever its arguments.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Whether a request may run as far as its command is concerned. What may come before authentication is always allowed.
    #[inline]
    pub fn allows(&self, spec: &CommandSpec, args: Args<'_>) -> bool {
        if self.is_all || spec.flags.contains(Flags::NO_AUTH) || self.has(spec.id()) {
            return true;
        }
        let Some(first_args) = self.first_args.get(&spec.id()) else { return false };
        args.get(1).is_some_and(|arg| first_args.iter().any(|allowed| allowed.eq_ignore_ascii_case(arg)))
    }

    fn has(&self, id: CommandId) -> bool {
        self.bits[id.index() / WORD_BITS] >> (id.index() % WORD_BITS) & 1 != 0
    }

    /// `+@all` or `-@all`.
    pub fn set_all(&mut self, allow: bool) {
        self.bits.fill(if allow { u64::MAX } else { 0 });
        self.is_all = allow;
        self.future = allow;
        self.first_args.clear();
        self.rules.clear();
    }

    /// A rule that begins with `+` or `-`.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let (allow, what) = match rule.split_first() {
            Some((b'+', what)) => (true, what),
            Some((b'-', what)) => (false, what),
            _ => return Err(RuleError::Syntax),
        };
        match what.strip_prefix(b"@") {
            Some(category) if category.eq_ignore_ascii_case(b"all") => self.set_all(allow),
            Some(category) => {
                let wanted = Categories::of_name(category).ok_or(RuleError::Unknown)?;
                self.set_category(wanted, allow);
                self.note_rule(what, allow);
            }
            None => match what.iter().rposition(|&b| b == b'|') {
                Some(bar) if allow => self.allow_part(what, bar)?,
                _ => {
                    let spec = docs::by_full_name(what).ok_or(RuleError::Unknown)?;
                    self.set(spec, allow);
                    self.note_rule(spec.name.as_bytes(), allow);
                }
            },
        }
        Ok(())
    }

    /// `+command|part`: a subcommand, or the first argument of a command that has none.
    fn allow_part(&mut self, what: &[u8], bar: usize) -> Result<(), RuleError> {
        let (container, part) = (&what[..bar], &what[bar + 1..]);
        let container = docs::by_full_name(container).ok_or(RuleError::Unknown)?;
        if container.name.contains('|') {
            return Err(RuleError::ArgumentOfSubcommand);
        }
        if part.is_empty() {
            return Err(RuleError::Syntax);
        }
        if container.subcommands.is_empty() {
            let first_args = self.first_args.entry(container.id()).or_default();
            if !first_args.iter().any(|known| known.eq_ignore_ascii_case(part)) {
                first_args.push(part.into());
            }
        } else {
            let spec = container.subcommand(part).ok_or(RuleError::Unknown)?;
            self.set(spec, true);
        }
        self.note_rule(what, true);
        Ok(())
    }

    /// Everything of a category. A container counts with all that it contains.
    fn set_category(&mut self, wanted: Categories, allow: bool) {
        for command in baton_commands::all() {
            for spec in std::iter::once(command).chain(command.subcommands) {
                if spec.categories().intersects(wanted) {
                    self.set(spec, allow);
                }
            }
        }
    }

    /// A command with its subcommands. What was said about first arguments is void then.
    fn set(&mut self, spec: &CommandSpec, allow: bool) {
        for one in std::iter::once(spec).chain(spec.subcommands) {
            let (word, bit) = (one.id().index() / WORD_BITS, 1 << (one.id().index() % WORD_BITS));
            if allow {
                self.bits[word] |= bit;
            } else {
                self.bits[word] &= !bit;
                self.is_all = false;
            }
            self.first_args.remove(&one.id());
        }
    }

    /// Writes a rule down behind the others. It makes those void that say something about the same thing or a part of it.
    fn note_rule(&mut self, what: &[u8], allow: bool) {
        let what = what.to_ascii_lowercase();
        let is_part = |rule: &[u8]| rule.strip_prefix(&*what).is_some_and(|rest| rest.is_empty() || rest[0] == b'|');
        self.rules.retain(|(_, rule)| !is_part(rule));
        self.rules.push((allow, what.into()));
    }

    /// The rules that make the same permissions again.
    pub fn describe(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.future { b"+@all" } else { b"-@all" });
        for (allow, what) in &self.rules {
            out.extend_from_slice(if *allow { b" +" } else { b" -" });
            out.extend_from_slice(what);
        }
    }
}
