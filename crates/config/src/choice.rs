//! Directives whose value is one of a few words, each as an enum of its own, so that code that depends on a choice
//! matches on a type. The words are upstream's; where two words mean the same, CONFIG GET shows the first.

use crate::id::Id;

/// A directive whose value is one of a few words.
pub trait Choice: Copy + Sized + 'static {
    /// The directive.
    const ID: Id;
    /// The words in the order upstream lists them in its error text, each with the position of its variant.
    const WORDS: &'static [(&'static str, u8)];
    /// The variant at a position; `None` beyond the last.
    fn from_position(position: u8) -> Option<Self>;
}

/// Who may use something dangerous: the value of `enable-debug-command`, `enable-module-command` and
/// `enable-protected-configs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Clients of the same machine.
    Local,
}

impl Access {
    pub(crate) const WORDS: &'static [(&'static str, u8)] = &[("no", 0), ("yes", 1), ("local", 2)];

    pub(crate) fn from_position(position: i64) -> Self {
        match position {
            1 => Access::Yes,
            2 => Access::Local,
            _ => Access::No,
        }
    }

    /// Whether a client may, given that it is on this machine or not.
    pub fn allows(self, client_is_local: bool) -> bool {
        match self {
            Access::No => false,
            Access::Yes => true,
            Access::Local => client_is_local,
        }
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident = $id:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $more:literal)*),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(u8)]
            pub enum $name {
                $($(#[$vdoc])* $variant),*
            }

            impl Choice for $name {
                const ID: Id = Id::$id;
                const WORDS: &'static [(&'static str, u8)] =
                    &[$(($word, $name::$variant as u8), $(($more, $name::$variant as u8),)*)*];

                fn from_position(position: u8) -> Option<Self> {
                    const ALL: &[$name] = &[$($name::$variant),*];
                    ALL.get(usize::from(position)).copied()
                }
            }
        )*
    };
}

choices! {
    /// What Pub/Sub channels a new ACL user may use.
    AclPubsubDefault = AclPubsubDefault {
        /// All of them.
        AllChannels = "allchannels",
        /// None.
        ResetChannels = "resetchannels",
    }
    /// When the append-only file is synced.
    AppendFsync = AppendFsync {
        /// Once a second.
        EverySec = "everysec",
        /// Before every reply.
        Always = "always",
        /// When the operating system likes to.
        No = "no",
    }
    /// What happens when nodes.conf can't be written.
    ConfigSaveBehavior = ClusterConfigSaveBehavior {
        /// The process exits.
        Sync = "sync",
        /// It is logged and tried again.
        BestEffort = "best-effort",
    }
    /// What other nodes tell clients about this one.
    PreferredEndpoint = ClusterPreferredEndpointType {
        /// Its address.
        Ip = "ip",
        /// Its announced hostname.
        Hostname = "hostname",
        /// Nothing; the client keeps the address it used.
        UnknownEndpoint = "unknown-endpoint",
    }
    /// Shape of log lines.
    LogFormat = LogFormat {
        /// Process, role, date and text.
        Legacy = "legacy",
        /// `key=value` pairs.
        Logfmt = "logfmt",
        /// One JSON object a line.
        Json = "json",
    }
    /// Shape of the time in log lines.
    LogTimestamp = LogTimestampFormat {
        /// `21 Nov 2026 00:03:09.200`.
        Legacy = "legacy",
        /// ISO 8601 with a zone.
        Iso8601 = "iso8601",
        /// Milliseconds since the epoch.
        Milliseconds = "milliseconds",
    }
    /// The least important lines that are still logged.
    LogLevel = LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much.
        Verbose = "verbose",
        /// What operators want in production.
        Notice = "notice",
        /// Only what demands attention.
        Warning = "warning",
        /// Nothing at all.
        Nothing = "nothing",
    }
    /// What is evicted when memory is full.
    MaxMemoryPolicy = MaxMemoryPolicy {
        /// Keys with an expiry, least recently used first.
        VolatileLru = "volatile-lru",
        /// Keys with an expiry, least frequently used first.
        VolatileLfu = "volatile-lfu",
        /// Keys with an expiry, any.
        VolatileRandom = "volatile-random",
        /// Keys with an expiry, nearest expiry first.
        VolatileTtl = "volatile-ttl",
        /// Any key, least recently used first.
        AllKeysLru = "allkeys-lru",
        /// Any key, least frequently used first.
        AllKeysLfu = "allkeys-lfu",
        /// Any key.
        AllKeysRandom = "allkeys-random",
        /// Nothing: writes are refused.
        NoEviction = "noeviction",
    }
    /// How the kernel's out-of-memory score is managed.
    OomScoreAdj = OomScoreAdj {
        /// Not at all.
        No = "no",
        /// Relative to the score at start-up.
        Relative = "yes" | "relative",
        /// As absolute values.
        Absolute = "absolute",
    }
    /// What happens when a command from the primary or the append-only file fails.
    PropagationError = PropagationErrorBehavior {
        /// It is counted.
        Ignore = "ignore",
        /// The process exits.
        Panic = "panic",
        /// The process exits if it is a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
    /// Which RDB versions are read.
    RdbVersionCheck = RdbVersionCheck {
        /// Those known.
        Strict = "strict",
        /// Newer ones too, as far as they can be understood.
        Relaxed = "relaxed",
    }
    /// Whether a replica loads a full synchronisation from the socket.
    DisklessLoad = ReplDisklessLoad {
        /// No: through a file.
        Disabled = "disabled",
        /// Only into an empty dataset.
        OnEmptyDb = "on-empty-db",
        /// Beside the old dataset, which is dropped afterwards.
        SwapDb = "swapdb",
        /// After emptying the dataset.
        FlushBeforeLoad = "flush-before-load",
    }
    /// Who supervises the process.
    Supervised = Supervised {
        /// Upstart.
        Upstart = "upstart",
        /// systemd.
        Systemd = "systemd",
        /// Whichever the environment speaks of.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }
    /// Facility of syslog lines.
    SyslogFacility = SyslogFacility {
        /// LOG_USER.
        User = "user",
        /// LOG_LOCAL0.
        Local0 = "local0",
        /// LOG_LOCAL1.
        Local1 = "local1",
        /// LOG_LOCAL2.
        Local2 = "local2",
        /// LOG_LOCAL3.
        Local3 = "local3",
        /// LOG_LOCAL4.
        Local4 = "local4",
        /// LOG_LOCAL5.
        Local5 = "local5",
        /// LOG_LOCAL6.
        Local6 = "local6",
        /// LOG_LOCAL7.
        Local7 = "local7",
    }
    /// Whether TLS clients need a certificate.
    TlsAuthClients = TlsAuthClients {
        /// Not asked for.
        No = "no",
        /// Required.
        Yes = "yes",
        /// Verified if given.
        Optional = "optional",
    }
    /// Which field of a client's certificate names its user.
    TlsAuthClientsUser = TlsAuthClientsUser {
        /// The common name.
        CommonName = "CN",
        /// A URI among the alternative names.
        Uri = "URI",
        /// None.
        Off = "off",
    }
}

/// What a signal asks of the shutdown: the words of `shutdown-on-sigterm` and `shutdown-on-sigint` as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownWords(u32);

impl ShutdownWords {
    /// A final snapshot even without save points.
    pub const SAVE: ShutdownWords = ShutdownWords(1);
    /// No final snapshot even with save points.
    pub const NOSAVE: ShutdownWords = ShutdownWords(2);
    /// No waiting for replicas that lag.
    pub const NOW: ShutdownWords = ShutdownWords(4);
    /// Exit although something failed.
    pub const FORCE: ShutdownWords = ShutdownWords(8);
    /// Refuse if the cluster would go down.
    pub const SAFE: ShutdownWords = ShutdownWords(16);
    /// Hand the primary role over first.
    pub const FAILOVER: ShutdownWords = ShutdownWords(32);

    /// The words and their bits, in the order of upstream's error text.
    pub(crate) const WORDS: &'static [(&'static str, u32)] =
        &[("default", 0), ("save", 1), ("nosave", 2), ("now", 4), ("force", 8), ("safe", 16), ("failover", 32)];

    pub(crate) fn from_bits(bits: u32) -> Self {
        ShutdownWords(bits)
    }

    /// Whether all words of `other` are in the set.
    pub fn contains(self, other: ShutdownWords) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the value is `default`.
    pub fn is_default(self) -> bool {
        self.0 == 0
    }
}
