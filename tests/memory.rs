//! Memory. The counts are one for the process, so these tests have a process of their own, and one
//! runs at a time.

#[path = "memory/peaks.rs"]
mod peaks;
#[path = "memory/sessions.rs"]
mod sessions;

use std::sync::Mutex;

static ALONE: Mutex<()> = Mutex::new(());
