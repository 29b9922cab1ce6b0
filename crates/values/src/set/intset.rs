//! Sets of integers in one piece of memory, byte for byte as files have them (rdb 5.2): integers in ascending order, all
//! as wide as the widest that ever was among them.
//!
//! ```text
//! u32 bytes of an integer, 2, 4 or 8 | u32 number of integers | integers
//! ```

use crate::listpack::Damaged;

const HEADER_BYTES: usize = 8;

/// A borrowed set of integers.
#[derive(Clone, Copy, Debug)]
pub struct IntsetRef<'a>(&'a [u8]);

/// A set of integers with memory of its own.
#[derive(Clone, Debug)]
pub struct Intset(Vec<u8>);

impl Default for Intset {
    fn default() -> Self {
        Intset(vec![2, 0, 0, 0, 0, 0, 0, 0])
    }
}

impl<'a> IntsetRef<'a> {
    /// Bytes that came from an [`Intset`].
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> IntsetRef<'a> {
        debug_assert!(bytes.len() >= HEADER_BYTES, "no intset");
        IntsetRef(bytes)
    }

    /// All its bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    fn width(self) -> usize {
        usize::from(self.0[0])
    }

    /// Number of integers.
    #[inline]
    pub fn len(self) -> usize {
        (self.0.len() - HEADER_BYTES) / self.width()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The `index`th integer in ascending order. There must be one.
    #[inline]
    fn get(self, index: usize) -> i64 {
        let at = HEADER_BYTES + index * self.width();
        match self.0[at..at + self.width()] {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => unreachable!("integers are 2, 4 or 8 bytes wide"),
        }
    }

    /// The `index`th integer in ascending order.
    pub fn at(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.get(index))
    }

    /// The index of an integer, or where it would have to be put.
    fn find(self, n: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(&n) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Whether an integer is among them.
    pub fn contains(self, n: i64) -> bool {
        self.find(n).is_ok()
    }

    /// All integers, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i64> + use<'a> {
        self.iter_from(0)
    }

    /// The integers from the `index`th one on, in ascending order.
    pub fn iter_from(self, index: usize) -> impl Iterator<Item = i64> + use<'a> {
        (index..self.len()).map(move |i| self.get(i))
    }
}

impl Intset {
    /// Bytes that came from an [`Intset`].
    pub fn trusted(bytes: Vec<u8>) -> Intset {
        Intset(bytes)
    }

    /// Bytes from anywhere.
    ///
    /// # Errors
    /// If they are no set of integers, or one that is out of order.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Intset, Damaged> {
        let header: [u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(Damaged)?;
        let [width, _, _, _, count @ ..] = header;
        let count = u32::from_le_bytes(count) as usize;
        if !matches!(header, [2 | 4 | 8, 0, 0, 0, ..]) || bytes.len() != HEADER_BYTES + count * usize::from(width) {
            return Err(Damaged);
        }
        let ints = IntsetRef(&bytes);
        if (1..ints.len()).any(|i| ints.get(i - 1) >= ints.get(i)) {
            return Err(Damaged);
        }
        Ok(Intset(bytes))
    }

    /// The set for reading.
    #[inline]
    pub fn as_ref(&self) -> IntsetRef<'_> {
        IntsetRef(&self.0)
    }

    /// Bytes of memory.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Adds an integer; tells whether it is new.
    pub fn insert(&mut self, n: i64) -> bool {
        self.widen(width_of(n));
        let Err(index) = self.as_ref().find(n) else { return false };
        let width = self.as_ref().width();
        let at = HEADER_BYTES + index * width;
        self.0.splice(at..at, n.to_le_bytes().into_iter().take(width));
        self.count();
        true
    }

    /// Removes the `index`th integer in ascending order. There must be one.
    pub fn remove_at(&mut self, index: usize) {
        let width = self.as_ref().width();
        let at = HEADER_BYTES + index * width;
        self.0.drain(at..at + width);
        self.count();
    }

    /// Removes an integer; tells whether it was there.
    pub fn remove(&mut self, n: i64) -> bool {
        let found = self.as_ref().find(n);
        if let Ok(index) = found {
            self.remove_at(index);
        }
        found.is_ok()
    }

    fn widen(&mut self, width: usize) {
        if width <= self.as_ref().width() {
            return;
        }
        let mut wide = Vec::with_capacity(HEADER_BYTES + (self.as_ref().len() + 1) * width);
        wide.extend_from_slice(&[width as u8, 0, 0, 0, 0, 0, 0, 0]);
        self.as_ref().iter().for_each(|n| wide.extend_from_slice(&n.to_le_bytes()[..width]));
        self.0 = wide;
        self.count();
    }

    fn count(&mut self) {
        let count = u32::try_from(self.as_ref().len()).expect("sets of integers have a limit below");
        self.0[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
    }
}

/// The fewest bytes, of those that integers may have, that hold this one.
fn width_of(n: i64) -> usize {
    match n {
        -0x8000..0x8000 => 2,
        -0x8000_0000..0x8000_0000 => 4,
        _ => 8,
    }
}
