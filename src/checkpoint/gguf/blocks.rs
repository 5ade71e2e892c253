//! Blocks of quantised numbers that MLX has no like of, as the numbers that they stand for.
//!
//! A number is a scale times what is stored, less an offset. In the blocks of 256 (`_K`) the
//! scales are quantised too. Low and high bits of what is stored lie apart, and neighbours in a
//! byte are far apart in the array: the code follows the order of the bytes.

use super::repack::half;

/// Numbers of `bits` 0 to 4 in `low`, with a fifth in `high`; first the lower halves of the bytes.
fn five(low: &[u8], high: &[u8]) -> [i32; 32] {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    std::array::from_fn(|i| {
        let byte = low[i % 16];
        let nibble = if i < 16 { byte & 15 } else { byte >> 4 };
        i32::from(nibble) | ((high >> i & 1) << 4) as i32
    })
}

/// A scale; numbers from -16 to 15.
pub(super) fn q5_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0).to_f32();
    for (out, stored) in out.iter_mut().zip(five(&block[6..], &block[2..6])) {
        *out = scale * (stored - 16) as f32;
    }
}

/// A scale and a bias; numbers from 0 to 31.
pub(super) fn q5_1(block: &[u8], out: &mut [f32]) {
    let (scale, bias) = (half(block, 0).to_f32(), half(block, 2).to_f32());
    for (out, stored) in out.iter_mut().zip(five(&block[8..], &block[4..8])) {
        *out = scale * stored as f32 + bias;
    }
}

/// 16 scales and offsets of four bits each, numbers of two bits, and what scales the scales.
pub(super) fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (scale, offset) = (half(block, 80).to_f32(), half(block, 82).to_f32());
    for (group, (out, packed)) in out.chunks_exact_mut(16).zip(scales).enumerate() {
        let scale = scale * f32::from(packed & 15);
        let offset = offset * f32::from(packed >> 4);
        for (out, byte) in out.iter_mut().zip(&quants[two_bits_at(group)..]) {
            *out = scale * f32::from(byte >> two_bits_shift(group) & 3) - offset;
        }
    }
}

/// Where the two-bit numbers of a group of 16 lie: 32 bytes hold four pairs of groups.
fn two_bits_at(group: usize) -> usize {
    group / 8 * 32 + group % 2 * 16
}

/// How far up they lie in their bytes.
fn two_bits_shift(group: usize) -> usize {
    group % 8 / 2 * 2
}

/// Numbers of two bits and a third apart, 16 scales of six bits, and what scales the scales.
pub(super) fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, quants, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let scale = half(block, 108).to_f32();
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = scales[group % 8] >> (group / 8 * 4) & 15;
        let upper = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = scale * (i32::from(low | upper << 4) - 32) as f32;
        let quants = &quants[two_bits_at(group)..];
        let high = &high[group % 2 * 16..];
        for (out, (byte, high)) in out.iter_mut().zip(quants.iter().zip(high)) {
            let stored = i32::from(byte >> two_bits_shift(group) & 3);
            // A high bit that is not set takes four away.
            let taken = if high >> (group / 2) & 1 == 1 { 0 } else { 4 };
            *out = scale * (stored - taken) as f32;
        }
    }
}

/// The scale and offset of one of eight groups, six bits each in twelve bytes.
fn six_bits(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, offset) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let (low, up) = (packed[group + 4], [packed[group - 4], packed[group]]);
        (low & 15 | up[0] >> 6 << 4, low >> 4 | up[1] >> 6 << 4)
    };
    (scale.into(), offset.into())
}

/// What scales the scales, eight scales and offsets, numbers of four bits.
///
/// MLX 0.32 differs here: its gguflib takes the scale of every even group for the odd one after it
/// too. This is as llama.cpp has it.
pub(super) fn q4_k(block: &[u8], out: &mut [f32]) {
    four_and_more(block, &[], &block[16..], out);
}

/// The same with a fifth bit apart.
pub(super) fn q5_k(block: &[u8], out: &mut [f32]) {
    four_and_more(block, &block[16..48], &block[48..], out);
}

/// Eight groups of 32. Two share 32 bytes of `quants`, and each has a bit of every byte of `high`.
fn four_and_more(block: &[u8], high: &[u8], quants: &[u8], out: &mut [f32]) {
    let (scale, offset) = (half(block, 0).to_f32(), half(block, 2).to_f32());
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (times, less) = six_bits(&block[4..16], group);
        let (scale, offset) = (scale * times, offset * less);
        let bytes = &quants[group / 2 * 32..];
        for (i, (out, byte)) in out.iter_mut().zip(bytes).enumerate() {
            let nibble = byte >> (group % 2 * 4) & 15;
            let fifth = high.get(i).map_or(0, |bits| bits >> group & 1);
            *out = scale * f32::from(nibble | fifth << 4) - offset;
        }
    }
}

/// Numbers of four bits and two apart, 16 scales of eight bits, and what scales the scales.
pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half(block, 208).to_f32();
    for (group, (out, times)) in out.chunks_exact_mut(16).zip(scales).enumerate() {
        let scale = scale * f32::from(*times as i8);
        // Half of the block has 64 bytes of `low`, used twice, and 32 of `high`, used four times.
        let (part, within) = (group / 8, group % 8);
        let low = &low[part * 64 + within % 4 * 16..];
        let high = &high[part * 32 + within % 2 * 16..];
        for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
            let nibble = low >> (within / 4 * 4) & 15;
            let upper = high >> (within / 2 * 2) & 3;
            *out = scale * (i32::from(nibble | upper << 4) - 32) as f32;
        }
    }
}
