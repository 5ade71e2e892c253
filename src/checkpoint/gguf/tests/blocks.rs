//! Blocks as gguf-py, llama.cpp's own reader, sees them.

use super::*;
use half::f16;

/// Two blocks of bytes without a pattern, with floats where the scales are.
pub(super) fn blocks(length: usize, halves: &[(usize, f32)]) -> Vec<u8> {
    let block = |k: usize| {
        let mut block: Vec<u8> = (0..length).map(|i| (i * 89 + 41 + k * 13) as u8).collect();
        for (at, value) in halves {
            block[*at..at + 2].copy_from_slice(&f16::from_f32(*value).to_le_bytes());
        }
        block
    };
    [block(0), block(1)].concat()
}

/// FNV-1a, to compare many numbers with what gguf-py made of the same blocks.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn blocks_become_what_gguf_py_makes_of_them() {
    type Case = (u32, u64, usize, &'static [(usize, f32)], u64, [f32; 2]);
    let cases: [Case; 7] = [
        (6, 32, 22, &[(0, 0.5)], 0xd0d8_a37b_d90e_e5c4, [7.5, 4.0]),
        (
            7,
            32,
            24,
            &[(0, 0.5), (2, -3.0)],
            0x0c99_8e7f_4d5c_dd06,
            [5.5, 2.0],
        ),
        (
            10,
            256,
            84,
            &[(80, 0.25), (82, 0.125)],
            0x0045_88fc_7667_d39a,
            [2.0, 4.25],
        ),
        (
            11,
            256,
            110,
            &[(108, 0.03)],
            0x4510_ed1d_937c_1e73,
            [-0.20996094, 0.41992188],
        ),
        (
            12,
            256,
            144,
            &[(0, 0.03), (2, 0.07)],
            0x58d8_a098_367c_1e11,
            [0.079_467_77, -2.6503906],
        ),
        (
            13,
            256,
            176,
            &[(0, 0.03), (2, 0.07)],
            0x3dee_d3cf_f271_e1e4,
            [6.3203125, -2.6503906],
        ),
        (
            14,
            256,
            210,
            &[(208, 0.01)],
            0xaeaf_5efb_e68f_7c56,
            [1.6103516, -0.46020508],
        ),
    ];
    let place = Place::new();
    for (kind, elements, length, halves, expected, first) in cases {
        let data = blocks(length, halves);
        let read = place
            .read(&file("x", &[elements, 2], kind, &[], &data))
            .unwrap();
        let array = find(&read, "x");
        assert_eq!(array.dtype(), Dtype::Float16);
        assert_eq!(array.shape(), [2, elements as i32]);
        assert_eq!(to_f32(array).unwrap()[..2], first, "type {kind}");
        assert_eq!(hash(bytes(array).unwrap()), expected, "type {kind}");
    }
}

#[test]
fn a_triple_stands_for_what_gguf_py_makes_of_its_blocks() {
    type Case = (u32, usize, i32, &'static [(usize, f32)], u64);
    let cases: [Case; 3] = [
        (2, 18, 4, &[(0, 0.5)], 0x9e11_cd17_0ba3_f149),
        (3, 20, 4, &[(0, 0.5), (2, -3.0)], 0x46b6_fa71_6c7a_7aae),
        (8, 34, 8, &[(0, 0.5)], 0x2d20_0e75_a7dc_8495),
    ];
    let place = Place::new();
    for (kind, length, bits, halves, expected) in cases {
        let data = blocks(length, halves);
        let read = place
            .read(&file("x.weight", &[64], kind, &[], &data))
            .unwrap();
        let names: Vec<&str> = read.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x.weight", "x.scales", "x.biases"]);
        let weight = find(&read, "x.weight");
        assert_eq!(
            (weight.dtype(), weight.shape()),
            (Dtype::Uint32, &[2 * bits][..])
        );
        let scales = to_f32(find(&read, "x.scales")).unwrap();
        let biases = to_f32(find(&read, "x.biases")).unwrap();
        let packed = bytes(weight).unwrap();
        let number = |i: usize| match bits {
            4 => packed[i / 2] >> (i % 2 * 4) & 15,
            _ => packed[i],
        };
        let numbers = (0..64).map(|i| scales[i / 32] * f32::from(number(i)) + biases[i / 32]);
        let halves: Vec<u8> = numbers
            .flat_map(|number| f16::from_f32(number).to_le_bytes())
            .collect();
        assert_eq!(hash(&halves), expected, "type {kind}");
    }
}
