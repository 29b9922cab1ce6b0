//! What is known about a directive besides its current value: one record each, built by constant functions so that the
//! tables read like a list. Holds no values and parses nothing.

use crate::choice::Choice;
use crate::id::Id;

/// One configuration directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its index.
    pub id: Id,
    /// The name that CONFIG REWRITE writes.
    pub name: &'static str,
    /// A second name that is accepted everywhere and shown by CONFIG GET beside the first.
    pub alias: Option<&'static str>,
    /// What values it takes.
    pub kind: Kind,
    /// The default, as text that the directive's own parser accepts.
    pub default: &'static str,
    /// Rules beyond the value itself.
    pub flags: Flags,
    /// Whether setting it changes anything.
    pub state: State,
    /// One sentence: meaning, unit, special values.
    pub doc: &'static str,
}

/// What values a directive takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`, in any case.
    Bool,
    /// A whole number within `min..=max`.
    Int {
        /// Smallest value accepted.
        min: i64,
        /// Largest value accepted.
        max: i64,
        /// What the number counts.
        unit: Unit,
    },
    /// Bytes, with an optional unit from `b` to `gb`; CONFIG GET shows plain bytes.
    Memory {
        /// Smallest value accepted; negative only for directives with a special negative value.
        min: i64,
        /// Largest value accepted.
        max: i64,
    },
    /// Bytes, or a percentage of `maxmemory` written `N%`.
    MemoryOrPercent,
    /// A file mode in octal, zero meaning "leave as it is".
    Octal {
        /// Largest value accepted.
        max: i64,
    },
    /// One of the words. Two words of the same value are synonyms; CONFIG GET shows the first of them.
    Enum(&'static [(&'static str, u8)]),
    /// Any of the words together, each a bit. The word with value 0 stands for the empty set.
    EnumSet(&'static [(&'static str, u32)]),
    /// Text.
    Text(TextRule),
    /// A value with a structure and a grammar of its own.
    Special(Special),
}

/// What a text directive accepts beyond "any text".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// Any text; the empty text is a value.
    Any,
    /// Any text; the empty text means unset.
    Nullable,
    /// Any bytes, UTF-8 or not (passwords); the empty text means unset.
    Secret,
    /// Any text but the empty one.
    NotEmpty,
    /// A name of a file inside `dir`: not empty, no path separator.
    FileName,
    /// A name of a folder inside `dir`: not empty, no path separator.
    DirName,
    /// `cluster-announce-hostname`.
    Hostname,
    /// `cluster-announce-human-nodename`.
    NodeName,
    /// `cluster-announce-ip`.
    AnnounceIp,
    /// A literal IPv4 address, or empty.
    Ipv4,
    /// A literal IPv6 address, or empty.
    Ipv6,
    /// `proc-title-template`.
    ProcTitle,
}

/// Directives whose value has a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `save`.
    Save,
    /// `client-output-buffer-limit`.
    BufferLimits,
    /// `bind` and `rdma-bind`.
    Bind,
    /// `oom-score-adj-values`.
    OomScores,
    /// `notify-keyspace-events`.
    KeyspaceEvents,
    /// `latency-tracking-info-percentiles`.
    Percentiles,
    /// `replicaof`.
    ReplicaOf,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, or no dimension at all.
    Count,
    /// Bytes without a unit suffix.
    Bytes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Hundredths.
    Percent,
    /// A TCP port, zero meaning none.
    Port,
}

/// Whether setting a directive changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The server behaves as the documentation says.
    Implemented,
    /// The value is checked, kept, shown and rewritten, but changes nothing; the note says why and is logged when
    /// somebody sets another value than the default.
    Accepted(&'static str),
}

/// Rules of a directive beyond its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Only the file and the command line can set it.
    pub immutable: bool,
    /// Though only they can, CONFIG SET may say the value that it has: for our own directives, so that tools can write back
    /// what they read.
    pub repeatable: bool,
    /// CONFIG GET shows it only when asked for by its exact name.
    pub hidden: bool,
    /// The value is a secret: never logged.
    pub sensitive: bool,
    /// CONFIG SET is refused unless `enable-protected-configs` allows it.
    pub protected: bool,
    /// Takes several words.
    pub multi_arg: bool,
    /// CONFIG SET is refused while a dataset is loading.
    pub deny_loading: bool,
    /// Only for developers of the server.
    pub debug: bool,
}

/// Zero to the largest 32-bit signed number, the range of many integers.
pub(crate) const NAT32: (i64, i64) = (0, i32::MAX as i64);

/// One to the largest 32-bit signed number.
pub(crate) const POS32: (i64, i64) = (1, i32::MAX as i64);

/// Zero to the largest 64-bit signed number.
pub(crate) const NAT64: (i64, i64) = (0, i64::MAX);

impl Directive {
    pub(crate) const fn new(id: Id, name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        let flags = Flags {
            immutable: false,
            repeatable: false,
            hidden: false,
            sensitive: false,
            protected: false,
            multi_arg: false,
            deny_loading: false,
            debug: false,
        };
        Directive { id, name, alias: None, kind, default, flags, state: State::Implemented, doc }
    }

    pub(crate) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn immutable(mut self) -> Self {
        self.flags.immutable = true;
        self
    }

    /// As [`Directive::immutable`], for a directive of our own.
    pub(crate) const fn fixed(mut self) -> Self {
        self.flags.immutable = true;
        self.flags.repeatable = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.flags.hidden = true;
        self
    }

    pub(crate) const fn sensitive(mut self) -> Self {
        self.flags.sensitive = true;
        self
    }

    pub(crate) const fn protected(mut self) -> Self {
        self.flags.protected = true;
        self
    }

    pub(crate) const fn multi_arg(mut self) -> Self {
        self.flags.multi_arg = true;
        self
    }

    pub(crate) const fn deny_loading(mut self) -> Self {
        self.flags.deny_loading = true;
        self
    }

    pub(crate) const fn debug(mut self) -> Self {
        self.flags.debug = true;
        self
    }

    pub(crate) const fn accepted(mut self, note: &'static str) -> Self {
        self.state = State::Accepted(note);
        self
    }
}

/// A yes/no directive.
pub(crate) const fn flag(id: Id, name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    Directive::new(id, name, Kind::Bool, default, doc)
}

/// A whole number.
pub(crate) const fn int(
    id: Id,
    name: &'static str,
    default: &'static str,
    range: (i64, i64),
    unit: Unit,
    doc: &'static str,
) -> Directive {
    Directive::new(id, name, Kind::Int { min: range.0, max: range.1, unit }, default, doc)
}

/// A TCP port.
pub(crate) const fn port(id: Id, name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    int(id, name, default, (0, 65535), Unit::Port, doc)
}

/// A size in bytes.
pub(crate) const fn memory(
    id: Id,
    name: &'static str,
    default: &'static str,
    range: (i64, i64),
    doc: &'static str,
) -> Directive {
    Directive::new(id, name, Kind::Memory { min: range.0, max: range.1 }, default, doc)
}

/// One of the words of a choice.
pub(crate) const fn choice<C: Choice>(name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    Directive::new(C::ID, name, Kind::Enum(C::WORDS), default, doc)
}

/// A value with a grammar of its own.
pub(crate) const fn special(
    id: Id,
    name: &'static str,
    default: &'static str,
    kind: Special,
    doc: &'static str,
) -> Directive {
    Directive::new(id, name, Kind::Special(kind), default, doc)
}

/// A text.
pub(crate) const fn text(
    id: Id,
    name: &'static str,
    default: &'static str,
    rule: TextRule,
    doc: &'static str,
) -> Directive {
    Directive::new(id, name, Kind::Text(rule), default, doc)
}
