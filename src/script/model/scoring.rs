//! What a model makes of a given text.

use super::Model;
use crate::error::Error;
use crate::generate::{self, score};
use crate::script::convert;
use crate::script::error::{Answer, At};
use crate::script::settings::Settings;
use crate::script::tensor::Tensor;
use rhai::plugin::*;
use rhai::{Dynamic, FLOAT, Map, NativeCallContext};

/// Registers the members.
pub fn register(global: &mut Module) {
    global.combine(exported_module!(members));
}

#[export_module]
mod members {
    /// Log-probability of each of T completion ids after a prompt's ids, `[T]`, at temperature 1.
    #[rhai_fn(global, pure, return_raw)]
    pub fn logprobs(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        completion: Dynamic,
    ) -> Answer<Tensor> {
        logprobs_with(ctx, m, prompt, completion, Map::new())
    }

    /// Log-probability of each of T completion ids after a prompt's ids: `[T]`, in nats. Settings:
    /// `temperature` (1), which divides the logits. A long text is computed in chunks.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let p = model.logprobs([3, 12], [4, 13], #{ temperature: 0.5 });
    /// let logits = model.forward([3, 12, 4]) / 0.5;
    /// assert_close(p[0], logits.log_softmax(-1)[[0, 1, 4]], 1e-4);
    /// ```
    #[rhai_fn(global, name = "logprobs", pure, return_raw)]
    pub fn logprobs_with(
        ctx: NativeCallContext,
        m: &mut Model,
        prompt: Dynamic,
        completion: Dynamic,
        settings: Map,
    ) -> Answer<Tensor> {
        let temperature = Settings::read(&ctx, "logprobs", settings, |s| {
            let mut temperature = 1.0;
            s.single("temperature", &mut temperature)?;
            if temperature > 0.0 {
                Ok(temperature)
            } else {
                Err(Error::setting(
                    "temperature",
                    temperature,
                    "a positive number",
                ))
            }
        })?;
        let compute = || {
            let model = m.0.borrow();
            let (prompt, completion) = (convert::ids(&prompt)?, convert::ids(&completion)?);
            model.check_prompt(&prompt)?;
            if completion.is_empty() {
                return Err(Error::value("completion", "no tokens", "at least one"));
            }
            model.network.check_ids(&completion)?;
            let ids = [prompt.as_slice(), &completion].concat();
            score(&model.network, &ids, prompt.len(), temperature).map(Tensor::new)
        };
        compute().at(&ctx)
    }

    /// How surprised the model is by a text, on average over its tokens but the first: the
    /// exponential of their mean negative log-probability (Jelinek et al. 1977).
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let p = model.logprobs([3], [12, 4]);
    /// assert_close(model.perplexity("1+2"), (-p.mean()).exp().item(), 1e-4);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn perplexity(ctx: NativeCallContext, m: &mut Model, text: &str) -> Answer<FLOAT> {
        let model = m.0.borrow();
        let ids = model.tokenizer().and_then(|t| t.encode(text));
        ids.and_then(|ids| generate::perplexity(&model.network, &ids))
            .at(&ctx)
    }
}
