//! Many completions at once.
//!
//! Every distinct prompt is forwarded once and its cache serves all its completions. All rows
//! decode together; a row that ends is dropped. The next step is launched before the last is
//! read, so that the device does not wait for the host.

use super::settings::{Finish, GenerateSettings, Generated};
use super::step::{prefill, step};
use crate::cache::{self, Cache};
use crate::error::{Error, Result};
use crate::mlx::random::{Host, derive};
use crate::mlx::{self, Array, interrupt};
use crate::models::Qwen3;
use crate::sampling::{Draw, Sampler};
use crate::tensor::{Side, pad_sequences, to_f32, to_i32};
use mlx_rs::ops;
use std::collections::BTreeMap;

/// Who is told of tokens as they come.
pub trait Observer {
    /// A row (prompt index times `num_samples` plus sample) got one more id. An error ends the
    /// generation.
    fn token(&mut self, row: usize, id: i32) -> Result<()>;
}

/// Tells nobody.
pub struct Silent;

impl Observer for Silent {
    fn token(&mut self, _: usize, _: i32) -> Result<()> {
        Ok(())
    }
}

/// Completes every prompt `num_samples` times; the completions of a prompt are adjacent.
///
/// A row's randomness depends on the seed and its number only: a request draws the same tokens
/// alone or in a batch. An interrupt ends all rows with what they have.
///
/// # Errors
/// A bad setting, an empty prompt, an id outside the vocabulary; all before anything is computed.
pub fn generate(
    model: &Qwen3,
    prompts: &[Vec<i32>],
    settings: &GenerateSettings,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>> {
    // 1. Check everything.
    settings.check()?;
    for prompt in prompts {
        if prompt.is_empty() {
            return Err(Error::value(
                "prompt",
                "an empty prompt",
                "at least one token",
            ));
        }
        model.check_ids(prompt)?;
    }
    let sampler = Sampler::new(settings.sampler)?;
    let mut rows = Rows::new(prompts.len(), settings);
    if prompts.is_empty() {
        return Ok(rows.done);
    }
    // 2. Forward the prompts, and draw the first tokens.
    let (mut cache, logits) = match start(model, prompts, settings, &mut rows) {
        Ok(started) => started,
        Err(Error::Interrupted) => return Ok(rows.done),
        Err(error) => return Err(error),
    };
    tracing::debug!(rows = rows.active.len(), "decoding");
    let mut draw = sampler.draw(&logits, &rows.uniforms())?;
    mlx::async_eval([&draw.tokens, &draw.logprobs])?;
    // 3. Decode, one step ahead of what has been read.
    for count in 1..=settings.max_tokens {
        let next = if count < settings.max_tokens && !interrupt::is_set() {
            let uniforms = rows.uniforms();
            let next = step(model, &mut cache, &draw.tokens, &sampler, &uniforms)?;
            mlx::async_eval([&next.tokens, &next.logprobs])?;
            Some(next)
        } else {
            None
        };
        rows.record(&draw, settings, observer)?;
        match next {
            Some(next) if !rows.active.is_empty() => draw = rows.drop_ended(next, &mut cache)?,
            _ => break,
        }
    }
    Ok(rows.done)
}

/// Distinct prompts of one length, each with the places that it has in the request.
type Group<'a> = Vec<(&'a [i32], Vec<usize>)>;

/// Forwards the distinct prompts, those of one length together, and lays out one cache row and
/// one row of logits for each completion.
fn start(
    model: &Qwen3,
    prompts: &[Vec<i32>],
    settings: &GenerateSettings,
    rows: &mut Rows,
) -> Result<(Cache, Array)> {
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (i, prompt) in prompts.iter().enumerate() {
        let group = groups.entry(prompt.len()).or_default();
        match group.iter_mut().find(|(ids, _)| *ids == prompt.as_slice()) {
            Some((_, users)) => users.push(i),
            None => group.push((prompt, vec![i])),
        }
    }
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let reserve = longest + settings.max_tokens.min(256);
    let (mut parts, mut logits, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups.into_values() {
        let ids: Vec<&[i32]> = group.iter().map(|(ids, _)| *ids).collect();
        let ids = pad_sequences(&ids, 0, Side::Right);
        let mut part = cache::full(model.layers.len(), reserve as i32);
        let of_prompts = prefill(model, &mut part, &ids, settings.prefill_step_size)?;
        let mut copies = Vec::new();
        for (row, (_, users)) in group.iter().enumerate() {
            for user in users {
                for sample in 0..settings.num_samples {
                    copies.push(row as i32);
                    order.push(user * settings.num_samples + sample);
                }
            }
        }
        cache::select(&mut part, &copies)?;
        let copies = Array::from_slice(&copies, &[copies.len() as i32]);
        logits.push(of_prompts.take_axis(&copies, 0)?);
        parts.push(part);
    }
    rows.active = order;
    let cache = if parts.len() == 1 {
        parts.remove(0)
    } else {
        cache::join(&parts)?
    };
    Ok((cache, ops::concatenate(&logits, 0)?))
}

/// The completions so far, and which of them still grow.
struct Rows {
    done: Vec<Generated>,
    /// The completion of each row of the batch that is being decoded.
    active: Vec<usize>,
    /// Rows of the batch that stay, among those of the last recorded step.
    kept: Vec<i32>,
    hosts: Vec<Host>,
}

impl Rows {
    fn new(prompts: usize, settings: &GenerateSettings) -> Self {
        let count = prompts * settings.num_samples;
        let empty = Generated {
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            finish: Finish::Interrupted,
        };
        Self {
            done: vec![empty; count],
            active: (0..count).collect(),
            kept: Vec::new(),
            hosts: (0..count as u64)
                .map(|row| Host::new(derive(settings.seed, row)))
                .collect(),
        }
    }

    /// One number for each row of the batch.
    fn uniforms(&mut self) -> Vec<f32> {
        self.active
            .iter()
            .map(|row| self.hosts[*row].uniform())
            .collect()
    }

    /// Reads what was drawn, and ends rows.
    fn record(
        &mut self,
        draw: &Draw,
        settings: &GenerateSettings,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (ids, logprobs) = (to_i32(&draw.tokens)?, to_f32(&draw.logprobs)?);
        self.kept.clear();
        let mut active = Vec::with_capacity(self.active.len());
        for (i, row) in self.active.iter().enumerate() {
            let done = &mut self.done[*row];
            done.token_ids.push(ids[i]);
            done.logprobs.push(logprobs[i]);
            observer.token(*row, ids[i])?;
            if settings.stop_token_ids.contains(&ids[i]) {
                done.finish = Finish::Stop;
            } else if done.token_ids.len() >= settings.max_tokens {
                done.finish = Finish::Length;
            } else {
                self.kept.push(i as i32);
                active.push(*row);
            }
        }
        self.active = active;
        Ok(())
    }

    /// Removes ended rows from the cache and from the step under way.
    fn drop_ended(&self, draw: Draw, cache: &mut Cache) -> Result<Draw> {
        if self.kept.len() == draw.tokens.dim(0) as usize {
            return Ok(draw);
        }
        cache::select(cache, &self.kept)?;
        let kept = Array::from_slice(&self.kept, &[self.kept.len() as i32]);
        Ok(Draw {
            tokens: draw.tokens.take_axis(&kept, 0)?,
            logprobs: draw.logprobs.take_axis(&kept, 0)?,
        })
    }
}
