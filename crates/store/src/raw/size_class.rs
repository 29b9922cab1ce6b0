//! Sizes that allocations are rounded up to. They are the size classes of the allocator the server runs with, so that
//! what is accounted is what is taken, and so that a value may grow in place up to the end of its class. With another
//! allocator nothing breaks; the account is merely less exact.

/// The size that an allocation of `n` bytes really takes: multiples of 16 up to 128, then four steps a doubling.
#[inline]
pub(crate) const fn rounded(n: usize) -> usize {
    if n <= 128 {
        if n == 0 { 16 } else { (n + 15) & !15 }
    } else {
        let step = 1 << ((n - 1).ilog2() - 2);
        (n + step - 1) & !(step - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn classes_are_those_of_the_allocator() {
        for (n, class) in [
            (0, 16),
            (1, 16),
            (16, 16),
            (17, 32),
            (88, 96),
            (128, 128),
            (129, 160),
            (256, 256),
            (257, 320),
            (1025, 1280),
            (4096, 4096),
            (4097, 5120),
        ] {
            assert_eq!(rounded(n), class, "{n}");
        }
        assert!((0..100_000).all(|n| rounded(rounded(n)) == rounded(n) && rounded(n) >= n));
    }
}
