//! A kernel ends with the program that started it.

use std::os::unix::process::parent_id;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(500);

/// Calls `ended` once the parent is gone, if there is a front end that says it is the parent.
pub fn watch(ended: impl FnOnce() + Send + 'static) {
    if std::env::var_os("JPY_PARENT_PID").is_none() {
        return;
    }
    // An orphan is given to another; which one differs between systems.
    let parent = parent_id();
    let wait = move || {
        while parent_id() == parent {
            std::thread::sleep(POLL);
        }
        ended();
    };
    let thread = std::thread::Builder::new().name("kernel-parent".into());
    if let Err(error) = thread.spawn(wait) {
        tracing::warn!("kernel: the end of its parent will not be noticed: {error}");
    }
}
