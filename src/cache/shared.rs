//! Prompts whose keys and values several completions share: the cache of training.

use super::store::Store;
use super::{Mask, Offsets};
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::tensor::mask::{MaskOptions, causal_mask};
use mlx_rs::ops;

/// Prompts padded on the right, each followed by some completions.
///
/// The first tokens that it is given are the prompts; those that come next are the completions,
/// which attend to their own prompt and to themselves, and are not kept. Nothing is written in
/// place, so gradients of all completions of a prompt flow back into its one forward.
#[derive(Clone, Debug)]
pub struct Shared {
    pub(super) store: Option<Store>,
    /// Tokens of each prompt.
    lengths: Vec<i32>,
    /// Completions of each prompt.
    counts: Vec<i32>,
}

impl Shared {
    /// A cache for prompts of these lengths, with so many completions each.
    ///
    /// # Errors
    /// No prompt, a length or a count below 1, or not one count for each prompt.
    pub fn new(lengths: Vec<i32>, counts: Vec<i32>) -> Result<Self> {
        let positive = |list: &[i32]| !list.is_empty() && list.iter().all(|n| *n > 0);
        if lengths.len() != counts.len() || !positive(&lengths) || !positive(&counts) {
            return Err(Error::value(
                "shared prompts",
                format!("lengths {lengths:?} with counts {counts:?}"),
                "a length and a count of at least 1 for each prompt",
            ));
        }
        Ok(Self {
            store: None,
            lengths,
            counts,
        })
    }

    pub(super) fn update_and_fetch(&mut self, new: &Store) -> Result<Store> {
        let Some(prompts) = &self.store else {
            self.store = Some(new.clone());
            return Ok(new.clone());
        };
        let Some(group) = self.counts.first().filter(|n| self.all_equal(**n)) else {
            return Store::behind(&[&prompts.take_rows(&self.prompt_of_row())?, new]);
        };
        // The gradient of a broadcast is a sum, that of a selection a scatter, which is slower.
        Store::behind(&[&prompts.repeated(*group)?, new])
    }

    fn all_equal(&self, count: i32) -> bool {
        self.counts.iter().all(|other| *other == count)
    }

    fn prompt_of_row(&self) -> Vec<i32> {
        let pairs = self.counts.iter().zip(0..);
        pairs
            .flat_map(|(count, prompt)| (0..*count).map(move |_| prompt))
            .collect()
    }

    /// How many completions there are.
    pub fn rows(&self) -> i32 {
        self.counts.iter().sum()
    }

    pub(super) fn offsets(&self) -> Offsets {
        match (&self.store, self.lengths.first()) {
            (Some(_), Some(first)) if self.lengths.iter().all(|length| length == first) => {
                Offsets::Same(*first)
            }
            (Some(_), _) => {
                let rows = self.prompt_of_row().into_iter();
                Offsets::PerRow(rows.map(|prompt| self.lengths[prompt as usize]).collect())
            }
            (None, _) => Offsets::Same(0),
        }
    }

    pub(super) fn make_mask(&self, n: i32, window: Option<i32>) -> Result<Mask> {
        if let Some(window) = window {
            let found = format!("a window of {window}");
            return Err(Error::value("mask", found, "none, for shared prompts"));
        }
        let offsets = match (&self.store, self.offsets()) {
            (Some(_), Offsets::PerRow(offsets)) => offsets,
            _ if n == 1 && self.store.is_none() => return Ok(Mask::None),
            _ => return Ok(Mask::Causal),
        };
        // A completion token sees the tokens of its prompt, not what pads it, and those before it.
        let widest = self.lengths.iter().copied().max().unwrap_or(0);
        let keys = Array::arange::<_, i32>(None, widest, None)?.reshape(&[1, 1, 1, widest])?;
        let ends = Array::from_slice(&offsets, &[offsets.len() as i32, 1, 1, 1]);
        let shape = [offsets.len() as i32, 1, n, widest];
        let prompt = ops::broadcast_to(keys.lt(ends)?, &shape)?;
        let own = causal_mask(n, &MaskOptions::default())?;
        let own = ops::broadcast_to(&own, &[offsets.len() as i32, 1, n, n])?;
        Ok(Mask::Array(ops::concatenate(&[prompt, own], -1)?))
    }
}
