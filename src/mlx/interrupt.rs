//! The interrupt flag: set by a signal or a front end, polled by every long loop.
//!
//! The flag stays set until the next cell begins. A script's `try` may catch the error that an
//! interrupt makes inside a closure, but the next operation sees the flag again.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

static FLAG: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is another program's for a while: Ctrl-C is for that program then.
static LENT: AtomicBool = AtomicBool::new(false);

/// Asks whatever is running to stop at its next safe point.
pub fn set() {
    FLAG.store(true, Ordering::SeqCst);
}

/// Forgets a request, when new work begins.
pub fn clear() {
    FLAG.store(false, Ordering::SeqCst);
}

/// Whether a stop was asked for.
pub fn is_set() -> bool {
    FLAG.load(Ordering::Relaxed)
}

/// Does something while the terminal belongs to another program, such as an editor.
pub fn lent<T>(work: impl FnOnce() -> T) -> T {
    LENT.store(true, Ordering::SeqCst);
    let done = work();
    LENT.store(false, Ordering::SeqCst);
    clear();
    done
}

/// Whether somebody is asked for a line: nothing runs that could stop.
static IDLE: AtomicBool = AtomicBool::new(false);

/// Waits for a line. Ctrl-C is a key then, and a signal is meant for the program.
pub fn idle<T>(ask: impl FnOnce() -> T) -> T {
    IDLE.store(true, Ordering::SeqCst);
    let answer = ask();
    IDLE.store(false, Ordering::SeqCst);
    answer
}

/// Whether a line is waited for.
pub fn is_idle() -> bool {
    IDLE.load(Ordering::SeqCst)
}

/// Whether another program has the terminal.
pub fn is_lent() -> bool {
    LENT.load(Ordering::SeqCst)
}

/// An error if a stop was asked for.
pub fn check() -> Result<()> {
    if is_set() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}
