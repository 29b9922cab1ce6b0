//! From the words of a directive to its value, with upstream's error texts. Looks at nothing but the record, the words
//! and the old value, which only `client-output-buffer-limit` builds on.

use crate::directive::{Directive, Kind, Special};
use crate::special;
use crate::text_rule;
use crate::value::Value;
use baton_base::num;
use std::sync::Arc;

/// Why a value is refused: the text that goes into the reply or the start-up error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl From<&str> for Invalid {
    fn from(text: &str) -> Self {
        Invalid(text.to_owned())
    }
}

pub(crate) const ARGUMENT_COUNT: &str = "wrong number of arguments";

/// The default of a directive.
pub(crate) fn default_value(directive: &Directive) -> Value {
    // The only directives without a text for "nothing" start from it.
    let nothing = match directive.kind {
        Kind::Special(Special::ReplicaOf) => return Value::Endpoint(None),
        Kind::Special(Special::BufferLimits) => Value::BufferLimits(Default::default()),
        _ => Value::Bool(false),
    };
    match value(directive, &[directive.default.as_bytes()], &nothing) {
        Ok(value) => value,
        Err(Invalid(text)) => unreachable!("the default of {} is refused: {text}", directive.name),
    }
}

/// Checks the words after a directive's name and makes its value of them. A directive of several words may also get
/// them as one, separated by single spaces.
pub(crate) fn value(directive: &Directive, words: &[&[u8]], old: &Value) -> Result<Value, Invalid> {
    if directive.flags.multi_arg {
        return match words {
            [b""] => several(directive, &[], old),
            [one] => several(directive, &one.split(|&b| b == b' ').collect::<Vec<_>>(), old),
            more => several(directive, more, old),
        };
    }
    let &[word] = words else { return Err(ARGUMENT_COUNT.into()) };
    match directive.kind {
        Kind::Bool => yes_or_no(word),
        Kind::Int { min, max, .. } => integer(word, min, max),
        Kind::Memory { min, max } => memory(word, min, max),
        Kind::MemoryOrPercent => memory_or_percent(word),
        Kind::Octal { max } => octal(word, max),
        Kind::Enum(words) => choice(word, words),
        Kind::Text(rule) => text_rule::check(directive.name, rule, word),
        Kind::Special(Special::KeyspaceEvents) => special::keyspace_events(word),
        Kind::EnumSet(_) | Kind::Special(_) => unreachable!("{} takes several words", directive.name),
    }
}

fn several(directive: &Directive, words: &[&[u8]], old: &Value) -> Result<Value, Invalid> {
    match directive.kind {
        Kind::EnumSet(known) => choices(words, known),
        Kind::Special(Special::Save) => special::save(words),
        Kind::Special(Special::BufferLimits) => special::buffer_limits(words, old),
        Kind::Special(Special::Bind) => special::bind(words),
        Kind::Special(Special::OomScores) => special::oom_scores(words),
        Kind::Special(Special::Percentiles) => special::percentiles(words),
        Kind::Special(Special::ReplicaOf) => special::replica_of(words),
        _ => unreachable!("{} takes one word", directive.name),
    }
}

fn yes_or_no(word: &[u8]) -> Result<Value, Invalid> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(Value::Bool(true))
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(Value::Bool(false))
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn within(n: i64, min: i64, max: i64) -> Result<Value, Invalid> {
    if (min..=max).contains(&n) {
        Ok(Value::Int(n))
    } else {
        Err(Invalid(format!("argument must be between {min} and {max} inclusive")))
    }
}

fn integer(word: &[u8], min: i64, max: i64) -> Result<Value, Invalid> {
    let n = num::parse_i64(word).ok_or("argument couldn't be parsed into an integer")?;
    within(n, min, max)
}

fn memory(word: &[u8], min: i64, max: i64) -> Result<Value, Invalid> {
    let n = match word {
        [b'-', rest @ ..] if min < 0 => bytes(rest).map(|n| -n),
        _ => bytes(word),
    };
    within(n.ok_or("argument must be a memory value")?, min, max)
}

fn memory_or_percent(word: &[u8]) -> Result<Value, Invalid> {
    const REFUSAL: &str = "argument must be a memory or percent value";
    if let [digits @ .., b'%'] = word {
        let percent = num::parse_i64(digits).filter(|n| *n >= 0).ok_or(REFUSAL)?;
        if percent > 100 {
            return Err("percentage argument must be less or equal to 100".into());
        }
        return Ok(Value::Int(-percent));
    }
    Ok(Value::Int(bytes(word).ok_or(REFUSAL)?))
}

/// A size without a sign. No digits at all count as zero, as upstream reads them.
pub(crate) fn bytes(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    if text.starts_with('-') {
        return None;
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        num::parse_memory(text)
    } else {
        num::parse_memory(&format!("0{text}"))
    }
}

fn octal(word: &[u8], max: i64) -> Result<Value, Invalid> {
    // The empty text is zero, as upstream reads it.
    let text = std::str::from_utf8(word).ok().map(|t| if t.is_empty() { "0" } else { t });
    let n =
        text.and_then(|t| i64::from_str_radix(t, 8).ok()).ok_or("argument couldn't be parsed as an octal number")?;
    if (0..=max).contains(&n) {
        Ok(Value::Int(n))
    } else {
        Err(Invalid(format!("argument must be between 0 and {max:o} inclusive")))
    }
}

fn choice(word: &[u8], known: &[(&str, u8)]) -> Result<Value, Invalid> {
    match known.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())) {
        Some((_, position)) => Ok(Value::Int(i64::from(*position))),
        None => Err(unknown_word(known.iter().map(|(name, _)| *name))),
    }
}

fn choices(words: &[&[u8]], known: &[(&str, u32)]) -> Result<Value, Invalid> {
    let refusal = || unknown_word(known.iter().map(|(name, _)| *name));
    if words.is_empty() {
        return Err(refusal());
    }
    let mut bits = 0;
    for word in words {
        let hit = known.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        bits |= hit.ok_or_else(refusal)?.1;
    }
    // The only sets there are belong to the shutdown, and these two of their words contradict each other.
    let bit = |name: &str| known.iter().find(|(n, _)| *n == name).map_or(0, |(_, bit)| *bit);
    let both = bit("save") | bit("nosave");
    if both != 0 && bits & both == both {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(Value::Int(i64::from(bits)))
}

fn unknown_word<'a>(known: impl Iterator<Item = &'a str>) -> Invalid {
    let list: Vec<&str> = known.collect();
    Invalid(format!("argument(s) must be one of the following: {}", list.join(", ")))
}

/// Wraps a text, the empty one meaning unset where `nullable`.
pub(crate) fn text(word: &[u8], nullable: bool) -> Value {
    if nullable && word.is_empty() { Value::Text(None) } else { Value::Text(Some(Arc::from(word))) }
}
