//! Records of the commands on geographical indexes, but those that search by radius alone.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, CommandSpec, Group, KeySpec, Run, geo};

/// A unit of distances.
const UNIT: Arg =
    Arg::oneof("unit", &[Arg::word("m", "M"), Arg::word("km", "KM"), Arg::word("ft", "FT"), Arg::word("mi", "MI")]);

/// The order of what is found.
const ORDER: Arg = Arg::oneof("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional();

/// What says where the center is.
const CENTER: Arg = Arg::oneof(
    "from",
    &[
        Arg::string("member").token("FROMMEMBER"),
        Arg::block("fromlonlat", &[Arg::new("longitude", ArgKind::Double), Arg::new("latitude", ArgKind::Double)])
            .token("FROMLONLAT"),
    ],
)
.optional();

/// What says what is searched.
const SHAPE: Arg = Arg::oneof(
    "by",
    &[
        Arg::block("circle", &[Arg::new("radius", ArgKind::Double).token("BYRADIUS"), UNIT]),
        Arg::block(
            "box",
            &[Arg::new("width", ArgKind::Double).token("BYBOX"), Arg::new("height", ArgKind::Double), UNIT],
        ),
        Arg::block(
            "polygon",
            &[
                Arg::integer("num-vertices").token("BYPOLYGON"),
                Arg::block(
                    "vertices",
                    &[Arg::new("longitude", ArgKind::Double), Arg::new("latitude", ArgKind::Double)],
                )
                .multiple(),
            ],
        )
        .since("9.0.0"),
    ],
);

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "geoadd",
        arity: -5,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Geo,
        summary: "Adds places to a geographical index, or moves them.",
        since: "3.2.0",
        complexity: "O(log(N)) for each place, N being the number of places",
        history: &[("6.2.0", "The CH, NX and XX options.")],
        args: &[
            Arg::key("key", 0),
            Arg::oneof("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).since("6.2.0").optional(),
            Arg::word("change", "CH").since("6.2.0").optional(),
            Arg::block(
                "data",
                &[Arg::new("longitude", ArgKind::Double), Arg::new("latitude", ArgKind::Double), Arg::string("member")],
            )
            .multiple(),
        ],
        run: Run::Keyspace(geo::geoadd),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "geodist",
        arity: -4,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies the distance of two places.",
        since: "3.2.0",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::string("member1"), Arg::string("member2"), UNIT.optional()],
        run: Run::Keyspace(geo::geodist),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "geohash",
        arity: -2,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies the geohash strings of places.",
        since: "3.2.0",
        complexity: "O(1) for each member",
        args: &[Arg::key("key", 0), Arg::string("member").optional().multiple()],
        run: Run::Keyspace(geo::geohash),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "geopos",
        arity: -2,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies longitude and latitude of places.",
        since: "3.2.0",
        complexity: "O(1) for each member",
        args: &[Arg::key("key", 0), Arg::string("member").optional().multiple()],
        run: Run::Keyspace(geo::geopos),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "geosearch",
        arity: -7,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies the places in a circle, a box or a polygon.",
        since: "6.2.0",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the shape, M of places inside",
        history: &[("7.0.0", "Options can be given more freely."), ("9.0.0", "Polygons.")],
        args: &[
            Arg::key("key", 0),
            CENTER,
            SHAPE,
            ORDER,
            Arg::block("count-block", &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional()])
                .optional(),
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
        ],
        run: Run::Keyspace(geo::geosearch),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "geosearchstore",
        arity: -8,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE)), KeySpec::one(2, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Stores the places in a circle, a box or a polygon.",
        since: "6.2.0",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the shape, M of places inside",
        history: &[("7.0.0", "Options can be given more freely."), ("9.0.0", "Polygons.")],
        args: &[
            Arg::key("destination", 0),
            Arg::key("source", 1),
            CENTER,
            SHAPE,
            ORDER,
            Arg::block("count-block", &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional()])
                .optional(),
            Arg::word("storedist", "STOREDIST").optional(),
        ],
        run: Run::Keyspace(geo::geosearchstore),
        ..CommandSpec::BASE
    },
];
