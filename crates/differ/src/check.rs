//! Compares what the two servers keep: for every key its type, encoding, time to live and a digest of its value.

use crate::finding::{Finding, Summary, line, shown};
use crate::pair::Pair;
use crate::rule::Rule;
use baton_base::Rng;
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

/// Databases whose keys are compared.
const DATABASES: [&str; 2] = ["0", "1"];
/// Values of one comparison that are carried to the other server.
const CARRIED: usize = 4;
/// The key under which they arrive.
const ARRIVAL: &str = "carried";

/// The questions about a key, each with the rule for its answers.
const QUESTIONS: [(&[&str], Rule); 4] = [
    (&["TYPE"], Rule::Exact),
    (&["OBJECT", "ENCODING"], Rule::Encoding),
    (&["DEBUG", "DIGEST-VALUE"], Rule::Exact),
    (&["PTTL"], Rule::Near),
];

/// Compares all of `keys` in all databases; those that differ are deleted on both sides, so that what follows is compared
/// again. The connections are left at the first database.
pub(crate) fn check(pair: &mut Pair, keys: &[Vec<u8>], stories: &Stories, summary: &mut Summary) -> Result<(), Error> {
    for database in DATABASES.iter().rev() {
        pair.tell(&[words(&["SELECT", database])])?;
        compare(pair, keys, stories, summary)?;
    }
    summary.checks += 1;
    Ok(())
}

fn compare(pair: &mut Pair, keys: &[Vec<u8>], stories: &Stories, summary: &mut Summary) -> Result<(), Error> {
    let mut questions = Vec::new();
    for key in keys {
        questions.extend(QUESTIONS.iter().map(|(question, _)| about(question, key)));
    }
    let answers = pair.tell(&questions)?;
    let mut differing = Vec::new();
    for (key, answers) in keys.iter().zip(answers.chunks(QUESTIONS.len())) {
        summary.keys += u64::from(answers[0].0 != Reply::Status(b"none".to_vec()));
        let wrong = QUESTIONS.iter().zip(answers).find(|((_, rule), (a, b))| !rule.agree(a, b));
        if let Some(((question, _), (a, b))) = wrong {
            let what = format!("data of {}: {}", String::from_utf8_lossy(&key[..1]), question.join(" "));
            note(what, key, [shown(a), shown(b)], stories, summary);
            differing.push(about(&["DEL"], key));
        }
    }
    pair.tell(&differing)?;
    Ok(())
}

/// Carries some of the values to the other server each, which must then have the same as the one that they come from.
pub(crate) fn carry(
    pair: &mut Pair,
    keys: &[Vec<u8>],
    rng: &mut Rng,
    stories: &Stories,
    summary: &mut Summary,
) -> Result<(), Error> {
    for _ in 0..CARRIED {
        let Some(key) = rng.pick(keys) else { return Ok(()) };
        let dumps = pair.tell(&[about(&["DUMP"], key)])?;
        let Some((Reply::Bulk(of_a), Reply::Bulk(of_b))) = dumps.first() else { continue };
        let restore = |dump: &Vec<u8>| {
            let mut command = words(&["RESTORE", ARRIVAL, "0"]);
            command.extend([dump.clone(), b"REPLACE".to_vec()]);
            [command]
        };
        let restored = pair.tell_each([&restore(of_b), &restore(of_a)])?;
        let mut digests = words(&["DEBUG", "DIGEST-VALUE"]);
        digests.extend([key.clone(), ARRIVAL.into()]);
        let encoding = words(&["OBJECT", "ENCODING", ARRIVAL]);
        let answers = pair.tell(&[digests, encoding, about(&["PTTL"], key), words(&["DEL", ARRIVAL])])?;
        summary.carried += 1;
        // The digest of a key that ends is another one.
        let ends = answers[2].0 != Reply::Integer(-1);
        let all_same = |reply: &Reply| reply.as_slice().is_some_and(|all| all.iter().all(|one| *one == all[0]));
        let what = |question: &str| format!("{question} of {} carried", String::from_utf8_lossy(&key[..1]));
        let (digest, encoding) = (&answers[0], &answers[1]);
        if digest.0 != digest.1 || !(ends || all_same(&digest.0)) {
            let sides = [(&restored[0].0, &digest.0), (&restored[0].1, &digest.1)];
            let sides = sides.map(|(said, digest)| format!("{} {}", shown(said), shown(digest)));
            note(what("value"), key, sides, stories, summary);
        } else if encoding.0 != encoding.1 {
            note(what("encoding"), key, [shown(&encoding.0), shown(&encoding.1)], stories, summary);
        }
    }
    Ok(())
}

fn note(what: String, key: &[u8], [a, b]: [String; 2], stories: &Stories, summary: &mut Summary) {
    let at = summary.commands;
    summary.note(&what.clone(), || Finding { what, times: 0, at, story: stories.of(key), a, b });
}

fn about(question: &[&str], key: &[u8]) -> Vec<Vec<u8>> {
    let mut out = words(question);
    out.push(key.to_vec());
    out
}

pub(crate) fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// The shortest story that explains a reply: the command itself, and what was said before about the keys that it names.
pub(crate) fn story_of(command: &[Vec<u8>], keys: &[Vec<u8>], stories: &Stories) -> Vec<Vec<Vec<u8>>> {
    let mut story: Vec<_> = keys.iter().filter(|key| command.contains(*key)).flat_map(|key| stories.of(key)).collect();
    if story.last().map(|last| line(last)) != Some(line(command)) {
        story.push(command.to_vec());
    }
    story
}
