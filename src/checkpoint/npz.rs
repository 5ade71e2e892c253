//! NumPy's files of named arrays: a zip archive of npy files.

use super::aside::{check_names, looks_like, write_aside};
use super::npy::{encode, parse, whole_length};
use crate::error::{Error, Result};
use crate::mlx::{Array, bytes};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Deflate makes at most this many bytes of one; more is a lie in the archive's directory.
const MOST_OF_ONE: u64 = 1032;

/// What is read of an entry to find how long it should be. Headers of arrays are far shorter.
const LONGEST_HEAD: u64 = 1 << 16;

type Archive = ZipArchive<BufReader<File>>;

/// The arrays of an npz file, in its order.
///
/// # Errors
/// A file that is not a zip archive, is damaged, or holds anything but npy files.
pub fn read_npz(path: &Path) -> Result<Vec<(String, Array)>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut start = Vec::new();
    (&mut file)
        .take(16)
        .read_to_end(&mut start)
        .map_err(Error::io(path))?;
    if !start.starts_with(b"PK") {
        let reason = format!("not an npz file: {}", looks_like(&start));
        return Err(Error::file(path, reason));
    }
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| Error::file(path, format!("truncated or damaged npz file: {e}")))?;
    check(&mut archive, path, length)?;
    (0..archive.len())
        .map(|at| read_entry(&mut archive, at, path))
        .collect()
}

/// Refuses names that would hide each other, and a directory that promises more than can be in a
/// file of this length, be it by a lie or by entries that share their bytes.
fn check(archive: &mut Archive, path: &Path, length: u64) -> Result<()> {
    if archive.has_duplicate_names() {
        return Err(Error::file(path, "two entries have the same name"));
    }
    let promised = archive.decompressed_size().unwrap_or(u128::MAX);
    if promised > u128::from(length) * u128::from(MOST_OF_ONE) {
        let reason = format!("its {length} bytes cannot hold the {promised} that it promises");
        return Err(Error::file(path, reason));
    }
    Ok(())
}

/// One entry. Its header says how many bytes to expect, and no more are taken.
fn read_entry(archive: &mut Archive, at: usize, path: &Path) -> Result<(String, Array)> {
    let wrong = |e: &dyn std::fmt::Display| Error::file(path, format!("entry {at}: {e}"));
    let mut entry = archive.by_index(at).map_err(|e| wrong(&e))?;
    let full = entry.name().map_err(|e| wrong(&e))?.into_owned();
    let name = format!("{}, entry `{full}`", path.display());
    let damaged = |e: std::io::Error| Error::file(&name, format!("damaged: {e}"));
    let Some(key) = full.strip_suffix(".npy") else {
        let reason = "not an array; an npz file holds only .npy entries";
        return Err(Error::file(&name, reason));
    };
    let declared = entry.size();
    let mut contents = Vec::new();
    (&mut entry)
        .take(LONGEST_HEAD)
        .read_to_end(&mut contents)
        .map_err(damaged)?;
    let expected = whole_length(&contents, &name)?;
    if declared != expected {
        let reason = format!("{declared} bytes by the archive, {expected} by its npy header");
        return Err(Error::file(&name, reason));
    }
    // One byte more than expected, so that the end is met and the checksum compared.
    let rest = (expected - contents.len().min(declared as usize) as u64).saturating_add(1);
    entry
        .take(rest)
        .read_to_end(&mut contents)
        .map_err(damaged)?;
    if contents.len() as u64 != expected {
        let reason = format!("truncated: {} bytes of {expected}", contents.len());
        return Err(Error::file(&name, reason));
    }
    Ok((key.to_string(), parse(&contents, &name)?))
}

/// Writes named arrays as an npz file, in order, aside and then renamed; `compressed` makes it
/// smaller and slower to read.
///
/// # Errors
/// Two arrays of one name; a bfloat16 array, which NumPy has no type for; the operating system's.
pub fn write_npz(path: &Path, arrays: &[(String, Array)], compressed: bool) -> Result<()> {
    check_names(path, arrays)?;
    let method = if compressed {
        CompressionMethod::Deflated
    } else {
        CompressionMethod::Stored
    };
    write_aside(path, |file| {
        let mut archive = ZipWriter::new(file);
        for (name, array) in arrays {
            let wrong =
                |e: &dyn std::fmt::Display| Error::file(path, format!("array `{name}`: {e}"));
            let entry = format!("{}, array `{name}`", path.display());
            let (head, array) = encode(array, &entry)?;
            // Deflate may need a little more than it is given.
            let large = array.nbytes() as u64 > u64::from(u32::MAX) - (1 << 24);
            let options = SimpleFileOptions::default()
                .compression_method(method)
                .large_file(large);
            archive
                .start_file(format!("{name}.npy"), options)
                .map_err(|e| wrong(&e))?;
            let elements = bytes(&array)?;
            archive
                .write_all(&head)
                .and_then(|()| archive.write_all(elements))
                .map_err(|e| wrong(&e))?;
        }
        archive.finish().map_err(|e| Error::file(path, e))?;
        Ok(())
    })
}
