//! Files of named arrays.

use super::aside::{check_names, looks_like, replace_by};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, bytes};
use safetensors::tensor::{Dtype as StDtype, Metadata, TensorView};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The arrays of one file. They are read from it when they are first used.
///
/// # Errors
/// A file that is not in this format, or shorter than its header says.
pub fn read(path: &Path) -> Result<HashMap<String, Array>> {
    Ok(read_with_metadata(path)?.0)
}

/// The arrays of one file, and the texts that its writer kept beside them.
///
/// # Errors
/// As for [`read`].
pub fn read_with_metadata(
    path: &Path,
) -> Result<(HashMap<String, Array>, HashMap<String, String>)> {
    let metadata = check(path)?;
    let loaded = Array::load_safetensors(path).map_err(|e| Error::file(path, e))?;
    Ok((loaded, metadata.metadata().clone().unwrap_or_default()))
}

/// Compares the header with the size of the file, so that a truncated download is named as such
/// before anything is read from it. Answers with the header.
fn check(path: &Path) -> Result<Metadata> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut size = [0u8; 8];
    let truncated = || Error::file(path, "truncated: shorter than a safetensors header");
    file.read_exact(&mut size).map_err(|_| truncated())?;
    let header = u64::from_le_bytes(size);
    if header > 100_000_000 {
        let found = looks_like(&size);
        return Err(Error::file(
            path,
            format!("not a safetensors file: {found}"),
        ));
    }
    if length < 8 + header {
        return Err(truncated());
    }
    let mut buffer = vec![0; header as usize];
    file.read_exact(&mut buffer).map_err(|_| truncated())?;
    let metadata: Metadata = serde_json::from_slice(&buffer)
        .map_err(|e| Error::file(path, format!("not a safetensors file: {e}")))?;
    let expected = 8 + header + metadata.data_len() as u64;
    if length == expected {
        Ok(metadata)
    } else {
        Err(Error::file(
            path,
            format!("truncated or damaged: {length} bytes, {expected} by its header"),
        ))
    }
}

/// Writes named arrays, in order, aside and then renamed.
pub fn write(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    // transformers asks for a known format; the names and layout are PyTorch's.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    write_with_metadata(path, arrays, &metadata)
}

/// Writes named arrays with texts beside them, aside and then renamed.
///
/// # Errors
/// Arrays of float64 or complex numbers, which MLX does not read again; two arrays of one name; the
/// operating system's.
pub fn write_with_metadata(
    path: &Path,
    arrays: &[(String, Array)],
    metadata: &HashMap<String, String>,
) -> Result<()> {
    check_names(path, arrays)?;
    // The bytes must lie in order before they are borrowed.
    let arrays: Vec<(&str, Array)> = arrays
        .iter()
        .map(|(name, array)| Ok((name.as_str(), array.contiguous()?)))
        .collect::<Result<_>>()?;
    crate::mlx::eval(arrays.iter().map(|(_, array)| array))?;
    let mut views = Vec::with_capacity(arrays.len());
    for (name, array) in &arrays {
        let shape: Vec<usize> = array.shape().iter().map(|d| *d as usize).collect();
        let view = TensorView::new(st_dtype(path, name, array.dtype())?, shape, bytes(array)?)
            .map_err(|e| Error::file(path, e))?;
        views.push((*name, view));
    }
    // A file without texts has no place for them either.
    let metadata = (!metadata.is_empty()).then(|| metadata.clone());
    replace_by(path, |aside| {
        safetensors::serialize_to_file(views, metadata, aside).map_err(|e| Error::file(path, e))
    })
}

/// Those that MLX reads again, too.
fn st_dtype(path: &Path, name: &str, dtype: Dtype) -> Result<StDtype> {
    Ok(match dtype {
        Dtype::Bool => StDtype::BOOL,
        Dtype::Uint8 => StDtype::U8,
        Dtype::Uint16 => StDtype::U16,
        Dtype::Uint32 => StDtype::U32,
        Dtype::Uint64 => StDtype::U64,
        Dtype::Int8 => StDtype::I8,
        Dtype::Int16 => StDtype::I16,
        Dtype::Int32 => StDtype::I32,
        Dtype::Int64 => StDtype::I64,
        Dtype::Float16 => StDtype::F16,
        Dtype::Bfloat16 => StDtype::BF16,
        Dtype::Float32 => StDtype::F32,
        Dtype::Float64 | Dtype::Complex64 => {
            let dtype = crate::tensor::dtype::name(dtype);
            let reason = format!(
                "`{name}` is {dtype}, which safetensors files do not hold here; \
                 cast it (`.astype(\"float32\")`), or save npy or npz"
            );
            return Err(Error::file(path, reason));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::to_f32;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let a = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
        let half = a.as_dtype(Dtype::Bfloat16).unwrap();
        let turned = a.transpose().unwrap();
        let arrays = [
            ("a".to_string(), a),
            ("half".to_string(), half),
            ("turned".to_string(), turned),
        ];
        write(&path, &arrays).unwrap();
        let loaded = read(&path).unwrap();
        assert_eq!(to_f32(&loaded["a"]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(loaded["half"].dtype(), Dtype::Bfloat16);
        assert_eq!(to_f32(&loaded["turned"]).unwrap(), [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn texts_come_back_with_the_arrays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let arrays = [("a".to_string(), Array::from_int(7))];
        let texts = HashMap::from([("step".to_string(), "12 \u{e9}".to_string())]);
        write_with_metadata(&path, &arrays, &texts).unwrap();
        let (loaded, found) = read_with_metadata(&path).unwrap();
        assert_eq!(found, texts);
        assert_eq!(loaded["a"].shape(), [0i32; 0]);
        write_with_metadata(&path, &arrays, &HashMap::new()).unwrap();
        assert!(read_with_metadata(&path).unwrap().1.is_empty());
        write(&path, &arrays).unwrap();
        assert_eq!(read_with_metadata(&path).unwrap().1["format"], "pt");
    }

    #[test]
    fn a_truncated_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        write(
            &path,
            &[("a".into(), Array::from_slice(&[0f32; 64], &[64]))],
        )
        .unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 4, 12, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("truncated"), "{length}: {error}");
        }
        std::fs::write(&path, b"{\"not\": \"safetensors\", \"at\": \"all\"}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("not a safetensors file"), "{error}");
    }
}
