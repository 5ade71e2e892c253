//! Writing GGUF.

use super::{ALIGNMENT, ALIGNMENT_KEY, MAGIC, MOST_AXES, Meta, VERSION, kinds, meta};
use crate::checkpoint::aside::{check_names, write_aside};
use crate::error::{Error, Result};
use crate::mlx::{Array, bytes, in_order};
use crate::tensor::dtype;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Writes tensors and metadata as a GGUF file of version 3, aside and then renamed.
///
/// Tensors are stored as they are: float32, float16, bfloat16, float64 and the signed integers.
/// MLX reads all of these but float64 and int64, and bfloat16 as float16.
///
/// # Errors
/// A tensor of another type or with more than eight axes; a name that is there twice; metadata
/// that GGUF has no type for.
pub fn write_gguf(
    path: &Path,
    tensors: &[(String, Array)],
    metadata: &[(String, Meta)],
) -> Result<()> {
    check_names(path, tensors)?;
    let alignment = alignment(path, metadata)?;
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend((metadata.len() as u64).to_le_bytes());
    let mut seen = HashSet::new();
    for (key, value) in metadata {
        let wrong = |e: &dyn std::fmt::Display| Error::file(path, format!("metadata `{key}`: {e}"));
        if !seen.insert(key) {
            return Err(wrong(&"it is there twice"));
        }
        meta::write_text(&mut head, key);
        meta::write(&mut head, value).map_err(|e| wrong(&e))?;
    }
    let mut offset = 0;
    for (name, array) in tensors {
        info(&mut head, name, array, offset).map_err(|reason| Error::file(path, reason))?;
        offset += (array.nbytes() as u64).next_multiple_of(alignment);
    }
    pad(&mut head, alignment);
    write_aside(path, |file| {
        file.write_all(&head).map_err(Error::io(path))?;
        for (_, array) in tensors {
            let array = in_order(array)?;
            let elements = bytes(&array)?;
            file.write_all(elements).map_err(Error::io(path))?;
            // The last tensor is padded too: llama.cpp asks for it.
            let mut rest = vec![0; elements.len() % alignment as usize];
            pad(&mut rest, alignment);
            let rest = &rest[elements.len() % alignment as usize..];
            file.write_all(rest).map_err(Error::io(path))?;
        }
        Ok(())
    })
}

/// Fills up to a multiple of the alignment.
fn pad(bytes: &mut Vec<u8>, alignment: u64) {
    bytes.resize(bytes.len().next_multiple_of(alignment as usize), 0);
}

fn alignment(path: &Path, metadata: &[(String, Meta)]) -> Result<u64> {
    match metadata.iter().find(|(key, _)| key == ALIGNMENT_KEY) {
        None => Ok(ALIGNMENT),
        Some((_, Meta::Int(number @ 8..=65536))) if number.count_ones() == 1 => Ok(*number as u64),
        Some((_, other)) => {
            let reason = format!(
                "metadata `{ALIGNMENT_KEY}` is {other:?}; expected a power of two from 8 to 65536"
            );
            Err(Error::file(path, reason))
        }
    }
}

/// Appends what the file says of a tensor; the error is the reason alone.
fn info(out: &mut Vec<u8>, name: &str, array: &Array, offset: u64) -> Result<(), String> {
    let kind = kinds::plain(array.dtype()).ok_or_else(|| {
        format!(
            "tensor `{name}` is {}; GGUF has float32, float16, bfloat16, float64, int8, int16, \
             int32 and int64 (convert it with `.astype`, dequantize it, or write safetensors)",
            dtype::name(array.dtype())
        )
    })?;
    if array.ndim() > MOST_AXES {
        let found = array.ndim();
        return Err(format!(
            "tensor `{name}` has {found} axes; GGUF has at most {MOST_AXES}"
        ));
    }
    meta::write_text(out, name);
    out.extend((array.ndim() as u32).to_le_bytes());
    for size in array.shape().iter().rev() {
        out.extend((*size as u64).to_le_bytes());
    }
    out.extend(kind.to_le_bytes());
    out.extend(offset.to_le_bytes());
    Ok(())
}
