//! A download as a line that changes.

use super::output::{Live, Output};
use crate::hub::Download;
use std::time::{Duration, Instant};

/// The line changes at most so often.
const PAUSE: Duration = Duration::from_millis(250);

/// Watches downloads, one after another.
pub struct Bytes {
    output: Output,
    current: Option<Current>,
}

/// The file that is coming.
struct Current {
    live: Live,
    name: String,
    done: u64,
    total: u64,
    told: Instant,
}

impl Bytes {
    /// Nothing is coming yet.
    pub fn new(output: &Output) -> Self {
        Self {
            output: output.clone(),
            current: None,
        }
    }
}

impl Current {
    fn show(&mut self) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (done, total) = (megabytes(self.done), megabytes(self.total));
        let line = format!("{}: {done:.1} of {total:.1} MB", self.name);
        self.live.show(&vec![("text/plain", line)]);
        self.told = Instant::now();
    }
}

impl Download for Bytes {
    fn start(&mut self, file: &str, total: u64, already: u64) {
        self.end();
        let current = self.current.insert(Current {
            live: self.output.live(),
            name: file.to_string(),
            done: already,
            total,
            told: Instant::now(),
        });
        current.show();
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(current) = &mut self.current {
            current.done += bytes;
            if current.told.elapsed() >= PAUSE {
                current.show();
            }
        }
    }

    fn end(&mut self) {
        if let Some(mut current) = self.current.take() {
            current.show();
        }
    }
}
