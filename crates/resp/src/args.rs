//! The arguments of a request: ranges of one buffer, borrowed while the request runs where it was received, owned while
//! it waits in a transaction. Never copies an argument of a running request.

use std::fmt;
use std::ops::Index;

/// Where one argument lies, counted from the first byte of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgRange {
    /// Offset of its first byte.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// The arguments of one request, the command's name first. Every range lies inside the buffer; one that does not reads as
/// a panic, never as foreign memory.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    ranges: &'a [ArgRange],
}

impl<'a> Args<'a> {
    /// Arguments lying in `buf`, which begins at the request's first byte.
    #[inline]
    pub fn new(buf: &'a [u8], ranges: &'a [ArgRange]) -> Args<'a> {
        Args { buf, ranges }
    }

    /// How many there are, the name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none, not even a name.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The argument at this place.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.ranges.get(i).map(|r| self.slice(*r))
    }

    /// The argument at this place, which has to exist; unlike indexing, it lives as long as the buffer.
    #[inline]
    pub fn at(&self, i: usize) -> &'a [u8] {
        self.slice(self.ranges[i])
    }

    /// The name as it was sent; empty if there is no argument.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.get(0).unwrap_or_default()
    }

    /// The arguments in order.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + use<'a> {
        let buf = self.buf;
        self.ranges.iter().map(move |r| &buf[r.start as usize..][..r.len as usize])
    }

    /// The arguments from the `n`-th on; none if there are fewer.
    #[inline]
    #[must_use]
    pub fn skip(&self, n: usize) -> Args<'a> {
        Args { buf: self.buf, ranges: self.ranges.get(n..).unwrap_or_default() }
    }

    /// The first `n` arguments; all if there are fewer.
    #[inline]
    #[must_use]
    pub fn first(&self, n: usize) -> Args<'a> {
        Args { buf: self.buf, ranges: &self.ranges[..n.min(self.ranges.len())] }
    }

    #[inline]
    fn slice(&self, r: ArgRange) -> &'a [u8] {
        &self.buf[r.start as usize..][..r.len as usize]
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        self.slice(self.ranges[i])
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// The arguments of a request that outlives its buffer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OwnedArgs {
    buf: Box<[u8]>,
    ranges: Box<[ArgRange]>,
}

impl OwnedArgs {
    /// Arguments made of these byte strings.
    ///
    /// Together they are at most 4 GiB long: the callers are requests, which are shorter.
    pub fn from_slices<A: AsRef<[u8]>>(args: &[A]) -> OwnedArgs {
        OwnedArgs::collect(args.iter().map(AsRef::as_ref))
    }

    /// The arguments, borrowed.
    #[inline]
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.buf, &self.ranges)
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<OwnedArgs>() + self.buf.len() + size_of_val(&*self.ranges)
    }

    fn collect<'a>(args: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> OwnedArgs {
        let mut buf = Vec::with_capacity(args.clone().map(<[u8]>::len).sum());
        let mut ranges = Vec::with_capacity(args.len());
        for arg in args {
            let start = u32::try_from(buf.len()).expect("a request is shorter than 4 GiB");
            let len = u32::try_from(arg.len()).expect("a request is shorter than 4 GiB");
            ranges.push(ArgRange { start, len });
            buf.extend_from_slice(arg);
        }
        OwnedArgs { buf: buf.into(), ranges: ranges.into() }
    }
}

impl From<Args<'_>> for OwnedArgs {
    fn from(args: Args<'_>) -> OwnedArgs {
        let start = |r: &ArgRange| &args.buf[r.start as usize..][..r.len as usize];
        OwnedArgs::collect(args.ranges.iter().map(start))
    }
}

impl fmt::Debug for OwnedArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_args().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_arguments_read_like_the_borrowed_ones() {
        let buf = b"..GET...key";
        let ranges = [ArgRange { start: 2, len: 3 }, ArgRange { start: 8, len: 3 }, ArgRange::default()];
        let args = Args::new(buf, &ranges);
        let owned = OwnedArgs::from(args);
        for a in [args, owned.as_args()] {
            assert_eq!(
                (a.len(), a.name(), &a[1], a.get(2), a.get(3)),
                (3, &b"GET"[..], &b"key"[..], Some(&b""[..]), None)
            );
            assert_eq!(a.iter().collect::<Vec<_>>(), [&b"GET"[..], b"key", b""]);
            assert_eq!(a.skip(1).name(), b"key");
            assert!(a.skip(9).is_empty());
        }
        assert_eq!(owned, OwnedArgs::from_slices(&["GET", "key", ""]));
        assert_eq!(Args::new(b"", &[]).name(), b"");
    }
}
