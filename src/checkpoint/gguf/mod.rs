//! GGUF, the files of llama.cpp: named tensors, many kinds of them quantised, and metadata.

mod blocks;
mod kinds;
mod meta;
mod read;
mod repack;
mod source;
#[cfg(test)]
mod tests;
mod write;

pub use read::read_gguf;
pub use write::write_gguf;

use crate::mlx::Array;

/// What a GGUF file holds, in the order of the file.
#[derive(Clone, Debug)]
pub struct Gguf {
    /// The tensors. A tensor of type Q4_0, Q4_1 or Q8_0 is three arrays, as MLX quantises:
    /// `X.weight`, `X.scales` and `X.biases`, in groups of 32.
    pub tensors: Vec<(String, Array)>,
    /// Everything else that the file says.
    pub metadata: Vec<(String, Meta)>,
}

/// A value of the metadata.
#[derive(Clone, Debug)]
pub enum Meta {
    /// A whole number. It is written in the first of these types that holds it: `uint32`,
    /// `int32`, `uint64`, `int64`. One above 2^63 is read as an [`Meta::Array`] without axes.
    Int(i64),
    /// A number. It is written as `float32`, which is what readers expect, unless that would
    /// make it infinite.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Numbers along one axis. Written without axes, an array is one number of exactly its type.
    Array(Array),
    /// Texts, such as the words of a tokenizer.
    Texts(Vec<String>),
}

/// What a file starts with.
const MAGIC: &[u8; 4] = b"GGUF";

/// The version that is written. Version 2 differs only in name, version 1 in the size of lengths.
const VERSION: u32 = 3;

/// Tensors start at multiples of this, unless the metadata says otherwise.
const ALIGNMENT: u64 = 32;

/// Where the metadata says otherwise.
const ALIGNMENT_KEY: &str = "general.alignment";

/// More axes than any writer makes; gguflib, which MLX reads with, allows no more.
const MOST_AXES: usize = 8;
