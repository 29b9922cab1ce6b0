//! The few system calls that no safe crate wraps. Nothing else in this crate is `unsafe`.
#![expect(unsafe_code, reason = "edge to the operating system; each block states its contract")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_utils::CachePadded;
use tikv_jemallocator::Jemalloc;

/// The allocator of the program, with an exact count of what it gave out: its own statistics count what threads keep for
/// later as given out, which may be more than what eviction is about. Like the allocator there is one for the process.
pub struct CountingAllocator;

/// The count is spread, so that threads don't meet on a cache line: a thread finds its part by where its stack lies.
static ALLOCATED: [CachePadded<AtomicI64>; PARTS] = [const { CachePadded::new(AtomicI64::new(0)) }; PARTS];
const PARTS: usize = 16;

/// Bytes given out by the [`CountingAllocator`] and not given back; 0 where another allocator is in use.
pub fn allocated_bytes() -> u64 {
    let sum: i64 = ALLOCATED.iter().map(|part| part.load(Ordering::Relaxed)).sum();
    sum.max(0) as u64
}

/// Adds to the count. Two threads that meet on a part are slower, not wrong.
#[inline]
fn count(bytes: i64) {
    let mark = 0u8;
    let stack = std::hint::black_box(std::ptr::from_ref(&mark)).addr() as u64 >> 20;
    let part = (stack.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - PARTS.ilog2())) as usize;
    ALLOCATED[part].fetch_add(bytes, Ordering::Relaxed);
}

/// The size that the allocator gives for a size: four to each power of two, multiples of 16 at least.
#[inline]
fn rounded(bytes: usize) -> i64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16)) as i64
}

// SAFETY: everything is passed on to an allocator that keeps the contract; counting does not allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(rounded(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { Jemalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(rounded(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { Jemalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-rounded(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { Jemalloc.dealloc(at, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(rounded(size) - rounded(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { Jemalloc.realloc(at, layout, size) }
    }
}

/// Broken-down local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year, four digits.
    pub year: i32,
    /// Month, 0 to 11.
    pub month0: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60.
    pub second: u8,
}

/// The local time of a moment given in seconds since 1970.
pub fn local_time(unix_secs: u64) -> LocalTime {
    let at = unix_secs as libc::time_t;
    // SAFETY: `tm` is plain data for which all zeros is a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values; localtime_r writes only to the second and keeps neither.
    unsafe { libc::localtime_r(&at, &mut tm) };
    LocalTime {
        year: tm.tm_year + 1900,
        month0: tm.tm_mon as u8,
        day: tm.tm_mday as u8,
        hour: tm.tm_hour as u8,
        minute: tm.tm_min as u8,
        second: tm.tm_sec as u8,
    }
}

/// How long the allocator keeps pages that hold nothing, in case they are wanted again. Its own choice, ten seconds, keeps
/// a fifth more memory than is used while a large value grows, as its parts are put into ever larger pieces.
const PAGES_KEPT_MILLIS: isize = 1000;

/// Tells the allocator how long to keep pages that hold nothing; false if it refuses. To be called before any thread is started.
pub fn return_pages_soon() -> bool {
    // Of the arenas that are to come, and of the one that there is: for all that there are, this has no number.
    [c"arenas.dirty_decay_ms", c"arena.0.dirty_decay_ms"].into_iter().all(|name| {
        let mut millis = PAGES_KEPT_MILLIS;
        let none = std::ptr::null_mut();
        // SAFETY: the name ends with a NUL, and these controls read a signed size from where they are told, nothing else.
        unsafe {
            tikv_jemalloc_sys::mallctl(name.as_ptr(), none, none.cast(), (&raw mut millis).cast(), size_of::<isize>())
                == 0
        }
    })
}

/// Has the allocator give back the pages that hold nothing; false if it refuses.
pub fn purge_memory() -> bool {
    // All arenas, in the allocator's own numbering.
    let name = c"arena.4096.purge";
    let none = std::ptr::null_mut();
    // SAFETY: the name ends with a NUL, and this control neither reads nor writes a value.
    unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), none, none.cast(), none, 0) == 0 }
}

/// Goes to the background: the parent exits, the child leads a session of its own with its standard streams on
/// /dev/null. Must be called before any thread is started.
pub fn daemonize() -> std::io::Result<()> {
    // SAFETY: no thread has been started yet, so the child is a whole copy of the process.
    match unsafe { libc::fork() } {
        -1 => return Err(std::io::Error::last_os_error()),
        0 => {}
        // SAFETY: leaving the parent without running destructors, which belong to the child now.
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: plain system calls on descriptors that this process owns.
    unsafe {
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            for fd in 0..3 {
                libc::dup2(null, fd);
            }
            if null > 2 {
                libc::close(null);
            }
        }
    }
    Ok(())
}

/// Raises the limit of open files to `wanted` if it is lower; gives the limit that holds then.
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live value of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return 1024;
    }
    if limit.rlim_cur >= wanted {
        return limit.rlim_cur;
    }
    let raised = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), rlim_max: limit.rlim_max };
    // SAFETY: as above; the call reads the value only.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 { raised.rlim_cur } else { limit.rlim_cur }
}

/// Makes the calling thread yield to others under load: for snapshots and loading, which must not delay commands.
pub fn lower_thread_priority() {
    // SAFETY: on Linux a thread id names one thread here; 0 is the calling one.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Asks for short turns on the processor instead of few: a thread with short turns is let in at once when it wakes while
/// others compute. Older kernels keep their own length, which is harmless.
pub fn shorten_thread_turns(turn: std::time::Duration) {
    /// The kernel's `struct sched_attr` in its first version.
    #[repr(C)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime_ns: u64,
        deadline_ns: u64,
        period_ns: u64,
    }
    // SAFETY: on Linux 0 names the calling thread here; the call has no pointers.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: 0,
        flags: 0,
        nice,
        priority: 0,
        runtime_ns: turn.as_nanos() as u64,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: the pointer is to a live value of the length that it states; the kernel only reads it.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

/// Resource use of this process: (user seconds, system seconds) so far.
pub fn cpu_seconds() -> (f64, f64) {
    // SAFETY: `rusage` is plain data for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value of the right type.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let secs = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (secs(usage.ru_utime), secs(usage.ru_stime))
}

/// Waits until a descriptor is readable, at most so long. Unlike an event loop's poll it counts in less than milliseconds.
pub fn wait_readable(fd: std::os::fd::RawFd, at_most: std::time::Duration) {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let time = libc::timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    // SAFETY: both pointers are to live values and the count says that there is one entry; no mask is changed. A
    // descriptor that is not open makes the call return at once.
    unsafe { libc::ppoll(&mut entry, 1, &time, std::ptr::null()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_does_as_it_is_told() {
        assert!(return_pages_soon(), "it knows its first arena");
        assert!(purge_memory());
    }
}
