//! What is said, command after command: plainly, from scripts, in transactions. Must never talk to a server.

use crate::finding::line;
use crate::rule::Rule;
use crate::template::Template;
use crate::words::Words;
use crate::wrap::Wrap;
use std::collections::HashSet;

/// The part that a command plays among its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its reply is its result.
    Alone,
    /// Inside a transaction: its result comes with EXEC.
    Queued,
    /// Brings the results of so many commands before it.
    Exec(usize),
}

/// A command as it is sent, and how its results are compared.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The line of the language that it was made from, and how it is said.
    pub(crate) what: Option<(usize, Wrap)>,
    pub(crate) rule: Rule,
    pub(crate) command: Vec<Vec<u8>>,
    pub(crate) role: Role,
}

/// Makes what is said.
#[derive(Debug)]
pub(crate) struct Speaker {
    templates: Vec<Template>,
    weights: u64,
    pub(crate) words: Words,
    keys: HashSet<Vec<u8>>,
    /// The digest of the script that EVALSHA runs.
    pub(crate) digest: Vec<u8>,
}

impl Speaker {
    /// `templates` must not be empty.
    pub(crate) fn new(templates: Vec<Template>, words: Words) -> Self {
        let weights = templates.iter().map(|template| u64::from(template.weight)).sum();
        Speaker { templates, weights, words, keys: Words::keys().collect(), digest: Vec::new() }
    }

    /// The name under which differences in replies to it are found.
    pub(crate) fn name(&self, said: &Said) -> String {
        match said.what {
            None => line(&said.command[..1]),
            Some((template, Wrap::Plain)) => self.templates[template].text.clone(),
            Some((template, wrap)) => format!("{} ({wrap:?})", self.templates[template].text),
        }
    }

    /// A command, or several that belong together.
    pub(crate) fn speak(&mut self, out: &mut Vec<Said>) {
        if self.words.rng.chance(1, 60) {
            self.transaction(out);
        } else {
            let said = self.command(Role::Alone);
            out.push(said);
        }
    }

    /// A command that waits where there is nothing yet.
    pub(crate) fn question(&mut self) -> Option<Said> {
        let waiting: Vec<usize> = (0..self.templates.len()).filter(|&at| self.templates[at].waits).collect();
        let at = *self.words.rng.pick(&waiting)?;
        Some(self.say(at, Wrap::Plain, Role::Alone))
    }

    /// Whether the word is a key that commands are about.
    pub(crate) fn is_key(&self, word: &[u8]) -> bool {
        self.keys.contains(word)
    }

    fn command(&mut self, role: Role) -> Said {
        loop {
            let at = self.drawn();
            let wrap = Wrap::drawn(&mut self.words.rng);
            let Template { waits, rule, .. } = self.templates[at];
            if waits && wrap == Wrap::Plain && role == Role::Alone {
                continue;
            }
            if wrap.rule(rule).is_some() {
                return self.say(at, wrap, role);
            }
        }
    }

    fn say(&mut self, at: usize, wrap: Wrap, role: Role) -> Said {
        let command = self.templates[at].make(&mut self.words);
        let command = wrap.around(command, &self.digest, |word| self.keys.contains(word));
        let rule = self.templates[at].rule;
        Said { what: Some((at, wrap)), rule: wrap.rule(rule).unwrap_or(rule), command, role }
    }

    fn drawn(&mut self) -> usize {
        let mut ticket = self.words.rng.below(self.weights);
        for (at, template) in self.templates.iter().enumerate() {
            match ticket.checked_sub(u64::from(template.weight)) {
                Some(left) => ticket = left,
                None => return at,
            }
        }
        0
    }

    fn transaction(&mut self, out: &mut Vec<Said>) {
        if self.words.rng.chance(1, 3) {
            let keys: Vec<Vec<u8>> = Words::keys().collect();
            let watched = self.words.rng.pick(&keys).cloned().unwrap_or_default();
            out.push(frame(vec![b"WATCH".to_vec(), watched]));
            for _ in 0..self.words.rng.below(3) {
                let said = self.command(Role::Alone);
                out.push(said);
            }
            if self.words.rng.chance(1, 10) {
                out.push(frame(vec![b"UNWATCH".to_vec()]));
            }
        }
        out.push(frame(vec![b"MULTI".to_vec()]));
        let commands = self.words.rng.range(1, 12) as usize;
        for _ in 0..commands {
            let said = self.command(Role::Queued);
            out.push(said);
        }
        match self.words.rng.below(24) {
            0 => out.push(frame(vec![b"DISCARD".to_vec()])),
            // Refused, and the transaction with it.
            1 => out.push(frame(vec![b"EXEC".to_vec(), b"all".to_vec()])),
            _ => out.push(Said { role: Role::Exec(commands), ..frame(vec![b"EXEC".to_vec()]) }),
        }
    }
}

/// A command of the run itself.
pub(crate) fn frame(command: Vec<Vec<u8>>) -> Said {
    Said { what: None, rule: Rule::Exact, command, role: Role::Alone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::COMMANDS;
    use crate::template::parse_all;

    fn speaker(seed: u64) -> Speaker {
        Speaker::new(parse_all(COMMANDS).expect("commands.txt can be read"), Words::new(seed, 1_000_000))
    }

    #[test]
    fn who_speaks_alone_never_waits() {
        let mut speaker = speaker(3);
        let mut said = Vec::new();
        for _ in 0..20_000 {
            speaker.speak(&mut said);
        }
        let waits = |one: &&Said| one.what.is_some_and(|(at, _)| speaker.templates[at].waits);
        let waiting: Vec<_> = said.iter().filter(waits).collect();
        assert!(waiting.len() > 50, "only {} of the commands that wait", waiting.len());
        assert!(
            waiting.iter().all(|one| one.role == Role::Queued || one.what.is_some_and(|(_, wrap)| wrap != Wrap::Plain))
        );
    }

    #[test]
    fn transactions_end_with_what_they_began() {
        let mut speaker = speaker(4);
        let mut said = Vec::new();
        for _ in 0..20_000 {
            speaker.speak(&mut said);
        }
        let mut open: Option<usize> = None;
        for one in &said {
            match (line(&one.command).as_str(), one.role, &mut open) {
                ("MULTI", Role::Alone, None) => open = Some(0),
                ("EXEC", Role::Exec(commands), Some(queued)) if *queued == commands => open = None,
                ("DISCARD" | "EXEC all", Role::Alone, Some(_)) => open = None,
                (_, Role::Queued, Some(queued)) => *queued += 1,
                (_, Role::Alone, None) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(open, None);
    }

    #[test]
    fn every_way_to_say_a_command_is_used() {
        let mut speaker = speaker(5);
        let mut said = Vec::new();
        for _ in 0..20_000 {
            speaker.speak(&mut said);
        }
        for wrap in [Wrap::Plain, Wrap::Script(3, true), Wrap::Script(0, false), Wrap::NewProtocol, Wrap::Digest]
            .into_iter()
            .chain([Wrap::ReadOnlyScript, Wrap::Function, Wrap::ReadOnlyFunction, Wrap::Keys, Wrap::KeysAndFlags])
            .chain([Wrap::DryRun])
        {
            assert!(said.iter().any(|one| one.what.is_some_and(|(_, of)| of == wrap)), "{wrap:?}");
        }
    }
}
