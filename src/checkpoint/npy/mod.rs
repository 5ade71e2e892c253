//! NumPy's files of one array.

mod header;

use self::header::Header;
use super::aside::{looks_like, write_aside};
use crate::error::{Error, Result};
use crate::mlx::{Array, bytes, from_bytes, graph, in_order, item_size};
use std::io::Write;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// What NumPy aligns the elements to.
const ALIGNMENT: usize = 64;

/// The array of a npy file, of format 1.0, 2.0 or 3.0 and either byte order.
///
/// Float64 stays float64, as in MLX, which can use it on the CPU only.
///
/// # Errors
/// A file that is not npy, is shorter than its header says, or holds what MLX has no type for.
pub fn read_npy(path: &Path) -> Result<Array> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    parse(&bytes, &path.to_string_lossy())
}

/// Writes an array as a npy file, aside and then renamed.
///
/// # Errors
/// A bfloat16 array, which NumPy has no type for; the operating system's.
pub fn write_npy(path: &Path, array: &Array) -> Result<()> {
    let name = path.to_string_lossy();
    let (head, array) = encode(array, &name)?;
    write_aside(path, |file| {
        let written = file.write_all(&head);
        let elements = bytes(&array)?;
        written
            .and_then(|()| file.write_all(elements))
            .map_err(Error::io(path))
    })
}

/// The array in the bytes of a npy file; `name` is the file's, for errors. Bytes that follow the
/// elements are left alone, as NumPy does.
pub(super) fn parse(bytes: &[u8], name: &str) -> Result<Array> {
    let (header, start) = head(bytes, name)?;
    let length = elements_length(&header, name)?;
    let elements = &bytes[start..];
    let Some(elements) = elements.get(..length) else {
        let reason = format!(
            "truncated: {} bytes of elements, {length} by its header",
            elements.len()
        );
        return Err(Error::file(name, reason));
    };
    if header.swapped == 1 {
        return build(&header, elements);
    }
    let mut turned = elements.to_vec();
    for piece in turned.chunks_exact_mut(header.swapped) {
        piece.reverse();
    }
    build(&header, &turned)
}

/// How long the npy file with this start is, if it is whole and can be in memory.
pub(super) fn whole_length(start: &[u8], name: &str) -> Result<u64> {
    let (header, before) = head(start, name)?;
    graph::check_fits(&header.shape, item_size(header.dtype))?;
    Ok((before as u64).saturating_add(elements_length(&header, name)? as u64))
}

/// The header, and where the elements start.
fn head(bytes: &[u8], name: &str) -> Result<(Header, usize)> {
    let truncated = || Error::file(name, "truncated within its npy header");
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        if !bytes.is_empty() && MAGIC.starts_with(bytes) {
            return Err(truncated());
        }
        let reason = format!("not a npy file: {}", looks_like(bytes));
        return Err(Error::file(name, reason));
    };
    let (start, length) = match rest {
        [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        [] | [1..=3, ..] => return Err(truncated()),
        [major, ..] => {
            let reason = format!("npy format {major}; expected 1.0, 2.0 or 3.0");
            return Err(Error::file(name, reason));
        }
    };
    let text = bytes[start..].get(..length).ok_or_else(truncated)?;
    // Formats 1 and 2 are Latin-1, but only ASCII can be a header that we accept.
    let header = header::parse(&String::from_utf8_lossy(text), name)?;
    Ok((header, start + length))
}

/// How many bytes the elements of a header take.
fn elements_length(header: &Header, name: &str) -> Result<usize> {
    let mut sizes = header.shape.iter();
    sizes
        .try_fold(item_size(header.dtype), |length, size| {
            length.checked_mul(*size as usize)
        })
        .ok_or_else(|| {
            let reason = format!("its header's shape {:?} is beyond counting", header.shape);
            Error::file(name, reason)
        })
}

fn build(header: &Header, elements: &[u8]) -> Result<Array> {
    if !header.fortran {
        return from_bytes(elements, &header.shape, header.dtype);
    }
    let reversed: Vec<i32> = header.shape.iter().rev().copied().collect();
    Ok(from_bytes(elements, &reversed, header.dtype)?.transpose()?)
}

/// The header of an array's npy file, and the array with its elements in order.
pub(super) fn encode(array: &Array, name: &str) -> Result<(Vec<u8>, Array)> {
    let Some(code) = header::code(array.dtype()) else {
        return Err(Error::file(
            name,
            "npy and npz files have no bfloat16; convert the array with `.astype(\"float32\")`, \
             or write a safetensors file",
        ));
    };
    let sizes: String = array
        .shape()
        .iter()
        .map(|size| format!("{size}, "))
        .collect();
    // One size is written with its comma, as Python writes a tuple.
    let sizes = match array.ndim() {
        1 => sizes.trim_end(),
        _ => sizes.trim_end_matches(", "),
    };
    let mut text = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    text.push('\n');
    let length = u16::try_from(text.len())
        .map_err(|_| Error::file(name, "the array has too many axes for a npy file"))?;
    let mut head = MAGIC.to_vec();
    head.extend([1, 0]);
    head.extend(length.to_le_bytes());
    head.extend(text.as_bytes());
    Ok((head, in_order(array)?))
}

#[cfg(test)]
mod tests;
