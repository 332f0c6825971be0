//! How much memory the process holds on to. Reading the kernel's type information and compiling rules need much more
//! than what is left of it.
//!
//! Here because the allocator's own functions are not safe to call by name; nothing else about memory is.

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of mimalloc.h, versions 2 and 3, in milliseconds; the binding has no name for it.
const PURGE_DELAY: mi_option_t = 15;

/// Has free pages go back to the kernel at once, and none be huge. To be called before threads are started.
pub fn be_frugal() {
    // What is small is spread over many huge pages, each of which counts as a whole. Where the kernel has none,
    // nothing has to be done.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // SAFETY: an option that the allocator knows, with a value in its range (milliseconds).
    unsafe { mi_option_set(PURGE_DELAY, 0) };
}

/// Gives back what this thread, and threads that have ended, hold without need. Other threads are not held up.
pub fn give_back() {
    // SAFETY: takes no pointers, and looks at the lists of this thread and of nobody.
    unsafe { mi_collect(true) };
}
