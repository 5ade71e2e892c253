//! Writing aside, and telling what a file is that is not what it should be.

use crate::error::{Error, Result};
use crate::mlx::Array;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// Fills a file aside, makes sure that it is on the disk, and renames it. If anything fails, the
/// file that was there before is still there.
pub(super) fn write_aside(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    replace_by(path, |aside| {
        let mut buffered = BufWriter::new(File::create(aside).map_err(Error::io(path))?);
        fill(&mut buffered)?;
        buffered
            .into_inner()
            .map(drop)
            .map_err(|e| Error::io(path)(e.into_error()))
    })
}

/// As [`write_aside`], for what makes its file itself at the place it is given.
pub(super) fn replace_by(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    // A script has no other way to make a folder.
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    // Two processes that write one file must not write into one another's half.
    let aside = path.with_extension(format!("{}.partial", std::process::id()));
    let written = make(&aside).and_then(|()| {
        File::open(&aside)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&aside, path))
            .map_err(Error::io(path))
    });
    if written.is_err() {
        // The first error is the one to tell; this only clears up after it.
        drop(fs::remove_file(&aside));
    }
    written
}

/// An error if two arrays of a file have one name.
pub(super) fn check_names(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    let mut seen = HashSet::new();
    match arrays.iter().find(|(name, _)| !seen.insert(name)) {
        Some((twice, _)) => Err(Error::file(path, format!("two arrays are named `{twice}`"))),
        None => Ok(()),
    }
}

/// What a file is, by its first bytes, for the error that says it is not what was asked for.
pub(super) fn looks_like(start: &[u8]) -> &'static str {
    // A safetensors file starts with the length of its header, in eight bytes.
    match start {
        [] => "it is empty",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "it looks like an npy file",
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "it looks like a zip archive (npz, PyTorch)",
        [b'G', b'G', b'U', b'F', ..] => "it looks like a GGUF file",
        [0x89, b'H', b'D', b'F', ..] => "it looks like an HDF5 file",
        [0x80, 2..=5, ..] => "it looks like a Python pickle",
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => "it looks like a safetensors file",
        [b'{' | b'[', ..] => "it looks like JSON",
        _ => "its first bytes are of no format known here",
    }
}
