//! The settings of the rows of a batch, ready to draw.

use super::columns::{by_rows, rows};
use super::draw::{Chance, Draw};
use super::part::{Logits, Part, Way};
use super::penalties::Penalties;
use super::settings::{PenaltySettings, RowSettings, SamplerSettings, check_inside};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::dims2;
use mlx_rs::ops;

/// Checked settings of the rows of one batch. It is cheap to make, and made anew when rows come
/// or go.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// How many rows there are; `None` is any number.
    count: Option<usize>,
    penalties: Penalties,
    /// Rows by what is done to them, each part in one go.
    parts: Vec<Group>,
    /// Puts the results of the parts, one after the other, back in order.
    back: Option<Array>,
    /// The largest id that a setting names.
    largest_id: i32,
}

/// A part and the places of its rows in the batch; `None` is all of them.
#[derive(Clone, Debug)]
struct Group {
    part: Part,
    rows: Option<(Vec<usize>, Array)>,
}

impl Sampler {
    /// A sampler of any number of rows, all alike.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn uniform(settings: RowSettings) -> Result<Self> {
        settings.check()?;
        let part = Part::new(Way::of(&settings.sampler), &[&settings.sampler]);
        Ok(Self {
            count: None,
            penalties: Penalties::new(&[&settings.penalties]),
            parts: vec![Group { part, rows: None }],
            back: None,
            largest_id: largest_id(&settings),
        })
    }

    /// A sampler of rows that have settings of their own. A row's token is the one that it would
    /// get alone.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn rows(rows: &[RowSettings]) -> Result<Self> {
        match rows {
            [] => return Self::uniform(RowSettings::default()),
            [first, rest @ ..] if rest.iter().all(|row| row == first) => {
                return Self::uniform(first.clone());
            }
            _ => rows.iter().try_for_each(RowSettings::check)?,
        }
        let penalties: Vec<&PenaltySettings> = rows.iter().map(|row| &row.penalties).collect();
        let (parts, order) = group(rows);
        Ok(Self {
            count: Some(rows.len()),
            penalties: Penalties::new(&penalties),
            back: (parts.len() > 1).then(|| inverse(&order)),
            parts,
            largest_id: rows.iter().map(largest_id).max().unwrap_or(-1),
        })
    }

    /// How many of the last tokens of each row have to be known: none, all (`Some(0)`), or so
    /// many.
    pub fn context(&self) -> Option<usize> {
        self.penalties.context()
    }

    /// Log-probabilities with `-inf` for excluded tokens, in mlx-lm's order: top-p, min-p, xtc,
    /// top-k. The temperature comes after the filters, so they see the model's own probabilities.
    ///
    /// # Shapes
    /// - logprobs: `[V]` or `[B, V]`
    /// - chances: one for each row
    /// - returns: as `logprobs`
    pub fn filter(&self, logprobs: &Array, chances: &[Chance]) -> Result<Array> {
        by_rows(logprobs, |logprobs| {
            self.check(logprobs, chances)?;
            let filtered = self.parts.iter().map(|group| {
                let logprobs = rows(logprobs, group.numbers())?;
                group.part.filter(&logprobs, &group.chances(chances))
            });
            self.in_order(&filtered.collect::<Result<Vec<_>>>()?)
        })
    }

    /// Draws one token for each row.
    ///
    /// Bias and penalties come first, then the filters, the temperature and the draw. The draw
    /// inverts the cumulative distribution at one given number for each row, so a row's token
    /// depends on nothing but its own logits, history and numbers.
    ///
    /// # Shapes
    /// - logits: `[B, V]`
    /// - history: `int32` `[B, C]`, or `[1, C]` for all rows: ids in the vocabulary, padded on the
    ///   left with -1; without one, penalties have nothing to go by
    /// - chances: one for each row
    pub fn draw(
        &self,
        logits: &Array,
        history: Option<&Array>,
        chances: &[Chance],
    ) -> Result<Draw> {
        let draws = self.each(logits, history, chances, |part, logits, chances| {
            part.draw(logits, chances)
        })?;
        let (tokens, logprobs): (Vec<Array>, Vec<Array>) = draws
            .into_iter()
            .map(|draw| (draw.tokens, draw.logprobs))
            .unzip();
        Ok(Draw {
            tokens: self.in_order(&tokens)?,
            logprobs: self.in_order(&logprobs)?,
        })
    }

    /// The probabilities that `draw` draws from, after bias, penalties, filters and temperature;
    /// a greedy row is certain of one token.
    ///
    /// # Shapes
    /// As [`Sampler::draw`]; returns f32 `[B, V]`.
    pub fn distribution(
        &self,
        logits: &Array,
        history: Option<&Array>,
        chances: &[Chance],
    ) -> Result<Array> {
        let parts = self.each(logits, history, chances, |part, logits, chances| {
            part.distribution(logits, chances)
        })?;
        self.in_order(&parts)
    }

    /// Does something with each part and its rows.
    fn each<T>(
        &self,
        logits: &Array,
        history: Option<&Array>,
        chances: &[Chance],
        f: impl Fn(&Part, &Logits, &[Chance]) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.check(logits, chances)?;
        let model = logits.as_dtype(Dtype::Float32)?;
        let changed = self.penalties.apply(&model, history)?;
        let parts = self.parts.iter().map(|group| {
            let numbers = group.numbers();
            let logits = Logits {
                model: rows(&model, numbers)?,
                changed: changed.as_ref().map(|all| rows(all, numbers)).transpose()?,
            };
            f(&group.part, &logits, &group.chances(chances))
        });
        parts.collect()
    }

    /// The results of all parts, in the order of the rows.
    fn in_order(&self, parts: &[Array]) -> Result<Array> {
        match (&self.back, parts) {
            (Some(back), _) => Ok(ops::concatenate(parts, 0)?.take_axis(back, 0)?),
            (None, [one]) => Ok(one.clone()),
            (None, _) => Ok(ops::concatenate(parts, 0)?),
        }
    }

    fn check(&self, logits: &Array, chances: &[Chance]) -> Result<()> {
        let [count, vocab] = dims2(logits, "logits")?;
        if self.count.is_some_and(|rows| rows != count as usize) {
            let expected = format!("[{}, {vocab}]", self.count.unwrap_or_default());
            return Err(Error::shape("logits", expected, logits.shape()));
        }
        if chances.len() != count as usize {
            let expected = format!("one for each of {count} rows");
            return Err(Error::value("chances", chances.len(), &expected));
        }
        match self.largest_id {
            -1 => Ok(()),
            id => check_inside([id], vocab),
        }
    }
}

impl Group {
    fn numbers(&self) -> Option<&Array> {
        self.rows.as_ref().map(|(_, numbers)| numbers)
    }

    fn chances(&self, all: &[Chance]) -> Vec<Chance> {
        match &self.rows {
            None => all.to_vec(),
            Some((rows, _)) => rows.iter().map(|row| all[*row]).collect(),
        }
    }
}

/// Rows by their way, and the order in which they then are.
fn group(rows: &[RowSettings]) -> (Vec<Group>, Vec<usize>) {
    let mut ways: Vec<(Way, Vec<usize>)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let way = Way::of(&row.sampler);
        match ways.iter_mut().find(|(other, _)| *other == way) {
            Some((_, places)) => places.push(i),
            None => ways.push((way, vec![i])),
        }
    }
    let order = ways.iter().flat_map(|(_, places)| places.clone()).collect();
    let all = ways.len() == 1;
    let parts = ways.into_iter().map(|(way, places)| {
        let settings: Vec<&SamplerSettings> = places.iter().map(|i| &rows[*i].sampler).collect();
        let part = Part::new(way, &settings);
        let numbers = numbers(&places);
        Group {
            part,
            rows: (!all).then_some((places, numbers)),
        }
    });
    (parts.collect(), order)
}

/// Where each row is in an order.
fn inverse(order: &[usize]) -> Array {
    let mut places = vec![0; order.len()];
    for (place, row) in order.iter().enumerate() {
        places[*row] = place;
    }
    numbers(&places)
}

fn numbers(places: &[usize]) -> Array {
    let places: Vec<i32> = places.iter().map(|place| *place as i32).collect();
    Array::from_slice(&places, &[places.len() as i32])
}

/// The largest id that settings name, -1 if they name none.
fn largest_id(s: &RowSettings) -> i32 {
    let special = s.sampler.xtc_special_tokens.iter().copied();
    let biased = s.penalties.logit_bias.iter().map(|(id, _)| *id);
    special.chain(biased).max().unwrap_or(-1)
}
