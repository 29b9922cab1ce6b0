//! The registry: every directive, gathered from the lists by topic into one array in the order of the ids. A missing or
//! doubled record fails the build.

mod cluster;
mod memory;
mod network;
mod operation;
mod persistence;
mod replication;
mod tls;
mod types;

use crate::directive::Directive;
use crate::id::{COUNT, Id};

static TABLE: [Directive; COUNT] = gathered(&[
    network::TABLE,
    tls::TABLE,
    memory::TABLE,
    types::TABLE,
    persistence::TABLE,
    replication::TABLE,
    cluster::TABLE,
    operation::TABLE,
]);

const fn gathered(lists: &[&[Directive]]) -> [Directive; COUNT] {
    let mut table = [lists[0][0]; COUNT];
    let mut seen = [false; COUNT];
    let mut list = 0;
    while list < lists.len() {
        let mut i = 0;
        while i < lists[list].len() {
            let record = lists[list][i];
            assert!(!seen[record.id.index()], "a directive has two records");
            seen[record.id.index()] = true;
            table[record.id.index()] = record;
            i += 1;
        }
        list += 1;
    }
    let mut id = 0;
    while id < COUNT {
        assert!(seen[id], "a directive has no record");
        id += 1;
    }
    table
}

impl Id {
    /// The directive's record.
    pub fn directive(self) -> &'static Directive {
        &TABLE[self.index()]
    }

    /// Finds a directive by its name or alias, in any case.
    pub fn find(name: &str) -> Option<&'static Directive> {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        TABLE.iter().find(|d| is(d.name) || d.alias.is_some_and(is))
    }
}
