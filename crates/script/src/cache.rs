//! The scripts that EVALSHA finds: sources by their SHA-1. Those that came with EVAL are forgotten again when there are
//! many; those that came with SCRIPT LOAD stay until SCRIPT FLUSH. Compiles and runs nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::hex::{self, Hex};
use sha1::{Digest, Sha1};

use crate::header::{ScriptFlags, parse_header};

/// The SHA-1 of a script's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sha([u8; 20]);

impl Sha {
    /// Of this source.
    pub fn of(source: &[u8]) -> Sha {
        Sha(Sha1::digest(source).into())
    }

    /// From forty hexadecimal digits of any case.
    pub fn parse(text: &[u8]) -> Option<Sha> {
        hex::array(text).map(Sha)
    }
}

impl std::fmt::Display for Sha {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A script for EVAL.
#[derive(Debug)]
pub struct Script {
    /// Its name.
    pub sha: Sha,
    /// The text as it came.
    pub source: Box<[u8]>,
    /// What its first line says; none without such a line.
    pub flags: Option<ScriptFlags>,
    body_at: usize,
    needs_world: AtomicBool,
}

impl Script {
    /// A script with this text.
    ///
    /// # Errors
    /// The text of the refusal without its code, if the first line is wrong.
    pub fn new(source: &[u8]) -> Result<Script, Vec<u8>> {
        let header = parse_header(source)?;
        let (flags, body_at) = (header.flags, source.len() - header.body.len());
        Ok(Script { sha: Sha::of(source), source: source.into(), flags, body_at, needs_world: AtomicBool::new(false) })
    }

    /// The text behind its first line.
    pub fn body(&self) -> &[u8] {
        &self.source[self.body_at..]
    }

    /// Whether it was found to need more than the slots it declares: the next run begins with everything at hand.
    pub fn needs_world(&self) -> bool {
        self.needs_world.load(Ordering::Relaxed)
    }

    /// Remembers that it needs more than the slots it declares.
    pub fn note_needs_world(&self) {
        self.needs_world.store(true, Ordering::Relaxed);
    }
}

/// How many scripts that came with EVAL are kept.
const FROM_EVAL_MAX: usize = 500;

/// All scripts that EVALSHA finds.
#[derive(Debug, Default)]
pub struct ScriptCache {
    scripts: HashMap<Sha, Arc<Script>>,
    /// Those that came with EVAL, the one longest unused first.
    from_eval: VecDeque<Sha>,
    bytes: usize,
    evicted: u64,
    epoch: u64,
}

impl ScriptCache {
    /// The script with this name; one that came with EVAL counts as used.
    pub fn find(&mut self, sha: Sha) -> Option<Arc<Script>> {
        let script = Arc::clone(self.scripts.get(&sha)?);
        // Looking for it costs as much as it is deep: what is used all the time is near the end.
        if let Some(at) = self.from_eval.iter().rposition(|other| *other == sha)
            && at + 1 < self.from_eval.len()
        {
            self.from_eval.remove(at);
            self.from_eval.push_back(sha);
        }
        Some(script)
    }

    /// Whether it is there.
    pub fn contains(&self, sha: Sha) -> bool {
        self.scripts.contains_key(&sha)
    }

    /// Adds a script that came with EVAL, or with SCRIPT LOAD to stay.
    pub fn add(&mut self, script: Arc<Script>, stays: bool) {
        let sha = script.sha;
        if self.scripts.contains_key(&sha) {
            if stays {
                self.from_eval.retain(|other| *other != sha);
            }
            return;
        }
        self.bytes += script.source.len() + ENTRY_BYTES;
        self.scripts.insert(sha, script);
        if stays {
            return;
        }
        self.from_eval.push_back(sha);
        if self.from_eval.len() > FROM_EVAL_MAX
            && let Some(gone) = self.from_eval.pop_front().and_then(|oldest| self.scripts.remove(&oldest))
        {
            self.bytes -= gone.source.len() + ENTRY_BYTES;
            self.evicted += 1;
        }
    }

    /// Makes a script that came with EVAL stay; none if it is not there.
    pub fn keep(&mut self, sha: Sha) -> Option<Arc<Script>> {
        self.from_eval.retain(|other| *other != sha);
        self.scripts.get(&sha).cloned()
    }

    /// Forgets all.
    pub fn flush(&mut self) {
        self.scripts.clear();
        self.from_eval.clear();
        self.bytes = 0;
        self.epoch += 1;
    }

    /// How often everything was forgotten: who keeps compiled scripts forgets his with it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were forgotten to make room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Counts them anew.
    pub fn reset_evicted(&mut self) {
        self.evicted = 0;
    }
}

/// What a script takes apart from its text, in bytes.
const ENTRY_BYTES: usize = size_of::<Script>() + size_of::<(Sha, Arc<Script>)>();

#[cfg(test)]
mod tests {
    use super::*;

    fn script(n: usize) -> Arc<Script> {
        Arc::new(Script::new(format!("return {n}").as_bytes()).unwrap())
    }

    #[test]
    fn names_read_back() {
        let sha = Sha::of(b"return 1");
        assert_eq!(sha.to_string(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(Sha::parse(sha.to_string().to_uppercase().as_bytes()), Some(sha));
        assert_eq!((Sha::parse(b"e0e1"), Sha::parse(&[b'x'; 40])), (None, None));
    }

    #[test]
    fn only_scripts_of_eval_are_forgotten_and_the_longest_unused_first() {
        let mut cache = ScriptCache::default();
        cache.add(script(0), true);
        (1..=FROM_EVAL_MAX).for_each(|n| cache.add(script(n), false));
        assert_eq!((cache.len(), cache.evicted()), (FROM_EVAL_MAX + 1, 0));
        assert!(cache.find(script(1).sha).is_some());
        cache.add(script(10_000), false);
        assert_eq!((cache.len(), cache.evicted()), (FROM_EVAL_MAX + 1, 1));
        assert!(cache.contains(script(0).sha) && cache.contains(script(1).sha) && !cache.contains(script(2).sha));
        cache.flush();
        assert_eq!((cache.len(), cache.bytes(), cache.epoch()), (0, 0, 1));
    }

    #[test]
    fn what_is_loaded_stays_though_it_came_with_eval() {
        let mut cache = ScriptCache::default();
        cache.add(script(0), false);
        cache.add(script(0), true);
        (1..=FROM_EVAL_MAX + 1).for_each(|n| cache.add(script(n), false));
        assert!(cache.contains(script(0).sha));
    }
}
