//! A file being read, which never gives more than it has.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file with its length and the place that reading has come to.
pub(super) struct Source {
    file: BufReader<File>,
    path: PathBuf,
    at: u64,
    length: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        Ok(Self {
            file: BufReader::new(file),
            path: path.to_path_buf(),
            at: 0,
            length,
        })
    }

    pub(super) fn wrong(&self, reason: impl ToString) -> Error {
        Error::file(&self.path, reason)
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn go_to(&mut self, at: u64) -> Result<()> {
        let there = self.file.seek(SeekFrom::Start(at));
        self.at = there.map_err(Error::io(&self.path))?;
        Ok(())
    }

    /// An error unless `count` pieces of at least `each` bytes can still follow.
    pub(super) fn must_hold(&self, count: u64, each: u64, what: &str) -> Result<()> {
        let rest = self.length.saturating_sub(self.at);
        let needed = count.checked_mul(each);
        if needed.is_some_and(|needed| needed <= rest) {
            return Ok(());
        }
        let needed = needed.map_or("uncounted".to_string(), |needed| needed.to_string());
        Err(self.wrong(format!(
            "truncated or damaged: {what} needs {needed} bytes at byte {}, where {rest} are left",
            self.at
        )))
    }

    /// The next bytes; `what` they are is for errors.
    pub(super) fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>> {
        self.must_hold(count, 1, what)?;
        // It fits: the file is that long, and so is what the system could give.
        let mut bytes = vec![0; count as usize];
        self.file
            .read_exact(&mut bytes)
            .map_err(Error::io(&self.path))?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn number<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        self.must_hold(1, N as u64, what)?;
        let mut bytes = [0; N];
        self.file
            .read_exact(&mut bytes)
            .map_err(Error::io(&self.path))?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.number(what)?))
    }

    /// A text that is a name, and so must be whole.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let length = self.u64(what)?;
        let bytes = self.bytes(length, what)?;
        String::from_utf8(bytes).map_err(|e| {
            let found = String::from_utf8_lossy(e.as_bytes()).into_owned();
            self.wrong(format!("{what} `{found}` is not UTF-8"))
        })
    }

    /// A text that is a value. Some files cut the words of their tokenizer within a character;
    /// that is no reason to refuse the model.
    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        let length = self.u64(what)?;
        let bytes = self.bytes(length, what)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
