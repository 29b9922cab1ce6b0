//! The language of `commands.txt`: a rule, then words. `rule+wait*3` is a line three times as likely that may wait. `<name>` is a word made by chance, `[a|b]` one of the choices or
//! nothing, `(a|b)` one of them, `{2..5 a b}` the inside that many times. Only grammar; the words come from `words.rs`.

use crate::rule::Rule;
use crate::words::{Slot, Words};

/// One line of the language: how its replies are compared, and what it may say.
#[derive(Clone, Debug)]
pub struct Template {
    /// When two replies to it count as equal.
    pub rule: Rule,
    /// How many times likelier than other lines it is chosen.
    pub weight: u32,
    /// Whether it may wait for others, so that it is only said where it can't, or where somebody is there to end that.
    pub waits: bool,
    /// The line as it was written, to name it in findings.
    pub text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Vec<u8>),
    Made(Slot),
    /// One of these.
    Choice(Vec<Vec<Part>>),
    /// The inside, between so many and so many times.
    Repeat(u64, u64, Vec<Part>),
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Which line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a whole text. Lines that are empty or begin with `#` say nothing.
pub fn parse_all(text: &str) -> Result<Vec<Template>, TemplateError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(at, line)| parse(line).map_err(|why| TemplateError { line: at + 1, why }))
        .collect()
}

fn parse(line: &str) -> Result<Template, String> {
    let (head, text) = line.trim().split_once(' ').ok_or("a line is a rule and a command")?;
    let (rule, weight) = match head.split_once('*') {
        Some((rule, weight)) => (rule, weight.parse().map_err(|_| format!("no weight: {weight}"))?),
        None => (head, 1),
    };
    let (rule, waits) = match rule.strip_suffix("+wait") {
        Some(rule) => (rule, true),
        None => (rule, false),
    };
    let rule = Rule::named(rule).ok_or_else(|| format!("no such rule: {rule}"))?;
    let tokens = tokens(text);
    let mut at = 0;
    let parts = sequence(&tokens, &mut at)?;
    if at != tokens.len() {
        return Err(format!("unexpected {}", tokens[at]));
    }
    Ok(Template { rule, weight, waits, text: text.trim().to_owned(), parts })
}

/// Words and brackets. Brackets stand alone only at a word's edges, so that glob patterns and stream ids stay whole.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for words in text.split_whitespace() {
        for (n, mut word) in words.split('|').enumerate() {
            if n > 0 {
                out.push("|");
            }
            while let Some(rest) = word.strip_prefix(['[', '(', '{']) {
                out.push(&word[..1]);
                word = rest;
            }
            let mut tail = Vec::new();
            while let Some(rest) = word.strip_suffix([']', ')', '}']) {
                tail.push(&word[rest.len()..]);
                word = rest;
            }
            if !word.is_empty() {
                out.push(word);
            }
            out.extend(tail.into_iter().rev());
        }
    }
    out
}

fn sequence(tokens: &[&str], at: &mut usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    while let Some(&token) = tokens.get(*at) {
        match token {
            "]" | ")" | "}" | "|" => break,
            "[" | "(" => {
                *at += 1;
                let mut choices = choices(tokens, at)?;
                let close = if token == "[" { "]" } else { ")" };
                close_with(tokens, at, close)?;
                if token == "[" {
                    // Nothing is as likely as all choices together.
                    let nothing = std::iter::repeat_n(Vec::new(), choices.len());
                    choices = choices.iter().cloned().chain(nothing).collect();
                }
                parts.push(Part::Choice(choices));
            }
            "{" => {
                *at += 1;
                let range = tokens.get(*at).ok_or("a repetition without its range")?;
                let (low, high) = range.split_once("..").ok_or_else(|| format!("no range: {range}"))?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no number: {text}"));
                let (low, high) = (number(low)?, number(high)?);
                if low > high {
                    return Err(format!("an empty range: {range}"));
                }
                *at += 1;
                let inside = sequence(tokens, at)?;
                close_with(tokens, at, "}")?;
                parts.push(Part::Repeat(low, high, inside));
            }
            word => {
                *at += 1;
                parts.push(match word.strip_prefix('<').and_then(|w| w.strip_suffix('>')) {
                    Some(name) => Part::Made(Slot::named(name).ok_or_else(|| format!("no such word: {word}"))?),
                    None => Part::Literal(word.as_bytes().to_vec()),
                });
            }
        }
    }
    Ok(parts)
}

fn choices(tokens: &[&str], at: &mut usize) -> Result<Vec<Vec<Part>>, String> {
    let mut all = vec![sequence(tokens, at)?];
    while tokens.get(*at) == Some(&"|") {
        *at += 1;
        all.push(sequence(tokens, at)?);
    }
    Ok(all)
}

fn close_with(tokens: &[&str], at: &mut usize, close: &str) -> Result<(), String> {
    if tokens.get(*at) != Some(&close) {
        return Err(format!("{close} is missing"));
    }
    *at += 1;
    Ok(())
}

impl Template {
    /// A command of this form.
    pub fn make(&self, words: &mut Words) -> Vec<Vec<u8>> {
        words.begin();
        let mut out = Vec::new();
        make(&self.parts, words, &mut out);
        out
    }

    /// The command's name, as written.
    pub fn name(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }
}

fn make(parts: &[Part], words: &mut Words, out: &mut Vec<Vec<u8>>) {
    for part in parts {
        match part {
            Part::Literal(word) => out.push(word.clone()),
            Part::Made(slot) => out.push(words.make(*slot)),
            Part::Choice(choices) => {
                let choice = words.rng.below(choices.len() as u64) as usize;
                make(&choices[choice], words, out);
            }
            Part::Repeat(low, high, inside) => {
                for _ in 0..words.rng.range(*low, *high) {
                    make(inside, words, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(seed: u64) -> Words {
        Words::new(seed, 1_000_000)
    }

    fn made(line: &str, seed: u64) -> Vec<String> {
        let template = parse(line).expect("the line can be read");
        template.make(&mut words(seed)).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn every_line_of_the_language_can_be_read_and_names_a_command() {
        let templates = parse_all(crate::COMMANDS).expect("commands.txt can be read");
        assert!(templates.len() > 200, "only {} lines", templates.len());
        for template in &templates {
            assert!(template.name().chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{}", template.text);
        }
    }

    #[test]
    fn choices_and_repetitions_give_every_form_and_no_other() {
        let mut seen: Vec<_> = (0..300).map(|seed| made("exact A [B|C D] {1..2 E}", seed).join(" ")).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["A B E", "A B E E", "A C D E", "A C D E E", "A E", "A E E"]);
    }

    #[test]
    fn a_round_bracket_never_stays_empty() {
        for seed in 0..100 {
            assert_eq!(made("exact A (B|C)", seed).len(), 2);
        }
    }

    #[test]
    fn brackets_inside_words_belong_to_them() {
        assert_eq!(made("exact KEYS m[0-9]*", 1), ["KEYS", "m[0-9]*"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |line: &str| parse_all(line).expect_err("must not be read");
        assert_eq!(
            error("exact GET <s>\nexact GET <nosuch>"),
            TemplateError { line: 2, why: "no such word: <nosuch>".into() }
        );
        assert_eq!(error("exact GET [A").why, "] is missing");
        assert_eq!(error("exact GET A)").why, "unexpected )");
        assert_eq!(error("exact GET {3..1 A}").why, "an empty range: 3..1");
        assert_eq!(error("exakt GET A").why, "no such rule: exakt");
    }

    proptest! {
        #[test]
        fn equal_seeds_make_equal_commands(seed: u64) {
            let templates = parse_all(crate::COMMANDS).expect("commands.txt can be read");
            let (mut one, mut two) = (words(seed), words(seed));
            for template in &templates {
                prop_assert_eq!(template.make(&mut one), template.make(&mut two));
            }
        }

        #[test]
        fn no_line_makes_the_reader_panic(line in "(exact )?[ A-Z<>a-z|{}().\\[\\]0-9]{0,40}") {
            let _ = parse_all(&line);
        }
    }
}
