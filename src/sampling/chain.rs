//! The filters of rows that have the same ones on.

use super::columns::{column, columns};
use super::draw::Chance;
use super::filters::{self, exclude, exclude_top, keep_mass, keep_near_best};
use super::settings::SamplerSettings;
use crate::error::Result;
use crate::mlx::{Array, Dtype, ops as mlx_ops};
use mlx_rs::ops::{self, indexing};

/// What has to be equal for rows to go through the same operations; the numbers of filters may
/// differ from row to row.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    top_p: bool,
    min_p: bool,
    min_tokens_to_keep: i32,
    xtc: bool,
    xtc_special_tokens: Vec<i32>,
    top_k: i32,
}

impl Filters {
    /// The filters that are on; what belongs to one that is off does not count.
    pub fn of(s: &SamplerSettings) -> Self {
        let (min_p, xtc) = (s.min_p > 0.0, s.xtc_probability > 0.0);
        Self {
            top_p: s.top_p < 1.0,
            min_p,
            min_tokens_to_keep: if min_p { s.min_tokens_to_keep } else { 1 },
            xtc,
            xtc_special_tokens: match xtc {
                true => s.xtc_special_tokens.clone(),
                false => Vec::new(),
            },
            top_k: s.top_k,
        }
    }
}

/// Filters with the numbers of their rows, `[]` or `[B, 1]` each.
#[derive(Clone, Debug)]
pub struct Chain {
    on: Filters,
    top_p: Array,
    /// The logarithm of `min_p`.
    min_p: Array,
    /// Probability and threshold of each row, or of all.
    xtc: Vec<(f32, f32)>,
}

/// Candidates of each row, and nothing else of the vocabulary.
pub struct Few {
    /// `[B, k]`
    pub ids: Array,
    /// f32 `[B, k]`: logits, `-inf` where excluded.
    pub logits: Array,
    /// f32 `[B, 1]`: the log-sum-exp of all logits, where a filter needed it.
    pub total: Option<Array>,
}

impl Chain {
    /// Of rows with the same filters on: one for all, or one for each.
    pub fn new(on: Filters, rows: &[&SamplerSettings]) -> Self {
        let number = |f: &dyn Fn(&SamplerSettings) -> f32| {
            let numbers: Vec<f32> = rows.iter().map(|row| f(row)).collect();
            column(&numbers)
        };
        let xtc = |row: &&SamplerSettings| (row.xtc_probability, row.xtc_threshold);
        Self {
            top_p: number(&|row| row.top_p),
            min_p: number(&|row| row.min_p.ln()),
            xtc: rows.iter().map(xtc).collect(),
            on,
        }
    }

    /// Whether every token stays.
    pub fn is_off(&self) -> bool {
        !(self.on.top_p || self.on.min_p || self.on.xtc || self.on.top_k > 0)
    }

    /// Whether `few` does the same as `filter`.
    pub fn can_be_few(&self, vocab: i32) -> bool {
        !self.on.xtc && (1..vocab).contains(&self.on.top_k)
    }

    /// Log-probabilities with `-inf` for excluded tokens, in mlx-lm's order. Any number may be
    /// added to all of a row.
    ///
    /// # Shapes
    /// - logprobs: `[B, V]`
    /// - chances: one for each row
    pub fn filter(&self, logprobs: &Array, chances: &[Chance]) -> Result<Array> {
        let mut kept = logprobs.clone();
        if self.on.top_p {
            kept = keep_mass(&kept, &self.top_p)?;
        }
        if self.on.min_p {
            kept = keep_near_best(&kept, &self.min_p, self.on.min_tokens_to_keep)?;
        }
        if self.on.xtc {
            let special = &self.on.xtc_special_tokens;
            kept = exclude_top(&kept, &self.xtc_thresholds(chances), special)?;
        }
        filters::top_k(&kept, self.on.top_k)
    }

    fn xtc_thresholds(&self, chances: &[Chance]) -> Vec<f32> {
        let of_rows = self.xtc.iter().cycle();
        chances
            .iter()
            .zip(of_rows)
            .map(|(chance, (probability, threshold))| {
                filters::xtc_threshold(chance.xtc, *probability, *threshold)
            })
            .collect()
    }

    /// The same tokens as `filter` keeps, found without sorting the vocabulary: what is kept is
    /// among the `k` likeliest, and of the others only the mass matters.
    ///
    /// # Shapes
    /// - logits: f32 `[B, V]`
    pub fn few(&self, logits: &Array) -> Result<Few> {
        let mut ids = candidates(logits, self.on.top_k)?;
        let mut values = indexing::take_along_axis(logits, &ids, -1)?;
        if self.on.top_p || self.on.min_tokens_to_keep > 1 {
            let falling = ops::argsort_axis(&values.negative()?, -1)?;
            ids = indexing::take_along_axis(&ids, &falling, -1)?;
            values = indexing::take_along_axis(&values, &falling, -1)?;
        }
        let mut kept = values.clone();
        let mut total = None;
        if self.on.top_p {
            let sum = ops::logsumexp_axis(logits, -1, true)?;
            kept = self.few_of_mass(&values, &sum)?;
            total = Some(sum);
        }
        if self.on.min_p {
            kept = self.few_near_best(&values, &kept)?;
        }
        Ok(Few {
            ids,
            logits: kept,
            total,
        })
    }

    /// `top_p` of falling candidates.
    fn few_of_mass(&self, values: &Array, total: &Array) -> Result<Array> {
        let mass = values.subtract(total)?.exp()?;
        let above = mass.cumsum(-1, false, false)?;
        let within = above.lt(&self.top_p)?;
        // Ties with the last one that is kept stay too.
        let infinite = Array::from_f32(f32::INFINITY);
        let cut = ops::select(&within, values, &infinite)?.min_axis(-1, true)?;
        exclude(values, &values.lt(&cut)?)
    }

    /// `min_p` of candidates, falling where some are kept in any case.
    fn few_near_best(&self, values: &Array, kept: &Array) -> Result<Array> {
        let cut = values.max_axis(-1, true)?.add(&self.min_p)?;
        let mut excluded = kept.lt(&cut)?;
        if self.on.min_tokens_to_keep > 1 {
            let k = f64::from(values.dim(-1));
            let places = mlx_ops::arange(0.0, k, 1.0, Dtype::Int32)?;
            let rest = places.ge(Array::from_int(self.on.min_tokens_to_keep))?;
            excluded = excluded.logical_and(&rest)?;
        }
        exclude(kept, &excluded)
    }
}

/// How many neighbours compete before a search of the vocabulary. A size of most vocabularies is
/// a multiple of it.
const BLOCK: i32 = 128;

/// The `k` likeliest tokens of each row, in no order.
///
/// They lie in the `k` blocks with the largest maxima, or are equal to tokens that do: only those
/// blocks are searched, where that is less than everything.
///
/// # Shapes
/// - logits: `[B, V]`
/// - returns: `[B, k]`
fn candidates(logits: &Array, k: i32) -> Result<Array> {
    let (rows, vocab) = (logits.dim(0), logits.dim(-1));
    let blocks = vocab / BLOCK;
    if vocab % BLOCK != 0 || k > blocks / 2 {
        return largest(logits, k);
    }
    let by_block = logits.reshape(&[rows, blocks, BLOCK])?;
    let best = largest(&by_block.max_axis(-1, false)?, k)?.as_dtype(Dtype::Int32)?;
    let searched = indexing::take_along_axis(&by_block, &best.expand_dims(-1)?, 1)?;
    let places = largest(&searched.reshape(&[rows, k * BLOCK])?, k)?.as_dtype(Dtype::Int32)?;
    let size = Array::from_int(BLOCK);
    let (block, place) = ops::divmod(&places, &size)?;
    let start = indexing::take_along_axis(&best, &block, -1)?.multiply(&size)?;
    Ok(start.add(&place)?)
}

/// The places of the `k` largest elements of each row, in no order.
fn largest(a: &Array, k: i32) -> Result<Array> {
    let order = ops::argpartition_axis(&a.negative()?, k - 1, -1)?;
    columns(&order, 0, k)
}
