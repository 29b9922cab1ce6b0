//! The grammars of the directives whose values have a structure: reading here, showing in `show`.

use crate::parse::{ARGUMENT_COUNT, Invalid, bytes};
use crate::value::{BufferLimit, ClientClass, Endpoint, SavePoint, Value};
use baton_base::num;
use std::sync::Arc;

/// Most addresses of `bind`.
const BIND_ADDRESSES_MAX: usize = 16;
/// Largest absolute value of an out-of-memory score.
const OOM_SCORE_MAX: i64 = 2000;

/// Classes of keyspace events: letter and bit. `A` stands for the first ten; `n` (new keys), `K`, `E` and `m` (key
/// misses) are not among them.
const EVENT_LETTERS: [(u8, u32); 14] = [
    (b'g', 1),
    (b'$', 1 << 1),
    (b'l', 1 << 2),
    (b's', 1 << 3),
    (b'h', 1 << 4),
    (b'z', 1 << 5),
    (b'x', 1 << 6),
    (b'e', 1 << 7),
    (b't', 1 << 8),
    (b'd', 1 << 9),
    (b'n', 1 << 10),
    (b'K', 1 << 11),
    (b'E', 1 << 12),
    (b'm', 1 << 13),
];
/// The bits of `A`.
const EVENTS_ALL: u32 = (1 << 10) - 1;

/// A whole number as `strtoll` reads it: a sign and leading zeros are fine.
fn loose_integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Pairs of seconds and changes; no pair at all takes no snapshots.
pub(crate) fn save(words: &[&[u8]]) -> Result<Value, Invalid> {
    const REFUSAL: &str = "Invalid save parameters";
    // Writing `save ""` in a file leaves one empty word.
    if words == [b""] {
        return Ok(Value::Save(Arc::from([])));
    }
    if !words.len().is_multiple_of(2) {
        return Err(REFUSAL.into());
    }
    let point = |pair: &[&[u8]]| {
        let seconds = loose_integer(pair[0]).filter(|n| *n >= 1)?;
        let changes = loose_integer(pair[1]).filter(|n| *n >= 0)?;
        Some(SavePoint { seconds, changes })
    };
    let points: Option<Vec<SavePoint>> = words.chunks(2).map(point).collect();
    Ok(Value::Save(points.ok_or(REFUSAL)?.into()))
}

/// Quadruples of class, hard limit, soft limit and seconds; classes not named keep their limits.
pub(crate) fn buffer_limits(words: &[&[u8]], old: &Value) -> Result<Value, Invalid> {
    const REFUSAL: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let Value::BufferLimits(mut limits) = *old else { unreachable!("the old value is of the same directive") };
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for entry in words.chunks(4) {
        let class = client_class(entry[0]).ok_or("Invalid client class specified in buffer limit configuration.")?;
        let size = |word| bytes(word).and_then(|n| u64::try_from(n).ok());
        let hard_bytes = size(entry[1]).ok_or(REFUSAL)?;
        let soft_bytes = size(entry[2]).ok_or(REFUSAL)?;
        // An empty word is zero, as two spaces in a row make one.
        let seconds = if entry[3].is_empty() { Some(0) } else { loose_integer(entry[3]) };
        let soft_seconds = seconds.filter(|n| *n >= 0).ok_or(REFUSAL)?;
        limits[class as usize] = BufferLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    Ok(Value::BufferLimits(limits))
}

fn client_class(word: &[u8]) -> Option<ClientClass> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Some(ClientClass::Normal),
        b"replica" | b"slave" => Some(ClientClass::Replica),
        b"pubsub" => Some(ClientClass::PubSub),
        _ => None,
    }
}

/// Addresses; one empty word is none.
pub(crate) fn bind(words: &[&[u8]]) -> Result<Value, Invalid> {
    if words.len() > BIND_ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    let list: Result<Vec<Arc<str>>, _> = words.iter().map(|w| std::str::from_utf8(w).map(Arc::from)).collect();
    Ok(Value::Words(list.map_err(|_| "argument must be valid UTF-8")?.into()))
}

/// Three scores.
pub(crate) fn oom_scores(words: &[&[u8]]) -> Result<Value, Invalid> {
    let &[primary, replica, child] = words else { return Err(ARGUMENT_COUNT.into()) };
    let score = |word| {
        let n = loose_integer(word).filter(|n| n.abs() <= OOM_SCORE_MAX);
        let n = n.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
        Ok::<i32, Invalid>(n as i32)
    };
    Ok(Value::OomScores([score(primary)?, score(replica)?, score(child)?]))
}

/// Letters of event classes.
pub(crate) fn keyspace_events(word: &[u8]) -> Result<Value, Invalid> {
    let mut bits = 0;
    for letter in word {
        let hit = EVENT_LETTERS.iter().find(|(l, _)| l == letter).map(|(_, bit)| *bit);
        let hit = hit.or((*letter == b'A').then_some(EVENTS_ALL));
        bits |= hit.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    }
    Ok(Value::Int(i64::from(bits)))
}

/// The letters of a set of event classes, `A` where it covers them.
pub(crate) fn keyspace_event_letters(bits: u32) -> String {
    let all = bits & EVENTS_ALL == EVENTS_ALL;
    let shown = EVENT_LETTERS.iter().filter(|(_, bit)| bits & bit != 0 && !(all && EVENTS_ALL & bit != 0));
    let letters = shown.map(|(letter, _)| char::from(*letter));
    if all { std::iter::once('A').chain(letters).collect() } else { letters.collect() }
}

/// Percentiles; no word at all shows none.
pub(crate) fn percentiles(words: &[&[u8]]) -> Result<Value, Invalid> {
    if words == [b""] {
        return Ok(Value::Percentiles(Arc::from([])));
    }
    let mut list = Vec::with_capacity(words.len());
    for word in words {
        let n = num::parse_f64(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&n) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
        // Rounded to what is shown, so that a rewritten file reads back as the same value.
        list.push((n * 1e6).round() / 1e6);
    }
    Ok(Value::Percentiles(list.into()))
}

/// Host and port, or `no one`.
pub(crate) fn replica_of(words: &[&[u8]]) -> Result<Value, Invalid> {
    let &[host, port] = words else { return Err(ARGUMENT_COUNT.into()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Value::Endpoint(None));
    }
    let port = loose_integer(port).and_then(|n| u16::try_from(n).ok()).ok_or("Invalid primary port")?;
    let host = std::str::from_utf8(host).map_err(|_| "argument must be valid UTF-8")?;
    Ok(Value::Endpoint(Some(Arc::new(Endpoint { host: host.to_owned(), port }))))
}
