//! All commands in one table, found by name. The table is built by the compiler: nothing is initialised at start.

use crate::fail::Fail;
use crate::spec::CommandSpec;
use crate::table;
use baton_resp::Args;

/// Number of a command or subcommand, dense from 0 up to [`count`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u16);

impl CommandId {
    /// As an index into an array of [`count`] elements.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The command with this name, in any case. A container is found as itself: see [`CommandSpec::subcommand`].
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let folded = Folded::of(name);
    let mut at = folded.bucket();
    loop {
        let i = INDEX[at];
        if i == EMPTY {
            return None;
        }
        let known = &FOLDED[i as usize];
        if known.first == folded.first && known.last == folded.last && known.len == folded.len {
            let spec = &COMMANDS[i as usize];
            if known.exact || spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(spec);
            }
        }
        at = (at + 1) % INDEX.len();
    }
}

/// What a request asks for: the command, or the subcommand where there are any.
pub type Found = &'static CommandSpec;

/// Finds the command or subcommand of a request and checks its arity: the first gate of every request.
#[inline]
pub fn find(args: Args<'_>) -> Result<Found, Fail> {
    let Some(mut spec) = lookup(args.name()) else { return Err(Fail::unknown_command(args)) };
    if !spec.subcommands.is_empty() && args.len() > 1 {
        spec = match spec.subcommand(&args[1]) {
            Some(sub) => sub,
            None => return Err(Fail::unknown_subcommand(spec.name, &args[1])),
        };
    }
    if spec.arity_fits(args.len()) { Ok(spec) } else { Err(Fail::Arity(spec.name)) }
}

/// All commands without their subcommands.
pub fn all() -> &'static [CommandSpec] {
    &COMMANDS
}

/// How many commands and subcommands there are.
pub const fn count() -> usize {
    COMMANDS_COUNT + SUBCOMMANDS_COUNT
}

/// The command or subcommand with this number.
pub fn by_id(id: CommandId) -> &'static CommandSpec {
    match COMMANDS.get(id.index()) {
        Some(spec) => spec,
        None => &SUBCOMMANDS[id.index() - COMMANDS_COUNT],
    }
}

const COMMANDS_COUNT: usize = {
    let (mut n, mut f) = (0, 0);
    while f < table::FAMILIES.len() {
        n += table::FAMILIES[f].len();
        f += 1;
    }
    n
};

const SUBCOMMANDS_COUNT: usize = {
    let (mut n, mut f) = (0, 0);
    while f < table::FAMILIES.len() {
        let mut i = 0;
        while i < table::FAMILIES[f].len() {
            n += table::FAMILIES[f][i].subcommands.len();
            i += 1;
        }
        f += 1;
    }
    n
};

/// The families' records in order, with their numbers, their subcommands pointing into [`SUBCOMMANDS`].
static COMMANDS: [CommandSpec; COMMANDS_COUNT] = {
    let mut out = [CommandSpec::BASE; COMMANDS_COUNT];
    let (mut n, mut subs, mut f) = (0, 0, 0);
    while f < table::FAMILIES.len() {
        let mut i = 0;
        while i < table::FAMILIES[f].len() {
            let mut spec = table::FAMILIES[f][i];
            spec.id = CommandId(n as u16);
            let len = spec.subcommands.len();
            spec.subcommands = SUBCOMMANDS.split_at(subs).1.split_at(len).0;
            subs += len;
            out[n] = spec;
            n += 1;
            i += 1;
        }
        f += 1;
    }
    out
};

/// The subcommands of all containers, in order, with their numbers.
static SUBCOMMANDS: [CommandSpec; SUBCOMMANDS_COUNT] = {
    let mut out = [CommandSpec::BASE; SUBCOMMANDS_COUNT];
    let (mut n, mut f) = (0, 0);
    while f < table::FAMILIES.len() {
        let mut i = 0;
        while i < table::FAMILIES[f].len() {
            let subs = table::FAMILIES[f][i].subcommands;
            let mut s = 0;
            while s < subs.len() {
                out[n] = subs[s];
                out[n].id = CommandId((COMMANDS_COUNT + n) as u16);
                n += 1;
                s += 1;
            }
            i += 1;
        }
        f += 1;
    }
    out
};

/// Open-addressed: the number of a command in the bucket of its name, or the next free one after it.
static INDEX: [u16; 1024] = {
    assert!(COMMANDS_COUNT <= 512, "the table has to stay half empty");
    let mut out = [EMPTY; 1024];
    let mut i = 0;
    while i < COMMANDS_COUNT {
        let mut at = FOLDED[i].bucket();
        while out[at] != EMPTY {
            at = (at + 1) % out.len();
        }
        out[at] = i as u16;
        i += 1;
    }
    out
};

const EMPTY: u16 = u16::MAX;

/// The names of [`COMMANDS`], in the form in which they are compared.
static FOLDED: [Folded; COMMANDS_COUNT] = {
    let mut out = [Folded { first: 0, last: 0, len: 0, exact: false }; COMMANDS_COUNT];
    let mut i = 0;
    while i < COMMANDS_COUNT {
        out[i] = Folded::of(COMMANDS[i].name.as_bytes());
        out[i].exact = only_letters(COMMANDS[i].name.as_bytes()) && out[i].len <= 16;
        i += 1;
    }
    out
};

/// A name without regard to case, in two words: its beginning and its end, which overlap or leave a gap. Bit 5 is set in every
/// byte; that maps letters of both cases to one another, and no other byte to a letter.
#[derive(Clone, Copy)]
struct Folded {
    first: u64,
    last: u64,
    len: usize,
    /// Whether equal words mean equal names: no gap, and nothing but letters.
    exact: bool,
}

impl Folded {
    #[inline]
    const fn of(name: &[u8]) -> Folded {
        let (first, last) = match name.len() {
            8.. => (word(name, 0), word(name, name.len() - 8)),
            4..8 => (half(name, 0), half(name, name.len() - 4)),
            0 => (0, 0),
            n => (name[0] as u64 | (name[n / 2] as u64) << 8, name[n - 1] as u64),
        };
        Folded { first: first | FOLD, last: last | FOLD, len: name.len(), exact: false }
    }

    #[inline]
    const fn bucket(&self) -> usize {
        let mixed = self.first.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.last.rotate_left(29) ^ self.len as u64;
        (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 54) as usize
    }
}

const fn only_letters(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !name[i].is_ascii_alphabetic() {
            return false;
        }
        i += 1;
    }
    true
}

const FOLD: u64 = 0x2020_2020_2020_2020;

#[inline]
const fn word(b: &[u8], i: usize) -> u64 {
    u64::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7]])
}

#[inline]
const fn half(b: &[u8], i: usize) -> u64 {
    u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]) as u64
}
