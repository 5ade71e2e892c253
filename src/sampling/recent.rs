//! The tokens of a history that a penalty looks at.

use super::columns::{columns, whole_column};
use crate::error::Result;
use crate::mlx::{Array, Dtype, ops as mlx_ops};
use mlx_rs::ops;

/// How many of the last tokens count, for all rows or for each; 0 is all.
#[derive(Clone, Debug, PartialEq)]
pub struct Window(Vec<usize>);

impl Window {
    /// The same for all rows.
    pub fn all(size: usize) -> Self {
        Self(vec![size])
    }

    /// One for each row; a row without one may get any.
    pub fn rows(sizes: &[Option<usize>]) -> Self {
        let any = sizes.iter().flatten().next().copied().unwrap_or(0);
        let sizes: Vec<usize> = sizes.iter().map(|size| size.unwrap_or(any)).collect();
        match sizes.iter().all(|size| *size == any) {
            true => Self::all(any),
            false => Self(sizes),
        }
    }

    /// The largest size, 0 if a row looks at everything.
    pub fn widest(&self) -> usize {
        match self.0.contains(&0) {
            true => 0,
            false => self.0.iter().copied().max().unwrap_or(0),
        }
    }

    /// The tokens in it.
    ///
    /// # Shapes
    /// - history: `int32` `[B, C]`, `C` at least 1, padded on the left with -1
    pub fn look(&self, history: &Array) -> Result<Recent> {
        let (length, widest) = (history.dim(-1), self.widest());
        let mut ids = history.clone();
        if widest > 0 && widest < length as usize {
            ids = columns(&ids, length - widest as i32, length)?;
        }
        if self.0.len() > 1 {
            let size = |size: &usize| match size {
                0 => i32::MAX,
                size => i32::try_from(*size).unwrap_or(i32::MAX),
            };
            let sizes: Vec<i32> = self.0.iter().map(size).collect();
            let width = f64::from(ids.dim(-1));
            let from_end = mlx_ops::arange(width, 0.0, -1.0, Dtype::Int32)?;
            let inside = from_end.le(whole_column(&sizes))?;
            ids = ops::select(&inside, &ids, Array::from_int(-1))?;
        }
        Recent::new(&ids)
    }
}

/// Tokens that count, and where they stand among the logits.
pub struct Recent {
    /// `bool` `[B, C]`: where there is one.
    pub present: Array,
    /// `int32` `[B, C]`: their ids, and in place of a missing one another of the row, so that all
    /// places may be written: what is written twice is equal.
    pub places: Array,
    /// `bool` `[B, 1]`: rows that have any.
    pub any: Array,
}

impl Recent {
    fn new(ids: &Array) -> Result<Self> {
        let none = Array::from_int(0);
        let largest = ids.max_axis(-1, true)?;
        let present = ids.ge(&none)?;
        let other = ops::maximum(&largest, &none)?;
        Ok(Self {
            places: ops::select(&present, ids, &other)?,
            any: largest.ge(&none)?,
            present,
        })
    }
}
