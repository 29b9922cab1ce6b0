//! A run: batches of commands to both servers, some beside clients that wait, and now and then a look at all the data.

use crate::check::{Stories, carry, check, story_of, words};
use crate::events::Listener;
use crate::finding::{Finding, Summary, line, shown};
use crate::pair::Pair;
use crate::speech::{Role, Said, Speaker, frame};
use crate::template::{TemplateError, parse_all};
use crate::waiting::{WAITERS, Waiters};
use crate::words::Words;
use crate::wrap::preparations;
use crate::{COMMANDS, Rule};
use baton_cli::{Endpoint, Error, Reply};
use std::fmt;
use std::time::Duration;

/// Keys or fields that end at once where time passes.
const ENDED: usize = 8;
/// Time in which both servers find all that has ended, without being asked for it.
const PASSING: Duration = Duration::from_millis(400);

/// How the commands are dealt out.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Commands sent at once.
    batch: u64,
    /// Batches between two comparisons of the data.
    check: u64,
    /// Batches between two changes of the protocol.
    protocol: u64,
    /// Batches after which everything is forgotten, so that small values come again.
    flush: u64,
    /// Batches between two in which commands wait.
    wait: u64,
    /// Batches between two moments in which time passes.
    pass: u64,
}

const FAST: Pace = Pace { batch: 200, check: 10, protocol: 50, flush: 400, wait: 8, pass: 100 };
const CAREFUL: Pace = Pace { batch: 1, check: 1, protocol: 10_000, flush: 80_000, wait: 40, pass: 2_000 };

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The two servers.
    pub servers: [Endpoint; 2],
    /// How many commands.
    pub commands: u64,
    /// Where chance begins.
    pub seed: u64,
    /// Only lines that contain one of these words; all if empty.
    pub only: Vec<String>,
    /// No lines that contain one of these words.
    pub without: Vec<String>,
    /// Compare all data after every single command, so that a finding's last command is the one that made the difference.
    pub careful: bool,
    /// The Unix time, in seconds, that absolute times to live count from.
    pub now_s: u64,
}

/// Why a run could not go on.
#[derive(Debug)]
pub enum Stopped {
    /// The language cannot be read.
    Language(TemplateError),
    /// No line of the language has one of the words asked for.
    NothingChosen,
    /// A server could not be talked to.
    Server {
        /// Commands compared before.
        after: u64,
        /// The last batch, of which one command may be the cause.
        batch: Vec<String>,
        /// What happened.
        error: Error,
    },
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Language(error) => write!(f, "commands.txt, line {}: {}", error.line, error.why),
            Stopped::NothingChosen => write!(f, "no line of commands.txt has one of the words asked for"),
            Stopped::Server { after, batch, error } => {
                write!(f, "after {after} commands: {error}; the batch was:\n{}", batch.join("\n"))
            }
        }
    }
}

/// Runs to the end, calling `progress` with what is known so far after each comparison of the data.
pub fn run(options: &Options, mut progress: impl FnMut(&Summary)) -> Result<Summary, Stopped> {
    let mut templates = parse_all(COMMANDS).map_err(Stopped::Language)?;
    let has = |text: &str, words: &[String]| words.iter().any(|word| text.contains(word.as_str()));
    templates.retain(|t| options.only.is_empty() || has(&t.text, &options.only));
    templates.retain(|t| !has(&t.text, &options.without));
    if templates.iter().all(|template| template.waits) {
        return Err(Stopped::NothingChosen);
    }
    let broken = |error| Stopped::Server { after: 0, batch: Vec::new(), error };
    let [a, b] = &options.servers;
    let mut run = Run {
        speaker: Speaker::new(templates, Words::new(options.seed, options.now_s)),
        keys: Words::keys().collect(),
        main: Pair::open(a, b, false).map_err(broken)?,
        waiters: Waiters::open(a, b, false).map_err(broken)?,
        listener: Listener::open(a, b).map_err(broken)?,
        stories: Stories::default(),
        summary: Summary::default(),
        last: Vec::new(),
    };
    match run.go(options, &mut progress) {
        Ok(()) => Ok(run.summary),
        Err(error) => {
            let batch = run.last.iter().map(|said| line(&said.command)).collect();
            Err(Stopped::Server { after: run.summary.commands, batch, error })
        }
    }
}

struct Run {
    speaker: Speaker,
    keys: Vec<Vec<u8>>,
    main: Pair,
    waiters: Waiters,
    listener: Listener,
    stories: Stories,
    summary: Summary,
    /// The batch that is on its way.
    last: Vec<Said>,
}

impl Run {
    fn go(&mut self, options: &Options, progress: &mut impl FnMut(&Summary)) -> Result<(), Error> {
        let [a, b] = &options.servers;
        let pace = if options.careful { CAREFUL } else { FAST };
        self.main.tell(&[words(&["FLUSHALL"])])?;
        let prepared = self.main.tell(&preparations())?;
        self.speaker.digest = prepared.iter().find_map(|(a, _)| as_digest(a)).unwrap_or_default();
        for batch in 0.. {
            if self.summary.commands >= options.commands {
                break;
            }
            if batch % pace.protocol == pace.protocol - 1 {
                let resp3 = batch / pace.protocol % 2 == 0;
                self.main = Pair::open(a, b, resp3)?;
                self.waiters = Waiters::open(a, b, resp3)?;
            }
            if batch % pace.flush == pace.flush - 1 {
                let forms = [words(&["FLUSHALL"]), words(&["FLUSHDB", "SYNC"]), words(&["FLUSHALL", "ASYNC"])];
                self.main.tell(&forms[(batch / pace.flush % 3) as usize..][..1])?;
            }
            if batch % pace.pass == pace.pass - 1 {
                self.let_time_pass()?;
            }
            if batch % pace.wait == pace.wait - 1 {
                self.batch_with_waiters(pace.batch / 4 + 1)?;
            } else {
                self.batch(pace.batch)?;
            }
            self.listener.compare(&mut self.main, &self.stories, &mut self.summary)?;
            if batch % pace.check == pace.check - 1 {
                self.check()?;
                progress(&self.summary);
            }
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), Error> {
        check(&mut self.main, &self.keys, &self.stories, &mut self.summary)?;
        carry(&mut self.main, &self.keys, &mut self.speaker.words.rng, &self.stories, &mut self.summary)
    }

    fn batch(&mut self, commands: u64) -> Result<(), Error> {
        let mut batch = Vec::new();
        while (batch.len() as u64) < commands {
            self.speaker.speak(&mut batch);
        }
        self.say(batch)
    }

    /// Some commands wait; what is said then is mostly about the keys that they wait for.
    fn batch_with_waiters(&mut self, commands: u64) -> Result<(), Error> {
        self.main.tell(&[words(&["SELECT", "0"])])?;
        let empties = self.speaker.words.rng.chance(3, 4);
        let waiters = if self.speaker.words.rng.chance(2, 3) { WAITERS } else { 1 };
        let questions: Vec<Said> = (0..waiters).filter_map(|_| self.speaker.question()).collect();
        let wanted: Vec<Vec<u8>> = questions
            .iter()
            .flat_map(|said| said.command.iter().filter(|word| self.speaker.is_key(word)).cloned())
            .collect();
        // Streams keep their groups: without these nobody waits.
        let emptied = wanted.iter().filter(|key| empties && !key.starts_with(b"x"));
        let emptied: Vec<Said> = emptied.map(|key| frame(vec![b"DEL".to_vec(), key.clone()])).collect();
        self.say(emptied)?;
        for said in &questions {
            self.stories.note(&said.command, &self.keys);
        }
        self.last.clone_from(&questions);
        self.waiters.ask(&mut self.main, questions)?;
        let mut batch: Vec<Said> = Vec::new();
        while (batch.len() as u64) < commands {
            let before = batch.len();
            self.speaker.speak(&mut batch);
            let is_wanted = batch[before..].iter().any(|said| said.command.iter().any(|word| wanted.contains(word)));
            // Which of several keys of a whole database is served first is up to each server.
            let is_swap = |said: &Said| waiters > 1 && said.command.contains(&b"SWAPDB".to_vec());
            if batch[before..].iter().any(is_swap) || (!is_wanted && self.speaker.words.rng.chance(4, 5)) {
                batch.truncate(before);
            }
        }
        self.say(batch)?;
        let with_error = self.speaker.words.rng.chance(1, 2);
        for (said, a, b) in self.waiters.end(&mut self.main, with_error)? {
            self.summary.waited += 1;
            self.judge(&said, &a, &b);
        }
        Ok(())
    }

    /// Some keys and fields of hashes come to their end.
    fn let_time_pass(&mut self) -> Result<(), Error> {
        let mut short = Vec::new();
        for _ in 0..ENDED {
            let rng = &mut self.speaker.words.rng;
            let millis = &*rng.range(1, 20).to_string();
            let Some(key) = rng.pick(&self.keys).cloned() else { continue };
            let (before, after): (Vec<&str>, Vec<&str>) = match (key[0], rng.below(2)) {
                (b'h', 0) => (vec!["HPEXPIRE"], vec![millis, "FIELDS", "2", "m1", "m2"]),
                (b's', 0) => (vec!["SET"], vec!["short", "PX", millis]),
                _ => (vec!["PEXPIRE"], vec![millis]),
            };
            short.push(frame(before.iter().chain(&after).map(|word| word.as_bytes().to_vec()).collect()));
            if let Some(said) = short.last_mut() {
                said.command.insert(1, key);
            }
        }
        self.say(short)?;
        std::thread::sleep(PASSING);
        // Which of the keys goes first is up to each server.
        self.listener.hear(&mut self.main)?;
        Ok(())
    }

    /// Says all of it to both servers and compares what they answer.
    fn say(&mut self, batch: Vec<Said>) -> Result<(), Error> {
        self.last = batch;
        let commands: Vec<_> = self.last.iter().map(|said| said.command.clone()).collect();
        let replies = self.main.tell(&commands)?;
        let batch = std::mem::take(&mut self.last);
        for (at, (said, (a, b))) in batch.iter().zip(&replies).enumerate() {
            self.stories.note(&said.command, &self.keys);
            match (said.role, a, b) {
                // Every single result is compared by its command's own rule.
                (Role::Exec(queued), Reply::Array(a), Reply::Array(b)) if a.len() == queued && b.len() == queued => {
                    for (said, (a, b)) in batch[at - queued..at].iter().zip(a.iter().zip(b)) {
                        self.judge(said, a, b);
                    }
                }
                (Role::Queued, a, b) => {
                    if a != b {
                        self.judge(&Said { rule: Rule::Exact, ..said.clone() }, a, b);
                    }
                }
                _ => self.judge(said, a, b),
            }
        }
        Ok(())
    }

    fn judge(&mut self, said: &Said, a: &Reply, b: &Reply) {
        self.summary.commands += 1;
        self.summary.errors += u64::from(a.as_error().is_some());
        // Errors tell what is wrong in the same words, whatever the rule for good replies is.
        let rule = if a.as_error().is_some() { Rule::Exact } else { said.rule };
        if rule.agree(a, b) {
            return;
        }
        let (at, keys, stories) = (self.summary.commands, &self.keys, &self.stories);
        let what = self.speaker.name(said);
        self.summary.note(&what.clone(), || Finding {
            what,
            times: 0,
            at,
            story: story_of(&said.command, keys, stories),
            a: shown(a),
            b: shown(b),
        });
    }
}

/// The digest, if the reply is one.
fn as_digest(reply: &Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::Bulk(text) if text.len() == 40 => Some(text.clone()),
        _ => None,
    }
}
