//! `sampler(..)` and `sampling::`.

use super::convert::{self, brief, int};
use super::error::{Answer, At};
use super::settings::{Settings, float};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::mlx::random::{self, Host};
use crate::sampling::{self, Chance, PenaltySettings, RowSettings, SamplerSettings};
use crate::tensor::{Side, dims2, pad_sequences};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// A sampler and its stream of random numbers.
#[derive(Clone)]
pub struct Sampler {
    inner: sampling::Sampler,
    settings: Rc<RowSettings>,
    host: Rc<RefCell<Host>>,
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Sampler>("Sampler");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("sampling", exported_module!(filters).into());
    let show = |s: &mut Sampler| {
        let RowSettings { sampler, penalties } = &*s.settings;
        match *penalties == PenaltySettings::default() {
            true => format!("{sampler:?}"),
            false => format!("{sampler:?} {penalties:?}"),
        }
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// Reads the keys of filters and of the temperature, which all that samples shares.
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
    if let Some(ids) = s.ids("xtc_special_tokens")? {
        into.xtc_special_tokens = ids;
    }
    Ok(())
}

/// Reads the keys of penalties, which all that samples shares.
pub fn penalty_settings(s: &mut Settings, into: &mut PenaltySettings) -> Result<()> {
    s.single("repetition_penalty", &mut into.repetition_penalty)?;
    s.count("repetition_context_size", &mut into.repetition_context_size)?;
    s.single("presence_penalty", &mut into.presence_penalty)?;
    s.count("presence_context_size", &mut into.presence_context_size)?;
    s.single("frequency_penalty", &mut into.frequency_penalty)?;
    s.count("frequency_context_size", &mut into.frequency_context_size)?;
    if let Some(value) = s.take("logit_bias") {
        into.logit_bias = biases(&value)?;
    }
    Ok(())
}

/// Biases of tokens: a map whose keys are ids as text, or a list of pairs `[id, bias]`.
fn biases(value: &Dynamic) -> Result<Vec<(i32, f32)>> {
    let wrong = |found: String| {
        let expected = "a map of ids and numbers, `#{ \"5\": -2.0 }`, or pairs `[[5, -2.0]]`";
        Error::setting("logit_bias", found, expected)
    };
    if let Some(map) = value.read_lock::<Map>() {
        let pair = |(id, bias): (&rhai::Identifier, &Dynamic)| {
            let number = id.parse().ok().zip(float(bias));
            let (id, bias): (i32, f64) = number.ok_or_else(|| wrong(format!("{id}: {bias}")))?;
            Ok((id, bias as f32))
        };
        return map.iter().map(pair).collect();
    }
    let list = value.read_lock::<List>();
    let list = list.ok_or_else(|| wrong(format!("{} ({})", brief(value), value.type_name())))?;
    let pair = |item: &Dynamic| {
        let pair = item.read_lock::<List>();
        let id = pair.as_ref().and_then(|p| p.first()?.as_int().ok());
        let bias = pair.as_ref().and_then(|p| float(p.get(1)?));
        let numbers = id.and_then(|id| i32::try_from(id).ok()).zip(bias);
        let (id, bias) = numbers.ok_or_else(|| wrong(brief(item)))?;
        Ok((id, bias as f32))
    };
    list.iter().map(pair).collect()
}

fn number(value: &Dynamic, name: &str) -> Result<f32> {
    float(value)
        .map(|number| number as f32)
        .ok_or_else(|| Error::value(name, value.type_name(), "a number"))
}

/// The tokens before: a list or tensor of ids, `[C]` or `[B, C]`, or lists of different lengths.
///
/// # Shapes
/// - returns: `int32` `[C]`, or `[B, C]` with -1 before the shorter rows
fn history(value: &Dynamic) -> Result<Array> {
    let lists = value.read_lock::<List>().and_then(|list| {
        let nested = list.first().is_some_and(Dynamic::is_array);
        nested.then(|| list.iter().map(convert::ids).collect::<Result<Vec<_>>>())
    });
    if let Some(rows) = lists {
        let rows = rows?;
        let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
        return Ok(pad_sequences(&rows, -1, Side::Left));
    }
    if let Some(tensor) = value.read_lock::<Tensor>()
        && tensor.0.ndim() == 2
    {
        return convert::id_batch(value);
    }
    let ids = convert::ids(value)?;
    Ok(Array::from_slice(&ids, &[ids.len() as i32]))
}

/// What one of the penalties is asked for.
type Penalise = fn(&Array, &Array, f32, usize) -> Result<Array>;

fn penalise(
    f: Penalise,
    logits: &Tensor,
    tokens: &Dynamic,
    penalty: &Dynamic,
    context_size: INT,
) -> Result<Tensor> {
    let size = usize::try_from(context_size)
        .map_err(|_| Error::setting("context_size", context_size, "at least 0 (all)"))?;
    let penalty = number(penalty, "penalty")?;
    f(&logits.0, &history(tokens)?, penalty, size).map(Tensor::new)
}

/// The context of mlx-lm's penalties.
const CONTEXT: INT = 20;

impl Sampler {
    /// Runs a function of `[B, V]` on `[V]` or `[B, V]`; the answer has the form of the question.
    fn on_rows(
        &self,
        values: &Tensor,
        f: impl FnOnce(&Array, &[Chance]) -> Result<Array>,
    ) -> Result<Tensor> {
        let single = values.0.ndim() == 1;
        let rows = match single {
            true => values.0.expand_dims(0)?,
            false => values.array(),
        };
        let [b, _] = dims2(&rows, "logits `[V]` or `[B, V]`")?;
        let mut host = self.host.borrow_mut();
        let has_xtc = self.settings.sampler.xtc_probability > 0.0;
        let chances: Vec<Chance> = (0..b)
            .map(|_| Chance {
                draw: host.uniform(),
                xtc: if has_xtc { host.uniform() } else { 0.0 },
            })
            .collect();
        let answer = f(&rows, &chances)?;
        Ok(Tensor::new(match single {
            true => answer.squeeze_axes(&[0])?,
            false => answer,
        }))
    }
}

#[export_module]
mod members {
    /// A sampler. Settings: `temperature` (1; 0 is greedy), `top_p`, `top_k`, `min_p`,
    /// `min_tokens_to_keep`, `xtc_probability`, `xtc_threshold`, `xtc_special_tokens`; for `sample` with
    /// a history `repetition_penalty`, `presence_penalty` and `frequency_penalty`, each with its
    /// `.._context_size`; `logit_bias`; `seed`.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0.8, top_k: 2, seed: 1 });
    /// let id = s.sample(tensor([[5.0, 4.0, 0.0]])).item();
    /// assert(id == 0 || id == 1);
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
            settings: Rc::new(settings),
            host: Rc::new(RefCell::new(Host::new(seed))),
        })
    }

    /// Draws a token for each row: logits `[B, V]` give ids `[B]`, and `[V]` one id.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0 });
    /// assert_eq(s.sample(tensor([[1.0, 3.0], [2.0, 0.0]])), [1, 0]);
    /// assert_eq(s.sample(tensor([1.0, 3.0])).item(), 1);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn sample(ctx: NativeCallContext, s: &mut Sampler, logits: Tensor) -> Answer<Tensor> {
        let draw = |rows: &Array, chances: &[Chance]| Ok(s.inner.draw(rows, None, chances)?.tokens);
        s.on_rows(&logits, draw).at(&ctx)
    }

    /// Draws a token for each row after penalties for the tokens of a history: a list or tensor of
    /// ids `[C]` for all rows, or a list of such lists.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0, presence_penalty: 5.0 });
    /// let logits = tensor([[1.0, 3.0], [2.0, 0.0]]);
    /// assert_eq(s.sample(logits, [[1], [1, 1]]), [0, 0]);
    /// ```
    #[rhai_fn(global, name = "sample", pure, return_raw)]
    pub fn sample_after(
        ctx: NativeCallContext,
        s: &mut Sampler,
        logits: Tensor,
        tokens: Dynamic,
    ) -> Answer<Tensor> {
        let draw = |rows: &Array, chances: &[Chance]| {
            let tokens = sampling::history_of(&history(&tokens)?, rows)?;
            Ok(s.inner.draw(rows, Some(&tokens), chances)?.tokens)
        };
        s.on_rows(&logits, draw).at(&ctx)
    }

    /// Log-probabilities `[B, V]` or `[V]`, with `-inf` for the tokens that the sampler never
    /// draws. XTC happens to each row with its probability.
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
        s.on_rows(&logprobs, |rows, chances| s.inner.filter(rows, chances))
            .at(&ctx)
    }
}

#[export_module]
mod filters {
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

    /// Excludes, with a `probability` (1) for each row of `[V]` or `[B, V]`, the tokens above a
    /// `threshold` (0.1) but the least likely of them; `special_tokens` stay in any case. What is
    /// random follows `seed`.
    ///
    /// ```rhai
    /// let p = tensor([0.4, 0.3, 0.2, 0.1]).log();
    /// let kept = sampling::xtc(p, #{ probability: 1.0, threshold: 0.15 });
    /// assert_eq(mx::isfinite(kept), [false, false, true, true]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn xtc(ctx: NativeCallContext, logprobs: Tensor, settings: Map) -> Answer<Tensor> {
        let (probability, threshold, special, seed) =
            Settings::read(&ctx, "sampling::xtc", settings, |s| {
                let (mut probability, mut threshold) = (1.0, 0.1);
                s.single("probability", &mut probability)?;
                s.single("threshold", &mut threshold)?;
                let special = s.ids("special_tokens")?.unwrap_or_default();
                let seed = s.integer("seed")?.map(|seed| seed as u64);
                let seed = seed.unwrap_or_else(random::fresh_seed);
                Ok((probability, threshold, special, seed))
            })?;
        let mut host = Host::new(seed);
        let rows = match logprobs.0.ndim() {
            1 => 1,
            _ => logprobs.0.dim(0),
        };
        let chances: Vec<f32> = (0..rows).map(|_| host.uniform()).collect();
        sampling::xtc(&logprobs.0, probability, threshold, &special, &chances)
            .map(Tensor::new)
            .at(&ctx)
    }

    /// Divides the positive logits of tokens among the last 20 of a history by the penalty, and
    /// multiplies negative ones.
    #[rhai_fn(return_raw)]
    pub fn repetition_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        repetition_penalty_within(ctx, logits, history, penalty, CONTEXT)
    }

    /// Divides the positive logits of tokens among the last `context_size` of a history (20; 0 is
    /// all) by the penalty, and multiplies negative ones, once for each distinct token. Logits are
    /// `[V]` or `[B, V]`; a history is a list or tensor of ids `[C]` or `[B, C]`, or lists of
    /// different lengths.
    ///
    /// ```rhai
    /// let logits = tensor([3.0, -1.0, 3.0]);
    /// assert_eq(sampling::repetition_penalty(logits, [0, 1, 1], 2), [1.5, -2.0, 3.0]);
    /// assert_eq(sampling::repetition_penalty(logits, [0, 1, 1], 2, 1), [3.0, -2.0, 3.0]);
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
        penalise(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Subtracts the penalty from the logits of tokens among the last 20 of a history.
    #[rhai_fn(return_raw)]
    pub fn presence_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        presence_penalty_within(ctx, logits, history, penalty, CONTEXT)
    }

    /// Subtracts the penalty from the logits of tokens among the last `context_size` of a history
    /// (20; 0 is all), once for each distinct token. Forms as for `repetition_penalty`.
    ///
    /// ```rhai
    /// let logits = tensor([3.0, -1.0, 3.0]);
    /// assert_eq(sampling::presence_penalty(logits, [0, 1, 1], 0.5), [2.5, -1.5, 3.0]);
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
        penalise(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Subtracts the penalty from the logits of tokens for each time among the last 20 of a history.
    #[rhai_fn(return_raw)]
    pub fn frequency_penalty(
        ctx: NativeCallContext,
        logits: Tensor,
        history: Dynamic,
        penalty: Dynamic,
    ) -> Answer<Tensor> {
        frequency_penalty_within(ctx, logits, history, penalty, CONTEXT)
    }

    /// Subtracts the penalty from the logits of tokens for each time that they are among the last
    /// `context_size` of a history (20; 0 is all). Forms as for `repetition_penalty`.
    ///
    /// ```rhai
    /// let logits = tensor([3.0, -1.0, 3.0]);
    /// assert_eq(sampling::frequency_penalty(logits, [0, 1, 1], 0.5), [2.5, -2.0, 3.0]);
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
        penalise(f, &logits, &history, &penalty, context_size).at(&ctx)
    }

    /// Adds numbers to the logits of some tokens: a map whose keys are ids as text, or a list of
    /// pairs `[id, bias]`.
    ///
    /// ```rhai
    /// let logits = tensor([3.0, -1.0, 3.0]);
    /// assert_eq(sampling::logit_bias(logits, #{ "0": -3.0 }), [0.0, -1.0, 3.0]);
    /// assert_eq(sampling::logit_bias(logits, [[1, 2.0]]), [3.0, 1.0, 3.0]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn logit_bias(ctx: NativeCallContext, logits: Tensor, bias: Dynamic) -> Answer<Tensor> {
        biases(&bias)
            .and_then(|bias| sampling::logit_bias(&logits.0, &bias))
            .map(Tensor::new)
            .at(&ctx)
    }
}
