//! Where a command's keys are, and what it does to them: a place to begin and a way to go on from there, the model that
//! clients and proxies read from `COMMAND INFO`.

use bitflags::bitflags;

bitflags! {
    /// What a command does to the keys of one specification. Declared in the order in which `COMMAND INFO` lists them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeyFlags: u16 {
        /// Overwrites the value without looking at it.
        const OW = 1 << 0;
        /// Reads the value.
        const RO = 1 << 1;
        /// Reads and writes the value.
        const RW = 1 << 2;
        /// Removes the key.
        const RM = 1 << 3;
        /// What looks like a key is only something that has a slot.
        const NOT_KEY = 1 << 4;
        /// Returns, copies or uses user data of the value.
        const ACCESS = 1 << 5;
        /// Adds data without changing what is there.
        const INSERT = 1 << 6;
        /// Changes data that depends on what is there.
        const UPDATE = 1 << 7;
        /// Deletes data from the value.
        const DELETE = 1 << 8;
        /// Other flags apply depending on the arguments.
        const VARIABLE_FLAGS = 1 << 9;
        /// Not all keys can be found this way.
        const INCOMPLETE = 1 << 10;
    }
}

impl KeyFlags {
    /// The names as `COMMAND INFO` replies them, in order: access in capitals, the rest lower-case.
    pub fn names(self) -> impl Iterator<Item = String> {
        let access = KeyFlags::OW.union(KeyFlags::RO).union(KeyFlags::RW).union(KeyFlags::RM);
        self.iter_names()
            .map(|(name, flag)| if access.contains(flag) { name.to_string() } else { name.to_ascii_lowercase() })
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginSearch {
    /// At this argument.
    Index(u32),
    /// After this word, searched from an argument on; backwards from the end if negative.
    Keyword {
        /// The word, in any case.
        word: &'static str,
        /// Where the search begins.
        start_from: i32,
    },
    /// Nobody can tell.
    Unknown,
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// From the beginning to `last` in steps.
    Range {
        /// Last key counted from the beginning; -1 is the last argument, -2 the one before.
        last: i32,
        /// Distance between keys.
        step: u32,
        /// Together with `last` = -1: only the first `1/limit` of the rest; 0 and 1 are no limit.
        limit: u32,
    },
    /// An argument says how many.
    KeyNum {
        /// Which argument, counted from the beginning.
        count_at: u32,
        /// The first key, counted from the beginning.
        first: u32,
        /// Distance between keys.
        step: u32,
    },
    /// Nobody can tell.
    Unknown,
}

/// One group of keys of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// What happens to them.
    pub flags: KeyFlags,
    /// Where to begin.
    pub begin: BeginSearch,
    /// How to go on.
    pub find: FindKeys,
    /// A remark for readers of `COMMAND INFO`; empty if there is none.
    pub notes: &'static str,
}

impl KeySpec {
    /// A single key at this argument.
    pub const fn one(at: u32, flags: KeyFlags) -> KeySpec {
        KeySpec::range(at, 0, 1, flags)
    }

    /// Keys from this argument to `last`, in steps.
    pub const fn range(at: u32, last: i32, step: u32, flags: KeyFlags) -> KeySpec {
        KeySpec { flags, begin: BeginSearch::Index(at), find: FindKeys::Range { last, step, limit: 0 }, notes: "" }
    }

    /// Keys whose number stands at argument `at + count_at`, the first at `at + first`.
    pub const fn counted(at: u32, count_at: u32, first: u32, step: u32, flags: KeyFlags) -> KeySpec {
        let find = FindKeys::KeyNum { count_at, first, step };
        KeySpec { flags, begin: BeginSearch::Index(at), find, notes: "" }
    }

    /// A single key after this word.
    pub const fn after(word: &'static str, start_from: i32, flags: KeyFlags) -> KeySpec {
        let begin = BeginSearch::Keyword { word, start_from };
        KeySpec { flags, begin, find: FindKeys::Range { last: 0, step: 1, limit: 0 }, notes: "" }
    }

    /// The first half of what follows this word.
    pub const fn halves_after(word: &'static str, start_from: i32, flags: KeyFlags) -> KeySpec {
        let begin = BeginSearch::Keyword { word, start_from };
        KeySpec { flags, begin, find: FindKeys::Range { last: -1, step: 1, limit: 2 }, notes: "" }
    }

    /// The same with a remark.
    pub const fn notes(mut self, notes: &'static str) -> KeySpec {
        self.notes = notes;
        self
    }
}

/// A union of [`KeyFlags`] by their bare names, usable in constants.
macro_rules! key_flags {
    ($($name:ident)|*) => { $crate::KeyFlags::empty()$(.union($crate::KeyFlags::$name))* };
}

pub(crate) use key_flags;
