//! Penalties and filters in a chain, then one draw, for rows that may all be sampled differently.

use super::filters::{self, exclude, near_the_top, within_mass, without_the_likely};
use super::penalties::{Penalty, bias_table, frequency, presence, repetition};
use super::settings::{PenaltySettings, RowSettings, SamplerSettings, wider};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::tensor::{dims2, selective_log_softmax};
use mlx_rs::ops::{self, indexing};
use std::cell::OnceCell;

/// Up to so many candidates are sorted in place of the vocabulary.
const FEW: i32 = 1024;

/// The random numbers of one row's draw, both in `[0, 1)`. They are made on the host, so that a row
/// depends on its own seed only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance {
    pub draw: f32,
    /// Whether XTC happens.
    pub xtc: f32,
}

/// What was drawn: ids and their log-probabilities, `[B]` each.
#[derive(Clone, Debug)]
pub struct Draw {
    /// `int32` `[B]`
    pub tokens: Array,
    /// f32 `[B]`: under the model at the sampling temperature, without filters and penalties.
    pub logprobs: Array,
}

/// A number for every row, or one for all of them.
#[derive(Clone, Debug)]
struct Column(Array);

impl Column {
    fn new(values: &[f32]) -> Self {
        match values.split_first() {
            Some((first, rest)) if rest.iter().any(|value| value != first) => {
                Self(Array::from_slice(values, &[values.len() as i32, 1]))
            }
            first => Self(Array::from_f32(first.map_or(0.0, |(first, _)| *first))),
        }
    }
}

/// How the rows of a part choose; what is a column elsewhere is alike here.
#[derive(Clone, Debug, PartialEq)]
enum Way {
    Greedy,
    /// From the whole distribution.
    Plain,
    Filtered {
        top_p: bool,
        min_p: bool,
        min_tokens_to_keep: i32,
        xtc: bool,
        special_tokens: Vec<i32>,
        top_k: i32,
    },
}

impl Way {
    fn of(s: &SamplerSettings) -> Self {
        let (top_p, min_p, xtc) = (s.top_p < 1.0, s.min_p > 0.0, s.xtc_probability > 0.0);
        if s.temperature == 0.0 {
            Self::Greedy
        } else if !top_p && !min_p && !xtc && s.top_k == 0 {
            Self::Plain
        } else {
            Self::Filtered {
                top_p,
                min_p,
                min_tokens_to_keep: if min_p { s.min_tokens_to_keep } else { 1 },
                special_tokens: if xtc {
                    s.xtc_special_tokens.clone()
                } else {
                    vec![]
                },
                xtc,
                top_k: s.top_k,
            }
        }
    }
}

/// Rows that choose in one way, with numbers of their own.
#[derive(Clone, Debug)]
struct Part {
    way: Way,
    /// Which rows of the batch; `None` is all.
    rows: Option<Vec<i32>>,
    /// What logits are multiplied by; `None` is 1.
    inverse_temperature: Option<Column>,
    top_p: Column,
    log_min_p: Column,
    xtc_threshold: Column,
    /// One for each row, or one for all.
    xtc_probability: Vec<f32>,
}

impl Part {
    fn new(way: Way, rows: Option<Vec<i32>>, settings: &[&SamplerSettings]) -> Self {
        let column = |f: &dyn Fn(&SamplerSettings) -> f32| {
            Column::new(&settings.iter().map(|s| f(s)).collect::<Vec<_>>())
        };
        let is_one = settings.iter().all(|s| s.logprob_temperature() == 1.0);
        Self {
            way,
            rows,
            inverse_temperature: (!is_one).then(|| column(&|s| 1.0 / s.logprob_temperature())),
            top_p: column(&|s| s.top_p),
            log_min_p: column(&|s| s.min_p.ln()),
            xtc_threshold: column(&|s| s.xtc_threshold),
            xtc_probability: settings.iter().map(|s| s.xtc_probability).collect(),
        }
    }

    fn scaled(&self, logits: &Array) -> Result<Array> {
        match &self.inverse_temperature {
            None => Ok(logits.clone()),
            Some(column) => Ok(logits.multiply(&column.0)?),
        }
    }

    /// Log-probabilities with `-inf` for excluded tokens, in mlx-lm's order.
    ///
    /// # Shapes
    /// - logprobs: `[B, V]`
    fn filter(&self, logprobs: &Array, chances: &[Chance]) -> Result<Array> {
        let Way::Filtered {
            top_p,
            min_p,
            min_tokens_to_keep,
            xtc,
            special_tokens,
            top_k,
        } = &self.way
        else {
            return Ok(logprobs.clone());
        };
        let mut kept = logprobs.clone();
        if *top_p {
            kept = within_mass(&kept, &self.top_p.0)?;
        }
        if *min_p {
            kept = near_the_top(&kept, &self.log_min_p.0, *min_tokens_to_keep)?;
        }
        if *xtc {
            let happens = |(i, chance): (usize, &Chance)| {
                let p = self.xtc_probability.get(i).or(self.xtc_probability.first());
                p.is_some_and(|p| chance.xtc < *p)
            };
            let rows: Vec<bool> = chances.iter().enumerate().map(happens).collect();
            kept = without_the_likely(&kept, &rows, &self.xtc_threshold.0, special_tokens)?;
        }
        filters::top_k(&kept, *top_k)
    }

    /// The number of candidates, where only the likeliest few can be drawn and nothing needs the
    /// others' order.
    fn candidates(&self, vocab: i32) -> Option<i32> {
        match &self.way {
            Way::Filtered {
                xtc: false, top_k, ..
            } if (1..=FEW.min(vocab - 1)).contains(top_k) => Some(*top_k),
            _ => None,
        }
    }

    /// [`filter`](Self::filter) for the `k` likeliest tokens, which are in order already.
    ///
    /// # Shapes
    /// - logprobs: `[B, k]`, normalised over the whole vocabulary
    fn filter_few(&self, logprobs: &Array) -> Result<Array> {
        let Way::Filtered {
            top_p,
            min_p,
            min_tokens_to_keep,
            ..
        } = &self.way
        else {
            return Ok(logprobs.clone());
        };
        let mut kept = logprobs.clone();
        if *top_p {
            let above = kept.exp()?.cumsum(-1, false, false)?;
            // Ties with the last one kept stay, as they do when all are sorted.
            let within = above.lt(&self.top_p.0)?;
            let infinite = Array::from_f32(f32::INFINITY);
            let cut = ops::select(&within, &kept, &infinite)?.min_axis(-1, true)?;
            kept = exclude(&kept, &kept.lt(&cut)?)?;
        }
        if *min_p {
            let cut = kept.max_axis(-1, true)?.add(&self.log_min_p.0)?;
            let places = Array::arange::<_, i32>(None, kept.dim(-1), None)?;
            let beyond = places.ge(Array::from_int(*min_tokens_to_keep))?;
            kept = exclude(&kept, &kept.lt(&cut)?.logical_and(&beyond)?)?;
        }
        Ok(kept)
    }

    /// Draws a token for each row.
    ///
    /// # Shapes
    /// - logits: f32 `[B, V]`
    /// - returns: `int32` `[B]`
    fn tokens(&self, logits: &Array, chances: &[Chance]) -> Result<Array> {
        if self.way == Way::Greedy {
            return Ok(indexing::argmax_axis(logits, -1, false)?.as_dtype(Dtype::Int32)?);
        }
        let Some(k) = self.candidates(logits.dim(-1)) else {
            return invert(&self.probabilities(logits, chances)?, &draws(chances));
        };
        let total = ops::logsumexp_axis(logits, -1, true)?;
        let (ids, values) = filters::top(logits, k)?;
        let kept = self.filter_few(&values.subtract(total)?)?;
        let probabilities = ops::softmax_axis(&self.scaled(&kept)?, -1, true)?;
        let place = invert(&probabilities, &draws(chances))?.expand_dims(-1)?;
        let tokens = indexing::take_along_axis(&ids, &place, -1)?;
        Ok(tokens.squeeze_axes(&[-1])?.as_dtype(Dtype::Int32)?)
    }

    /// What tokens are drawn from.
    ///
    /// # Shapes
    /// - logits: f32 `[B, V]`
    /// - returns: f32 `[B, V]`
    fn probabilities(&self, logits: &Array, chances: &[Chance]) -> Result<Array> {
        let logprobs = match self.way {
            Way::Greedy => {
                let token = indexing::argmax_axis(logits, -1, true)?;
                let none = ops::zeros_like(logits)?;
                let one = Array::from_f32(1.0);
                return Ok(indexing::put_along_axis(&none, &token, &one, Some(-1))?);
            }
            Way::Plain => logits.clone(),
            Way::Filtered { .. } => {
                let total = ops::logsumexp_axis(logits, -1, true)?;
                self.filter(&logits.subtract(total)?, chances)?
            }
        };
        Ok(ops::softmax_axis(&self.scaled(&logprobs)?, -1, true)?)
    }
}

fn draws(chances: &[Chance]) -> Vec<f32> {
    chances.iter().map(|chance| chance.draw).collect()
}

/// Checked settings of the rows of a batch, ready to draw.
#[derive(Clone, Debug)]
pub struct Sampler {
    parts: Vec<Part>,
    /// Where the rows of the parts, one part after another, stand in the batch.
    order: Option<Vec<i32>>,
    /// As of all rows.
    inverse_temperature: Option<Column>,
    penalties: Vec<PenaltySettings>,
    context: Option<usize>,
    /// The biases as a table, made when the size of the vocabulary is known.
    bias: OnceCell<Array>,
}

impl Sampler {
    /// Rows that are all sampled alike, any number of them.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn uniform(settings: RowSettings) -> Result<Self> {
        Self::rows(std::slice::from_ref(&settings))
    }

    /// Rows with settings of their own. Where all have the same, any number of rows will do.
    ///
    /// # Errors
    /// A setting out of its range; no rows.
    pub fn rows(rows: &[RowSettings]) -> Result<Self> {
        let Some(first) = rows.first() else {
            return Err(Error::value("sampler", "no rows", "at least one"));
        };
        for row in rows {
            row.sampler.check()?;
            row.penalties.check(None)?;
        }
        let alike = rows.iter().all(|row| row == first);
        let rows = if alike { &rows[..1] } else { rows };
        let (parts, order) = parts(rows);
        let penalties: Vec<PenaltySettings> = rows.iter().map(|r| r.penalties.clone()).collect();
        let all: Vec<&SamplerSettings> = rows.iter().map(|row| &row.sampler).collect();
        Ok(Self {
            parts,
            order,
            inverse_temperature: Part::new(Way::Plain, None, &all).inverse_temperature,
            context: penalties.iter().filter_map(|p| p.context()).reduce(wider),
            penalties,
            bias: OnceCell::new(),
        })
    }

    /// How many of the last tokens the penalties look at, if there are any; 0 is all.
    pub fn context(&self) -> Option<usize> {
        self.context
    }

    /// Log-probabilities with `-inf` for excluded tokens, in mlx-lm's order: top-p, min-p, XTC,
    /// top-k. The temperature comes after the filters, so they see the model's own probabilities.
    ///
    /// # Shapes
    /// - logprobs: `[B, V]`
    /// - returns: `[B, V]`
    pub fn filter(&self, logprobs: &Array, chances: &[Chance]) -> Result<Array> {
        self.each(logprobs, chances, Part::filter)
    }

    /// Draws one token for each row.
    ///
    /// The draw inverts the cumulative distribution at one given number for each row, so a row's
    /// token depends on nothing but its own logits, history and numbers.
    ///
    /// # Shapes
    /// - logits: `[B, V]`
    /// - history: `int32` `[B, C]`, the last tokens of each row, shorter ones with -1 before them
    pub fn draw(
        &self,
        logits: &Array,
        history: Option<&Array>,
        chances: &[Chance],
    ) -> Result<Draw> {
        let logits = logits.as_dtype(Dtype::Float32)?;
        if let [part] = self.parts.as_slice()
            && part.way == Way::Plain
            && !self.has_penalties(history)
        {
            return draw_plain(part, &logits, chances);
        }
        let penalised = self.penalised(&logits, history)?;
        let tokens = self.each(&penalised, chances, Part::tokens)?;
        let scaled = match &self.inverse_temperature {
            None => logits,
            Some(column) => logits.multiply(&column.0)?,
        };
        let logprobs = selective_log_softmax(&scaled, &tokens)?;
        Ok(Draw { tokens, logprobs })
    }

    /// The probabilities that tokens are drawn from, after penalties, filters and temperature; of a
    /// greedy row 1 for its token.
    ///
    /// # Shapes
    /// As for [`draw`](Self::draw).
    /// - returns: f32 `[B, V]`
    pub fn distribution(
        &self,
        logits: &Array,
        history: Option<&Array>,
        chances: &[Chance],
    ) -> Result<Array> {
        let logits = logits.as_dtype(Dtype::Float32)?;
        let penalised = self.penalised(&logits, history)?;
        self.each(&penalised, chances, Part::probabilities)
    }

    fn has_penalties(&self, history: Option<&Array>) -> bool {
        let biased = self.penalties.iter().any(|p| !p.logit_bias.is_empty());
        biased || (self.context.is_some() && history.is_some())
    }

    /// Logits after bias, repetition, presence and frequency, in this order.
    fn penalised(&self, logits: &Array, history: Option<&Array>) -> Result<Array> {
        if !self.has_penalties(history) {
            return Ok(logits.clone());
        }
        let mut logits = logits.clone();
        let all = &self.penalties;
        if all.iter().any(|p| !p.logit_bias.is_empty()) {
            logits = logits.add(self.bias(logits.dim(-1))?)?;
        }
        let Some(history) = history.filter(|history| history.size() > 0) else {
            return Ok(logits);
        };
        let penalty = |amount: &dyn Fn(&PenaltySettings) -> f32,
                       context: &dyn Fn(&PenaltySettings) -> usize| {
            let amounts: Vec<f32> = all.iter().map(amount).collect();
            let mut contexts: Vec<usize> = all.iter().map(context).collect();
            if contexts.iter().all(|c| *c == contexts[0]) {
                contexts.truncate(1);
            }
            Penalty {
                amount: Column::new(&amounts).0,
                contexts,
            }
        };
        if all.iter().any(|p| p.repetition_penalty != 1.0) {
            let p = penalty(&|p| p.repetition_penalty, &|p| p.repetition_context_size);
            logits = repetition(&logits, history, &p)?;
        }
        if all.iter().any(|p| p.presence_penalty != 0.0) {
            let p = penalty(&|p| p.presence_penalty, &|p| p.presence_context_size);
            logits = presence(&logits, history, &p)?;
        }
        if all.iter().any(|p| p.frequency_penalty != 0.0) {
            let p = penalty(&|p| p.frequency_penalty, &|p| p.frequency_context_size);
            logits = frequency(&logits, history, &p)?;
        }
        Ok(logits)
    }

    fn bias(&self, vocab: i32) -> Result<Array> {
        if let Some(table) = self.bias.get() {
            return Ok(table.clone());
        }
        for penalties in &self.penalties {
            penalties.check(Some(vocab))?;
        }
        let rows: Vec<_> = self
            .penalties
            .iter()
            .map(|p| p.logit_bias.as_slice())
            .collect();
        let table = bias_table(&rows, vocab)?;
        Ok(self.bias.get_or_init(|| table).clone())
    }

    /// Runs each part on its rows, and puts the answers in the order of the batch.
    fn each(
        &self,
        values: &Array,
        chances: &[Chance],
        f: impl Fn(&Part, &Array, &[Chance]) -> Result<Array>,
    ) -> Result<Array> {
        let [b, _] = dims2(values, "logits `[B, V]`")?;
        if chances.len() != b as usize {
            let found = format!("{} chances", chances.len());
            return Err(Error::value("sampler", found, &format!("{b}, as rows")));
        }
        let Some(order) = &self.order else {
            return f(&self.parts[0], values, chances);
        };
        if order.len() != b as usize {
            let found = format!("logits of {b} rows");
            let expected = format!("{}, as there are settings", order.len());
            return Err(Error::value("sampler", found, &expected));
        }
        let answers = self.parts.iter().map(|part| {
            let rows = part.rows.as_deref().unwrap_or_default();
            let own: Vec<Chance> = rows.iter().map(|row| chances[*row as usize]).collect();
            let index = Array::from_slice(rows, &[rows.len() as i32]);
            f(part, &values.take_axis(&index, 0)?, &own)
        });
        let answers: Vec<Array> = answers.collect::<Result<_>>()?;
        let order = Array::from_slice(order, &[order.len() as i32]);
        Ok(ops::concatenate(&answers, 0)?.take_axis(&order, 0)?)
    }
}

/// Rows by the way in which they choose; and where each row of the batch stands among them.
fn parts(rows: &[RowSettings]) -> (Vec<Part>, Option<Vec<i32>>) {
    let mut ways: Vec<(Way, Vec<i32>)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let way = Way::of(&row.sampler);
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, list)) => list.push(i as i32),
            None => ways.push((way, vec![i as i32])),
        }
    }
    let settings = |list: &[i32]| -> Vec<&SamplerSettings> {
        list.iter()
            .map(|row| &rows[*row as usize].sampler)
            .collect()
    };
    if let [(way, list)] = ways.as_slice() {
        return (vec![Part::new(way.clone(), None, &settings(list))], None);
    }
    let mut order = vec![0; rows.len()];
    let places = ways.iter().flat_map(|(_, list)| list).enumerate();
    places.for_each(|(place, row)| order[*row as usize] = place as i32);
    let parts = ways.into_iter().map(|(way, list)| {
        let settings = settings(&list);
        Part::new(way, Some(list.clone()), &settings)
    });
    (parts.collect(), Some(order))
}

/// One pass of exponentials serves the draw and the log-probability.
fn draw_plain(part: &Part, logits: &Array, chances: &[Chance]) -> Result<Draw> {
    let probabilities = part.probabilities(logits, chances)?;
    let tokens = invert(&probabilities, &draws(chances))?;
    let chosen = indexing::take_along_axis(&probabilities, &tokens.expand_dims(-1)?, -1)?;
    let logprobs = chosen.squeeze_axes(&[-1])?.log()?;
    Ok(Draw { tokens, logprobs })
}

/// The first token whose cumulative probability exceeds the row's number; the probabilities need
/// not be normalised.
///
/// # Shapes
/// - probabilities: `[B, V]`; uniforms: B numbers in `[0, 1)` with at most 23 bits, so that times a
///   sum they stay below it
/// - returns: `int32` `[B]`
pub fn invert(probabilities: &Array, uniforms: &[f32]) -> Result<Array> {
    let cumulative = probabilities.cumsum(-1, false, true)?;
    let total = cumulative.max_axis(-1, true)?;
    let target = total.multiply(Array::from_slice(uniforms, &[uniforms.len() as i32, 1]))?;
    let passed = cumulative.le(&target)?;
    Ok(passed.sum_axis(-1, false)?.as_dtype(Dtype::Int32)?)
}
