//! Files that MLX wrote, and our own.

mod blocks;
mod damage;

use super::*;
use crate::mlx::{Dtype, bytes, from_bytes};
use crate::tensor::to_f32;
use std::path::PathBuf;

/// `mx.save_gguf(f, {"a.weight": [[1, 2, 3], [4, 5, 6]] as int8}, {"v": [1.5, 2.5],
/// "list": ["a", "bc"], "n": 3 as uint32, "name": "x y"})`
const MLX: &[u8] = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0v\x09\0\0\0\x06\0\0\0\x02\0\0\0\0\0\0\0\0\0\xc0?\0\0\x20@\
    \x04\0\0\0\0\0\0\0list\x09\0\0\0\x08\0\0\0\x02\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0a\x02\0\0\0\0\0\0\0bc\
    \x01\0\0\0\0\0\0\0n\x04\0\0\0\x03\0\0\0\
    \x04\0\0\0\0\0\0\0name\x08\0\0\0\x03\0\0\0\0\0\0\0x y\
    \x08\0\0\0\0\0\0\0a.weight\x02\0\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
    \x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\x01\x02\x03\x04\x05\x06";

/// A folder with one file in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("a.gguf")
    }

    fn read(&self, bytes: &[u8]) -> crate::Result<Gguf> {
        std::fs::write(self.path(), bytes).unwrap();
        read_gguf(&self.path())
    }

    fn message(&self, bytes: &[u8]) -> String {
        self.read(bytes).unwrap_err().to_string()
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    meta::write_text(&mut out, text);
    out
}

/// A file of one tensor, its sizes innermost first, whose data starts after the alignment.
fn file(name: &str, sizes: &[u64], kind: u32, metadata: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let mut file = [&MAGIC[..], &VERSION.to_le_bytes(), &1u64.to_le_bytes()].concat();
    file.extend((metadata.len() as u64).to_le_bytes());
    file.extend(metadata.concat());
    file.extend(text(name));
    file.extend((sizes.len() as u32).to_le_bytes());
    file.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    file.extend(kind.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    [&file[..], data].concat()
}

fn find<'a>(file: &'a Gguf, name: &str) -> &'a Array {
    let found = file.tensors.iter().find(|(found, _)| found == name);
    &found.unwrap().1
}

#[test]
fn every_type_and_shape_comes_back() {
    let numbers = Array::from_slice(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let types = [
        Dtype::Float32,
        Dtype::Float16,
        Dtype::Bfloat16,
        Dtype::Int8,
        Dtype::Int16,
        Dtype::Int32,
        Dtype::Int64,
    ];
    let mut tensors = Vec::new();
    for dtype in types {
        let whole = numbers.as_dtype(dtype).unwrap();
        tensors.push((format!("{dtype:?}.turned"), whole.transpose().unwrap()));
        tensors.push((format!("{dtype:?}"), whole));
        let empty = from_bytes(&[], &[0, 4], dtype).unwrap();
        tensors.push((format!("{dtype:?}.empty"), empty));
    }
    let double = from_bytes(&0.1f64.to_le_bytes(), &[], Dtype::Float64).unwrap();
    tensors.push(("double".into(), double));
    let place = Place::new();
    let alignment = ("general.alignment".to_string(), Meta::Int(64));
    for metadata in [&[][..], &[alignment]] {
        write_gguf(&place.path(), &tensors, metadata).unwrap();
        let read = read_gguf(&place.path()).unwrap();
        assert_eq!(read.tensors.len(), tensors.len());
        for ((name, array), (found_name, found)) in tensors.iter().zip(&read.tensors) {
            assert_eq!((name, array.dtype()), (found_name, found.dtype()));
            assert_eq!(array.shape(), found.shape(), "{name}");
            let array = array.contiguous().unwrap();
            assert_eq!(bytes(&array).unwrap(), bytes(found).unwrap(), "{name}");
        }
    }
}

#[test]
fn metadata_comes_back() {
    let large = from_bytes(&u64::MAX.to_le_bytes(), &[], Dtype::Uint64).unwrap();
    let metadata = [
        ("count", Meta::Int(7)),
        ("less", Meta::Int(-7)),
        ("more", Meta::Int(1 << 40)),
        ("least", Meta::Int(i64::MIN)),
        ("float", Meta::Float(0.5)),
        ("long", Meta::Float(1e300)),
        ("truth", Meta::Bool(true)),
        ("text", Meta::Text("zwölf".into())),
        ("texts", Meta::Texts(vec!["a".into(), String::new()])),
        ("none", Meta::Texts(Vec::new())),
        (
            "array",
            Meta::Array(Array::from_slice(&[true, false], &[2])),
        ),
        ("large", Meta::Array(large)),
    ]
    .map(|(key, value)| (key.to_string(), value));
    let place = Place::new();
    write_gguf(&place.path(), &[], &metadata).unwrap();
    let read = read_gguf(&place.path()).unwrap();
    for ((key, value), (found_key, found)) in metadata.iter().zip(&read.metadata) {
        assert_eq!(key, found_key);
        assert_eq!(format!("{value:?}"), format!("{found:?}"));
    }
    let grid = Meta::Array(Array::from_slice(&[1i32], &[1, 1]));
    assert!(write_gguf(&place.path(), &[], &[("a".into(), grid)]).is_err());
    let twice = [("a".into(), Meta::Int(1)), ("a".into(), Meta::Int(2))];
    assert!(write_gguf(&place.path(), &[], &twice).is_err());
}

#[test]
fn what_mlx_writes_is_read() {
    let read = Place::new().read(MLX).unwrap();
    let array = find(&read, "a.weight");
    assert_eq!((array.dtype(), array.shape()), (Dtype::Int8, &[2, 3][..]));
    assert_eq!(to_f32(array).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let value = |key: &str| {
        read.metadata
            .iter()
            .find(|(found, _)| found == key)
            .unwrap()
    };
    assert!(matches!(&value("name").1, Meta::Text(text) if text == "x y"));
    assert!(matches!(&value("n").1, Meta::Int(3)));
    assert!(matches!(&value("list").1, Meta::Texts(texts) if texts == &["a", "bc"]));
    assert!(matches!(&value("v").1, Meta::Array(v) if to_f32(v).unwrap() == [1.5, 2.5]));
}
