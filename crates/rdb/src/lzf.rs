//! The LZF stream that compressed strings use (rdb 3.1): literal runs and back references, nothing else. Decompression
//! trusts neither the stream nor the length it is told; compression promises a valid stream, not any particular one.

/// Longest literal run of one control byte.
const LITERALS_MAX: usize = 32;
/// Longest match of one back reference.
const MATCH_MAX: usize = 264;
/// Shortest match that a back reference can express.
const MATCH_MIN: usize = 3;
/// Farthest a back reference reaches.
const DISTANCE_MAX: usize = 8192;
/// Buckets of the match finder: as many as there are distances, 32 KiB, so that it stays in the first-level cache.
const TABLE_BITS: u32 = 13;
/// The most output bytes that one input byte can stand for: three bytes expand to at most 264.
const EXPANSION_MAX: usize = MATCH_MAX / 3;
/// Misses after which the search starts to skip positions.
const SKIP_SHIFT: u32 = 5;

/// The stream is damaged: it refers before its start, ends early, or has another length than was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid LZF compressed string")]
pub struct LzfError;

/// A compressor. It keeps its match table between strings, so that a short string does not pay for clearing it.
pub struct Compressor {
    /// `base` + position at which a hash was seen last; smaller values are from earlier strings.
    table: Box<[u32; 1 << TABLE_BITS]>,
    base: u32,
}

impl Compressor {
    /// A compressor with an empty table.
    pub fn new() -> Self {
        Compressor { table: Box::new([0; 1 << TABLE_BITS]), base: 1 }
    }

    /// Appends the compressed form of `input` to `out` and tells that it did, or leaves `out` as it was if that form
    /// would take more than `bytes_max` bytes.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let Ok(length) = u32::try_from(input.len()) else { return false };
        if self.base.checked_add(length).is_none() {
            self.table.fill(0);
            self.base = 1;
            if length == u32::MAX {
                return false;
            }
        }
        let start = out.len();
        let fits = self.encode(input, out, start.saturating_add(bytes_max));
        self.base += length;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// The search: greedy, one candidate per position, and wider steps the longer nothing was found. Stops as soon as
    /// the output is sure to end beyond `end_max`.
    fn encode(&mut self, input: &[u8], out: &mut Vec<u8>, end_max: usize) -> bool {
        let (mut at, mut literals_from, mut misses) = (0, 0, 0usize);
        while at + MATCH_MIN <= input.len() {
            let seen = self.swap_candidate(input, at);
            let length = seen.map_or(0, |from| match_length(input, from, at));
            if length < MATCH_MIN {
                at += 1 + (misses >> SKIP_SHIFT);
                misses += 1;
                if out.len() + (at - literals_from).min(input.len()) > end_max {
                    return false;
                }
                continue;
            }
            push_literals(out, &input[literals_from..at]);
            push_match(out, length, at - seen.unwrap_or(at));
            at += length;
            literals_from = at;
            misses = 0;
            // The last positions of a match are the likeliest starts of the next one.
            if at + 1 < input.len() {
                self.swap_candidate(input, at - 1);
            }
        }
        push_literals(out, &input[literals_from..]);
        out.len() <= end_max
    }

    /// Notes that the three bytes at `at` were seen there, and gives the previous place of the same hash.
    fn swap_candidate(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let three = u32::from(input[at]) << 16 | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]);
        let bucket = (three.wrapping_mul(0x9E37_79B1) >> (32 - TABLE_BITS)) as usize;
        let previous = std::mem::replace(&mut self.table[bucket], self.base + at as u32);
        let from = previous.checked_sub(self.base)? as usize;
        (at - from <= DISTANCE_MAX).then_some(from)
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor::new()
    }
}

/// How many bytes at `from` and `at` agree, up to the longest that can be written.
fn match_length(input: &[u8], from: usize, at: usize) -> usize {
    let here = &input[at..input.len().min(at + MATCH_MAX)];
    here.iter().zip(&input[from..]).take_while(|(a, b)| a == b).count()
}

fn push_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn push_match(out: &mut Vec<u8>, length: usize, distance: usize) {
    let (length, distance) = (length - 2, distance - 1);
    if length < 7 {
        out.push((length << 5 | distance >> 8) as u8);
    } else {
        out.extend_from_slice(&[(7 << 5 | distance >> 8) as u8, (length - 7) as u8]);
    }
    out.push(distance as u8);
}

/// Appends to `out` the `length` bytes that `input` stands for.
///
/// # Errors
/// If the stream is damaged or stands for another number of bytes. `out` then holds part of the result. A length that
/// `input` cannot possibly stand for is refused before any memory is taken.
pub fn decompress(input: &[u8], out: &mut Vec<u8>, length: usize) -> Result<(), LzfError> {
    if length > input.len().saturating_mul(EXPANSION_MAX) {
        return Err(LzfError);
    }
    out.reserve(length);
    let start = out.len();
    let end = start + length;
    let mut rest = input;
    while let [control, after @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (run, after) = after.split_at_checked(control + 1).ok_or(LzfError)?;
            if out.len() + run.len() > end {
                return Err(LzfError);
            }
            out.extend_from_slice(run);
            rest = after;
            continue;
        }
        let (count, after) = match (control >> 5, after) {
            (7, [more, after @ ..]) => (9 + usize::from(*more), after),
            (7, []) => return Err(LzfError),
            (short, after) => (short + 2, after),
        };
        let [low, after @ ..] = after else { return Err(LzfError) };
        let distance = ((control & 31) << 8 | usize::from(*low)) + 1;
        if distance > out.len() - start || out.len() + count > end {
            return Err(LzfError);
        }
        copy_back(out, distance, count);
        rest = after;
    }
    if out.len() == end { Ok(()) } else { Err(LzfError) }
}

/// Appends `count` bytes that start `distance` before the end. Where they overlap what is being appended the pattern
/// repeats, so each round can copy all that has become available.
fn copy_back(out: &mut Vec<u8>, distance: usize, mut count: usize) {
    let from = out.len() - distance;
    while count > 0 {
        let piece = count.min(out.len() - from);
        out.extend_from_within(from..from + piece);
        count -= piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(compressor: &mut Compressor, input: &[u8]) -> usize {
        let mut packed = b"before".to_vec();
        assert!(compressor.compress(input, &mut packed, usize::MAX / 2));
        let mut back = b"kept".to_vec();
        decompress(&packed[6..], &mut back, input.len()).expect("own stream");
        assert_eq!(&back[4..], input);
        packed.len() - 6
    }

    #[test]
    fn repetition_shrinks_and_noise_is_refused() {
        let mut compressor = Compressor::new();
        assert!(round_trip(&mut compressor, &[b'a'; 10_000]) < 150);
        assert!(round_trip(&mut compressor, &b"the quick brown fox ".repeat(50)) < 60);
        let mut rng = baton_base::Rng::new(1);
        let noise: Vec<u8> = (0..500).map(|_| rng.next_u64() as u8).collect();
        let mut out = b"x".to_vec();
        assert!(!compressor.compress(&noise, &mut out, noise.len() - 4));
        assert_eq!(out, b"x");
    }

    #[test]
    fn matches_reach_exactly_as_far_as_the_format_allows() {
        let mut compressor = Compressor::new();
        let mut rng = baton_base::Rng::new(2);
        for gap in [DISTANCE_MAX - 12, DISTANCE_MAX - 10, DISTANCE_MAX - 9, DISTANCE_MAX, DISTANCE_MAX + 1] {
            let mut input = b"0123456789".to_vec();
            input.extend((0..gap).map(|_| (rng.next_u64() as u8) | 0x80));
            input.extend_from_slice(b"0123456789");
            round_trip(&mut compressor, &input);
        }
        for length in [2, 3, 8, 9, 10, 263, 264, 265, 266, 267, 528] {
            let mut input = vec![b'a'; length];
            input.extend_from_slice(b"bc");
            round_trip(&mut compressor, &input);
        }
    }

    #[test]
    fn the_table_survives_running_out_of_positions() {
        let mut compressor = Compressor::new();
        compressor.base = u32::MAX - 150;
        for _ in 0..5 {
            round_trip(&mut compressor, &b"abcdefgh".repeat(10));
        }
        assert!(compressor.base < 1000);
    }

    #[test]
    fn damaged_streams_are_refused() {
        let cases: [(&[u8], usize); 8] = [
            (b"\x05\x1faa", 31),   // literal run beyond the input
            (b"\x00a\x20", 4),     // no distance
            (b"\x00a\xe0", 10),    // no length extension
            (b"\x00a\x20\x01", 4), // before the start
            (b"\x00a\x20\x00", 3), // longer than claimed
            (b"\x00a\x20\x00", 5), // shorter than claimed
            (b"\x00a", 1 << 40),   // cannot be that long
            (b"", 1),
        ];
        for (input, length) in cases {
            let mut out = Vec::new();
            assert_eq!(decompress(input, &mut out, length), Err(LzfError), "{input:?}");
            assert!(out.capacity() <= 1000);
        }
        assert_eq!(decompress(b"", &mut Vec::new(), 0), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(
            inputs in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..600), 1..8),
        ) {
            let mut compressor = Compressor::new();
            for input in &inputs {
                round_trip(&mut compressor, input);
            }
        }

        #[test]
        fn hostile_streams_neither_panic_nor_overrun(
            input in proptest::collection::vec(any::<u8>(), 0..300),
            length in 0usize..5000,
        ) {
            let mut out = b"kept".to_vec();
            let result = decompress(&input, &mut out, length);
            prop_assert!(out.len() <= length + 4);
            prop_assert!(out.starts_with(b"kept"));
            prop_assert!(result.is_err() || out.len() == length + 4);
        }
    }
}
