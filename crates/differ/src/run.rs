//! A run: batches of commands to both servers, some as transactions, and now and then a look at all the data.

use crate::check::{Stories, check, story_of};
use crate::finding::{Finding, Summary, shown};
use crate::pair::Pair;
use crate::template::{Template, TemplateError, parse_all};
use crate::words::Words;
use crate::{COMMANDS, Rule};
use baton_cli::{Endpoint, Error, Reply};
use std::fmt;

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
}

const FAST: Pace = Pace { batch: 200, check: 10, protocol: 50, flush: 400 };
const CAREFUL: Pace = Pace { batch: 1, check: 1, protocol: 10_000, flush: 80_000 };

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
    if templates.is_empty() {
        return Err(Stopped::NothingChosen);
    }
    let mut run = Run {
        words: Words::new(options.seed, options.now_s),
        keys: Words::keys().collect(),
        weights: templates.iter().map(|t| u64::from(t.weight)).sum(),
        templates,
        stories: Stories::default(),
        summary: Summary::default(),
        last: Vec::new(),
    };
    match run.go(options, &mut progress) {
        Ok(()) => Ok(run.summary),
        Err(error) => {
            let batch = run.last.iter().map(|(_, command)| crate::finding::line(command)).collect();
            Err(Stopped::Server { after: run.summary.commands, batch, error })
        }
    }
}

struct Run {
    words: Words,
    keys: Vec<Vec<u8>>,
    templates: Vec<Template>,
    weights: u64,
    stories: Stories,
    summary: Summary,
    /// The batch that is on its way: which template, and the command.
    last: Vec<(usize, Vec<Vec<u8>>)>,
}

impl Run {
    fn go(&mut self, options: &Options, progress: &mut impl FnMut(&Summary)) -> Result<(), Error> {
        let [a, b] = &options.servers;
        let pace = if options.careful { CAREFUL } else { FAST };
        let mut pair = Pair::open(a, b, false)?;
        pair.tell(&[vec![b"FLUSHALL".to_vec()]])?;
        for batch in 0.. {
            if self.summary.commands >= options.commands {
                break;
            }
            if batch % pace.protocol == pace.protocol - 1 {
                pair = Pair::open(a, b, batch / pace.protocol % 2 == 0)?;
            }
            if batch % pace.flush == pace.flush - 1 {
                pair.tell(&[vec![b"FLUSHALL".to_vec()]])?;
            }
            self.batch(&mut pair, pace.batch)?;
            if batch % pace.check == pace.check - 1 {
                check(&mut pair, &self.keys, &self.stories, &mut self.summary)?;
                progress(&self.summary);
            }
        }
        check(&mut pair, &self.keys, &self.stories, &mut self.summary)
    }

    fn batch(&mut self, pair: &mut Pair, commands: u64) -> Result<(), Error> {
        self.last = (0..commands).map(|_| self.command()).collect();
        let transaction = commands > 1 && self.words.rng.chance(1, 20);
        let word = |text: &str| vec![text.as_bytes().to_vec()];
        let mut commands: Vec<_> = self.last.iter().map(|(_, command)| command.clone()).collect();
        if transaction {
            commands.insert(0, word("MULTI"));
            commands.push(word("EXEC"));
        }
        let mut replies = pair.tell(&commands)?;
        if transaction {
            let (a, b) = replies.pop().unwrap_or((Reply::Nil, Reply::Nil));
            match (a, b) {
                // Every single result is compared by its command's own rule.
                (Reply::Array(a), Reply::Array(b)) if a.len() == self.last.len() && a.len() == b.len() => {
                    replies = a.into_iter().zip(b).collect();
                }
                (a, b) => {
                    self.judge(0, &word("EXEC"), &a, &b);
                    replies.remove(0);
                }
            }
        }
        for ((template, command), (a, b)) in std::mem::take(&mut self.last).iter().zip(&replies) {
            self.stories.note(command, &self.keys);
            self.judge(*template, command, a, b);
        }
        Ok(())
    }

    fn command(&mut self) -> (usize, Vec<Vec<u8>>) {
        let mut ticket = self.words.rng.below(self.weights);
        for (at, template) in self.templates.iter().enumerate() {
            match ticket.checked_sub(u64::from(template.weight)) {
                Some(left) => ticket = left,
                None => return (at, template.make(&mut self.words)),
            }
        }
        (0, self.templates[0].make(&mut self.words))
    }

    fn judge(&mut self, template: usize, command: &[Vec<u8>], a: &Reply, b: &Reply) {
        self.summary.commands += 1;
        self.summary.errors += u64::from(a.as_error().is_some());
        let Template { rule, text, .. } = &self.templates[template];
        // Errors tell what is wrong in the same words, whatever the rule for good replies is.
        let rule = if a.as_error().is_some() { Rule::Exact } else { *rule };
        if rule.agree(a, b) {
            return;
        }
        let (at, keys, stories) = (self.summary.commands, &self.keys, &self.stories);
        self.summary.note(text, || Finding {
            what: text.clone(),
            times: 0,
            at,
            story: story_of(command, keys, stories),
            a: shown(a),
            b: shown(b),
        });
    }
}
