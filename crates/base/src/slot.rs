//! The slot: the unit of ownership, locking, counting and migration. 16384 of them, by CRC16 of the key's hash tag
//! (cluster-bus, table of constants).

use std::fmt;

/// One of the 16384 hash slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Slot(u16);

impl Slot {
    /// How many slots there are.
    pub const COUNT: usize = 16384;

    /// The slot with this number, if it is below [`Slot::COUNT`].
    #[inline]
    pub const fn new(n: u16) -> Option<Slot> {
        if (n as usize) < Self::COUNT { Some(Slot(n)) } else { None }
    }

    /// The slot of a key: CRC16 of the hash tag, or of the whole key where there is none.
    #[inline]
    pub fn of_key(key: &[u8]) -> Slot {
        Slot(crc16(hash_tag(key)) & 0x3FFF)
    }

    /// Its number, 0..16384.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slots in ascending order.
    #[inline]
    pub fn all() -> impl DoubleEndedIterator<Item = Slot> + ExactSizeIterator {
        (0..Self::COUNT as u16).map(Slot)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

/// The part of a key that decides its slot: the bytes between the first `{` and the next `}` if there are any, else the
/// whole key.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    if has_brace(key) { braced(key) } else { key }
}

/// Whether there is a `{`, without a branch for each byte: most keys have none.
#[inline]
fn has_brace(key: &[u8]) -> bool {
    let mut chunks = key.chunks_exact(8);
    let whole = chunks.any(|chunk| chunk.iter().fold(false, |hit, &b| hit | (b == b'{')));
    whole || chunks.remainder().contains(&b'{')
}

fn braced(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&b| b == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&b| b == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

/// CRC16/XMODEM: polynomial 0x1021, initial value 0. Eight bytes at a time, so that the table look-ups of a round don't
/// wait for each other.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let table = |zeroes: usize, byte: u8| CRC16_TABLES[zeroes][usize::from(byte)];
    let mut rounds = bytes.chunks_exact(8);
    let mut crc = 0u16;
    for b in &mut rounds {
        crc = table(7, b[0] ^ (crc >> 8) as u8)
            ^ table(6, b[1] ^ crc as u8)
            ^ table(5, b[2])
            ^ table(4, b[3])
            ^ table(3, b[4])
            ^ table(2, b[5])
            ^ table(1, b[6])
            ^ table(0, b[7]);
    }
    rounds.remainder().iter().fold(crc, |crc, &b| (crc << 8) ^ table(0, (crc >> 8) as u8 ^ b))
}

/// In the table with number `n`: what each byte contributes when `n` bytes follow it.
static CRC16_TABLES: [[u16; 256]; 8] = {
    let mut tables = [[0u16; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[n - 1][i];
            tables[n][i] = (before << 8) ^ tables[0][(before >> 8) as usize];
            i += 1;
        }
        n += 1;
    }
    tables
};

/// A set of slots in the layout of the bus: slot `s` is bit `s mod 8`, lowest first, of byte `s / 8` (cluster-bus 1.2).
#[derive(Clone, PartialEq, Eq)]
pub struct SlotBitmap(Box<[u8; Slot::COUNT / 8]>);

impl SlotBitmap {
    /// Bytes of the bitmap on the wire.
    pub const BYTES: usize = Slot::COUNT / 8;

    /// The empty set.
    pub fn new() -> Self {
        SlotBitmap(Box::new([0; Self::BYTES]))
    }

    /// The set with this wire form.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        SlotBitmap(Box::new(*bytes))
    }

    /// Its wire form.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Whether the slot is in the set.
    #[inline]
    pub fn contains(&self, slot: Slot) -> bool {
        self.0[slot.index() / 8] & (1 << (slot.index() % 8)) != 0
    }

    /// Adds the slot; tells whether it was absent.
    #[inline]
    pub fn insert(&mut self, slot: Slot) -> bool {
        let absent = !self.contains(slot);
        self.0[slot.index() / 8] |= 1 << (slot.index() % 8);
        absent
    }

    /// Removes the slot; tells whether it was present.
    #[inline]
    pub fn remove(&mut self, slot: Slot) -> bool {
        let present = self.contains(slot);
        self.0[slot.index() / 8] &= !(1 << (slot.index() % 8));
        present
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The slots that are in both sets.
    #[must_use]
    pub fn and(&self, other: &SlotBitmap) -> SlotBitmap {
        let mut out = self.clone();
        out.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a &= b);
        out
    }

    /// The slots of this set that are not in the other.
    #[must_use]
    pub fn without(&self, other: &SlotBitmap) -> SlotBitmap {
        let mut out = self.clone();
        out.remove_all(other);
        out
    }

    /// Adds all slots of the other set.
    pub fn insert_all(&mut self, other: &SlotBitmap) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a |= b);
    }

    /// Removes all slots of the other set.
    pub fn remove_all(&mut self, other: &SlotBitmap) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a &= !b);
    }

    /// The slots that are not in the set.
    #[must_use]
    pub fn complement(&self) -> SlotBitmap {
        let mut out = self.clone();
        out.0.iter_mut().for_each(|byte| *byte = !*byte);
        out
    }

    /// The lowest slot.
    pub fn first(&self) -> Option<Slot> {
        self.iter().next()
    }

    /// How many slots are in the set.
    #[inline]
    pub fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no slot is in the set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.words().all(|word| word == 0)
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.words().enumerate().filter(|(_, word)| *word != 0).flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                // The lowest one goes; of zero nothing is left.
                word &= word.checked_sub(1)?;
                Some(Slot((index * 64) as u16 + bit as u16))
            })
        })
    }

    /// Maximal runs of contiguous slots, ascending, both ends inclusive.
    pub fn ranges(&self) -> Vec<(Slot, Slot)> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(first) = self.find(from, 0) {
            let end = self.find(first, u64::MAX).unwrap_or(Slot::COUNT);
            out.push((Slot(first as u16), Slot((end - 1) as u16)));
            from = end;
        }
        out
    }

    /// The set in words of 64 slots.
    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The first index at or after `from` whose membership differs from that of all bits of `skip`.
    fn find(&self, from: usize, skip: u64) -> Option<usize> {
        let mut unseen = u64::MAX << (from % 64);
        for (index, word) in self.words().enumerate().skip(from / 64) {
            let found = (word ^ skip) & unseen;
            if found != 0 {
                return Some(index * 64 + found.trailing_zeros() as usize);
            }
            unseen = u64::MAX;
        }
        None
    }
}

impl Default for SlotBitmap {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<Slot> for SlotBitmap {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut out = Self::new();
        for s in slots {
            out.insert(s);
        }
        out
    }
}

impl fmt::Debug for SlotBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ranges().iter().map(|(a, b)| (a.0, b.0))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_matches_the_published_check_value() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(Slot::of_key(b"123456789").number(), 12739);
        assert_eq!(Slot::of_key(b"foo").number(), 12182);
    }

    #[test]
    fn crc16_is_the_one_of_a_byte_at_a_time() {
        let mut rng = crate::Rng::new(1);
        for len in 0..100 {
            let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
            let plain = bytes.iter().fold(0u16, |crc, &b| {
                (0..8).fold(crc ^ u16::from(b) << 8, |c, _| if c & 0x8000 != 0 { c << 1 ^ 0x1021 } else { c << 1 })
            });
            assert_eq!(crc16(&bytes), plain);
        }
    }

    #[test]
    fn hash_tag_is_the_first_non_empty_braced_part() {
        for (key, tag) in [
            ("foo", "foo"),
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("0123456789{tag}", "tag"),
            ("{tag}6789012345678", "tag"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }

    fn sparse() -> impl proptest::strategy::Strategy<Value = SlotBitmap> {
        use proptest::strategy::Strategy;
        let runs = proptest::collection::vec((0..16384u16, 1..2000u16), 0..6);
        runs.prop_map(|runs| runs.iter().flat_map(|(at, len)| *at..(at + len).min(16384)).map(Slot).collect())
    }

    proptest::proptest! {
        /// Words and bits are an optimisation; a sorted list of numbers is the meaning.
        #[test]
        fn sets_agree_with_sorted_lists(runs in proptest::collection::vec((0..16384u16, 1..300u16), 0..8)) {
            let numbers: std::collections::BTreeSet<u16> =
                runs.iter().flat_map(|(at, len)| *at..at.saturating_add(*len).min(16384)).collect();
            let set: SlotBitmap = numbers.iter().map(|n| Slot(*n)).collect();
            proptest::prop_assert!(set.iter().map(Slot::number).eq(numbers.iter().copied()));
            proptest::prop_assert_eq!((set.len(), set.is_empty()), (numbers.len(), numbers.is_empty()));
            let mut ranges: Vec<(Slot, Slot)> = Vec::new();
            for n in numbers {
                match ranges.last_mut() {
                    Some((_, end)) if end.0 + 1 == n => *end = Slot(n),
                    _ => ranges.push((Slot(n), Slot(n))),
                }
            }
            proptest::prop_assert_eq!(set.ranges(), ranges);
        }

        /// So is what is done with whole sets.
        #[test]
        fn sets_combine_as_their_slots_do(a in sparse(), b in sparse()) {
            let (mut with, mut less) = (a.clone(), a.clone());
            with.insert_all(&b);
            less.remove_all(&b);
            let (both, rest, others) = (a.and(&b), a.without(&b), a.complement());
            for slot in Slot::all() {
                let (x, y) = (a.contains(slot), b.contains(slot));
                proptest::prop_assert_eq!(both.contains(slot), x && y);
                proptest::prop_assert_eq!(rest.contains(slot), x && !y);
                proptest::prop_assert_eq!(less.contains(slot), x && !y);
                proptest::prop_assert_eq!(with.contains(slot), x || y);
                proptest::prop_assert_eq!(others.contains(slot), !x);
            }
            proptest::prop_assert_eq!(a.first(), Slot::all().find(|slot| a.contains(*slot)));
        }
    }

    #[test]
    fn ranges_are_maximal_runs() {
        let s = |n| Slot::new(n).unwrap();
        let set: SlotBitmap = [0, 1, 2, 7, 8, 16383].into_iter().map(s).collect();
        assert_eq!(set.ranges(), [(s(0), s(2)), (s(7), s(8)), (s(16383), s(16383))]);
        assert_eq!(set.len(), 6);
        assert_eq!(SlotBitmap::from_bytes(set.as_bytes()), set);
    }
}
