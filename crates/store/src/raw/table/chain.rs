//! The buckets that hang behind one another where one is not enough: putting a record in, closing the gap that another
//! leaves, going over all of them. A chain has no gap but at its end, and none of its further buckets is empty.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::{Spot, Table};
use crate::raw::bucket::{Bucket, PLACES};
use crate::raw::record::Record;

#[expect(unsafe_code, reason = "buckets are reached by address")]
impl Table {
    pub(super) fn chain(&self, home: usize) -> Chain<'_> {
        let next = (home < self.buckets.len()).then(|| self.buckets.at(home));
        Chain { next, home: home as u32, depth: 0, table: PhantomData }
    }

    /// Puts a record into the first free place of a chain, making the chain longer if it is full.
    pub(super) fn place(&mut self, home: usize, tag: u8, record: Record) {
        let mut at = self.buckets.at(home);
        loop {
            // SAFETY: the array and the chain give live buckets, and the table is borrowed for change.
            let bucket = unsafe { at.as_mut() };
            if let Some(place) = bucket.first_free() {
                bucket.put(place, tag, record);
                return;
            }
            if let Some(next) = bucket.next() {
                at = next;
                continue;
            }
            // The last place becomes the link, so its record moves on with the new one.
            let (moved_tag, moved) = bucket.take(PLACES - 1);
            let mut next = Bucket::allocate();
            bucket.set_next(next);
            // SAFETY: a fresh bucket.
            let next = unsafe { next.as_mut() };
            next.put(0, moved_tag, moved);
            next.put(1, tag, record);
            self.count_bytes(size_of::<Bucket>() as isize);
            return;
        }
    }

    /// Takes all records out of a chain and frees its further buckets.
    pub(super) fn empty_chain(&mut self, home: usize) -> Vec<(u8, Record)> {
        let mut out = Vec::with_capacity(2 * PLACES);
        let mut next = Some(self.buckets.at(home));
        let mut first = true;
        while let Some(mut at) = next {
            // SAFETY: the array and the chain give live buckets, and the table is borrowed for change.
            let bucket = unsafe { at.as_mut() };
            out.extend(bucket.taken().map(|place| bucket.take(place)));
            next = bucket.take_next();
            if !first {
                // SAFETY: a further bucket came from `allocate`, and its link was just taken off.
                unsafe { Bucket::free(at) };
                self.count_bytes(-(size_of::<Bucket>() as isize));
            }
            first = false;
        }
        out
    }

    /// Fills a place that became free from the end of its chain, so that chains never hold an empty bucket.
    pub(super) fn close_gap(&mut self, gap: Spot) {
        let home = self.buckets.at(gap.home as usize);
        let (mut before, mut last) = (None, home);
        // SAFETY: the array and the chain give live buckets, and the table is borrowed for change.
        while let Some(next) = unsafe { last.as_ref() }.next() {
            before = Some(last);
            last = next;
        }
        let Some(mut before) = before else { return };
        let mut to = self.bucket_at(gap);
        // SAFETY: `last` is live, and no other reference into the table is held.
        let tail = unsafe { last.as_mut() };
        if to != last {
            let place = tail.taken().last().expect("a further bucket is never empty");
            let (tag, record) = tail.take(place);
            // SAFETY: `to` is live and another bucket than `tail`.
            unsafe { to.as_mut() }.put(usize::from(gap.place), tag, record);
        }
        if tail.taken().count() > 1 {
            return;
        }
        // One record is left: it takes the place of the link.
        let rest = tail.taken().next().map(|place| tail.take(place));
        // SAFETY: `before` is live and another bucket than `tail`, which is not used any more below.
        let before = unsafe { before.as_mut() };
        before.take_next();
        if let Some((tag, record)) = rest {
            before.put(PLACES - 1, tag, record);
        }
        // SAFETY: a further bucket came from `allocate`, and its link was just taken off.
        unsafe { Bucket::free(last) };
        self.count_bytes(-(size_of::<Bucket>() as isize));
    }
}

/// The taken spots of a chain.
pub(crate) struct Chain<'t> {
    next: Option<NonNull<Bucket>>,
    home: u32,
    depth: u32,
    table: PhantomData<&'t Table>,
}

impl Chain<'_> {
    pub(super) fn collect(self) -> Vec<Spot> {
        let mut out = Vec::with_capacity(2 * PLACES);
        self.for_each(|spot| out.push(spot));
        out
    }

    /// Calls for each taken spot.
    #[expect(unsafe_code, reason = "buckets are reached by address")]
    #[inline]
    pub(crate) fn for_each(self, mut visit: impl FnMut(Spot)) {
        let Chain { mut next, home, mut depth, .. } = self;
        while let Some(at) = next {
            // SAFETY: the chain links live buckets of a table that is borrowed for this iteration's lifetime.
            let bucket = unsafe { at.as_ref() };
            bucket.taken().for_each(|place| visit(Spot { home, depth, place: place as u8 }));
            next = bucket.next();
            depth += 1;
        }
    }
}
