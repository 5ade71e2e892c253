//! A download as a bar in a terminal, and as a line for each file elsewhere; on standard error.

use super::bar::Bar;
use crate::hub::Download;
use std::io::IsTerminal;

/// Somebody to watch a download, as standard error allows.
pub fn download() -> Box<dyn Download> {
    match std::io::stderr().is_terminal() {
        true => Box::new(Bars { bar: None }),
        false => Box::new(Lines),
    }
}

/// A file that takes less than a moment gets no bar.
const WORTH_A_BAR: u64 = 1 << 20;

/// What a line says.
const STYLE: &str = "{prefix} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

struct Bars {
    bar: Option<Bar>,
}

impl Download for Bars {
    fn start(&mut self, file: &str, total: u64, already: u64) {
        self.end();
        if total < WORTH_A_BAR {
            return;
        }
        let bar = Bar::new(total, STYLE, file);
        bar.set_position(already);
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn end(&mut self) {
        self.bar = None;
    }
}

struct Lines;

impl Download for Lines {
    fn start(&mut self, file: &str, total: u64, already: u64) {
        let size = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        match already {
            0 => eprintln!("downloading {file} ({})", size(total)),
            _ => eprintln!(
                "downloading {file} ({} of {})",
                size(total - already),
                size(total)
            ),
        }
    }

    fn advance(&mut self, _: u64) {}

    fn end(&mut self) {}
}
