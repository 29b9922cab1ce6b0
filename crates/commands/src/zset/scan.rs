//! Going over a sorted set step by step.

use baton_base::{double, glob, num};
use baton_resp::Args;
use baton_values::ZSetRef;

use super::zset_of;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;
use crate::scan_filter::KeyNames;

/// Elements that a step looks at where the request names no number.
const COUNT_DEFAULT: u64 = 10;

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: u64,
    with_scores: bool,
}

/// ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES].
pub(crate) fn zscan(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let cursor = num::parse_u64(&x.args[2]).ok_or(Fail::Text("ERR invalid cursor"))?;
    let (key, args) = (x.key(0, 1), x.args);
    let (mut names, mut next) = (KeyNames::default(), 0);
    if let Some(entry) = x.view.read(&key, x.touch) {
        let zset = zset_of(&entry)?;
        let options = Options::parse(args.skip(3))?;
        next = zset.scan(cursor, options.count, &mut |element| {
            let mut scratch = itoa::Buffer::new();
            let member = element.member.bytes(&mut scratch);
            if options.pattern.is_some_and(|pattern| !glob::matches(pattern, member, false)) {
                return;
            }
            names.push(member);
            if options.with_scores {
                names.push(&score_text(zset, element.score));
            }
        });
    }
    x.out.array(2);
    x.out.bulk_int(next as i64);
    names.write(x.out);
    Ok(())
}

/// Scans of large sorted sets spell scores with 17 digits.
fn score_text(zset: ZSetRef<'_>, score: f64) -> Vec<u8> {
    match zset {
        ZSetRef::Large(_) => double::digits_17(score).into_bytes(),
        ZSetRef::Packed(_) => {
            let mut text = Vec::new();
            double::push_double(&mut text, score);
            text
        }
    }
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Options<'a>, Fail> {
        let mut options = Options { pattern: None, count: COUNT_DEFAULT, with_scores: true };
        let mut at = 0;
        while let Some(word) = args.get(at) {
            match (word, args.get(at + 1)) {
                (_, Some(count)) if word.eq_ignore_ascii_case(b"COUNT") => {
                    options.count = u64::try_from(int(count)?).ok().filter(|n| *n > 0).ok_or(Fail::Syntax)?;
                    at += 1;
                }
                (_, Some(pattern)) if word.eq_ignore_ascii_case(b"MATCH") => {
                    // Everything matches a single star, so members need not be looked at.
                    options.pattern = (pattern != b"*").then_some(pattern);
                    at += 1;
                }
                _ if word.eq_ignore_ascii_case(b"NOSCORES") => options.with_scores = false,
                _ if word.eq_ignore_ascii_case(b"NOVALUES") => {
                    return Err(Fail::Text("ERR NOVALUES option can only be used in HSCAN"));
                }
                _ => return Err(Fail::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}
