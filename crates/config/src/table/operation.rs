//! Directives of the process: logging, shutdown, introspection, scripting, and everything for developers.

use crate::choice::{Access, LogFormat, LogLevel, LogTimestamp, ShutdownWords, Supervised, SyslogFacility};
use crate::directive::{
    Directive, Kind, NAT32, NAT64, POS32, Special, TextRule, Unit, choice, flag, int, port, special, text,
};
use crate::id::Id;

const NOTHING_OLD: &str = "there are no old functions here";
const SYSLOG: &str = "lines go to the log file or standard output";
const CRASH: &str = "a crash report is the panic message";

const fn access(id: Id, name: &'static str, doc: &'static str) -> Directive {
    Directive::new(id, name, Kind::Enum(Access::WORDS), "no", doc).immutable()
}

const fn shutdown(id: Id, name: &'static str, doc: &'static str) -> Directive {
    Directive::new(id, name, Kind::EnumSet(ShutdownWords::WORDS), "default", doc).multi_arg()
}

const fn log_length(id: Id, name: &'static str, doc: &'static str) -> Directive {
    int(id, name, "128", NAT64, Unit::Count, doc)
}

const fn log_threshold(id: Id, name: &'static str, default: &'static str, unit: Unit, doc: &'static str) -> Directive {
    int(id, name, default, (-1, i64::MAX), unit, doc)
}

pub(super) const TABLE: &[Directive] = &[
    flag(Id::Daemonize, "daemonize", "no", "Runs in the background.").immutable(),
    choice::<Supervised>("supervised", "no", "Who is told that the server is ready.").immutable(),
    text(Id::PidFile, "pidfile", "", TextRule::Nullable, "File that holds the process id.").immutable(),
    int(Id::Databases, "databases", "16", POS32, Unit::Count, "Databases outside cluster mode.").immutable(),
    text(Id::LogFile, "logfile", "", TextRule::Any, "Log file; empty is standard output.").immutable(),
    choice::<LogLevel>("loglevel", "notice", "Least important lines that are logged."),
    choice::<LogFormat>("log-format", "legacy", "Shape of log lines."),
    choice::<LogTimestamp>("log-timestamp-format", "legacy", "Shape of the time in log lines."),
    flag(Id::SyslogEnabled, "syslog-enabled", "no", "Logs to syslog too.").immutable().accepted(SYSLOG),
    text(Id::SyslogIdent, "syslog-ident", "valkey", TextRule::Any, "Name in syslog.").immutable().accepted(SYSLOG),
    choice::<SyslogFacility>("syslog-facility", "local0", "Facility in syslog.").immutable().accepted(SYSLOG),
    flag(Id::HideUserDataFromLog, "hide-user-data-from-log", "yes", "Keeps keys and values out of the log."),
    flag(Id::AlwaysShowLogo, "always-show-logo", "no", "Prints the logo at start-up.")
        .immutable()
        .accepted("there is no logo"),
    flag(Id::CrashLogEnabled, "crash-log-enabled", "yes", "Logs a report when the process crashes.").accepted(CRASH),
    flag(Id::CrashMemcheckEnabled, "crash-memcheck-enabled", "yes", "Tests the memory when the process crashes.")
        .accepted(CRASH),
    flag(Id::UseExitOnPanic, "use-exit-on-panic", "no", "Exits instead of aborting.").hidden().accepted(CRASH),
    flag(Id::SetProcTitle, "set-proc-title", "yes", "Shows address and mode in the process list.")
        .immutable()
        .accepted("the process keeps its own title"),
    text(
        Id::ProcTitleTemplate,
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        TextRule::ProcTitle,
        "What the process list shows.",
    )
    .accepted("the process keeps its own title"),
    text(Id::IgnoreWarnings, "ignore-warnings", "", TextRule::Any, "Warnings at start-up that are not fatal.")
        .accepted("no warning at start-up is fatal"),
    text(Id::LocaleCollate, "locale-collate", "", TextRule::Any, "Locale of SORT ALPHA.")
        .accepted("texts are compared byte by byte"),
    int(Id::ShutdownTimeout, "shutdown-timeout", "10", NAT32, Unit::Seconds, "Longest wait for replicas that lag."),
    shutdown(Id::ShutdownOnSigterm, "shutdown-on-sigterm", "What SIGTERM asks of the shutdown."),
    shutdown(Id::ShutdownOnSigint, "shutdown-on-sigint", "What SIGINT asks of the shutdown."),
    special(
        Id::NotifyKeyspaceEvents,
        "notify-keyspace-events",
        "",
        Special::KeyspaceEvents,
        "Classes of events that are published.",
    ),
    log_threshold(
        Id::CommandlogExecutionSlowerThan,
        "commandlog-execution-slower-than",
        "10000",
        Unit::Micros,
        "Execution time from which a command is logged; -1 is off.",
    )
    .alias("slowlog-log-slower-than"),
    log_length(Id::CommandlogSlowExecutionMaxLen, "commandlog-slow-execution-max-len", "Slow commands remembered.")
        .alias("slowlog-max-len"),
    log_threshold(
        Id::CommandlogRequestLargerThan,
        "commandlog-request-larger-than",
        "1048576",
        Unit::Bytes,
        "Size from which a request is logged; -1 is off.",
    ),
    log_length(Id::CommandlogLargeRequestMaxLen, "commandlog-large-request-max-len", "Large requests remembered."),
    log_threshold(
        Id::CommandlogReplyLargerThan,
        "commandlog-reply-larger-than",
        "1048576",
        Unit::Bytes,
        "Size from which a reply is logged; -1 is off.",
    ),
    log_length(Id::CommandlogLargeReplyMaxLen, "commandlog-large-reply-max-len", "Large replies remembered."),
    int(
        Id::LatencyMonitorThreshold,
        "latency-monitor-threshold",
        "0",
        NAT64,
        Unit::Millis,
        "Delay from which an event is remembered; 0 is off.",
    ),
    flag(Id::LatencyTracking, "latency-tracking", "yes", "Keeps the distribution of every command's time."),
    special(
        Id::LatencyTrackingInfoPercentiles,
        "latency-tracking-info-percentiles",
        "50 99 99.9",
        Special::Percentiles,
        "Percentiles that INFO shows.",
    )
    .multi_arg(),
    int(
        Id::BusyReplyThreshold,
        "busy-reply-threshold",
        "5000",
        NAT64,
        Unit::Millis,
        "Time after which a script makes others answer BUSY.",
    )
    .alias("lua-time-limit"),
    flag(
        Id::BusyReplyToAll,
        "busy-reply-to-all",
        "no",
        "Answers BUSY to everybody while a script takes long, not only to who needs its slots.",
    ),
    flag(Id::LuaEnableDeprecatedApi, "lua-enable-deprecated-api", "no", "Offers old functions to scripts.")
        .hidden()
        .protected()
        .accepted(NOTHING_OLD),
    flag(Id::LuaEnableInsecureApi, "lua-enable-insecure-api", "no", "Offers unsafe functions to scripts.")
        .hidden()
        .protected(),
    access(Id::EnableDebugCommand, "enable-debug-command", "Who may run DEBUG."),
    access(Id::EnableModuleCommand, "enable-module-command", "Who may run MODULE."),
    access(Id::EnableProtectedConfigs, "enable-protected-configs", "Who may change protected directives."),
    flag(Id::EnableDebugAssert, "enable-debug-assert", "no", "Checks more invariants.")
        .immutable()
        .hidden()
        .debug()
        .accepted("invariants are checked by the build, not by a directive"),
    text(Id::DebugContext, "debug-context", "", TextRule::Any, "Text for crash reports.").hidden().debug(),
    flag(Id::ImportMode, "import-mode", "no", "Lets a client import keys that have expired."),
    flag(
        Id::ExtendedRedisCompatibility,
        "extended-redis-compatibility",
        "no",
        "Calls itself Redis where clients insist on it.",
    ),
    text(Id::HashSeed, "hash-seed", "", TextRule::Any, "Seed that makes SCAN cursors alike on several nodes.")
        .immutable()
        .accepted("the seed is random at every start"),
    int(
        Id::WatchdogPeriod,
        "watchdog-period",
        "0",
        NAT32,
        Unit::Millis,
        "Logs a stack trace of an event loop turn that takes longer; 0 is off.",
    )
    .hidden()
    .debug()
    .accepted("the watchdog is always on and has its own period"),
    port(Id::MetricsPort, "metrics-port", "0", "HTTP port of figures for monitoring, at /metrics; 0 opens none.")
        .fixed(),
    text(Id::MetricsBind, "metrics-bind", "127.0.0.1", TextRule::NotEmpty, "Address that metrics-port is opened at.")
        .fixed(),
    int(Id::Hz, "hz", "10", NAT32, Unit::Count, "Rounds of background work a second, kept within 1 and 500."),
];
