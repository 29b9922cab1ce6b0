//! Arguments as `COMMAND DOCS` describes them. Documentation only: parsing is each command's own.

use bitflags::bitflags;

bitflags! {
    /// How often an argument may stand.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ArgFlags: u8 {
        /// It may be left out.
        const OPTIONAL = 1;
        /// It may be repeated.
        const MULTIPLE = 2;
        /// It is repeated together with its token.
        const MULTIPLE_TOKEN = 4;
    }
}

/// Type of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// Any bytes.
    String,
    /// An integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A time since 1970.
    UnixTime,
    /// A word that stands for itself.
    PureToken,
    /// One of the nested arguments.
    OneOf,
    /// All nested arguments in order.
    Block,
}

impl ArgKind {
    /// The name in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::String => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Key => "key",
            ArgKind::Pattern => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::PureToken => "pure-token",
            ArgKind::OneOf => "oneof",
            ArgKind::Block => "block",
        }
    }
}

/// One argument. Texts are empty where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// The name to show, where it differs from `name`.
    pub display: &'static str,
    /// Its type.
    pub kind: ArgKind,
    /// The word that stands before it, or that it is.
    pub token: &'static str,
    /// How often it may stand.
    pub flags: ArgFlags,
    /// Index of the key specification that finds it; for keys.
    pub key_spec: Option<u8>,
    /// Version that introduced it.
    pub since: &'static str,
    /// Version that deprecated it.
    pub deprecated_since: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Nested arguments.
    pub args: &'static [Arg],
}

impl Arg {
    /// An argument of any type.
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            display: "",
            kind,
            token: "",
            flags: ArgFlags::empty(),
            key_spec: None,
            since: "",
            deprecated_since: "",
            summary: "",
            args: &[],
        }
    }

    /// A string.
    pub const fn string(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::String)
    }

    /// An integer.
    pub const fn integer(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Integer)
    }

    /// A time since 1970.
    pub const fn unix_time(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::UnixTime)
    }

    /// A key, found by this specification.
    pub const fn key(name: &'static str, spec: u8) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Key);
        arg.key_spec = Some(spec);
        arg
    }

    /// A word that stands for itself.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).token(token)
    }

    /// One of these.
    pub const fn oneof(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg::new(name, ArgKind::OneOf).args(args)
    }

    /// All of these in order.
    pub const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg::new(name, ArgKind::Block).args(args)
    }

    /// It may be left out.
    pub const fn optional(mut self) -> Arg {
        self.flags = self.flags.union(ArgFlags::OPTIONAL);
        self
    }

    /// It may be repeated.
    pub const fn multiple(mut self) -> Arg {
        self.flags = self.flags.union(ArgFlags::MULTIPLE);
        self
    }

    /// It is repeated together with its token.
    pub const fn multiple_token(mut self) -> Arg {
        self.flags = self.flags.union(ArgFlags::MULTIPLE).union(ArgFlags::MULTIPLE_TOKEN);
        self
    }

    /// With this word before it.
    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = token;
        self
    }

    /// Shown under another name.
    pub const fn display(mut self, display: &'static str) -> Arg {
        self.display = display;
        self
    }

    /// Introduced by this version.
    pub const fn since(mut self, since: &'static str) -> Arg {
        self.since = since;
        self
    }

    /// Deprecated by this version.
    pub const fn deprecated(mut self, since: &'static str) -> Arg {
        self.deprecated_since = since;
        self
    }

    /// With this explanation.
    pub const fn summary(mut self, summary: &'static str) -> Arg {
        self.summary = summary;
        self
    }

    const fn args(mut self, args: &'static [Arg]) -> Arg {
        self.args = args;
        self
    }
}
