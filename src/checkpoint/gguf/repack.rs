//! Blocks of 32 numbers that are quantised as MLX quantises: a scale, a bias, packed numbers.

use half::f16;

/// The numbers that share a scale.
pub(super) const GROUP: u64 = 32;

/// The bytes of the three arrays that MLX multiplies with.
#[derive(Default)]
pub(super) struct Affine {
    pub weight: Vec<u8>,
    pub scales: Vec<u8>,
    pub biases: Vec<u8>,
}

impl Affine {
    /// The scale and bias of a block. The bias is rounded to float16, as in MLX.
    fn scale(&mut self, scale: &[u8], bias: f16) {
        self.scales.extend(scale);
        self.biases.extend(bias.to_le_bytes());
    }

    /// Numbers of four bits: a byte holds one of the first half and one of the second in a
    /// block, but two neighbours in MLX.
    fn nibbles(&mut self, quants: &[u8]) {
        let pairs = quants.chunks_exact(2);
        self.weight
            .extend(pairs.clone().map(|pair| (pair[0] & 15) | (pair[1] << 4)));
        self.weight
            .extend(pairs.map(|pair| (pair[0] >> 4) | (pair[1] & 0xf0)));
    }
}

/// A float16 of a block.
pub(super) fn half(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

/// A scale; numbers from -8 to 7.
pub(super) fn q4_0(block: &[u8], into: &mut Affine) {
    let bias = f16::from_f32(-8.0 * half(block, 0).to_f32());
    into.scale(&block[..2], bias);
    into.nibbles(&block[2..]);
}

/// A scale and a bias; numbers from 0 to 15.
pub(super) fn q4_1(block: &[u8], into: &mut Affine) {
    into.scale(&block[..2], half(block, 2));
    into.nibbles(&block[4..]);
}

/// A scale; numbers from -128 to 127, which MLX counts from 0.
pub(super) fn q8_0(block: &[u8], into: &mut Affine) {
    let bias = f16::from_f32(-128.0 * half(block, 0).to_f32());
    into.scale(&block[..2], bias);
    into.weight
        .extend(block[2..].iter().map(|number| number ^ 0x80));
}
