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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlx::{Dtype, from_bytes};
    use crate::tensor::to_f32;

    /// `np.savez_compressed(f, a=np.arange(3, dtype=np.int32))`
    const NUMPY: &str = "504b03042d00000008000000210002ecbda9ffffffffffffffff05001400612e6e70\
        79010010008c000000000000004c000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e93\
        69a2aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91ac63a9a3a0ab50a14002e\
        062060046226200600504b01022d032d00000008000000210002ecbda94c0000008c00000005000000000000\
        0000000000800100000000612e6e7079504b0506000000000100010033000000830000000000";

    fn numpy() -> Vec<u8> {
        let pairs = NUMPY.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Vec<(String, Array)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        std::fs::write(&path, bytes).unwrap();
        read_npz(&path)
    }

    /// An archive of one entry.
    fn archive(name: &str, contents: &[u8]) -> Vec<u8> {
        let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(name, options).unwrap();
        archive.write_all(contents).unwrap();
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn what_numpy_writes_is_read() {
        let arrays = read_bytes(&numpy()).unwrap();
        assert_eq!(arrays.len(), 1);
        assert_eq!(
            (arrays[0].0.as_str(), arrays[0].1.dtype()),
            ("a", Dtype::Int32)
        );
        assert_eq!(to_f32(&arrays[0].1).unwrap(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let zeros = Array::from_slice(&[0f32; 40_000], &[200, 200]);
        let arrays = [
            ("layer/a".to_string(), zeros),
            ("b.c".to_string(), Array::from_int(3)),
            (
                "empty".to_string(),
                from_bytes(&[], &[0, 2], Dtype::Uint8).unwrap(),
            ),
        ];
        for compressed in [false, true] {
            write_npz(&path, &arrays, compressed).unwrap();
            let length = std::fs::metadata(&path).unwrap().len();
            assert_eq!(length < 10_000, compressed, "{length}");
            for ((name, array), (found_name, found)) in arrays.iter().zip(read_npz(&path).unwrap())
            {
                assert_eq!((name, array.shape()), (&found_name, found.shape()));
                assert_eq!(bytes(array).unwrap(), bytes(&found).unwrap());
            }
        }
        write_npz(&path, &[], false).unwrap();
        assert!(read_npz(&path).unwrap().is_empty());
        let twice = [arrays[1].clone(), arrays[1].clone()];
        let error = write_npz(&path, &twice, false).unwrap_err().to_string();
        assert!(error.contains("two arrays are named `b.c`"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let whole = numpy();
        for length in 0..whole.len() {
            assert!(read_bytes(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                drop(read_bytes(&damaged));
            }
        }
    }

    #[test]
    fn an_archive_that_promises_too_much_is_refused() {
        let (head, _) = encode(&Array::from_slice(&[0u8; 8], &[8]), "a").unwrap();
        let long = [&head[..], &[0; 1 << 20]].concat();
        let error = read_bytes(&archive("a.npy", &long))
            .unwrap_err()
            .to_string();
        assert!(error.contains("136 by its npy header"), "{error}");
        let short = read_bytes(&archive("a.npy", &head))
            .unwrap_err()
            .to_string();
        assert!(short.contains("128 bytes by the archive"), "{short}");
        let mut lying = archive("a.npy", &long);
        let at = lying.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap() + 24;
        lying[at..at + 4].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        let error = read_bytes(&lying).unwrap_err().to_string();
        assert!(error.contains("cannot hold"), "{error}");
    }

    #[test]
    fn errors_say_what_was_found() {
        let error = read_bytes(b"GGUF\x03\0\0\0").unwrap_err().to_string();
        assert!(
            error.contains("not an npz file: it looks like a GGUF file"),
            "{error}"
        );
        let error = read_bytes(&archive("data.pkl", b"x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("entry `data.pkl`: not an array"), "{error}");
        let error = read_bytes(&archive("a.npy", b"x")).unwrap_err().to_string();
        assert!(error.contains("entry `a.npy`: not a npy file"), "{error}");
    }
}
