//! The words that vary: keys of each type, members, numbers, patterns. Few of each, so that commands meet each other's
//! data; now and then a key of another type, an odd number or an empty word, so that errors are compared too.

use baton_base::Rng;

/// Keys of a type that are in use at once.
const KEYS: u64 = 8;
/// The letters of types whose keys any line may name.
const SHARED: &[u8] = b"slbhezx";
/// The letters of types whose keys only their own lines name.
const OWN: &[u8] = b"YGLPE";

/// What a word of the language stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A key of the type that this letter stands for.
    Key(u8),
    /// A key that no other line names: what it holds is made by its own lines only.
    OwnKey(u8),
    /// A key of any type.
    AnyKey,
    /// A value: short text, number, or sometimes long.
    Value,
    /// A member of a set, sorted set or geo index, or a field of a hash.
    Member,
    /// An integer, mostly small.
    Integer,
    /// A number between 1 and 20.
    Count,
    /// A place in a list or sorted set, also from the end.
    Place,
    /// A floating-point number.
    Float,
    /// A score bound, also exclusive or infinite.
    ScoreBound,
    /// A bound by member, as ZRANGEBYLEX takes it.
    LexBound,
    /// A time to live in seconds, far enough that nothing expires during a run.
    Seconds,
    /// The same in milliseconds.
    Millis,
    /// An absolute time in seconds, long ago or far ahead.
    UnixSeconds,
    /// The same in milliseconds.
    UnixMillis,
    /// A bit's place.
    BitPlace,
    /// 0 or 1.
    Bit,
    /// An integer for BITFIELD, which saturates the very smallest one at the wrong end over there.
    BitValue,
    /// A BITFIELD type such as `u7`.
    BitType,
    /// The id of a stream entry.
    StreamId,
    /// An id that grows: mostly accepted by XADD.
    NextId,
    /// A consumer group's name.
    Group,
    /// A consumer's name.
    Consumer,
    /// A glob pattern.
    Pattern,
    /// A longitude.
    Longitude,
    /// A latitude.
    Latitude,
}

impl Slot {
    /// The word that is written `<name>`.
    pub fn named(name: &str) -> Option<Slot> {
        Some(match name {
            "any" => Slot::AnyKey,
            "value" => Slot::Value,
            "member" => Slot::Member,
            "int" => Slot::Integer,
            "count" => Slot::Count,
            "place" => Slot::Place,
            "float" => Slot::Float,
            "bound" => Slot::ScoreBound,
            "lex" => Slot::LexBound,
            "seconds" => Slot::Seconds,
            "millis" => Slot::Millis,
            "unix" => Slot::UnixSeconds,
            "unixms" => Slot::UnixMillis,
            "bitplace" => Slot::BitPlace,
            "bit" => Slot::Bit,
            "bitvalue" => Slot::BitValue,
            "bittype" => Slot::BitType,
            "id" => Slot::StreamId,
            "nextid" => Slot::NextId,
            "group" => Slot::Group,
            "consumer" => Slot::Consumer,
            "pattern" => Slot::Pattern,
            "lon" => Slot::Longitude,
            "lat" => Slot::Latitude,
            _ => match name.as_bytes() {
                [letter @ b'a'..=b'z'] => Slot::Key(*letter),
                [letter @ b'A'..=b'Z'] => Slot::OwnKey(*letter),
                _ => return None,
            },
        })
    }
}

/// Makes words.
#[derive(Debug)]
pub struct Words {
    /// Where chance comes from.
    pub rng: Rng,
    /// Whether the command being made draws its members from many: so large values come to be.
    wide: bool,
    /// The newest stream id.
    newest: u64,
    /// The time at the start of the run, so that a seed always makes the same words.
    now_s: u64,
}

impl Words {
    /// `now_s` is the Unix time that "far ahead" counts from.
    pub fn new(seed: u64, now_s: u64) -> Self {
        Words { rng: Rng::new(seed), wide: false, newest: 1, now_s }
    }

    /// All keys that commands may be about.
    pub fn keys() -> impl Iterator<Item = Vec<u8>> {
        SHARED.iter().chain(OWN).flat_map(|&kind| (0..KEYS).map(move |n| key(kind, n)))
    }

    /// Says that the next words belong to a new command.
    pub(crate) fn begin(&mut self) {
        self.wide = self.rng.chance(1, 6);
    }

    /// A word.
    pub fn make(&mut self, slot: Slot) -> Vec<u8> {
        match slot {
            Slot::Key(kind) if !self.rng.chance(1, 40) => self.key_of(kind),
            Slot::OwnKey(kind) => self.key_of(kind),
            Slot::Key(_) | Slot::AnyKey => {
                let kind = self.rng.pick(SHARED).copied().unwrap_or(b's');
                self.key_of(kind)
            }
            Slot::Value => self.value(),
            Slot::Member => self.member(),
            Slot::Integer => self.integer(),
            Slot::Count => number(self.rng.range(1, 20)),
            Slot::Place => self.place(),
            Slot::Float => self.float(),
            Slot::ScoreBound => self.score_bound(),
            Slot::LexBound => self.lex_bound(),
            Slot::Seconds => number(self.rng.range(100_000, 200_000)),
            Slot::Millis => number(self.rng.range(100_000_000, 200_000_000)),
            Slot::UnixSeconds => number(self.unix()),
            Slot::UnixMillis => number(self.unix() * 1000),
            Slot::BitPlace => {
                let top = if self.wide { 60_000 } else { 300 };
                number(self.rng.below(top))
            }
            Slot::Bit => number(self.rng.below(2)),
            Slot::BitValue => {
                let bits = self.rng.below(50);
                (self.rng.below(2 << bits) as i64 - (1 << bits)).to_string().into_bytes()
            }
            Slot::BitType => {
                let sign = if self.rng.chance(1, 2) { "u" } else { "i" };
                format!("{sign}{}", self.rng.range(1, 65)).into_bytes()
            }
            Slot::StreamId => self.stream_id(),
            Slot::NextId => self.next_id(),
            Slot::Group => format!("group{}", self.rng.below(3)).into_bytes(),
            Slot::Consumer => format!("consumer{}", self.rng.below(4)).into_bytes(),
            Slot::Pattern => self.pattern(),
            Slot::Longitude => format!("{:.6}", self.rng.below(360_000_000) as f64 / 1e6 - 180.0).into_bytes(),
            Slot::Latitude => format!("{:.6}", self.rng.below(172_000_000) as f64 / 1e6 - 86.0).into_bytes(),
        }
    }

    fn key_of(&mut self, kind: u8) -> Vec<u8> {
        key(kind, self.rng.below(KEYS))
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0..3 => self.integer(),
            3 => self.float(),
            4 => Vec::new(),
            5 => {
                // Around 110 bytes it depends on an earlier expiry over there whether a string is embedded.
                let length = self.rng.range(130, if self.wide { 9_000 } else { 300 });
                (0..length).map(|_| self.rng.below(256) as u8).collect()
            }
            6 => b"a text that is a little too long for the packed forms of sets and hashes".to_vec(),
            _ => self.member(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        let many = if self.wide { 3_000 } else { 30 };
        let n = self.rng.below(many);
        if self.rng.chance(1, 5) { number(n) } else { format!("m{n}").into_bytes() }
    }

    fn integer(&mut self) -> Vec<u8> {
        match self.rng.below(30) {
            0 => b"9223372036854775807".to_vec(),
            1 => b"-9223372036854775808".to_vec(),
            2 => b"not a number".to_vec(),
            3 => b"0".to_vec(),
            4..8 => (self.rng.next_u64() as i32).to_string().into_bytes(),
            _ => (self.rng.below(400) as i64 - 100).to_string().into_bytes(),
        }
    }

    fn place(&mut self) -> Vec<u8> {
        let span = if self.wide { 2_000 } else { 24 };
        (self.rng.below(span) as i64 - span as i64 / 3).to_string().into_bytes()
    }

    fn float(&mut self) -> Vec<u8> {
        match self.rng.below(24) {
            0 => b"inf".to_vec(),
            1 => b"-inf".to_vec(),
            2 => b"nan".to_vec(),
            3 => b"1e300".to_vec(),
            4..12 => number(self.rng.below(50)),
            _ => format!("{:.3}", self.rng.below(200_000) as f64 / 1000.0 - 100.0).into_bytes(),
        }
    }

    fn score_bound(&mut self) -> Vec<u8> {
        match self.rng.below(8) {
            0 => b"-inf".to_vec(),
            1 => b"+inf".to_vec(),
            2 | 3 => [b"(".to_vec(), self.float()].concat(),
            _ => self.float(),
        }
    }

    fn lex_bound(&mut self) -> Vec<u8> {
        match self.rng.below(8) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 | 3 => [b"(".to_vec(), self.member()].concat(),
            4 => self.member(),
            _ => [b"[".to_vec(), self.member()].concat(),
        }
    }

    fn unix(&mut self) -> u64 {
        if self.rng.chance(1, 10) { self.rng.below(1000) } else { self.now_s + self.rng.range(100_000, 200_000) }
    }

    fn stream_id(&mut self) -> Vec<u8> {
        let span = if self.wide { 2_000 } else { 60 };
        let ms = self.newest.saturating_sub(self.rng.below(span));
        match self.rng.below(10) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 => b"0".to_vec(),
            3 => number(ms),
            4 => format!("({ms}-{}", self.rng.below(3)).into_bytes(),
            5 => b"not-an-id".to_vec(),
            _ => format!("{ms}-{}", self.rng.below(3)).into_bytes(),
        }
    }

    fn next_id(&mut self) -> Vec<u8> {
        self.newest += self.rng.below(3);
        match self.rng.below(10) {
            0 => format!("{}-*", self.newest).into_bytes(),
            1 => number(self.newest),
            2 => self.stream_id(),
            _ => {
                self.newest += 1;
                format!("{}-{}", self.newest, self.rng.below(3)).into_bytes()
            }
        }
    }

    fn pattern(&mut self) -> Vec<u8> {
        let digit = self.rng.below(10);
        match self.rng.below(6) {
            0 => b"*".to_vec(),
            1 => format!("?{digit}").into_bytes(),
            2 => format!("[a-m]{digit}*").into_bytes(),
            3 => format!("*{digit}").into_bytes(),
            4 => format!("[^l]?{digit}").into_bytes(),
            _ => format!("m{digit}*").into_bytes(),
        }
    }
}

fn key(kind: u8, n: u64) -> Vec<u8> {
    format!("{}{n}", char::from(kind)).into_bytes()
}

fn number(n: u64) -> Vec<u8> {
    n.to_string().into_bytes()
}
