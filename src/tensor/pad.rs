//! Ragged lists of token ids as rectangular arrays.

use crate::mlx::Array;

/// Where padding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Rows of ids filled up to the longest with `pad`.
///
/// # Shapes
/// - returns: `int32` `[B, longest]`
pub fn pad_sequences(rows: &[&[i32]], pad: i32, side: Side) -> Array {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut flat = Vec::with_capacity(rows.len() * width);
    for row in rows {
        let gap = std::iter::repeat_n(pad, width - row.len());
        match side {
            Side::Left => {
                flat.extend(gap);
                flat.extend_from_slice(row);
            }
            Side::Right => {
                flat.extend_from_slice(row);
                flat.extend(gap);
            }
        }
    }
    Array::from_slice(&flat, &[rows.len() as i32, width as i32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_to_its_side() {
        let rows: [&[i32]; 3] = [&[1], &[2, 3], &[]];
        let right = pad_sequences(&rows, 9, Side::Right);
        assert_eq!(right.shape(), [3, 2]);
        assert_eq!(right.to_vec_exact::<i32>().unwrap(), [1, 9, 2, 3, 9, 9]);
        let left = pad_sequences(&rows, 9, Side::Left);
        assert_eq!(left.to_vec_exact::<i32>().unwrap(), [9, 1, 2, 3, 9, 9]);
    }
}
