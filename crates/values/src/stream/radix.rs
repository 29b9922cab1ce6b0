//! How large upstream's index of nodes would be: a tree of bytes in which runs without a branch are one node. XINFO tells it.
//! Nothing like it is kept here.

/// The nodes below a place where all these keys agree in their first `depth` bytes; there is one key at least, and no two are
/// equal.
pub(super) fn nodes(keys: &[[u8; 16]], depth: usize) -> u64 {
    let (first, last) = (&keys[0], &keys[keys.len() - 1]);
    // Keys are in order, so what the outermost share all share.
    let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let run = u64::from(shared > depth);
    if shared == first.len() {
        return run + 1;
    }
    let below = keys.chunk_by(|a, b| a[shared] == b[shared]).map(|keys| nodes(keys, shared + 1));
    run + 1 + below.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamId;

    /// As Valkey 9.1.2 tells it of streams with one entry a node.
    #[test]
    fn as_the_real_server_counts() {
        let count = |ids: &[(u64, u64)]| {
            let keys: Vec<_> = ids.iter().map(|(ms, seq)| StreamId::new(*ms, *seq).to_bytes()).collect();
            nodes(&keys, 0)
        };
        let of_times = |ms: &mut dyn Iterator<Item = u64>| count(&ms.map(|ms| (ms, 0)).collect::<Vec<_>>());
        assert_eq!(count(&[(1, 0)]), 2);
        assert_eq!([of_times(&mut (1..3)), of_times(&mut (1..4)), of_times(&mut (1..40))], [6, 8, 80]);
        assert_eq!(of_times(&mut [1, 256].into_iter()), 6);
        assert_eq!(of_times(&mut [1, 256, 257].into_iter()), 9);
        assert_eq!(of_times(&mut (100..3000).step_by(100)), 71);
        assert_eq!(count(&[(1, 1), (1, 2), (1, 300), (5, 0)]), 11);
        let mut ids: Vec<_> = (0..30).map(|seq| (1_526_919_030_474, seq)).collect();
        ids.extend([(1_526_919_030_475, 0), (1_526_999_030_475, 0)]);
        assert_eq!(count(&ids), 40);
    }
}
