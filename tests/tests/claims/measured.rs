//! How much memory a thread takes while it does something: an allocator that counts, for the thread that asks.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait; this one passes every call on as it is")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    // A thread that ends has no counters any more, and nobody asks.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

// SAFETY: each call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What was taken at most meanwhile, and what is still taken afterwards, beyond what was taken before. Bytes.
pub fn memory_of<T>(work: impl FnOnce() -> T) -> (T, isize, isize) {
    let before = LIVE.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let result = work();
    (result, PEAK.with(Cell::get) - before, LIVE.with(Cell::get) - before)
}

#[test]
fn what_is_taken_and_given_back_is_seen() {
    let (kept, peak, left) = memory_of(|| {
        drop(vec![0u8; 1_000_000]);
        vec![0u8; 1_000]
    });
    assert!((1_000_000..1_002_000).contains(&peak) && (1_000..1_200).contains(&left), "{peak} {left}");
    drop(kept);
}
