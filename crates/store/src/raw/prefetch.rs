//! A hint to the processor that a line is going to be read soon. Any address may be given; nothing is dereferenced.

/// Asks for the cache line at `at`, into all levels.
#[inline(always)]
pub(crate) fn line<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "an intrinsic that has no safe form")]
        // SAFETY: a prefetch can't fault, whatever the address, and SSE is part of every x86-64.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
