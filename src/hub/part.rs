//! The part of a file that has come so far, which later tries and later processes go on with.

use super::names;
use crate::error::{Error, Result};
use crate::mlx::interrupt;
use ring::digest::{Context, SHA256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// A growing file beside the one that it will be.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    /// Absent if the etag is no SHA-256, as for small files.
    digest: Option<Context>,
}

impl Part {
    /// The part of a content, empty if there is none. Its bytes are read again for the checksum.
    ///
    /// # Errors
    /// A file that cannot be opened or read; an interrupt.
    pub(super) fn open(blob: &Path, etag: &str, size: u64) -> Result<Self> {
        // The name that hf-hub gives to its parts. Python's are filled out of order.
        let mut path = blob.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        super::folder::make_parent(&path)?;
        let file = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        let length = file.metadata().map_err(Error::io(&path))?.len();
        let mut part = Self {
            path,
            file,
            length,
            digest: names::is_sha256(etag).then(|| Context::new(&SHA256)),
        };
        if part.length > size {
            part.clear()?;
        }
        part.read()?;
        Ok(part)
    }

    fn read(&mut self) -> Result<()> {
        let Some(digest) = &mut self.digest else {
            return Ok(());
        };
        let mut buffer = vec![0; BUFFER.min(self.length as usize)];
        let mut left = self.length;
        while left > 0 {
            interrupt::check()?;
            let count = self.file.read(&mut buffer).map_err(Error::io(&self.path))?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            left -= count as u64;
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        Ok(())
    }

    /// Starts again.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io(&self.path))?;
        self.length = 0;
        if let Some(digest) = &mut self.digest {
            *digest = Context::new(&SHA256);
        }
        Ok(())
    }

    /// The SHA-256 of all bytes, if one is expected.
    pub(super) fn sha256(&self) -> Option<String> {
        let digest = self.digest.clone()?.finish();
        Some(digest.as_ref().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Makes it the file that it was to be, once it is on the disk.
    pub(super) fn keep(self, blob: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, blob)
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::io(&self.path))
    }
}
