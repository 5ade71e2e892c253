//! A matrix of numbers with names for its rows and columns.

use super::scale::Scale;
use crate::error::{Error, Result};

/// A matrix `[rows, columns]`, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f64>,
    /// One for each row, or none.
    pub row_names: Vec<String>,
    /// One for each column, or none.
    pub column_names: Vec<String>,
}

impl Grid {
    /// A matrix from its values, row by row.
    ///
    /// # Errors
    /// Another number of values than cells.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self> {
        if rows.checked_mul(columns) != Some(values.len()) {
            let expected = format!("one for each cell of {rows} rows by {columns} columns");
            let found = format!("{} values", values.len());
            return Err(Error::value("heat map", found, &expected));
        }
        Ok(Self {
            rows,
            columns,
            values,
            ..Self::default()
        })
    }

    /// With names for the rows and for the columns; an empty list leaves numbers there.
    ///
    /// # Errors
    /// Another number of names than of rows or columns.
    pub fn named(mut self, row_names: Vec<String>, column_names: Vec<String>) -> Result<Self> {
        let sides = [
            ("row_names", self.rows, row_names.len()),
            ("column_names", self.columns, column_names.len()),
        ];
        for (setting, size, names) in sides {
            if names != 0 && names != size {
                let expected = format!("{size}, one for each");
                return Err(Error::setting(setting, format!("{names} names"), &expected));
            }
        }
        (self.row_names, self.column_names) = (row_names, column_names);
        Ok(self)
    }

    /// The range of the finite values.
    pub fn scale(&self) -> Scale {
        Scale::around(self.values.iter().copied())
    }

    /// Whether a cell is not a number.
    pub fn has_nan(&self) -> bool {
        self.values.iter().any(|v| v.is_nan())
    }

    /// The cell of a row and a column.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let value = self.values.get(row * self.columns + column);
        value.copied().unwrap_or(f64::NAN)
    }

    /// The matrix in at most `rows` by `columns` cells, each the mean of a block, and the size of
    /// a block. Names are of the first row and column of a block.
    ///
    /// A block with something in it that is not a number is shown as such: who looks for one must
    /// not lose it in a mean.
    pub fn reduced(&self, rows: usize, columns: usize) -> (Self, [usize; 2]) {
        let down = self.rows.div_ceil(rows.max(1)).max(1);
        let across = self.columns.div_ceil(columns.max(1)).max(1);
        if (down, across) == (1, 1) {
            return (self.clone(), [1, 1]);
        }
        let (rows, columns) = (self.rows.div_ceil(down), self.columns.div_ceil(across));
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let scale = self.scale();
        let values = cells.map(|(row, column)| {
            let inside = |start: usize, step: usize, end: usize| {
                start * step..(start * step + step).min(end)
            };
            let block = inside(row, down, self.rows)
                .flat_map(|r| inside(column, across, self.columns).map(move |c| (r, c)));
            let block: Vec<f64> = block.map(|(r, c)| self.at(r, c)).collect();
            let size = block.len() as f64;
            // Infinities count as the end of the range that they are drawn as.
            let clamp = |v: &f64| v.clamp(scale.low, scale.high) / size;
            block.iter().map(clamp).sum()
        });
        let reduced = Self {
            rows,
            columns,
            values: values.collect(),
            row_names: self.row_names.iter().step_by(down).cloned().collect(),
            column_names: self.column_names.iter().step_by(across).cloned().collect(),
        };
        (reduced, [down, across])
    }
}

/// The words along one side of a matrix of `count` rows or columns, by index: its names, or else
/// numbers, of which so many are left out that each of the others has `size` of the `room`.
/// `block` is how many original rows or columns one stands for.
pub fn shown<'a>(
    names: &'a [String],
    count: usize,
    block: usize,
    (room, size): (usize, usize),
) -> impl Iterator<Item = (usize, String)> + 'a {
    let step = if names.is_empty() {
        apart(count, room, size)
    } else {
        1
    };
    let text = move |i: usize| match names.get(i) {
        Some(name) => name.clone(),
        None => (i * block).to_string(),
    };
    (0..count).step_by(step).map(move |i| (i, text(i)))
}

/// Every how many numbers one is written, so that each has `size` of the `room` for all.
fn apart(count: usize, room: usize, size: usize) -> usize {
    let least = (count * size).div_ceil(room.max(1)).max(1);
    let round = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    round
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beside_the_cells_are_round_and_far_enough_apart() {
        assert_eq!(apart(4, 8, 1), 1);
        assert_eq!(apart(60, 60, 4), 5);
        assert_eq!(apart(16, 8, 1), 2);
    }

    #[test]
    fn blocks_are_means_and_what_is_not_a_number_is_not_lost() {
        let values = vec![1.0, 3.0, 5.0, 5.0, 7.0, f64::NAN];
        let grid = Grid::new(2, 3, values).unwrap();
        let (whole, block) = grid.reduced(2, 3);
        assert!(block == [1, 1] && whole.at(1, 1) == 7.0);
        let (small, block) = grid.reduced(1, 2);
        assert_eq!(block, [2, 2]);
        assert_eq!(small.at(0, 0), 4.0);
        assert!(small.at(0, 1).is_nan());
        let infinite = Grid::new(1, 3, vec![f64::NEG_INFINITY, 0.0, 1.0]).unwrap();
        assert_eq!(infinite.reduced(1, 1).0.at(0, 0), 1.0 / 3.0);
        let huge = Grid::new(1, 2, vec![f64::MAX, f64::MAX]).unwrap();
        assert!(huge.reduced(1, 1).0.at(0, 0).is_finite());
    }

    #[test]
    fn sizes_that_do_not_fit_are_said() {
        let error = Grid::new(2, 3, vec![0.0; 5]).unwrap_err().to_string();
        assert!(error.contains("5 values") && error.contains("2 rows by 3 columns"));
        let grid = Grid::new(1, 2, vec![0.0; 2]).unwrap();
        let error = grid.named(vec![], vec!["a".into()]).unwrap_err();
        assert!(error.to_string().contains("column_names"), "{error}");
    }
}
