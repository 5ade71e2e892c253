//! The types of tensors: how long their blocks are, and what becomes of them.

use super::{blocks, repack};
use crate::mlx::Dtype;

/// A type of tensors that can be read.
pub(super) struct Kind {
    pub number: u32,
    pub name: &'static str,
    /// Elements of a block, which lie along the last axis.
    pub elements: u64,
    /// Bytes of a block.
    pub bytes: u64,
    pub becomes: Becomes,
}

/// What the blocks become.
pub(super) enum Becomes {
    /// The same bytes.
    Same(Dtype),
    /// Packed numbers of this many bits, with a scale and a bias for each block.
    Affine(i32, fn(&[u8], &mut repack::Affine)),
    /// Float16, through the numbers of each block.
    Float16(fn(&[u8], &mut [f32])),
}

/// The type of a number, if it can be read.
pub(super) fn find(number: u32) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.number == number)
}

/// The number of the type that stores an element type as it is.
pub(super) fn plain(dtype: Dtype) -> Option<u32> {
    KINDS.iter().find_map(|kind| match kind.becomes {
        Becomes::Same(same) if same == dtype => Some(kind.number),
        _ => None,
    })
}

/// Why a type cannot be read.
pub(super) fn refusal(number: u32) -> String {
    let known = OTHERS.iter().find(|(other, _)| *other == number);
    let name = known.map_or("unknown", |(_, name)| name);
    let supported: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    format!(
        "type {number} ({name}) is not supported; supported are {}",
        supported.join(", ")
    )
}

const fn same(number: u32, name: &'static str, bytes: u64, dtype: Dtype) -> Kind {
    Kind {
        number,
        name,
        elements: 1,
        bytes,
        becomes: Becomes::Same(dtype),
    }
}

const fn affine(
    number: u32,
    name: &'static str,
    bytes: u64,
    bits: i32,
    repack: fn(&[u8], &mut repack::Affine),
) -> Kind {
    Kind {
        number,
        name,
        elements: repack::GROUP,
        bytes,
        becomes: Becomes::Affine(bits, repack),
    }
}

const fn float16(
    number: u32,
    name: &'static str,
    elements: u64,
    bytes: u64,
    expand: fn(&[u8], &mut [f32]),
) -> Kind {
    Kind {
        number,
        name,
        elements,
        bytes,
        becomes: Becomes::Float16(expand),
    }
}

const KINDS: [Kind; 18] = [
    same(0, "F32", 4, Dtype::Float32),
    same(1, "F16", 2, Dtype::Float16),
    same(30, "BF16", 2, Dtype::Bfloat16),
    same(28, "F64", 8, Dtype::Float64),
    same(24, "I8", 1, Dtype::Int8),
    same(25, "I16", 2, Dtype::Int16),
    same(26, "I32", 4, Dtype::Int32),
    same(27, "I64", 8, Dtype::Int64),
    affine(2, "Q4_0", 18, 4, repack::q4_0),
    affine(3, "Q4_1", 20, 4, repack::q4_1),
    affine(8, "Q8_0", 34, 8, repack::q8_0),
    float16(6, "Q5_0", 32, 22, blocks::q5_0),
    float16(7, "Q5_1", 32, 24, blocks::q5_1),
    float16(10, "Q2_K", 256, 84, blocks::q2_k),
    float16(11, "Q3_K", 256, 110, blocks::q3_k),
    float16(12, "Q4_K", 256, 144, blocks::q4_k),
    float16(13, "Q5_K", 256, 176, blocks::q5_k),
    float16(14, "Q6_K", 256, 210, blocks::q6_k),
];

/// The types that are named, but not read.
const OTHERS: [(u32, &str); 14] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];
