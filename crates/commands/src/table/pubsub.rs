//! Records of the publish and subscribe commands.

use crate::flags::flags;
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, ChannelArgs, CommandSpec, Group, KeySpec, NodeCommand, Run, docs};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "psubscribe",
        arity: -2,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        group: Group::Pubsub,
        summary: "Receives the messages of channels that match patterns.",
        since: "2.0.0",
        complexity: "O(N), N being the number of patterns to subscribe to",
        args: &[Arg::new("pattern", ArgKind::Pattern).multiple()],
        channels: Some(ChannelArgs::Patterns),
        run: Run::Node(NodeCommand::Psubscribe),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "publish",
        arity: 3,
        flags: flags!(PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE),
        group: Group::Pubsub,
        summary: "Sends a message to a channel.",
        since: "2.0.0",
        complexity: "O(N+M), N being the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client)",
        args: &[Arg::string("channel"), Arg::string("message")],
        channels: Some(ChannelArgs::First),
        run: Run::Node(NodeCommand::Publish),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pubsub",
        arity: -2,
        group: Group::Pubsub,
        summary: "Describes channels and their subscribers.",
        since: "2.8.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "pubsub|channels",
                arity: -2,
                flags: flags!(PUBSUB | LOADING | STALE),
                group: Group::Pubsub,
                summary: "Lists the channels that have subscribers.",
                since: "2.8.0",
                complexity: "O(N), N being the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
                args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
                run: Run::Node(NodeCommand::PubsubChannels),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "pubsub|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Pubsub,
                summary: "Lists the subcommands.",
                since: "6.2.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "pubsub|numpat",
                arity: 2,
                flags: flags!(PUBSUB | LOADING | STALE),
                group: Group::Pubsub,
                summary: "Counts the patterns that have subscribers.",
                since: "2.8.0",
                complexity: "O(1)",
                run: Run::Node(NodeCommand::PubsubNumpat),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "pubsub|numsub",
                arity: -2,
                flags: flags!(PUBSUB | LOADING | STALE),
                group: Group::Pubsub,
                summary: "Counts the subscribers of channels.",
                since: "2.8.0",
                complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
                args: &[Arg::string("channel").optional().multiple()],
                run: Run::Node(NodeCommand::PubsubNumsub),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "pubsub|shardchannels",
                arity: -2,
                flags: flags!(PUBSUB | LOADING | STALE),
                group: Group::Pubsub,
                summary: "Lists the shard channels that have subscribers.",
                since: "7.0.0",
                complexity: "O(N), N being the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels)",
                args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
                run: Run::Node(NodeCommand::PubsubShardchannels),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "pubsub|shardnumsub",
                arity: -2,
                flags: flags!(PUBSUB | LOADING | STALE),
                group: Group::Pubsub,
                summary: "Counts the subscribers of shard channels.",
                since: "7.0.0",
                complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
                args: &[Arg::string("shardchannel").optional().multiple()],
                run: Run::Node(NodeCommand::PubsubShardnumsub),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "punsubscribe",
        arity: -1,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        group: Group::Pubsub,
        summary: "Stops receiving the messages of patterns.",
        since: "2.0.0",
        complexity: "O(N), N being the number of patterns to unsubscribe",
        args: &[Arg::new("pattern", ArgKind::Pattern).optional().multiple()],
        run: Run::Node(NodeCommand::Punsubscribe),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "spublish",
        arity: 3,
        flags: flags!(PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE),
        keys: &[KeySpec::one(1, key_flags!(NOT_KEY))],
        group: Group::Pubsub,
        summary: "Sends a message to a shard channel.",
        since: "7.0.0",
        complexity: "O(N), N being the number of clients subscribed to the receiving shard channel",
        args: &[Arg::string("shardchannel"), Arg::string("message")],
        channels: Some(ChannelArgs::First),
        run: Run::Node(NodeCommand::Spublish),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "ssubscribe",
        arity: -2,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        keys: &[KeySpec::range(1, -1, 1, key_flags!(NOT_KEY))],
        group: Group::Pubsub,
        summary: "Receives the messages of shard channels.",
        since: "7.0.0",
        complexity: "O(N), N being the number of shard channels to subscribe to",
        args: &[Arg::string("shardchannel").multiple()],
        channels: Some(ChannelArgs::All),
        run: Run::Node(NodeCommand::Ssubscribe),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "subscribe",
        arity: -2,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        group: Group::Pubsub,
        summary: "Receives the messages of channels.",
        since: "2.0.0",
        complexity: "O(N), N being the number of channels to subscribe to",
        args: &[Arg::string("channel").multiple()],
        channels: Some(ChannelArgs::All),
        run: Run::Node(NodeCommand::Subscribe),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "sunsubscribe",
        arity: -1,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        keys: &[KeySpec::range(1, -1, 1, key_flags!(NOT_KEY))],
        group: Group::Pubsub,
        summary: "Stops receiving the messages of shard channels.",
        since: "7.0.0",
        complexity: "O(N), N being the number of shard channels to unsubscribe",
        args: &[Arg::string("shardchannel").optional().multiple()],
        run: Run::Node(NodeCommand::Sunsubscribe),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "unsubscribe",
        arity: -1,
        flags: flags!(PUBSUB | NOSCRIPT | LOADING | STALE),
        group: Group::Pubsub,
        summary: "Stops receiving the messages of channels.",
        since: "2.0.0",
        complexity: "O(N), N being the number of channels to unsubscribe",
        args: &[Arg::string("channel").optional().multiple()],
        run: Run::Node(NodeCommand::Unsubscribe),
        ..CommandSpec::BASE
    },
];
