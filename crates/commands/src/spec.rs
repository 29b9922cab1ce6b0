//! The record of a command.

use bitflags::bitflags;
use smallvec::SmallVec;

use crate::arg::Arg;
use crate::exec::{Exec, StoreExec, WorldExec};
use crate::fail::Fail;
use crate::flags::{Categories, Flags};
use crate::key_spec::{KeyFlags, KeySpec};
use crate::keys::KeyPositions;
use crate::node::NodeCommand;
use crate::registry::CommandId;
use baton_resp::{Args, Out};

/// Everything there is to say about a command or a subcommand.
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// Full name, lower-case: `get`, or `object|encoding` for a subcommand.
    pub name: &'static str,
    /// Number of arguments with the name (and the subcommand's name): exactly this many, or at least so many if negative.
    pub arity: i32,
    /// When it may run.
    pub flags: Flags,
    /// ACL categories beyond those that follow from the flags; see [`CommandSpec::categories`].
    pub acl: Categories,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// What it does to its keys with these arguments, where [`KeyFlags::VARIABLE_FLAGS`] says that it depends.
    pub key_flags: Option<fn(Args<'_>) -> KeyFlags>,
    /// Which of its arguments are looked for in the value of its only key; none where that is not by name.
    pub elements: Option<ElementArgs>,
    /// What finds its keys, where `keys` can't say it all.
    pub find_keys: Option<fn(Args<'_>) -> KeyPositions>,
    /// What tells whether it looks at keys that these arguments name by patterns only; see [`CommandSpec::reaches_all`].
    pub has_patterns: Option<fn(Args<'_>) -> bool>,
    /// Which of its arguments are channels.
    pub channels: Option<ChannelArgs>,
    /// What finds the arguments that number databases other than the connection's own. None are found where the arguments
    /// make no sense.
    pub find_dbs: Option<fn(Args<'_>) -> DbPositions>,
    /// The chapter it belongs to.
    pub group: Group,
    /// One sentence about it.
    pub summary: &'static str,
    /// Version of the original that introduced it.
    pub since: &'static str,
    /// Cost in O notation.
    pub complexity: &'static str,
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// Changes since its introduction: version and text.
    pub history: &'static [(&'static str, &'static str)],
    /// Whether it is deprecated or internal.
    pub doc_flags: DocFlags,
    /// Version that deprecated it; empty if none did.
    pub deprecated_since: &'static str,
    /// What to use instead; empty if there is nothing.
    pub replaced_by: &'static str,
    /// Its arguments, for documentation.
    pub args: &'static [Arg],
    /// Its subcommands.
    pub subcommands: &'static [CommandSpec],
    /// How it runs.
    pub run: Run,
    pub(crate) id: CommandId,
}

/// Who runs a command, and what it needs for that.
#[derive(Clone, Copy)]
pub enum Run {
    /// Runs on a view of the slots of its keys, which the caller has locked.
    Keyspace(fn(&mut Exec<'_, '_>) -> Result<(), Fail>),
    /// Goes over the whole keyspace, locking slot after slot by itself: the caller must hold no slot.
    Store(fn(&mut StoreExec<'_>) -> Result<(), Fail>),
    /// Needs the world to stand still (exclusive gate), and that the caller holds no slot.
    World(fn(&mut WorldExec<'_>) -> Result<(), Fail>),
    /// Reads only the registry and its arguments.
    Registry(fn(Args<'_>, &mut Out) -> Result<(), Fail>),
    /// The server runs it.
    Node(NodeCommand),
    /// Does nothing without a subcommand.
    Container,
}

/// Arguments that name fields of a hash, or members of a set or sorted set. They serve for fetching memory ahead, so where
/// options precede them it does no harm that other arguments are taken for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementArgs {
    /// The first one.
    pub first: usize,
    /// How far it is from one to the next; 0 if there is only one.
    pub step: usize,
}

impl ElementArgs {
    /// One argument.
    pub(crate) const fn one(at: usize) -> Option<ElementArgs> {
        Some(ElementArgs { first: at, step: 0 })
    }

    /// This argument and every `step`th behind it.
    pub(crate) const fn each(first: usize, step: usize) -> Option<ElementArgs> {
        Some(ElementArgs { first, step })
    }

    /// The names among these arguments.
    #[inline]
    pub fn of<'a>(self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> {
        let end = if self.step == 0 { args.len().min(self.first + 1) } else { args.len() };
        (self.first..end).step_by(self.step.max(1)).map(move |at| args.at(at))
    }
}

/// Arguments that are channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelArgs {
    /// The first one, to publish to.
    First,
    /// All, to listen to.
    All,
    /// All are patterns of channels to listen to.
    Patterns,
}

impl ChannelArgs {
    /// Whether these are patterns.
    pub fn are_patterns(self) -> bool {
        self == ChannelArgs::Patterns
    }

    /// How many of so many arguments, the name included, they are. They begin behind the name.
    pub fn count(self, argc: usize) -> usize {
        match self {
            ChannelArgs::First => argc.saturating_sub(1).min(1),
            ChannelArgs::All | ChannelArgs::Patterns => argc.saturating_sub(1),
        }
    }
}

/// Which arguments number databases.
pub type DbPositions = SmallVec<[u32; 2]>;

/// Chapters of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Keys of any type.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// HyperLogLogs.
    Hyperloglog,
    /// Bitmaps.
    Bitmap,
    /// Geographical indexes.
    Geo,
    /// Streams.
    Stream,
    /// Scripts.
    Scripting,
    /// The connection of a client.
    Connection,
    /// The server.
    Server,
    /// The cluster.
    Cluster,
    /// Publish and subscribe.
    Pubsub,
    /// Transactions.
    Transactions,
}

impl Group {
    /// The name in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Hyperloglog => "hyperloglog",
            Group::Bitmap => "bitmap",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::Pubsub => "pubsub",
            Group::Transactions => "transactions",
        }
    }
}

bitflags! {
    /// Marks of the documentation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DocFlags: u8 {
        /// There is something better.
        const DEPRECATED = 1;
        /// Used between servers only.
        const SYSCMD = 2;
    }
}

impl CommandSpec {
    /// A record to start from.
    pub(crate) const BASE: CommandSpec = CommandSpec {
        name: "",
        arity: 0,
        flags: Flags::empty(),
        acl: Categories::empty(),
        keys: &[],
        key_flags: None,
        elements: None,
        find_keys: None,
        has_patterns: None,
        channels: None,
        find_dbs: None,
        group: Group::Generic,
        summary: "",
        since: "",
        complexity: "",
        tips: &[],
        history: &[],
        doc_flags: DocFlags::empty(),
        deprecated_since: "",
        replaced_by: "",
        args: &[],
        subcommands: &[],
        run: Run::Container,
        id: CommandId(0),
    };

    /// Its number: dense from 0, the same for the life of the program. For counters by command.
    #[inline]
    pub fn id(&self) -> CommandId {
        self.id
    }

    /// The last part of its name: `encoding` of `object|encoding`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }

    /// All its ACL categories.
    pub fn categories(&self) -> Categories {
        let implied = Categories::implied(self.flags);
        // To run scripts takes more than the right to read, even where they only read.
        let implied =
            if self.acl.contains(Categories::SCRIPTING) { implied.difference(Categories::READ) } else { implied };
        self.acl.union(implied)
    }

    /// Whether this many arguments, the name included, fit.
    #[inline]
    pub fn arity_fits(&self, argc: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { argc >= wanted } else { argc == wanted }
    }

    /// Whether any argument can be a key, rather than only something that has a slot.
    pub fn has_keys(&self) -> bool {
        self.keys.iter().any(|k| !k.flags.contains(KeyFlags::NOT_KEY))
    }

    /// Whether it needs the connection's own database: it has keys there, or looks at what is there without them.
    pub fn uses_own_db(&self) -> bool {
        let of_keyspace = Categories::KEYSPACE.union(Categories::READ).union(Categories::WRITE);
        self.has_keys() || (self.find_dbs.is_none() && self.categories().intersects(of_keyspace))
    }

    /// Whether it may reach any key with these arguments, not only its declared ones: outside of a cluster it then needs
    /// a view of everything, and with it the world standing still.
    #[inline]
    pub fn reaches_all(&self, args: Args<'_>) -> bool {
        self.has_patterns.is_some_and(|has_patterns| has_patterns(args))
    }

    /// The argument that is its only key, where that is all there is to know: the common case.
    #[inline]
    pub fn single_key(&self) -> Option<usize> {
        match self.keys {
            [KeySpec { begin: crate::BeginSearch::Index(at), find: crate::FindKeys::Range { last: 0, .. }, .. }] => {
                Some(*at as usize)
            }
            _ => None,
        }
    }

    /// The subcommand with this name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        self.subcommands.iter().find(|s| s.short_name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
