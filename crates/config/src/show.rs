//! From a value to the text that CONFIG GET shows, which CONFIG SET takes back.

use crate::directive::{Directive, Kind, Special};
use crate::special::keyspace_event_letters;
use crate::value::{BufferLimit, Value};

/// The text CONFIG GET shows for a value.
pub(crate) fn shown(directive: &Directive, value: &Value) -> Vec<u8> {
    match value {
        Value::Bool(true) => b"yes".to_vec(),
        Value::Bool(false) => b"no".to_vec(),
        Value::Int(n) => number(directive, *n).into_bytes(),
        Value::Text(text) => text.as_deref().unwrap_or_default().to_vec(),
        Value::Words(words) => words.join(" ").into_bytes(),
        Value::Save(points) => joined(points.iter().map(|p| format!("{} {}", p.seconds, p.changes))).into_bytes(),
        Value::BufferLimits(limits) => buffer_limits(limits).into_bytes(),
        Value::OomScores(scores) => joined(scores.iter().map(i32::to_string)).into_bytes(),
        Value::Percentiles(list) => joined(list.iter().map(|n| percentile(*n))).into_bytes(),
        Value::Endpoint(None) => Vec::new(),
        Value::Endpoint(Some(endpoint)) => format!("{} {}", endpoint.host, endpoint.port).into_bytes(),
    }
}

fn number(directive: &Directive, n: i64) -> String {
    match directive.kind {
        Kind::Octal { .. } => format!("{n:o}"),
        Kind::MemoryOrPercent if n < 0 => format!("{}%", n.unsigned_abs()),
        Kind::Enum(words) => first_word(words.iter().map(|(word, v)| (*word, i64::from(*v))), n).to_owned(),
        Kind::EnumSet(words) => word_set(words, n),
        Kind::Special(Special::KeyspaceEvents) => keyspace_event_letters(n as u32),
        _ => n.to_string(),
    }
}

fn first_word<'a>(mut words: impl Iterator<Item = (&'a str, i64)>, n: i64) -> &'a str {
    words.find(|(_, v)| *v == n).map_or("", |(word, _)| word)
}

fn word_set(words: &[(&'static str, u32)], n: i64) -> String {
    if n == 0 {
        return first_word(words.iter().map(|(word, v)| (*word, i64::from(*v))), 0).to_owned();
    }
    let set = words.iter().filter(|(_, bit)| *bit != 0 && n & i64::from(*bit) != 0);
    joined(set.map(|(word, _)| (*word).to_owned()))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

/// The names CONFIG GET uses for the classes of clients.
const CLASS_NAMES: [&str; 3] = ["normal", "slave", "pubsub"];

fn buffer_limits(limits: &[BufferLimit; 3]) -> String {
    let one = |(name, l): (&&str, &BufferLimit)| format!("{name} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_seconds);
    joined(CLASS_NAMES.iter().zip(limits).map(one))
}

/// Six decimals at most, without trailing zeros.
fn percentile(n: f64) -> String {
    let text = format!("{n:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
