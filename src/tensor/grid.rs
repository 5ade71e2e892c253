//! Arrays as rows of cells, for tables.

use super::display::{EDGE, cells, visible};
use crate::error::Result;
use crate::mlx::Array;

/// What stands for the elements that are left out.
const GAP: &str = "…";

/// The rows that [`super::display::show`] shows of a vector or a matrix; `None` for other arrays.
///
/// # Errors
/// MLX's, where the elements cannot be computed.
pub fn grid(a: &Array) -> Result<Option<Vec<Vec<String>>>> {
    if !matches!(a.ndim(), 1 | 2) || a.size() == 0 {
        return Ok(None);
    }
    let shown = visible(a)?;
    let width = usize::try_from(*shown.shape().last().unwrap_or(&1)).unwrap_or(1);
    let cells = cells(&shown)?;
    let mut rows: Vec<Vec<String>> = cells.chunks(width).map(<[String]>::to_vec).collect();
    if a.shape().last() != shown.shape().last() {
        for row in &mut rows {
            row.insert(EDGE as usize, GAP.into());
        }
    }
    if a.shape().len() == 2 && a.shape()[0] != shown.shape()[0] {
        let gap = vec![GAP.to_string(); rows[0].len()];
        rows.insert(EDGE as usize, gap);
    }
    Ok(Some(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_marked() {
        let small = Array::from_slice(&[1, 2, 3, 4], &[2, 2]);
        assert_eq!(grid(&small).unwrap().unwrap(), [["1", "2"], ["3", "4"]]);
        let large = Array::from_iter(0..400, &[20, 20]);
        let rows = grid(&large).unwrap().unwrap();
        assert_eq!(rows.len(), 7);
        assert_eq!(rows[0], ["0", "1", "2", "…", "17", "18", "19"]);
        assert_eq!(rows[3][0], "…");
        let cube = Array::from_iter(0..8, &[2, 2, 2]);
        assert!(grid(&cube).unwrap().is_none());
    }
}
