//! Files that something was read from, and whether they are others by now.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is cheap to know of a file: when it was changed, its length, and which file it is.
pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

/// A file that a script was read from.
#[derive(Clone)]
pub struct Watched {
    path: PathBuf,
    /// The same from the root: the working folder may become another.
    full: PathBuf,
    stamp: Stamp,
    text: String,
}

impl Watched {
    /// A file as it is now, and the text that was read from it.
    pub fn new(path: &Path, text: &str) -> Self {
        Self::of(path, stamp(path), text)
    }

    /// The same with a stamp that was taken before.
    pub(super) fn of(path: &Path, stamp: Stamp, text: &str) -> Self {
        Self {
            path: path.to_path_buf(),
            full: full(path),
            stamp,
            text: text.to_string(),
        }
    }

    /// Whether there was a file.
    pub(super) fn was_there(&self) -> bool {
        self.stamp.is_some()
    }

    /// Reads a file. Its stamp is the one before, so that what is written meanwhile shows.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let stamp = stamp(path);
        Ok(Self {
            stamp,
            text: std::fs::read_to_string(path)?,
            path: path.to_path_buf(),
            full: full(path),
        })
    }

    /// What was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is, from the root.
    pub fn full(&self) -> &Path {
        &self.full
    }

    /// Whether it is another file by now, as far as its date, length and identity tell.
    pub fn has_changed(&self) -> bool {
        stamp(&self.full) != self.stamp
    }
}

fn full(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

pub(super) fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let id = std::os::unix::fs::MetadataExt::ino(&data);
    #[cfg(not(unix))]
    let id = 0;
    Some((data.modified().ok()?, data.len(), id))
}
