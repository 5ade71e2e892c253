//! Values of the last cells: what `out(n)` gives.

use super::show::bytes_in;
use crate::error::{Error, Result};
use rhai::{Dynamic, INT};
use std::collections::VecDeque;

/// Values of so many cells are kept.
const MOST: usize = 20;

/// What the tensors of all of them may take, in bytes: a value that nobody asks for again should not
/// take the memory of a model.
const MOST_BYTES: usize = 256 << 20;

/// Values by the number of their cell, the last of them.
#[derive(Default)]
pub struct Results {
    kept: VecDeque<(usize, Dynamic, usize)>,
}

impl Results {
    /// Keeps the value of a cell, and forgets the oldest where they become too many or too large.
    pub fn keep(&mut self, cell: usize, value: Dynamic) {
        let bytes = bytes_in(&value);
        self.kept.push_back((cell, value, bytes));
        let total = |kept: &VecDeque<(usize, Dynamic, usize)>| -> usize {
            kept.iter().map(|(_, _, bytes)| bytes).sum()
        };
        while self.kept.len() > MOST || (total(&self.kept) > MOST_BYTES && !self.kept.is_empty()) {
            self.kept.pop_front();
        }
    }

    /// The value of a cell by its number, or by how far it lies back: -1 is the last.
    ///
    /// # Errors
    /// A number whose value is not kept; the error names those that are.
    pub fn get(&self, number: INT) -> Result<Dynamic> {
        let found = match number {
            0.. => self.kept.iter().find(|(cell, ..)| *cell as INT == number),
            _ => usize::try_from(-(number + 1))
                .ok()
                .and_then(|back| self.kept.iter().rev().nth(back)),
        };
        let value = found.map(|(_, value, _)| value.clone());
        value.ok_or_else(|| {
            let kept: Vec<String> = self
                .kept
                .iter()
                .map(|(cell, ..)| cell.to_string())
                .collect();
            let expected = match kept.is_empty() {
                true => "a cell that had a value; none is kept yet".to_string(),
                false => format!(
                    "a cell whose value is kept ({}), or -1 for the last value",
                    kept.join(", ")
                ),
            };
            Error::value("out", number, &expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlx::{Array, Dtype};
    use crate::script::Tensor;

    #[test]
    fn the_last_values_are_kept_by_number_and_from_the_end() {
        let mut results = Results::default();
        assert!(
            results
                .get(-1)
                .unwrap_err()
                .to_string()
                .contains("none is kept")
        );
        for cell in 1..=25 {
            results.keep(cell, Dynamic::from(cell as INT * 10));
        }
        assert_eq!(results.get(25).unwrap().as_int(), Ok(250));
        assert_eq!(results.get(-2).unwrap().as_int(), Ok(240));
        let text = results.get(5).unwrap_err().to_string();
        assert!(text.contains("(6, 7,"), "{text}");
        assert!(results.get(INT::MIN).is_err());
    }

    #[test]
    fn large_tensors_do_not_stay() {
        let mut results = Results::default();
        let large = || Array::zeros::<f32>(&[32 << 20]).unwrap();
        results.keep(1, 1.into());
        results.keep(2, Dynamic::from(Tensor::new(large())));
        results.keep(
            3,
            Dynamic::from(Tensor::new(large().as_dtype(Dtype::Float32).unwrap())),
        );
        // Two of 128 MiB are just what there is room for, without what came before.
        assert!(results.get(2).is_ok() && results.get(3).is_ok());
        results.keep(4, Dynamic::from(Tensor::new(large())));
        assert!(results.get(1).is_err() && results.get(2).is_err() && results.get(4).is_ok());
    }
}
