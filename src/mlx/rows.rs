//! Softmax of long rows on a CPU.
//!
//! MLX's exponential takes some ten nanoseconds a number there, one core, and at a vocabulary of many
//! thousands that was half of a training step. These loops are plain Rust that the compiler turns into
//! vector instructions, of the kind that the processor at hand has.

use super::{Array, Dtype, in_order};
use crate::error::{Error, Result};
use pulp::Arch;

/// Numbers that are worked on side by side.
const LANES: usize = 16;

/// Fewer numbers are not worth a thread.
const WORTH_THREADS: usize = 1 << 17;

/// What is known of each row of logits.
#[derive(Clone, Debug, Default)]
pub struct RowScores {
    /// Log-probability of the row's target.
    pub logprobs: Vec<f32>,
    /// Logarithm of the sum of the exponentials.
    pub log_sums: Vec<f32>,
    /// Shannon entropy of the softmax, in nats.
    pub entropies: Vec<f32>,
}

/// Gradients of each row by its log-probability and by its entropy, and the entropy.
pub struct EntropyGrads<'a> {
    pub by_logprobs: &'a [f32],
    pub by_entropies: &'a [f32],
    pub entropies: &'a [f32],
}

/// Scores of the rows of logits f32 `[n, V]`, with targets in `0..V`.
///
/// # Errors
/// MLX's, or another dtype or number of targets.
pub fn scores(logits: &Array, targets: &[i32]) -> Result<RowScores> {
    let logits = in_order(logits)?;
    let all = logits
        .try_as_slice::<f32>()
        .map_err(|e| Error::Mlx(e.to_string()))?;
    let width = width_of(&logits, targets.len())?;
    let mut found = vec![[0.0f32; 3]; targets.len()];
    let row = |row: &[f32], target: i32| {
        let [log_sum, entropy] = Arch::new().dispatch(|| row_scores(row));
        let chosen = row.get(target as usize).copied().unwrap_or(f32::NAN);
        [chosen - log_sum, log_sum, entropy]
    };
    let per_thread = rows_per_thread(targets.len(), width);
    std::thread::scope(|scope| {
        let parts = (all.chunks(per_thread * width))
            .zip(targets.chunks(per_thread))
            .zip(found.chunks_mut(per_thread));
        for ((rows, targets), found) in parts {
            let work = move || {
                let rows = rows.chunks(width).zip(targets).zip(found);
                rows.for_each(|((values, target), place)| *place = row(values, *target));
            };
            match per_thread < targets.len() || all.len() > per_thread * width {
                true => drop(scope.spawn(work)),
                false => work(),
            }
        }
    });
    Ok(RowScores {
        logprobs: found.iter().map(|row| row[0]).collect(),
        log_sums: found.iter().map(|row| row[1]).collect(),
        entropies: found.iter().map(|row| row[2]).collect(),
    })
}

/// The softmax of rows of logits f32 `[n, V]` whose logarithms of sums are known, written over the
/// logits; with `entropy` times `by_logprob + by_entropy (log p + entropy)`.
///
/// The logits must have been computed just now and be held by nobody else.
///
/// # Errors
/// MLX's, or another dtype or number of sums.
pub fn softmax_in_place(
    logits: Array,
    log_sums: &[f32],
    entropy: Option<&EntropyGrads>,
) -> Result<Array> {
    let logits = in_order(&logits)?;
    let width = width_of(&logits, log_sums.len())?;
    // SAFETY: the array is evaluated, contiguous and of f32, so that many numbers lie there; the
    // caller holds its only handle, so nobody reads them while they change.
    let all = unsafe {
        let data = mlx_sys::mlx_array_data_float32(logits.as_ptr()).cast_mut();
        if data.is_null() {
            return Err(Error::Mlx("the logits have no data on the host".into()));
        }
        std::slice::from_raw_parts_mut(data, logits.size())
    };
    let change = |i: usize, row: &mut [f32]| {
        let log_sum = log_sums[i];
        match entropy {
            None => Arch::new().dispatch(|| row.iter_mut().for_each(|z| *z = exp(*z - log_sum))),
            Some(e) => {
                let (by, own) = (e.by_logprobs[i], e.entropies[i]);
                let by_entropy = e.by_entropies[i];
                Arch::new().dispatch(|| {
                    for z in row.iter_mut() {
                        let logprob = (*z - log_sum).max(LEAST);
                        *z = exp(logprob) * (by + by_entropy * (logprob + own));
                    }
                });
            }
        }
        // A row that is not finite stays so.
        if !log_sum.is_finite() {
            row.fill(f32::NAN);
        }
    };
    let per_thread = rows_per_thread(log_sums.len(), width);
    std::thread::scope(|scope| {
        let several = all.len() > per_thread * width;
        for (part, rows) in all.chunks_mut(per_thread * width).enumerate() {
            let mut work = move || {
                for (i, row) in rows.chunks_mut(width).enumerate() {
                    change(part * per_thread + i, row);
                }
            };
            match several {
                true => drop(scope.spawn(work)),
                false => work(),
            }
        }
    });
    Ok(logits)
}

/// The length of a row, once it is sure that there are `rows` of f32.
fn width_of(logits: &Array, rows: usize) -> Result<usize> {
    if logits.dtype() != Dtype::Float32 || logits.ndim() != 2 || logits.dim(0) as usize != rows {
        let expected = format!("[{rows}, V] of float32");
        return Err(Error::shape("logits", expected, logits.shape()));
    }
    Ok((logits.dim(1) as usize).max(1))
}

fn rows_per_thread(rows: usize, width: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let worth = (rows * width / WORTH_THREADS).clamp(1, cores);
    rows.div_ceil(worth).max(1)
}

/// Logarithm of the sum of exponentials, and entropy.
#[inline(always)]
fn row_scores(row: &[f32]) -> [f32; 2] {
    // 1. The largest, so that no exponential overflows.
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    let mut broken = [0u32; LANES];
    for block in blocks {
        for i in 0..LANES {
            most[i] = most[i].max(block[i]);
            broken[i] |= u32::from(block[i].is_nan());
        }
    }
    let mut top = most.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut is_broken = broken.into_iter().any(|b| b != 0);
    for z in rest {
        top = top.max(*z);
        is_broken |= z.is_nan();
    }
    if is_broken || !top.is_finite() {
        return [f32::NAN; 2];
    }
    // 2. The sum, and the mean of the logits below the largest. Few numbers are added in one go: in
    // f32 a long sum would lose its last digits.
    let (mut sum, mut mean) = (0.0f64, 0.0f64);
    for many in blocks.chunks(64) {
        let (mut sums, mut means) = ([0.0f32; LANES], [0.0f32; LANES]);
        for block in many {
            for i in 0..LANES {
                let x = (block[i] - top).max(LEAST);
                let e = exp(x);
                sums[i] += e;
                means[i] += e * x;
            }
        }
        sum += f64::from(sums.into_iter().sum::<f32>());
        mean += f64::from(means.into_iter().sum::<f32>());
    }
    for z in rest {
        let x = (z - top).max(LEAST);
        let e = exp(x);
        sum += f64::from(e);
        mean += f64::from(e * x);
    }
    let log = sum.ln();
    [(f64::from(top) + log) as f32, (log - mean / sum) as f32]
}

/// Below this an exponential is next to nothing.
const LEAST: f32 = -87.0;

/// The exponential of up to 88, to about two units in the last place: `2^n` by the bits of a float, and
/// the polynomial of Cephes' `expf` for what is left. No branches, so that a loop of it becomes vector
/// instructions.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding it moves the whole part of a float to its last bits.
    const SHIFT: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.clamp(LEAST, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_66,
        0.5,
    ] {
        p = p * r + c;
    }
    let y = p * r * r + r + 1.0;
    let power = shifted
        .to_bits()
        .wrapping_sub(SHIFT.to_bits())
        .wrapping_add(127)
        << 23;
    y * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_a_few_last_places() {
        let mut worst = 0.0f64;
        for i in -86_000..=88_000 {
            let x = i as f32 / 1000.0;
            let right = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - right).abs() / right);
        }
        assert!(worst < 3.0 * f64::from(f32::EPSILON), "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn scores_and_softmax_are_those_of_f64() {
        let width = 16 * 64 + 5;
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 100.0 - 5.0;
        let numbers: Vec<f32> = (0..3 * width).map(value).collect();
        let logits = Array::from_slice(&numbers, &[3, width as i32]);
        let found = scores(&logits, &[0, 7, 1028]).unwrap();
        for (i, row) in numbers.chunks(width).enumerate() {
            let exps: Vec<f64> = row.iter().map(|z| f64::from(*z).exp()).collect();
            let sum: f64 = exps.iter().sum();
            let entropy: f64 = exps.iter().map(|e| -(e / sum) * (e / sum).ln()).sum();
            assert!((f64::from(found.log_sums[i]) - sum.ln()).abs() < 1e-5);
            assert!((f64::from(found.entropies[i]) - entropy).abs() < 1e-4);
        }
        assert!((found.logprobs[1] - (numbers[width + 7] - found.log_sums[1])).abs() < 1e-6);
        let p = softmax_in_place(logits, &found.log_sums, None).unwrap();
        for row in p.try_as_slice::<f32>().unwrap().chunks(width) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn excluded_tokens_count_for_nothing_and_broken_rows_show() {
        let low = f32::NEG_INFINITY;
        let logits = Array::from_slice(&[0.0, low, 0.0, 1.0, f32::NAN, 2.0], &[2, 3]);
        let found = scores(&logits, &[0, 0]).unwrap();
        assert!((found.entropies[0] - 2f32.ln()).abs() < 1e-6);
        assert!((found.logprobs[0] + 2f32.ln()).abs() < 1e-6);
        assert!(found.logprobs[1].is_nan());
        let p = softmax_in_place(logits, &found.log_sums, None).unwrap();
        let p = p.try_as_slice::<f32>().unwrap();
        assert!(p[1] < 1e-37 && p[3..].iter().all(|p| p.is_nan()));
    }
}
