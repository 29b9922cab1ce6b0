//! Memory that a batch is going to touch is asked for before its first request runs, so that the waits for it overlap instead
//! of adding up: first every slot, then every bucket, then every entry, then what is looked for in large values. It only
//! hints: nothing may rely on it.

use baton_commands::ElementArgs;
use baton_store::{DbIndex, Key, Store};
use smallvec::SmallVec;

use super::input::{BATCH_MAX, BatchBuffers, Request};

/// The key of each request of a batch, where it has one.
pub(super) type Keys<'k> = SmallVec<[Option<Key<'k>>; BATCH_MAX]>;

/// Names of elements that are fetched together, at most.
const NAMES_MAX: usize = 64;

/// The keys of all single-key requests, with what they lead to on its way.
pub(super) fn keys<'k>(store: &Store, db: DbIndex, data: &'k [u8], batch: &'k BatchBuffers) -> Keys<'k> {
    let requests = batch.requests();
    let many = requests.len() > 1;
    let mut names = false;
    let keys: Keys<'k> = requests
        .iter()
        .map(|request| {
            let spec = request.spec()?;
            let key = store.key(request.args(data, batch).get(spec.single_key()?)?);
            names |= spec.elements.is_some();
            Some(key)
        })
        .collect();
    if many {
        store.prefetch(db, keys.iter().flatten());
    }
    if names {
        elements(store, db, data, batch, &keys);
    }
    keys
}

/// What requests in a row look for in the value of the same key.
fn elements(store: &Store, db: DbIndex, data: &[u8], batch: &BatchBuffers, keys: &[Option<Key<'_>>]) {
    let named = |request: &Request| request.spec().and_then(|spec| spec.elements);
    let mut requests = batch.requests().iter().zip(keys).peekable();
    let mut names: SmallVec<[&[u8]; NAMES_MAX]> = SmallVec::new();
    while let Some((request, key)) = requests.next() {
        let (Some(elements), Some(key)) = (named(request), key) else { continue };
        names.clear();
        add(&mut names, elements, request, data, batch);
        while let Some((request, next)) = requests.peek()
            && let (Some(elements), Some(next)) = (named(request), next)
            && next.bytes == key.bytes
        {
            add(&mut names, elements, request, data, batch);
            requests.next();
        }
        // A single wait has nothing to overlap with.
        if names.len() > 1 {
            store.prefetch_elements(db, key, &names);
        }
    }
}

fn add<'n>(
    names: &mut SmallVec<[&'n [u8]; NAMES_MAX]>,
    elements: ElementArgs,
    request: &'n Request,
    data: &'n [u8],
    batch: &'n BatchBuffers,
) {
    let room = NAMES_MAX - names.len();
    names.extend(elements.of(request.args(data, batch)).take(room));
}
