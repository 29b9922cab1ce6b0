//! The slots that a view holds. A view of one slot keeps its guard in place and allocates nothing.

use baton_base::Slot;

use crate::slot_data::{SlotCell, SlotGuard};

/// Guards of slots. Dropping it unlocks them.
pub(crate) struct Held<'s> {
    cells: &'s [SlotCell],
    /// The slot in `first`; none if that is empty.
    first_slot: Option<Slot>,
    first: Option<SlotGuard<'s>>,
    /// Further slots, ascending.
    more: Vec<(Slot, SlotGuard<'s>)>,
    /// Whether slots are locked as they are reached.
    all: bool,
}

impl<'s> Held<'s> {
    /// Holds one slot.
    #[inline]
    pub(crate) fn one(cells: &'s [SlotCell], slot: Slot) -> Held<'s> {
        let first = Some(cells[slot.index()].lock());
        Held { cells, first_slot: Some(slot), first, more: Vec::new(), all: false }
    }

    /// Holds several, given in ascending order without repetition.
    pub(crate) fn many(cells: &'s [SlotCell], slots: &[Slot]) -> Held<'s> {
        debug_assert!(slots.is_sorted_by(|a, b| a < b), "two views that lock in different orders could wait for ever");
        let mut slots = slots.iter().map(|&slot| (slot, cells[slot.index()].lock()));
        let (first_slot, first) = slots.next().unzip();
        Held { cells, first_slot, first, more: slots.collect(), all: false }
    }

    /// Holds one slot that was locked already.
    #[inline]
    pub(crate) fn locked(cells: &'s [SlotCell], slot: Slot, guard: SlotGuard<'s>) -> Held<'s> {
        Held { cells, first_slot: Some(slot), first: Some(guard), more: Vec::new(), all: false }
    }

    /// As [`Held::many`] with another way to lock one; what that refuses, ends it.
    pub(crate) fn many_by<E>(
        cells: &'s [SlotCell],
        slots: &[Slot],
        lock: impl Fn(Slot) -> Result<SlotGuard<'s>, E>,
    ) -> Result<Held<'s>, E> {
        debug_assert!(slots.is_sorted_by(|a, b| a < b), "two views that lock in different orders could wait for ever");
        let mut slots = slots.iter().map(|&slot| Ok((slot, lock(slot)?)));
        let (first_slot, first) = slots.next().transpose()?.unzip();
        Ok(Held { cells, first_slot, first, more: slots.collect::<Result<_, E>>()?, all: false })
    }

    /// Holds none yet and locks what is reached.
    pub(crate) fn all(cells: &'s [SlotCell]) -> Held<'s> {
        Held { cells, first_slot: None, first: None, more: Vec::new(), all: true }
    }

    /// The guard of a slot.
    ///
    /// # Panics
    /// If the slot was not declared.
    #[inline]
    pub(crate) fn slot(&mut self, slot: Slot) -> &mut SlotGuard<'s> {
        if self.first_slot == Some(slot) {
            self.first.as_mut().expect("the two are set together")
        } else {
            self.other(slot)
        }
    }

    /// Holds one more slot, if that is free right now; true if it was held before. Whoever never waits may lock in any
    /// order.
    pub(crate) fn try_add(&mut self, slot: Slot) -> bool {
        if self.first_slot == Some(slot) {
            return true;
        }
        let Err(i) = self.more.binary_search_by_key(&slot, |(slot, _)| *slot) else { return true };
        match self.cells[slot.index()].try_lock() {
            Some(guard) => {
                self.more.insert(i, (slot, guard));
                true
            }
            None => false,
        }
    }

    #[inline(never)]
    fn other(&mut self, slot: Slot) -> &mut SlotGuard<'s> {
        let i = match self.more.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(i) => i,
            Err(i) => {
                assert!(self.all, "{slot:?} was not declared");
                self.more.insert(i, (slot, self.cells[slot.index()].lock()));
                i
            }
        };
        &mut self.more[i].1
    }
}
