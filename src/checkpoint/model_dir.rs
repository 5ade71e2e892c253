//! A directory in Hugging Face layout, being written.

use super::aside::write_aside;
use crate::error::{Error, Result};
use crate::mlx::Array;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A model folder. Each file appears whole or not at all.
#[derive(Clone, Debug)]
pub struct ModelDir {
    path: PathBuf,
}

impl ModelDir {
    /// The folder, made if it is not there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path).map_err(Error::io(&path))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a JSON file, indented.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::file(&path, e))?;
        write_file(&path, text.as_bytes())
    }

    /// Writes a file of arrays.
    pub fn write_weights(&self, name: &str, arrays: &[(String, Array)]) -> Result<()> {
        super::write(&self.path.join(name), arrays)
    }
}

/// Writes a file aside, makes sure that it is on the disk, and renames it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(path, |file| file.write_all(bytes).map_err(Error::io(path)))
}
