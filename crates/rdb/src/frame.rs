//! How a snapshot is framed on a replication link (replication 1.5, 1.7): its first line, and finding where it ends.
//! Knows nothing of what is inside the snapshot, so that a replica can as well store it unread.

/// Bytes of the mark that ends a snapshot of unknown length.
pub const MARK_BYTES: usize = 40;
/// Bytes that stay behind as long as they could be the start of the mark.
const HELD_BYTES_MAX: usize = MARK_BYTES - 1;

/// What the first line announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHeader<'a> {
    /// An empty line: the primary is alive and not ready yet.
    KeepAlive,
    /// `$<len>`: that many bytes follow.
    Counted(u64),
    /// `$EOF:<mark>`: bytes follow until the mark.
    Marked([u8; MARK_BYTES]),
    /// `-...`: the primary gives up; its words.
    Aborted(&'a [u8]),
}

impl<'a> FrameHeader<'a> {
    /// Reads the first line, without its line end. None if it is nothing of the kind, a protocol error.
    pub fn parse(line: &'a [u8]) -> Option<FrameHeader<'a>> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [] => Some(FrameHeader::KeepAlive),
            [b'-', words @ ..] => Some(FrameHeader::Aborted(words)),
            [b'$', b'E', b'O', b'F', b':', mark @ ..] => Some(FrameHeader::Marked(mark.try_into().ok()?)),
            [b'$', digits @ ..] => baton_base::num::parse_u64(digits).map(FrameHeader::Counted),
            _ => None,
        }
    }
}

/// The line that announces a snapshot of unknown length.
pub fn push_marked_header(out: &mut Vec<u8>, mark: &[u8; MARK_BYTES]) {
    out.extend_from_slice(b"$EOF:");
    out.extend_from_slice(mark);
    out.extend_from_slice(b"\r\n");
}

/// The line that announces a snapshot of known length.
pub fn push_counted_header(out: &mut Vec<u8>, bytes: u64) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Passes on the bytes of one snapshot and stops exactly behind it.
///
/// The mark is searched for everywhere, not only at the end of what was received: primaries may send stream right
/// behind it, and forty random characters do not occur by chance.
pub struct FrameReader {
    end: End,
    passed: u64,
}

enum End {
    After(u64),
    Mark(Box<MarkSearch>),
    Reached,
}

impl FrameReader {
    /// A reader for a snapshot of known length.
    pub fn counted(bytes: u64) -> Self {
        let end = if bytes == 0 { End::Reached } else { End::After(bytes) };
        FrameReader { end, passed: 0 }
    }

    /// A reader for a snapshot that ends with a mark.
    pub fn marked(mark: [u8; MARK_BYTES]) -> Self {
        FrameReader { end: End::Mark(Box::new(MarkSearch::new(mark))), passed: 0 }
    }

    /// Takes received bytes and hands those of the snapshot to `sink`, in one or two pieces. Gives how many of `bytes`
    /// belong to the frame; fewer than all only when the end was reached, and then the rest is what follows it.
    pub fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> usize {
        let passed = &mut self.passed;
        let mut pass = |piece: &[u8]| {
            if !piece.is_empty() {
                *passed += piece.len() as u64;
                sink(piece);
            }
        };
        let (used, ended) = match &mut self.end {
            End::Reached => (0, false),
            End::After(left) => {
                let used = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                pass(&bytes[..used]);
                *left -= used as u64;
                (used, *left == 0)
            }
            End::Mark(search) => search.feed(bytes, &mut pass),
        };
        if ended {
            self.end = End::Reached;
        }
        used
    }

    /// Whether the end was reached.
    pub fn is_complete(&self) -> bool {
        matches!(self.end, End::Reached)
    }

    /// Bytes of the snapshot passed on so far.
    pub fn passed_bytes(&self) -> u64 {
        self.passed
    }
}

/// Horspool's search: comparing from the last byte lets it skip up to the whole mark at a time.
struct MarkSearch {
    mark: [u8; MARK_BYTES],
    /// How far to move on when this byte stands under the mark's last one.
    skip: [u8; 256],
    /// The latest bytes, which may be the start of the mark.
    held: [u8; HELD_BYTES_MAX],
    held_bytes: usize,
}

impl MarkSearch {
    fn new(mark: [u8; MARK_BYTES]) -> Self {
        let mut skip = [MARK_BYTES as u8; 256];
        for (i, &byte) in mark[..MARK_BYTES - 1].iter().enumerate() {
            skip[usize::from(byte)] = (MARK_BYTES - 1 - i) as u8;
        }
        MarkSearch { mark, skip, held: [0; HELD_BYTES_MAX], held_bytes: 0 }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + MARK_BYTES) {
            if window == self.mark {
                return Some(at);
            }
            at += usize::from(self.skip[usize::from(window[MARK_BYTES - 1])]);
        }
        None
    }

    /// Gives how many bytes were used and whether the mark was found.
    fn feed(&mut self, bytes: &[u8], pass: &mut dyn FnMut(&[u8])) -> (usize, bool) {
        // A mark that began before these bytes lies in what is held and the first of them.
        let mut seam = [0u8; 2 * HELD_BYTES_MAX];
        let held = self.held_bytes;
        let more = bytes.len().min(HELD_BYTES_MAX);
        seam[..held].copy_from_slice(&self.held[..held]);
        seam[held..held + more].copy_from_slice(&bytes[..more]);
        let seam = &seam[..held + more];
        if let Some(at) = self.find(seam).filter(|&at| at < held) {
            pass(&seam[..at]);
            return (at + MARK_BYTES - held, true);
        }
        if let Some(at) = self.find(bytes) {
            pass(&seam[..held]);
            pass(&bytes[..at]);
            return (at + MARK_BYTES, true);
        }
        if bytes.len() >= HELD_BYTES_MAX {
            let (safe, tail) = bytes.split_at(bytes.len() - HELD_BYTES_MAX);
            pass(&seam[..held]);
            pass(safe);
            self.hold(tail);
        } else {
            let (safe, tail) = seam.split_at(seam.len().saturating_sub(HELD_BYTES_MAX));
            pass(safe);
            self.hold(tail);
        }
        (bytes.len(), false)
    }

    fn hold(&mut self, tail: &[u8]) {
        self.held[..tail.len()].copy_from_slice(tail);
        self.held_bytes = tail.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(mut reader: FrameReader, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut inside, mut after) = (Vec::new(), Vec::new());
        for piece in pieces {
            let used = reader.feed(piece, |bytes| inside.extend_from_slice(bytes));
            after.extend_from_slice(&piece[used..]);
        }
        assert_eq!(reader.passed_bytes(), inside.len() as u64);
        (inside, after, reader.is_complete())
    }

    #[test]
    fn first_lines() {
        let mark = *b"0123456789abcdef0123456789abcdef01234567";
        let mut line = Vec::new();
        push_marked_header(&mut line, &mark);
        assert_eq!(FrameHeader::parse(line.strip_suffix(b"\n").unwrap()), Some(FrameHeader::Marked(mark)));
        line.clear();
        push_counted_header(&mut line, 1234);
        assert_eq!(line, b"$1234\r\n");
        assert_eq!(FrameHeader::parse(b"$1234\r"), Some(FrameHeader::Counted(1234)));
        assert_eq!(FrameHeader::parse(b""), Some(FrameHeader::KeepAlive));
        assert_eq!(FrameHeader::parse(b"-ERR no"), Some(FrameHeader::Aborted(b"ERR no")));
        for bad in ["$EOF:short", "$-1", "$", "$99999999999999999999", "+OK", "x"] {
            assert_eq!(FrameHeader::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_counted_frame_ends_after_its_count() {
        assert_eq!(read(FrameReader::counted(5), &[b"abc", b"defg"]), (b"abcde".to_vec(), b"fg".to_vec(), true));
        assert_eq!(read(FrameReader::counted(0), &[b"abc"]), (Vec::new(), b"abc".to_vec(), true));
        assert_eq!(read(FrameReader::counted(9), &[b"abc"]), (b"abc".to_vec(), Vec::new(), false));
    }

    #[test]
    fn an_unfinished_frame_holds_back_what_could_be_the_mark() {
        let (inside, after, complete) =
            read(FrameReader::marked([b'm'; MARK_BYTES]), &[&[b'm'; 39], b"x", &[b'm'; 39]]);
        assert_eq!((inside.len(), after.len(), complete), (40, 0, false));
    }

    proptest! {
        #[test]
        fn the_mark_is_found_wherever_it_is_cut(
            // Few letters, so that beginnings of the mark occur in the payload all the time.
            payload in proptest::collection::vec(b'a'..b'c', 0..300),
            mark in proptest::collection::vec(b'a'..b'd', MARK_BYTES),
            after in proptest::collection::vec(b'a'..b'd', 0..100),
            sizes in proptest::collection::vec(1usize..90, 1..50),
        ) {
            let mark: [u8; MARK_BYTES] = mark.try_into().unwrap();
            let all = [payload.as_slice(), &mark, &after].concat();
            // The payload may happen to complete the mark earlier; the first occurrence counts.
            let at = all.windows(MARK_BYTES).position(|w| w == mark).unwrap();
            let (mut pieces, mut rest) = (Vec::new(), all.as_slice());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, others) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = others;
            }
            let (inside, left, complete) = read(FrameReader::marked(mark), &pieces);
            prop_assert!(complete);
            prop_assert_eq!(&inside, &all[..at]);
            prop_assert_eq!(&left, &all[at + MARK_BYTES..]);
        }
    }
}
