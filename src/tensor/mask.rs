//! Attention masks, in MLX's meaning: true = may attend.

use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use mlx_rs::ops;

/// What restricts a causal mask besides causality.
#[derive(Clone, Debug, Default)]
pub struct MaskOptions {
    /// Positions before the first query.
    pub offset: i32,
    /// A query sees at most this many positions, itself included.
    pub window: Option<i32>,
    /// For each row, how many leading positions are padding.
    pub left_padding: Option<Vec<i32>>,
    /// For each row, how many trailing positions are padding.
    pub right_padding: Option<Vec<i32>>,
}

/// The causal mask of `n` queries at the end of `offset + n` positions.
///
/// # Shapes
/// - returns: bool `[n, offset + n]`; with a padding list of B entries `[B, 1, n, offset + n]`
pub fn causal_mask(n: i32, options: &MaskOptions) -> Result<Array> {
    if n < 0 || options.offset < 0 {
        return Err(Error::value(
            "causal_mask",
            format!("n = {n}, offset = {}", options.offset),
            "sizes of at least 0",
        ));
    }
    let total = options.offset + n;
    let keys = Array::arange::<_, i32>(None, total, None)?.reshape(&[1, total])?;
    let queries = Array::arange::<_, i32>(options.offset, total, None)?.reshape(&[n, 1])?;
    let mut mask = queries.ge(&keys)?;
    if let Some(window) = options.window {
        mask = mask.logical_and(queries.lt(&keys.add(Array::from_int(window))?)?)?;
    }
    if let Some(left) = &options.left_padding {
        let first = column(left);
        mask = mask.logical_and(keys.ge(&first)?)?;
    }
    if let Some(right) = &options.right_padding {
        let end: Vec<i32> = right.iter().map(|pad| total - pad).collect();
        mask = mask.logical_and(keys.lt(column(&end))?)?;
    }
    Ok(mask.as_dtype(Dtype::Bool)?)
}

/// One number for each row of a batch, as `[B, 1, 1, 1]`.
fn column(values: &[i32]) -> Array {
    Array::from_slice(values, &[values.len() as i32, 1, 1, 1])
}

/// The mask of real tokens in right-padded rows of given lengths.
///
/// # Shapes
/// - returns: bool `[B, width]`, true for real tokens
pub fn length_mask(lengths: &[i32], width: i32) -> Result<Array> {
    let positions = Array::arange::<_, i32>(None, width, None)?.reshape(&[1, width])?;
    let lengths = Array::from_slice(lengths, &[lengths.len() as i32, 1]);
    Ok(ops::lt(&positions, &lengths)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(mask: &Array) -> Vec<String> {
        let width = mask.dim(-1) as usize;
        let bits = mask.to_vec_exact::<bool>().unwrap();
        bits.chunks(width)
            .map(|row| row.iter().map(|b| if *b { '1' } else { '0' }).collect())
            .collect()
    }

    #[test]
    fn causal_with_offset_window_and_padding() {
        // Values of mlx-lm 0.32.2's create_causal_mask.
        let plain = causal_mask(3, &MaskOptions::default()).unwrap();
        assert_eq!(rows(&plain), ["100", "110", "111"]);
        let offset = MaskOptions {
            offset: 2,
            ..Default::default()
        };
        assert_eq!(rows(&causal_mask(2, &offset).unwrap()), ["1110", "1111"]);
        let padded = MaskOptions {
            left_padding: Some(vec![2, 1, 0]),
            ..Default::default()
        };
        let mask = causal_mask(3, &padded).unwrap();
        assert_eq!(mask.shape(), [3, 1, 3, 3]);
        assert_eq!(
            rows(&mask),
            [
                "000", "000", "001", "000", "010", "011", "100", "110", "111"
            ]
        );
        let window = MaskOptions {
            window: Some(2),
            ..Default::default()
        };
        assert_eq!(
            rows(&causal_mask(3, &window).unwrap()),
            ["100", "110", "011"]
        );
    }

    #[test]
    fn right_padding_hides_the_end() {
        let options = MaskOptions {
            right_padding: Some(vec![1]),
            ..Default::default()
        };
        assert_eq!(
            rows(&causal_mask(3, &options).unwrap()),
            ["100", "110", "110"]
        );
        assert_eq!(rows(&length_mask(&[1, 3], 3).unwrap()), ["100", "111"]);
    }
}
