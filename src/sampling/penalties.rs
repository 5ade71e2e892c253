//! Pure functions that change logits by the tokens so far, and a bias for given tokens.
//!
//! The values are those of mlx-lm 0.32.2. A history holds the prompt too; -1 in it is padding.

use super::columns::{by_rows, column};
use super::recent::{Recent, Window};
use super::settings::{PenaltySettings, check_bias, check_finite, check_repetition};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype, ops as mlx_ops};
use mlx_rs::ops::{self, indexing};

/// Divides positive logits of tokens that came before by `penalty`, and multiplies negative ones
/// with it, once for each token (<https://arxiv.org/abs/1909.05858>).
///
/// # Shapes
/// - logits: `[V]` or `[B, V]`
/// - history: `int32` `[C]`, `[1, C]` or `[B, C]`, ids in the vocabulary; -1 is padding
/// - context_size: how many of the last tokens count; 0 is all
/// - returns: as `logits`
pub fn repetition_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_repetition(penalty)?;
    one(logits, history, Rule::Repetition, penalty, context_size)
}

/// Subtracts `penalty` from the logits of tokens that came before, once for each token.
///
/// # Shapes
/// As [`repetition_penalty`].
pub fn presence_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_finite("presence_penalty", penalty)?;
    one(logits, history, Rule::Presence, penalty, context_size)
}

/// Subtracts `penalty` from the logits of tokens that came before, as often as they came.
///
/// # Shapes
/// As [`repetition_penalty`].
pub fn frequency_penalty(
    logits: &Array,
    history: &Array,
    penalty: f32,
    context_size: usize,
) -> Result<Array> {
    check_finite("frequency_penalty", penalty)?;
    one(logits, history, Rule::Frequency, penalty, context_size)
}

/// Adds to the logits of tokens.
///
/// # Shapes
/// - logits: `[V]` or `[B, V]`
/// - returns: the same
pub fn logit_bias(logits: &Array, bias: &[(i32, f32)]) -> Result<Array> {
    check_bias(bias, Some(logits.dim(-1)))?;
    match Bias::new(&[bias]) {
        None => Ok(logits.clone()),
        Some(bias) => by_rows(logits, |logits| bias.add(logits)),
    }
}

fn one(logits: &Array, history: &Array, rule: Rule, strength: f32, size: usize) -> Result<Array> {
    by_rows(logits, |logits| {
        let history = fit(history, logits.dim(0))?;
        if history.size() == 0 {
            return Ok(logits.clone());
        }
        let recent = Window::all(size).look(&history)?;
        rule.apply(logits, &recent, &column(&[strength]))
    })
}

/// A history with a row for each row of logits.
///
/// # Shapes
/// - history: `[C]`, `[1, C]` or `[B, C]`
/// - returns: `[B, C]`
fn fit(history: &Array, rows: i32) -> Result<Array> {
    match *history.shape() {
        [c] => Ok(ops::broadcast_to(history, &[rows, c])?),
        [1, c] => Ok(ops::broadcast_to(history, &[rows, c])?),
        [b, _] if b == rows => Ok(history.clone()),
        _ => {
            let expected = format!("[C] or [{rows}, C]");
            Err(Error::shape("history", expected, history.shape()))
        }
    }
}

/// What is done to the logits of recent tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Repetition,
    Presence,
    Frequency,
}

impl Rule {
    /// The strength of a row and its context size; `None` where it is off.
    fn of(self, s: &PenaltySettings) -> Option<(f32, usize)> {
        let (strength, size) = match self {
            Self::Repetition => (s.repetition_penalty, s.repetition_context_size),
            Self::Presence => (s.presence_penalty, s.presence_context_size),
            Self::Frequency => (s.frequency_penalty, s.frequency_context_size),
        };
        (strength != self.neutral()).then_some((strength, size))
    }

    /// The strength that changes nothing, not even by rounding.
    fn neutral(self) -> f32 {
        match self {
            Self::Repetition => 1.0,
            Self::Presence | Self::Frequency => 0.0,
        }
    }

    /// # Shapes
    /// - logits: `[B, V]`
    /// - strength: `[]` or `[B, 1]`
    fn apply(self, logits: &Array, recent: &Recent, strength: &Array) -> Result<Array> {
        let strength = strength.as_dtype(logits.dtype())?;
        match self {
            Self::Repetition => replace(logits, recent, |chosen| {
                let zero = Array::from_int(0).as_dtype(chosen.dtype())?;
                let (less, more) = (chosen.multiply(&strength)?, chosen.divide(&strength)?);
                Ok(ops::select(&chosen.lt(&zero)?, &less, &more)?)
            }),
            Self::Presence => replace(logits, recent, |chosen| Ok(chosen.subtract(&strength)?)),
            Self::Frequency => {
                let zero = Array::from_int(0).as_dtype(logits.dtype())?;
                let each = ops::select(&recent.present, &strength.negative()?, &zero)?;
                mlx_ops::scatter_add_axis(logits, &recent.places, &each, -1)
            }
        }
    }
}

/// Replaces the logits of recent tokens by what `f` makes of them, each once.
fn replace(
    logits: &Array,
    recent: &Recent,
    f: impl FnOnce(&Array) -> Result<Array>,
) -> Result<Array> {
    let chosen = indexing::take_along_axis(logits, &recent.places, -1)?;
    let changed = ops::select(&recent.any, &f(&chosen)?, &chosen)?;
    Ok(indexing::put_along_axis(
        logits,
        &recent.places,
        &changed,
        -1,
    )?)
}

/// Numbers that are added to logits.
#[derive(Clone, Debug)]
struct Bias {
    /// `int32` `[R, N]`, a row for all or one for each.
    ids: Array,
    /// `[R, N]`
    values: Array,
}

impl Bias {
    fn new(rows: &[&[(i32, f32)]]) -> Option<Self> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        if width == 0 {
            return None;
        }
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        for row in rows {
            // Nothing, added to some token, fills a row that has fewer.
            let filled = row.iter().copied().chain(std::iter::repeat((0, 0.0)));
            let (some_ids, some_values): (Vec<i32>, Vec<f32>) = filled.take(width).unzip();
            ids.extend(some_ids);
            values.extend(some_values);
        }
        let shape = [rows.len() as i32, width as i32];
        Some(Self {
            ids: Array::from_slice(&ids, &shape),
            values: Array::from_slice(&values, &shape),
        })
    }

    /// # Shapes
    /// - logits: `[B, V]`
    fn add(&self, logits: &Array) -> Result<Array> {
        let shape = [logits.dim(0), self.ids.dim(1)];
        let ids = ops::broadcast_to(&self.ids, &shape)?;
        let values = ops::broadcast_to(&self.values.as_dtype(logits.dtype())?, &shape)?;
        mlx_ops::scatter_add_axis(logits, &ids, &values, -1)
    }
}

/// A rule with the settings of the rows.
#[derive(Clone, Debug)]
struct Penalty {
    rule: Rule,
    strength: Array,
    window: Window,
}

impl Penalty {
    fn new(rule: Rule, rows: &[&PenaltySettings]) -> Option<Self> {
        let of: Vec<_> = rows.iter().map(|row| rule.of(row)).collect();
        of.iter().flatten().next()?;
        let strengths: Vec<f32> = of
            .iter()
            .map(|row| row.map_or(rule.neutral(), |(strength, _)| strength))
            .collect();
        let sizes: Vec<Option<usize>> = of.iter().map(|row| row.map(|(_, size)| size)).collect();
        Some(Self {
            rule,
            strength: column(&strengths),
            window: Window::rows(&sizes),
        })
    }
}

/// The penalties of the rows of a batch, of those rules that some row has.
#[derive(Clone, Debug)]
pub struct Penalties {
    bias: Option<Bias>,
    penalties: Vec<Penalty>,
}

impl Penalties {
    /// Of one settings for all rows, or of one for each; they are checked.
    pub fn new(rows: &[&PenaltySettings]) -> Self {
        let bias: Vec<&[(i32, f32)]> = rows.iter().map(|row| row.logit_bias.as_slice()).collect();
        let rules = [Rule::Repetition, Rule::Presence, Rule::Frequency];
        Self {
            bias: Bias::new(&bias),
            penalties: rules
                .into_iter()
                .filter_map(|rule| Penalty::new(rule, rows))
                .collect(),
        }
    }

    /// How many of the last tokens are looked at: none of them, all (0), or so many.
    pub fn context(&self) -> Option<usize> {
        let sizes: Vec<usize> = self.penalties.iter().map(|p| p.window.widest()).collect();
        match sizes.contains(&0) {
            true => Some(0),
            false => sizes.into_iter().max(),
        }
    }

    /// The changed logits; `None` where nothing is to be changed.
    ///
    /// # Shapes
    /// - logits: f32 `[B, V]`
    /// - history: `int32` `[C]`, `[1, C]` or `[B, C]`
    pub fn apply(&self, logits: &Array, history: Option<&Array>) -> Result<Option<Array>> {
        let mut changed = match &self.bias {
            None => None,
            Some(bias) => Some(bias.add(logits)?),
        };
        let Some(history) = history.filter(|history| history.size() > 0) else {
            return Ok(changed);
        };
        let Some(first) = self.penalties.first() else {
            return Ok(changed);
        };
        let history = fit(history, logits.dim(0))?.as_dtype(Dtype::Int32)?;
        let (mut window, mut recent) = (&first.window, first.window.look(&history)?);
        for penalty in &self.penalties {
            if penalty.window != *window {
                (window, recent) = (&penalty.window, penalty.window.look(&history)?);
            }
            let before = changed.as_ref().unwrap_or(logits);
            changed = Some(penalty.rule.apply(before, &recent, &penalty.strength)?);
        }
        Ok(changed)
    }
}
