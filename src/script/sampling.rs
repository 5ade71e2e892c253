//! `sampler(..)` and `sampling::`.

use super::convert::int;
use super::error::{Answer, At};
use super::settings::{Settings, float};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::random::{self, Host};
use crate::sampling::{self, SamplerSettings};
use crate::tensor::dims2;
use rhai::plugin::*;
use rhai::{Dynamic, Engine, INT, Map, NativeCallContext};
use std::cell::RefCell;
use std::rc::Rc;

/// A sampler and its stream of random numbers.
#[derive(Clone)]
pub struct Sampler {
    inner: sampling::Sampler,
    host: Rc<RefCell<Host>>,
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Sampler>("Sampler");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("sampling", exported_module!(filters).into());
    let show = |s: &mut Sampler| format!("{:?}", s.inner.settings());
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
    Ok(())
}

fn number(value: &Dynamic, name: &str) -> Result<f32> {
    float(value)
        .map(|number| number as f32)
        .ok_or_else(|| Error::value(name, value.type_name(), "a number"))
}

#[export_module]
mod members {
    /// A sampler. Settings: `temperature` (1; 0 is greedy), `top_p`, `top_k`, `min_p`,
    /// `min_tokens_to_keep`, `seed`.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0.8, top_k: 2, seed: 1 });
    /// let id = s.sample(tensor([[5.0, 4.0, 0.0]])).item();
    /// assert(id == 0 || id == 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sampler(ctx: NativeCallContext, settings: Map) -> Answer<Sampler> {
        let (settings, seed) = Settings::read(&ctx, "sampler", settings, |s| {
            let mut settings = SamplerSettings::default();
            sampler_settings(s, &mut settings)?;
            let seed = s.integer("seed")?.map(|seed| seed as u64);
            Ok((settings, seed.unwrap_or_else(random::fresh_seed)))
        })?;
        Ok(Sampler {
            inner: sampling::Sampler::new(settings).at(&ctx)?,
            host: Rc::new(RefCell::new(Host::new(seed))),
        })
    }

    /// Draws a token for each row: logits `[B, V]` give ids `[B]`.
    ///
    /// ```rhai
    /// let s = sampler(#{ temperature: 0 });
    /// assert_eq(s.sample(tensor([[1.0, 3.0], [2.0, 0.0]])), [1, 0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn sample(ctx: NativeCallContext, s: &mut Sampler, logits: Tensor) -> Answer<Tensor> {
        let draw = || {
            let [b, _] = dims2(&logits.0, "logits")?;
            let mut host = s.host.borrow_mut();
            let uniforms: Vec<f32> = (0..b).map(|_| host.uniform()).collect();
            Ok(Tensor::new(s.inner.draw(&logits.0, &uniforms)?.tokens))
        };
        draw().at(&ctx)
    }

    /// Log-probabilities `[B, V]` or `[V]`, with `-inf` for the tokens that the sampler never
    /// draws.
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
        s.inner.filter(&logprobs.0).map(Tensor::new).at(&ctx)
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
}
