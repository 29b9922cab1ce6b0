//! Room for the bytes of leaves, in pieces of the sizes that allocators have: four to each power of two. What is asked for
//! is then what is taken, and nothing of it lies unused beyond the next element.

/// Room for so many more.
pub(crate) fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    let needed = vec.len() + more;
    if needed > vec.capacity() {
        vec.reserve_exact(rounded::<T>(needed) - vec.len());
    }
}

/// Gives room back where more than half is unused.
pub(crate) fn give_room_back<T>(vec: &mut Vec<T>) {
    if 2 * vec.len() < vec.capacity() {
        vec.shrink_to(rounded::<T>(vec.len()));
    }
}

/// An empty one with room for so many.
pub(crate) fn with_room<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(rounded::<T>(count))
}

fn rounded<T>(count: usize) -> usize {
    let bytes = count * size_of::<T>();
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16)) / size_of::<T>()
}
