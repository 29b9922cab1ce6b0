//! Compares what the two servers keep: for every key its type, encoding, time to live and a digest of its value.

use crate::finding::{Finding, Summary, line, shown};
use crate::pair::Pair;
use crate::rule::Rule;
use baton_cli::{Error, Reply};
use std::collections::{HashMap, VecDeque};

/// Commands remembered for each key.
const STORY: usize = 40;

/// What was lately said about each key, to tell how a difference came to be.
#[derive(Debug, Default)]
pub(crate) struct Stories(HashMap<Vec<u8>, VecDeque<Vec<Vec<u8>>>>);

impl Stories {
    /// Remembers a command with every key that it names.
    pub(crate) fn note(&mut self, command: &[Vec<u8>], keys: &[Vec<u8>]) {
        for key in keys.iter().filter(|key| command.contains(*key)) {
            let story = self.0.entry(key.clone()).or_default();
            if story.len() == STORY {
                story.pop_front();
            }
            story.push_back(command.to_vec());
        }
    }

    pub(crate) fn of(&self, key: &[u8]) -> Vec<Vec<Vec<u8>>> {
        self.0.get(key).into_iter().flatten().cloned().collect()
    }
}

/// The questions about a key, each with the rule for its answers.
const QUESTIONS: [(&[&str], Rule); 4] = [
    (&["TYPE"], Rule::Exact),
    (&["OBJECT", "ENCODING"], Rule::Exact),
    (&["DEBUG", "DIGEST-VALUE"], Rule::Exact),
    (&["PTTL"], Rule::Near),
];

/// Compares all of `keys`; those that differ are deleted on both sides, so that what follows is compared again.
pub(crate) fn check(pair: &mut Pair, keys: &[Vec<u8>], stories: &Stories, summary: &mut Summary) -> Result<(), Error> {
    let mut questions = Vec::new();
    for key in keys {
        for (words, _) in QUESTIONS {
            let words = words.iter().map(|word| word.as_bytes().to_vec());
            questions.push(words.chain([key.clone()]).collect::<Vec<_>>());
        }
    }
    let answers = pair.tell(&questions)?;
    let mut differing = Vec::new();
    for (key, answers) in keys.iter().zip(answers.chunks(QUESTIONS.len())) {
        summary.keys += u64::from(answers[0].0 != Reply::Status(b"none".to_vec()));
        for ((words, rule), (a, b)) in QUESTIONS.iter().zip(answers) {
            if rule.agree(a, b) {
                continue;
            }
            let what = format!("data of {}: {}", String::from_utf8_lossy(&key[..1]), words.join(" "));
            let at = summary.commands;
            summary.note(&what, || Finding {
                what: what.clone(),
                times: 0,
                at,
                story: stories.of(key),
                a: shown(a),
                b: shown(b),
            });
            differing.push(vec![b"DEL".to_vec(), key.clone()]);
            break;
        }
    }
    pair.tell(&differing)?;
    summary.checks += 1;
    Ok(())
}

/// The shortest story that explains a reply: the command itself, and what was said before about the keys that it names.
pub(crate) fn story_of(command: &[Vec<u8>], keys: &[Vec<u8>], stories: &Stories) -> Vec<Vec<Vec<u8>>> {
    let mut story: Vec<_> = keys.iter().filter(|key| command.contains(*key)).flat_map(|key| stories.of(key)).collect();
    if story.last().map(|last| line(last)) != Some(line(command)) {
        story.push(command.to_vec());
    }
    story
}
