//! `sampler(..)` and `sampling::`.

use super::convert::{self, brief, int};
use super::error::{Answer, At};
use super::settings::{Settings, float};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::random::{self, Host};
use crate::mlx::{Array, Dtype};
use crate::sampling::{self, Chance, PenaltySettings, RowSettings, SamplerSettings};
use crate::tensor::{Side, dtype, pad_sequences, to_i32};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// A sampler and its stream of random numbers.
#[derive(Clone)]
pub struct Sampler {
    inner: sampling::Sampler,
    settings: RowSettings,
    host: Rc<RefCell<Host>>,
}

impl Sampler {
    fn chances(&self, rows: i32) -> Vec<Chance> {
        let mut host = self.host.borrow_mut();
        (0..rows).map(|_| Chance::next(&mut host)).collect()
    }

    fn sample(&self, logits: &Array, history: Option<&Array>) -> Result<Tensor> {
        let rows = row_count(logits);
        let matrix = match logits.ndim() {
            1 => logits.expand_dims(0)?,
            _ => logits.clone(),
        };
        let draw = self.inner.draw(&matrix, history, &self.chances(rows))?;
        match logits.ndim() {
            1 => Ok(Tensor::new(draw.tokens.squeeze_axes(&[0])?)),
            _ => Ok(Tensor::new(draw.tokens)),
        }
    }

    fn filter(&self, logprobs: &Array) -> Result<Tensor> {
        let rows = row_count(logprobs);
        let chances = match self.settings.sampler.xtc_probability > 0.0 {
            true => self.chances(rows),
            // Looking does not move the stream where nothing is random.
            false => vec![
                Chance {
                    draw: 0.0,
                    xtc: 0.0
                };
                rows as usize
            ],
        };
        self.inner.filter(logprobs, &chances).map(Tensor::new)
    }
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<Sampler>("Sampler");
    global.combine(exported_module!(members));
    engine.register_static_module("sampling", exported_module!(parts).into());
    let show = |s: &mut Sampler| match s.settings.penalties.is_off() {
        true => format!("{:?}", s.settings.sampler),
        false => format!("{:?} {:?}", s.settings.sampler, s.settings.penalties),
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// Reads the keys that every sampling function shares.
pub fn sampler_settings(s: &mut Settings, into: &mut SamplerSettings) -> Result<()> {
    s.single("temperature", &mut into.temperature)?;
    s.single("top_p", &mut into.top_p)?;
    if let Some(k) = s.integer("top_k")? {
        into.top_k = int(k)?;
    }
    s.single("min_p", &mut into.min_p)?;
    if let Some(keep) = s.integer("min_tokens_to_keep")? {
        into.min_tokens_to_keep = int(keep)?;
    }
    s.single("xtc_probability", &mut into.xtc_probability)?;
    s.single("xtc_threshold", &mut into.xtc_threshold)?;
    if let Some(special) = s.ids("xtc_special_tokens")? {
        into.xtc_special_tokens = special;
    }
    Ok(())
}

/// Reads the keys of penalties and bias.
pub fn penalty_settings(s: &mut Settings, into: &mut PenaltySettings) -> Result<()> {
    s.single("repetition_penalty", &mut into.repetition_penalty)?;
    let size = &mut into.repetition_context_size;
    s.count("repetition_context_size", size)?;
    s.single("presence_penalty", &mut into.presence_penalty)?;
    s.count("presence_context_size", &mut into.presence_context_size)?;
    s.single("frequency_penalty", &mut into.frequency_penalty)?;
    s.count("frequency_context_size", &mut into.frequency_context_size)?;
    if let Some(value) = s.take("logit_bias") {
        into.logit_bias = bias(&value)?;
    }
    Ok(())
}

fn number(value: &Dynamic, name: &str) -> Result<f32> {
    float(value)
        .map(|number| number as f32)
        .ok_or_else(|| Error::value(name, convert::kind(value), "a number"))
}

/// How many rows logits have; shapes that cannot be are left to the native room to refuse.
fn row_count(logits: &Array) -> i32 {
    match logits.ndim() {
        2 => logits.dim(0),
        _ => 1,
    }
}

/// Ids and what is added to their logits, from a map whose keys are ids or a list of pairs.
fn bias(value: &Dynamic) -> Result<Vec<(i32, f32)>> {
    let wrong = |found: String| {
        let expected = "a map of token ids, `#{ \"5\": -2.0 }`, or a list of pairs `[id, bias]`";
        Error::setting("logit_bias", found, expected)
    };
    if let Some(map) = value.read_lock::<Map>() {
        let pairs = map.iter().map(|(key, bias)| {
            let id = key.trim().parse().ok();
            let pair = id.zip(float(bias).map(|bias| bias as f32));
            pair.ok_or_else(|| wrong(format!("{key:?}: {}", brief(bias))))
        });
        return pairs.collect();
    }
    let Some(list) = value.read_lock::<List>() else {
        return Err(wrong(brief(value)));
    };
    let pairs = list.iter().map(|pair| {
        let read = pair.read_lock::<List>().and_then(|pair| match &pair[..] {
            [id, bias] => Some((i32::try_from(id.as_int().ok()?).ok()?, float(bias)? as f32)),
            _ => None,
        });
        read.ok_or_else(|| wrong(brief(pair)))
    });
    pairs.collect()
}

/// The tokens so far: ids for all rows, or a list or a row of a tensor for each.
///
/// # Shapes
/// - returns: `int32` `[1, C]` or `[B, C]`, padded on the left with -1
fn history(value: &Dynamic, vocab_size: i32) -> Result<Array> {
    let array = match (value.read_lock::<Tensor>(), value.read_lock::<List>()) {
        (Some(tensor), _) => match tensor.0.dtype().is_float() || tensor.0.ndim() > 2 {
            true => {
                let found = format!("{} {:?}", dtype::name(tensor.0.dtype()), tensor.0.shape());
                return Err(Error::value(
                    "history",
                    found,
                    "whole numbers [C] or [B, C]",
                ));
            }
            false => tensor.0.as_dtype(Dtype::Int32)?,
        },
        (None, Some(list))
            if list
                .iter()
                .any(|row| row.is::<List>() || row.is::<Tensor>()) =>
        {
            let rows = list.iter().map(convert::ids);
            let rows = rows.collect::<Result<Vec<Vec<i32>>>>()?;
            let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
            pad_sequences(&rows, -1, Side::Left)
        }
        _ => pad_sequences(&[&convert::ids(value)?], -1, Side::Left),
    };
    // MLX does not check the places that it reads and writes.
    let ids = to_i32(&array)?;
    match ids.iter().find(|id| !(-1..vocab_size).contains(*id)) {
        None => Ok(array),
        Some(id) => Err(Error::TokenId {
            id: i64::from(*id),
            vocab_size,
        }),
    }
}

/// A penalty of `[V]` or `[B, V]`: logits, history, strength, context size.
type Penalty = fn(&Array, &Array, f32, usize) -> Result<Array>;

fn penalised(
    f: Penalty,
    logits: &Tensor,
    tokens: &Dynamic,
    penalty: &Dynamic,
    context_size: INT,
) -> Result<Tensor> {
    let size = usize::try_from(context_size).map_err(|_| {
        let expected = "0 (all) or a positive number";
        Error::setting("context_size", context_size, expected)
    })?;
    let history = history(tokens, logits.0.dim(-1))?;
    f(&logits.0, &history, number(penalty, "penalty")?, size).map(Tensor::new)
}

#[export_module]
mod members {
    /// A sampler. Settings: `temperature` (1; 0 is greedy), `top_p`, `top_k`, `min_p`,
    /// `min_tokens_to_keep`, `xtc_probability` (0), `xtc_threshold` (0.1), `xtc_special_tokens`,
    /// `repetition_penalty` (1), `presence_penalty` (0), `frequency_penalty` (0), how many of the
    /// last tokens each looks at (`repetition_context_size`, `presence_context_size`,
    /// `frequency_context_size`: 20; 0 is all), `logit_bias` (a map of ids), `seed`.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0.8, top_k: 2, seed: 1 });
    /// let id = s.sample(tensor([[5.0, 4.0, 0.0]])).item();
    /// assert(id == 0 || id == 1);
    /// let never = sampler(#{ logit_bias: #{ "0": -100 }, top_k: 1 });
    /// assert_eq(never.sample(tensor([[5.0, 4.0, 0.0]])), [1]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sampler(ctx: NativeCallContext, settings: Map) -> Answer<Sampler> {
        let (settings, seed) = Settings::read(&ctx, "sampler", settings, |s| {
            let mut settings = RowSettings::default();
            sampler_settings(s, &mut settings.sampler)?;
            penalty_settings(s, &mut settings.penalties)?;
            let seed = s.integer("seed")?.map(|seed| seed as u64);
            Ok((settings, seed.unwrap_or_else(random::fresh_seed)))
        })?;
        Ok(Sampler {
            inner: sampling::Sampler::uniform(settings.clone()).at(&ctx)?,
            settings,
            host: Rc::new(RefCell::new(Host::new(seed))),
        })
    }

    /// Draws a token for each row: logits `[B, V]` give ids `[B]`, and `[V]` one id. Penalties go
    /// by the tokens so far, which come second; without them they change nothing.
    #[rhai_fn(global, pure, return_raw)]
    pub fn sample(ctx: NativeCallContext, s: &mut Sampler, logits: Tensor) -> Answer<Tensor> {
        s.sample(&logits.0, None).at(&ctx)
    }

    /// The tokens so far are a list or tensor of ids for all rows, a tensor `[B, C]`, or a list
    /// for each row; -1 is padding, which belongs on the left.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0 });
    /// assert_eq(s.sample(tensor([[1.0, 3.0], [2.0, 0.0]])), [1, 0]);
    /// assert_eq(s.sample(tensor([1.0, 3.0])).item(), 1);
    /// let other = sampler(#{ temperature: 0, repetition_penalty: 2 });
    /// assert_eq(other.sample(tensor([[2.0, 3.0], [2.0, 3.0]]), [[1, 1], [0]]), [0, 1]);
    /// ```
    #[rhai_fn(global, name = "sample", pure, return_raw)]
    pub fn sample_after(
        ctx: NativeCallContext,
        s: &mut Sampler,
        logits: Tensor,
        tokens: Dynamic,
    ) -> Answer<Tensor> {
        let draw = || match tokens.is_unit() {
            true => s.sample(&logits.0, None),
            false => s.sample(&logits.0, Some(&history(&tokens, logits.0.dim(-1))?)),
        };
        draw().at(&ctx)
    }

    /// Log-probabilities `[B, V]` or `[V]`, with `-inf` for the tokens that the sampler never
    /// draws. With `xtc_probability` chance has a part in it, for each row.
    ///
    /// ```rhai
    /// let kept = sampler(#{ top_k: 2 }).filter(tensor([[0.5, 0.2, 0.3]]).log());
    /// assert_eq(mx::isfinite(kept), [[true, false, true]]);
    /// ```
    #[rhai_fn(global, name = "filter", pure, return_raw)]
    pub fn filter_logprobs(
        ctx: NativeCallContext,
        s: &mut Sampler,
        logprobs: Tensor,
    ) -> Answer<Tensor> {
        s.filter(&logprobs.0).at(&ctx)
    }
}

#[export_module]
mod parts {
    /// Keeps the likeliest tokens whose mass reaches `p`; the others become `-inf`.
    /// Log-probabilities are `[V]` or `[B, V]`.
    ///
    /// ```rhai
    /// let p = tensor([0.4, 0.3, 0.2, 0.1]).log();
    /// assert_eq(mx::isfinite(sampling::top_p(p, 0.6)), [true, true, false, false]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn top_p(ctx: NativeCallContext, logprobs: Tensor, p: Dynamic) -> Answer<Tensor> {
        number(&p, "top_p")
            .and_then(|p| sampling::top_p(&logprobs.0, p))
            .map(Tensor::new)
            .at(&ctx)
    }

    /// Keeps the `k` likeliest tokens of `[V]` or `[B, V]`, the others become `-inf`; 0 keeps all.
    ///
    /// ```rhai
    /// let p = tensor([0.4, 0.3, 0.2, 0.1]).log();
    /// assert_eq(mx::isfinite(sampling::top_k(p, 3)), [true, true, true, false]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn top_k(ctx: NativeCallContext, logprobs: Tensor, k: INT) -> Answer<Tensor> {
        int(k)
            .and_then(|k| sampling::top_k(&logprobs.0, k))
            .map(Tensor::new)
            .at(&ctx)
    }

    /// Keeps tokens at least `p` times as likely as the likeliest; the others become `-inf`.
    #[rhai_fn(return_raw)]
    pub fn min_p(ctx: NativeCallContext, logprobs: Tensor, p: Dynamic) -> Answer<Tensor> {
        min_p_keeping(ctx, logprobs, p, 1)
    }

    /// Keeps tokens of `[V]` or `[B, V]` at least `p` times as likely as the likeliest, and the
    /// `min_tokens_to_keep` likeliest in any case; the others become `-inf`.
    ///
    /// ```rhai
    /// let p = tensor([0.4, 0.3, 0.2, 0.1]).log();
    /// assert_eq(mx::isfinite(sampling::min_p(p, 0.9)), [true, false, false, false]);
    /// assert_eq(mx::isfinite(sampling::min_p(p, 0.9, 2)), [true, true, false, false]);
    /// ```
    #[rhai_fn(name = "min_p", return_raw)]
    pub fn min_p_keeping(
        ctx: NativeCallContext,
        logprobs: Tensor,
        p: Dynamic,
        min_tokens_to_keep: INT,
    ) -> Answer<Tensor> {
        let filter = || {
            let (p, keep) = (number(&p, "min_p")?, int(min_tokens_to_keep)?);
            sampling::min_p(&logprobs.0, p, keep).map(Tensor::new)
        };
        filter().at(&ctx)
    }

    /// Excludes the top choices: of the tokens more likely than `threshold` (0.1) only the least
    /// likely stays. This happens to each row of `[V]` or `[B, V]` with `probability` (1);
    /// `special_tokens` always stay. Another setting is `seed`.
    ///
    /// ```rhai
    /// let p = tensor([0.4, 0.3, 0.2, 0.1]).log();
    /// let kept = sampling::xtc(p, #{ threshold: 0.15, special_tokens: [0] });
    /// assert_eq(mx::isfinite(kept), [true, false, true, true]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn xtc(ctx: NativeCallContext, logprobs: Tensor, settings: Map) -> Answer<Tensor> {
        let (mut probability, mut threshold) = (1.0, 0.1);
        let (special, seed) = Settings::read(&ctx, "xtc", settings, |s| {
            s.single("probability", &mut probability)?;
            s.single("threshold", &mut threshold)?;
            Ok((s.ids("special_tokens")?, s.integer("seed")?))
        })?;
        let seed = seed.map_or_else(random::fresh_seed, |seed| seed as u64);
        let (mut host, special) = (Host::new(seed), special.unwrap_or_default());
        let rows = row_count(&logprobs.0);
        let chances: Vec<f32> = (0..rows).map(|_| host.uniform()).collect();
        sampling::xtc(&logprobs.0, probability, threshold, &special, &chances)
            .map(Tensor::new)
            .at(&ctx)
    }

    /// Makes tokens of the history less likely, looking at the last 20.
    #[rhai_fn(return_raw)]
    pub fn repetition_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        repetition_penalty_within(ctx, logits, history, penalty, 20)
    }

    /// Divides positive logits of tokens of the history by `penalty` and multiplies negative ones,
    /// once for each token among the last `context_size` (20; 0 is all). Logits are `[V]` or
    /// `[B, V]`; the history is a list or tensor for all rows, or one for each.
    ///
    /// ```rhai
    /// let l = tensor([2.0, -2.0, 2.0]);
    /// assert_eq(sampling::repetition_penalty(l, [0, 1, 1], 2), [1.0, -4.0, 2.0]);
    /// assert_eq(sampling::repetition_penalty(l, [0, 1, 1], 2, 2), [2.0, -4.0, 2.0]);
    /// ```
    #[rhai_fn(name = "repetition_penalty", return_raw)]
    pub fn repetition_penalty_within(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
        context_size: INT,
    ) -> Answer<Tensor> {
        let f = sampling::repetition_penalty;
        penalised(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Subtracts from the logits of tokens of the history, looking at the last 20.
    #[rhai_fn(return_raw)]
    pub fn presence_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        presence_penalty_within(ctx, logits, history, penalty, 20)
    }

    /// Subtracts `penalty` from the logits of tokens of the history, once for each token among the
    /// last `context_size` (20; 0 is all). Logits are `[V]` or `[B, V]`; the history is a list or
    /// tensor for all rows, or one for each.
    ///
    /// ```rhai
    /// let l = tensor([2.0, 2.0, 2.0]);
    /// assert_eq(sampling::presence_penalty(l, [0, 1, 1], 0.5), [1.5, 1.5, 2.0]);
    /// assert_eq(sampling::presence_penalty(l, [0, 1, 1], 0.5, 1), [2.0, 1.5, 2.0]);
    /// ```
    #[rhai_fn(name = "presence_penalty", return_raw)]
    pub fn presence_penalty_within(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
        context_size: INT,
    ) -> Answer<Tensor> {
        let f = sampling::presence_penalty;
        penalised(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Subtracts from the logits of tokens of the history, as often as they came among the last 20.
    #[rhai_fn(return_raw)]
    pub fn frequency_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        frequency_penalty_within(ctx, logits, history, penalty, 20)
    }

    /// Subtracts `penalty` from the logits of tokens of the history, as often as they came among
    /// the last `context_size` (20; 0 is all). Logits are `[V]` or `[B, V]`; the history is a list
    /// or tensor for all rows, or one for each.
    ///
    /// ```rhai
    /// let l = tensor([2.0, 2.0, 2.0]);
    /// assert_eq(sampling::frequency_penalty(l, [0, 1, 1], 0.5), [1.5, 1.0, 2.0]);
    /// assert_eq(sampling::frequency_penalty(l, [0, 1, 1], 0.5, 1), [2.0, 1.5, 2.0]);
    /// ```
    #[rhai_fn(name = "frequency_penalty", return_raw)]
    pub fn frequency_penalty_within(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
        context_size: INT,
    ) -> Answer<Tensor> {
        let f = sampling::frequency_penalty;
        penalised(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Adds to the logits `[V]` or `[B, V]` of tokens: a map with ids as keys, or a list of pairs.
    ///
    /// ```rhai
    /// let l = tensor([2.0, 2.0, 2.0]);
    /// assert_eq(sampling::logit_bias(l, #{ "1": -1.5 }), [2.0, 0.5, 2.0]);
    /// assert_eq(sampling::logit_bias(l, [[0, 1], [2, -1]]), [3.0, 2.0, 1.0]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn logit_bias(ctx: NativeCallContext, logits: Tensor, map: Dynamic) -> Answer<Tensor> {
        bias(&map)
            .and_then(|bias| sampling::logit_bias(&logits.0, &bias))
            .map(Tensor::new)
            .at(&ctx)
    }
}
