//! Elements chosen by chance, by their ranks: for the RAND commands of sets, hashes and sorted sets. Every element, and
//! every choice of several, is as likely as any other.

use std::collections::BTreeSet;

use baton_base::Rng;

use crate::fail::Fail;
use crate::number::int;

/// How many elements are asked for: a negative number asks for as many choices, each among all elements.
pub(crate) fn wanted(arg: &[u8]) -> Result<i64, Fail> {
    let out_of_range = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    Some(int(arg)?).filter(|n| *n != i64::MIN).ok_or(Fail::Text(out_of_range))
}

/// The ranks of `count` different elements of `len`, in ascending order; of all if there are no more.
pub(crate) fn ranks(count: u64, len: u64, rng: &mut Rng) -> Vec<u64> {
    if count >= len {
        return (0..len).collect();
    }
    // Where most are chosen, choosing the others is less work.
    if count > len / 2 {
        let others = some(len - count, len, rng);
        return (0..len).filter(|rank| !others.contains(rank)).collect();
    }
    some(count, len, rng).into_iter().collect()
}

/// `count` different numbers below `len`: each step chooses among one number more than the step before, and takes that
/// additional one where it chose what is taken already.
fn some(count: u64, len: u64, rng: &mut Rng) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    for last in len - count..len {
        if !chosen.insert(rng.below(last + 1)) {
            chosen.insert(last);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_as_likely() {
        let mut rng = Rng::new(5);
        for count in 0..=5 {
            let mut times = std::collections::BTreeMap::new();
            for _ in 0..10_000 {
                *times.entry(ranks(count, 5, &mut rng)).or_insert(0u32) += 1;
            }
            let choices = [1, 5, 10, 10, 5, 1][count as usize];
            assert_eq!(times.len(), choices);
            assert!(times.keys().all(|ranks| ranks.len() == count as usize && ranks.is_sorted_by(|a, b| a < b)));
            let expected = 10_000 / choices as u32;
            assert!(times.values().all(|n| n.abs_diff(expected) < expected / 5), "{times:?}");
        }
        assert_eq!(ranks(9, 3, &mut rng), [0, 1, 2]);
    }
}
