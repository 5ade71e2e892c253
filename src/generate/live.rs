//! Completions that are being decoded together.

use super::settings::{Generated, Observer, Request};
use super::step::step;
use crate::cache::{self, Cache};
use crate::error::Result;
use crate::mlx::random::Host;
use crate::mlx::{self, Array, slice};
use crate::models::Qwen3;
use crate::sampling::{Chance, Draw, RowSettings, Sampler};
use crate::tensor::{Side, pad_sequences, to_f32, to_i32};
use mlx_rs::ops;

/// A completion under way.
pub(super) struct Row<'a> {
    /// The number of its request.
    pub number: usize,
    pub request: &'a Request,
    host: Host,
    pub done: Generated,
}

impl<'a> Row<'a> {
    pub fn new(number: usize, request: &'a Request) -> Self {
        Self {
            number,
            request,
            host: Host::new(request.seed),
            done: Generated::nothing(),
        }
    }

    /// The numbers of the row's next draw.
    pub fn chance(&mut self) -> Chance {
        Chance::next(&mut self.host)
    }

    /// A number for the choice between two drafts.
    pub fn uniform(&mut self) -> f32 {
        self.host.uniform()
    }

    /// Takes a token and says whether more are to come.
    pub fn push(&mut self, token: (i32, f32), observer: &mut dyn Observer) -> Result<bool> {
        self.done.push((self.number, self.request), token, observer)
    }

    /// Whether the token that is drawn now is the last by its number.
    fn is_full_with_next(&self) -> bool {
        self.done.token_ids.len() + 1 >= self.request.max_tokens
    }
}

/// The last tokens of some rows, for penalties, `int32` `[B, C]`; rows that are shorter begin
/// with -1.
#[derive(Clone)]
pub(super) struct History {
    tokens: Array,
    /// How many are needed; 0 is all of them.
    context: usize,
}

impl History {
    /// The ends of texts.
    pub fn new(texts: &[&[i32]], context: usize) -> Self {
        let end = |text: &&[i32]| match context {
            0 => 0,
            n => text.len().saturating_sub(n),
        };
        let ends: Vec<&[i32]> = texts.iter().map(|text| &text[end(text)..]).collect();
        Self {
            tokens: pad_sequences(&ends, -1, Side::Left),
            context,
        }
    }

    pub fn tokens(&self) -> &Array {
        &self.tokens
    }

    /// With one more token for each row, `[B]`.
    pub fn push(&self, next: &Array) -> Result<Self> {
        let longer = ops::concatenate(&[&self.tokens, &next.expand_dims(-1)?], 1)?;
        let (b, width) = (longer.dim(0), longer.dim(1));
        let surplus = match self.context {
            0 => 0,
            n => (width - n as i32).max(0),
        };
        Ok(Self {
            tokens: slice(&longer, &[0, surplus], &[b, width])?,
            context: self.context,
        })
    }

    fn select(&self, rows: &Array) -> Result<Self> {
        Ok(Self {
            tokens: self.tokens.take_axis(rows, 0)?,
            context: self.context,
        })
    }

    /// The rows of both, the shorter ones with more padding.
    pub fn join(&self, other: &Self) -> Result<Self> {
        let width = self.tokens.dim(1).max(other.tokens.dim(1));
        let wide = |tokens: &Array| -> Result<Array> {
            let gap = width - tokens.dim(1);
            let filler = ops::full::<i32>(&[tokens.dim(0), gap], Array::from_int(-1))?;
            Ok(ops::concatenate(&[&filler, tokens], 1)?)
        };
        let tokens = ops::concatenate(&[&wide(&self.tokens)?, &wide(&other.tokens)?], 0)?;
        Ok(Self {
            tokens,
            context: self.context,
        })
    }
}

/// Rows that share a cache, and what was drawn for them last, which nobody has read yet.
pub(super) struct Live<'a> {
    pub rows: Vec<Row<'a>>,
    pub cache: Cache,
    draw: Draw,
    history: Option<History>,
    sampler: Sampler,
}

/// The sampler of some rows.
fn sampler_of(rows: &[Row]) -> Result<Sampler> {
    let settings: Vec<RowSettings> = rows.iter().map(|r| r.request.sampling.clone()).collect();
    Sampler::rows(&settings)
}

impl<'a> Live<'a> {
    /// Draws the first tokens of rows whose prompts are in a cache. `context` says how much of a
    /// text the penalties of any row look at.
    ///
    /// # Shapes
    /// - logits: `[B, V]`, after the prompts
    pub fn start(
        mut rows: Vec<Row<'a>>,
        cache: Cache,
        logits: &Array,
        context: Option<usize>,
    ) -> Result<Self> {
        let sampler = sampler_of(&rows)?;
        let prompts: Vec<&[i32]> = rows.iter().map(|r| r.request.prompt.as_slice()).collect();
        let history = context.map(|n| History::new(&prompts, n));
        let chances: Vec<Chance> = rows.iter_mut().map(Row::chance).collect();
        let draw = sampler.draw(logits, history.as_ref().map(History::tokens), &chances)?;
        let live = Self {
            rows,
            cache,
            draw,
            history,
            sampler,
        };
        live.launch()?;
        Ok(live)
    }

    /// Begins to compute what was drawn.
    fn launch(&self) -> Result<()> {
        mlx::async_eval([&self.draw.tokens, &self.draw.logprobs])
    }

    /// Launches the next step, reads the last one, and gives away the rows that ended with it. The
    /// device does not wait for the host in between.
    pub fn tick(
        &mut self,
        model: &Qwen3,
        go_on: bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Row<'a>>> {
        let read = self.draw.clone();
        // 1. Rows that the drawn token completes need no further step.
        let staying: Vec<usize> = (0..self.rows.len())
            .filter(|i| go_on && !self.rows[*i].is_full_with_next())
            .collect();
        if !staying.is_empty() {
            if staying.len() < self.rows.len() {
                self.select_arrays(&staying)?;
                let settings: Vec<RowSettings> = staying
                    .iter()
                    .map(|i| self.rows[*i].request.sampling.clone())
                    .collect();
                self.sampler = Sampler::rows(&settings)?;
            }
            self.step(model, &staying)?;
        }
        // 2. Read, while that is computed.
        let (ids, logprobs) = (to_i32(&read.tokens)?, to_f32(&read.logprobs)?);
        let mut goes_on = vec![false; self.rows.len()];
        for (i, row) in self.rows.iter_mut().enumerate() {
            goes_on[i] = row.push((ids[i], logprobs[i]), observer)?;
        }
        // 3. Part with what ended: of the step under way, too.
        let kept: Vec<usize> = (0..staying.len())
            .filter(|i| goes_on[staying[*i]])
            .collect();
        let mut stays = vec![false; self.rows.len()];
        kept.iter().for_each(|i| stays[staying[*i]] = true);
        let rows = std::mem::take(&mut self.rows).into_iter().zip(stays);
        let (staying_rows, ended): (Vec<_>, Vec<_>) = rows.partition(|(_, stays)| *stays);
        self.rows = staying_rows.into_iter().map(|(row, _)| row).collect();
        if !self.rows.is_empty() && kept.len() < staying.len() {
            self.select_arrays(&kept)?;
            self.sampler = sampler_of(&self.rows)?;
        }
        Ok(ended.into_iter().map(|(row, _)| row).collect())
    }

    /// One step of those rows, which are the rows of the arrays.
    fn step(&mut self, model: &Qwen3, staying: &[usize]) -> Result<()> {
        if let Some(history) = &self.history {
            self.history = Some(history.push(&self.draw.tokens)?);
        }
        let chances: Vec<Chance> = staying.iter().map(|i| self.rows[*i].chance()).collect();
        let history = self.history.as_ref().map(History::tokens);
        let logits = step(model, &mut self.cache, &self.draw.tokens)?;
        self.draw = self.sampler.draw(&logits, history, &chances)?;
        self.launch()
    }

    /// Keeps some rows of the arrays.
    fn select_arrays(&mut self, kept: &[usize]) -> Result<()> {
        let kept: Vec<i32> = kept.iter().map(|i| *i as i32).collect();
        cache::select(&mut self.cache, &kept)?;
        let index = Array::from_slice(&kept, &[kept.len() as i32]);
        self.draw = Draw {
            tokens: self.draw.tokens.take_axis(&index, 0)?,
            logprobs: self.draw.logprobs.take_axis(&index, 0)?,
        };
        if let Some(history) = &self.history {
            self.history = Some(history.select(&index)?);
        }
        Ok(())
    }

    /// The rows of several as one.
    pub fn join(parts: Vec<Self>) -> Result<Option<Self>> {
        if parts.len() < 2 {
            return Ok(parts.into_iter().next());
        }
        let (mut rows, mut caches, mut tokens, mut logprobs) = (vec![], vec![], vec![], vec![]);
        let mut history: Option<History> = None;
        for part in parts {
            rows.extend(part.rows);
            caches.push(part.cache);
            tokens.push(part.draw.tokens);
            logprobs.push(part.draw.logprobs);
            history = match (history, part.history) {
                (Some(before), Some(own)) => Some(before.join(&own)?),
                (before, own) => before.or(own),
            };
        }
        Ok(Some(Self {
            cache: cache::join(&caches)?,
            draw: Draw {
                tokens: ops::concatenate(&tokens, 0)?,
                logprobs: ops::concatenate(&logprobs, 0)?,
            },
            history,
            sampler: sampler_of(&rows)?,
            rows,
        }))
    }
}
