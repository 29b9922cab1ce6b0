//! LCS: the longest common subsequence of two strings, by the table of lengths of all pairs of prefixes.

use baton_resp::Out;

use super::string_of;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// What the reply is to contain.
#[derive(Clone, Copy, Default)]
struct Wanted {
    length: bool,
    matches: bool,
    match_length: bool,
    match_length_min: usize,
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN].
pub(crate) fn lcs(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (a, b) = (text(x, 0)?, text(x, 1)?);
    let wanted = parse(x)?;
    let cells = (a.len() as u64 + 1).checked_mul(b.len() as u64 + 1);
    if a.len() >= u32::MAX as usize - 1 || b.len() >= u32::MAX as usize - 1 {
        return Err(Fail::Text("ERR String too long for LCS"));
    }
    if cells.is_none_or(|n| n > x.env.bulk_bytes_max / size_of::<u32>() as u64) {
        return Err(Fail::Text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    let table = Table::new(&a, &b);
    if wanted.length {
        x.out.int(table.total() as i64);
    } else if wanted.matches {
        write_matches(x.out, &table, wanted);
    } else {
        x.out.bulk(&table.subsequence());
    }
    Ok(())
}

/// The string of a key; empty if it is missing.
fn text(x: &mut Exec<'_, '_>, nth: usize) -> Result<Vec<u8>, Fail> {
    let key = x.key(nth, nth + 1);
    let no_string = Fail::Text("ERR The specified keys must contain string values");
    match x.view.read(&key, x.touch) {
        Some(entry) => Ok(string_of(&entry).map_err(|_| no_string)?.bytes(&mut itoa::Buffer::new()).to_vec()),
        None => Ok(Vec::new()),
    }
}

fn parse(x: &Exec<'_, '_>) -> Result<Wanted, Fail> {
    let mut wanted = Wanted::default();
    let mut i = 3;
    while let Some(word) = x.args.get(i) {
        match word.to_ascii_uppercase().as_slice() {
            b"IDX" => wanted.matches = true,
            b"LEN" => wanted.length = true,
            b"WITHMATCHLEN" => wanted.match_length = true,
            b"MINMATCHLEN" if i + 1 < x.args.len() => {
                i += 1;
                wanted.match_length_min = int(&x.args[i])?.max(0) as usize;
            }
            _ => return Err(Fail::Syntax),
        }
        i += 1;
    }
    if wanted.matches && wanted.length {
        return Err(Fail::Text("ERR If you want both the length and indexes, please just use IDX."));
    }
    Ok(wanted)
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    lengths: Vec<u32>,
}

/// A stretch that both strings share: both ends included, `len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    a: usize,
    b: usize,
    len: usize,
}

impl<'a> Table<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Table<'a> {
        let row = b.len() + 1;
        let mut lengths = vec![0u32; (a.len() + 1) * row];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                lengths[i * row + j] = if a[i - 1] == b[j - 1] {
                    lengths[(i - 1) * row + j - 1] + 1
                } else {
                    lengths[(i - 1) * row + j].max(lengths[i * row + j - 1])
                };
            }
        }
        Table { a, b, lengths }
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * (self.b.len() + 1) + j]
    }

    fn total(&self) -> u32 {
        self.at(self.a.len(), self.b.len())
    }

    /// The places of the common bytes, last first.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.at(i - 1, j) > self.at(i, j - 1) { i -= 1 } else { j -= 1 }
            }
            None
        })
    }

    fn subsequence(&self) -> Vec<u8> {
        let mut out: Vec<u8> = self.pairs().map(|(i, _)| self.a[i]).collect();
        out.reverse();
        out
    }

    /// Maximal shared stretches of the subsequence, last first.
    fn stretches(&self) -> Vec<Stretch> {
        let mut out: Vec<Stretch> = Vec::new();
        for (a, b) in self.pairs() {
            match out.last_mut() {
                Some(s) if s.a == a + 1 && s.b == b + 1 => *s = Stretch { a, b, len: s.len + 1 },
                _ => out.push(Stretch { a, b, len: 1 }),
            }
        }
        out
    }
}

fn write_matches(out: &mut Out, table: &Table<'_>, wanted: Wanted) {
    let mut stretches = table.stretches();
    stretches.retain(|s| s.len >= wanted.match_length_min);
    out.map(2);
    out.bulk(b"matches");
    out.array(stretches.len());
    for s in stretches {
        out.array(if wanted.match_length { 3 } else { 2 });
        for start in [s.a, s.b] {
            out.array(2);
            out.int(start as i64);
            out.int((start + s.len - 1) as i64);
        }
        if wanted.match_length {
            out.int(s.len as i64);
        }
    }
    out.bulk(b"len");
    out.int(i64::from(table.total()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition itself, for short strings.
    fn naive(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], _) | (_, []) => 0,
            ([x, a @ ..], [y, b @ ..]) if x == y => 1 + naive(a, b),
            ([_, rest @ ..], _) => naive(rest, b).max(naive(a, &b[1..])),
        }
    }

    #[test]
    fn stretches_as_the_real_server_finds_them() {
        let table = Table::new(b"ohmytext", b"mynewtext");
        assert_eq!(table.subsequence(), b"mytext");
        assert_eq!(table.stretches(), [Stretch { a: 4, b: 5, len: 4 }, Stretch { a: 2, b: 0, len: 2 }]);
    }

    proptest! {
        #[test]
        fn length_and_subsequence_agree_with_the_definition(a in "[abc]{0,7}", b in "[abc]{0,7}") {
            let table = Table::new(a.as_bytes(), b.as_bytes());
            prop_assert_eq!(table.total() as usize, naive(a.as_bytes(), b.as_bytes()));
            prop_assert_eq!(table.subsequence().len(), table.total() as usize);
            prop_assert_eq!(table.stretches().iter().map(|s| s.len).sum::<usize>(), table.total() as usize);
        }
    }
}
