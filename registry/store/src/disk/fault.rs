//! A place where tests let a change fail, or kill the process before or after it.
//!
//! Outside tests it is nothing and compiles to nothing.

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests the same function does fail")]
#[inline]
pub(super) fn point() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use armed::point;
#[cfg(test)]
pub(crate) use armed::{Fault, arm, disarm, points_passed};

#[cfg(test)]
mod armed {
    use std::cell::Cell;
    use std::io;

    /// What happens at the chosen change.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Fault {
        /// The process is killed before it.
        Kill,
        /// It fails with this error number, and so does each one after it.
        Errno(i32),
    }

    thread_local! {
        static PASSED: Cell<u64> = const { Cell::new(0) };
        static ARMED: Cell<Option<(Fault, u64)>> = const { Cell::new(None) };
    }

    /// Lets the `at`-th change from now (from 1) meet a fault, in this thread.
    pub(crate) fn arm(fault: Fault, at: u64) {
        PASSED.set(0);
        ARMED.set(Some((fault, at)));
    }

    /// Back to normal.
    pub(crate) fn disarm() {
        ARMED.set(None);
    }

    /// Changes since the fault was armed.
    pub(crate) fn points_passed() -> u64 {
        PASSED.get()
    }

    pub(crate) fn point() -> io::Result<()> {
        let passed = PASSED.get() + 1;
        PASSED.set(passed);
        match ARMED.get() {
            Some((Fault::Kill, at)) if passed == at => {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
                loop {
                    std::thread::park();
                }
            }
            Some((Fault::Errno(number), at)) if passed >= at => {
                Err(io::Error::from_raw_os_error(number))
            }
            _ => Ok(()),
        }
    }
}
