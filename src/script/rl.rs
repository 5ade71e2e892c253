//! `rl::`: the trainer's constructor, and the mathematics of a step as functions.

use super::convert::{self, from_json};
use super::error::{Answer, At};
use super::grpo::{GrpoTrainer, grpo_settings};
use super::lists::{from_value, to_list};
use super::model::Model;
use super::settings::{Settings, float};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::mlx::Array;
use crate::rl::{self, LossInputs, LossSettings, LossType, Ratio};
use crate::rl::{AdvantageSettings, Aggregation, Baseline, Scale};
use crate::tensor::select;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, INT, Map, NativeCallContext};

/// Registers the module.
pub fn register(engine: &mut Engine) {
    let mut module = exported_module!(functions);
    module.set_sub_module("rewards", super::rewards::bindings());
    engine.register_static_module("rl", module.into());
}

/// The settings of a loss.
pub fn loss_settings(s: &mut Settings, into: &mut LossSettings) -> Result<()> {
    s.named("loss_type", &mut into.loss_type, LossType::named)?;
    let level = &mut into.importance_sampling_level;
    s.named("importance_sampling_level", level, Ratio::named)?;
    s.single("epsilon", &mut into.epsilon)?;
    s.optional("epsilon_high", &mut into.epsilon_high)?;
    s.optional("delta", &mut into.delta)?;
    s.single("beta", &mut into.beta)?;
    s.boolean("use_bias_correction_kl", &mut into.use_bias_correction_kl)?;
    s.single("top_entropy_quantile", &mut into.top_entropy_quantile)?;
    s.single("sapo_temperature_pos", &mut into.sapo_temperature_pos)?;
    s.single("sapo_temperature_neg", &mut into.sapo_temperature_neg)?;
    s.single("vespo_k_pos", &mut into.vespo_k_pos)?;
    s.single("vespo_lambda_pos", &mut into.vespo_lambda_pos)?;
    s.single("vespo_k_neg", &mut into.vespo_k_neg)?;
    s.single("vespo_lambda_neg", &mut into.vespo_lambda_neg)?;
    let threshold = &mut into.off_policy_mask_threshold;
    s.optional("off_policy_mask_threshold", threshold)?;
    s.single("entropy_coef", &mut into.entropy_coef)
}

/// The settings of advantages.
pub fn advantage_settings(s: &mut Settings, into: &mut AdvantageSettings) -> Result<()> {
    if let Some(value) = s.take("scale_rewards") {
        // TRL had yes and no before it had names.
        into.scale_rewards = match value.as_bool() {
            Ok(true) => Scale::Group,
            Ok(false) => Scale::None,
            Err(_) => Scale::named(&value.to_string())?,
        };
    }
    s.named("baseline", &mut into.baseline, Baseline::named)?;
    if let Some(weights) = s.numbers("reward_weights")? {
        into.reward_weights = weights;
    }
    let aggregation = &mut into.multi_objective_aggregation;
    s.named(
        "multi_objective_aggregation",
        aggregation,
        Aggregation::named,
    )
}

/// Rewards as rows of columns: a tensor `[N]` or `[N, K]`, or lists in which `()` is unscorable.
fn reward_rows(value: &Dynamic) -> Result<Vec<Vec<Option<f64>>>> {
    let list = match value.read_lock::<Tensor>() {
        Some(tensor) => to_list(&tensor.0)?,
        None => value.clone(),
    };
    let wrong = |place: String, value: &Dynamic| {
        Error::value(place, convert::found(value), "numbers [P*G] or [P*G, K]")
    };
    let cell = |i: usize, item: &Dynamic| -> Result<Option<f64>> {
        if item.is_unit() {
            return Ok(None);
        }
        let number = float(item).map(Some);
        number.ok_or_else(|| wrong(format!("rewards[{i}]"), item))
    };
    let list = list.read_lock::<List>();
    let list = list.ok_or_else(|| wrong("rewards".into(), value))?;
    list.iter()
        .enumerate()
        .map(|(i, item)| match item.read_lock::<List>() {
            Some(row) => row.iter().map(|item| cell(i, item)).collect(),
            None => Ok(vec![cell(i, item)?]),
        })
        .collect()
}

#[export_module]
mod functions {
    /// A GRPO trainer of a model with the default settings.
    #[rhai_fn(name = "grpo", return_raw)]
    pub fn grpo_plain(ctx: NativeCallContext, model: Model) -> Answer<GrpoTrainer> {
        grpo(ctx, model, Map::new())
    }

    /// A GRPO trainer of a model. The settings, with their defaults:
    ///
    /// - **a step**: `prompts_per_step` 4, `num_generations` 8, `max_completion_length` 256, those of
    ///   the draw, `stop`, `stop_token_ids`, `max_batch_size` and `prefill_step_size` of `generate`;
    ///   `enable_thinking`, `tools` and `chat_template_kwargs` of rows of `messages` that have none of
    ///   their own;
    ///   `dynamic_sampling` (false; true, or a number of rounds: prompts whose completions are all
    ///   worth the same are replaced), `overlong_buffer` (0; completions lose up to 1 in their last so
    ///   many tokens), `mask_truncated_completions` (false; those that did not end teach nothing);
    /// - **the loss**: `loss_type` `"dapo"` and the other settings of `rl::loss`; `loss` (a closure
    ///   over the arrays of a batch in its place: it gets the map that `rl::loss` takes and returns a
    ///   scalar, or `#{ loss, metrics }`); those of `rl::advantages`; `num_iterations` 1,
    ///   `ref_sync_steps` (0; the reference of `beta` moves towards the model) by
    ///   `ref_model_mixup_alpha` 0.6, `router_aux_loss_coef` 0 (experts);
    /// - **the optimiser**: `learning_rate` 1e-6, `lr_scheduler`, `warmup_steps`, `optimizer`
    ///   `"adamw"`, `weight_decay`, `adam_beta1`, `adam_beta2`, `max_grad_norm` 1,
    ///   `max_skipped_steps` (5; so many updates in a row that are not finite stop the run), `lora` (a
    ///   map: adapters of these settings are trained, as by `add_lora`);
    /// - **memory**, none of which changes the update: `shared_prefix` (true; a prompt is forwarded
    ///   once for all its completions), `gradient_accumulation_steps` 1 or `micro_batch_tokens` 0
    ///   (parts of a step), `gradient_checkpointing` false, `logprob_chunk_size` (0, by the
    ///   vocabulary; tokens in the head at once);
    /// - **rewards that fail** or answer what is no score: `on_error` `"rollback"` (the version of a
    ///   reward's script that scored before scores the batch, and what follows; where there is none, as
    ///   `"abort"`, which ends the run), `"zero"` (the batch is worth 0) or `"skip"` (it is not scored);
    /// - **the run**: `max_steps`, `num_epochs` 1, `eval_dataset` with `eval_steps` (`eval_reward`,
    ///   `eval_pass@1`, `eval_rewards/NAME/mean` in the metrics of that step), `save_steps`,
    ///   `save_total_limit` 3, `log_completions` true, `num_completions_to_print` 0 (a table every
    ///   `logging_steps` 10), `tensorboard` false, `seed` 42, `run_dir`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{
    ///     prompts_per_step: 2, num_generations: 4, loss_type: "dr_grpo", learning_rate: 1e-4,
    /// });
    /// assert_eq(trainer.learning_rate, 1e-4);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn grpo(ctx: NativeCallContext, model: Model, settings: Map) -> Answer<GrpoTrainer> {
        let (settings, loss) = Settings::read(&ctx, "rl::grpo", settings, grpo_settings)?;
        let trainer = rl::GrpoTrainer::new(model.0, settings).at(&ctx)?;
        Ok(GrpoTrainer::new(trainer, loss))
    }

    /// How much better each completion is than its group, `[P*G]`: rewards `[P*G]` or `[P*G, K]`,
    /// the completions of a prompt adjacent, `()` in a list for one that cannot be scored.
    ///
    /// # Example
    ///
    /// ```rhai
    /// let a = rl::advantages(tensor([3.0, 1.0, 5.0, 5.0]), 2);
    /// assert_close(a[0], -a[1], 1e-6);
    /// assert_close(a[2], 0.0, 1e-6);
    /// ```
    #[rhai_fn(name = "advantages", return_raw)]
    pub fn advantages_plain(
        ctx: NativeCallContext,
        rewards: Dynamic,
        num_generations: INT,
    ) -> Answer<Tensor> {
        advantages(ctx, rewards, num_generations, Map::new())
    }

    /// How much better each completion is than its group, `[P*G]`. Settings: `scale_rewards`
    /// (`"group"` or true, `"batch"`, `"none"` or false: the deviation to divide by), `baseline` (`"mean"`, or
    /// `"leave_one_out"`: the mean of the others), `reward_weights` (one for each of the K rewards),
    /// `multi_objective_aggregation` (`"sum_then_normalize"`, `"normalize_then_sum"`).
    ///
    /// ```rhai
    /// let settings = #{ scale_rewards: "none", reward_weights: [2, 1] };
    /// let a = rl::advantages([[1.0, 0.0], [0.0, 1.0]], 2, settings);
    /// assert_close(a, [0.5, -0.5], 1e-6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn advantages(
        ctx: NativeCallContext,
        rewards: Dynamic,
        num_generations: INT,
        settings: Map,
    ) -> Answer<Tensor> {
        let settings = Settings::read(&ctx, "rl::advantages", settings, |s| {
            let mut settings = AdvantageSettings::default();
            advantage_settings(s, &mut settings)?;
            Ok(settings)
        })?;
        let compute = || {
            let group = usize::try_from(num_generations).unwrap_or(0);
            if group < 2 {
                let expected = "at least 2";
                return Err(Error::setting("num_generations", num_generations, expected));
            }
            let values = rl::advantages(&reward_rows(&rewards)?, group, &settings)?;
            let values: Vec<f32> = values.into_iter().map(|a| a as f32).collect();
            Ok(Tensor::new(Array::from_slice(
                &values,
                &[values.len() as i32],
            )))
        };
        compute().at(&ctx)
    }

    /// The settings of a published method, a map for `rl::grpo`; add your own with `+`, the right side
    /// wins. `"grpo"`, `"dr_grpo"`, `"dapo"` (add `overlong_buffer`, a fifth of
    /// `max_completion_length`), `"gspo"`, `"cispo"` (as in ScaleRL), `"sapo"`, `"luspo"`, `"vespo"`, `"rloo"`,
    /// `"lite_ppo"`, `"bnpo"`. A preset says what the method is; learning rate, lengths and numbers of
    /// completions are yours.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let settings = rl::preset("gspo") + #{ learning_rate: 1e-5, num_generations: 4 };
    /// assert_eq(settings.importance_sampling_level, "sequence");
    /// assert_eq(rl::grpo(model, settings).learning_rate, 1e-5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn preset(ctx: NativeCallContext, name: &str) -> Answer<Dynamic> {
        Ok(from_json(&rl::preset(name).at(&ctx)?))
    }

    /// Shannon entropy of `softmax(logits)` in nats: `[B, L, V]` to `[B, L]`. Differentiable.
    ///
    /// ```rhai
    /// let logits = tensor([[[0.0, 0.0, 0.0, 0.0], [80.0, 0.0, 0.0, 0.0]]]);
    /// assert_close(rl::entropy(logits), [[1.386294, 0.0]], 1e-5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn entropy(ctx: NativeCallContext, logits: Dynamic) -> Answer<Tensor> {
        let compute = || Ok(Tensor::new(select::entropy(&from_value(&logits)?)?));
        compute().at(&ctx)
    }

    /// The tokens of high entropy, bool `[B, L]`: those at or above the `quantile` (0 to 1) of all
    /// unmasked entropies, interpolated linearly as PyTorch does. 0.8 keeps the highest fifth, 0 all.
    ///
    /// ```rhai
    /// let entropies = [[0.1, 0.9, 0.3], [0.8, 5.0, 5.0]];
    /// let mask = [[1, 1, 1], [1, 0, 0]];
    /// let high = rl::high_entropy_mask(entropies, mask, 0.5);
    /// assert_eq(high, [[false, true, false], [true, false, false]]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn high_entropy_mask(
        ctx: NativeCallContext,
        entropies: Dynamic,
        mask: Dynamic,
        quantile: Dynamic,
    ) -> Answer<Tensor> {
        let compute = || {
            let wrong =
                || Error::value("quantile", convert::kind(&quantile), "a number from 0 to 1");
            let quantile = float(&quantile).ok_or_else(wrong)? as f32;
            let (entropies, mask) = (from_value(&entropies)?, from_value(&mask)?);
            let kept = rl::high_entropy_mask(&entropies, &mask, quantile)?;
            Ok(Tensor::new(kept))
        };
        compute().at(&ctx)
    }

    /// The policy loss of arrays: `#{ loss, metrics }`, the loss a scalar tensor, the metrics a map
    /// of them. The loss is differentiable.
    ///
    /// Keys: `logprobs`, `mask` `[B, T]`, `advantages` `[B]` or `[B, T]`, and optionally
    /// `old_logprobs` and `ref_logprobs` `[B, T]`; `sampling_logprobs` `[B, T]` (the sampler's own, for
    /// the off-policy mask; else `old_logprobs`); `entropies` `[B, T]` (for `top_entropy_quantile` and
    /// `entropy_coef`); `importance_ratio` `[B, T]`, `[B, 1]` or `[B]` (multiplies the token losses);
    /// `num_items_in_batch` (tokens of the whole step; else of `mask`), `max_completion_length` (of
    /// `"dr_grpo"`; else T), `gradient_accumulation_steps` (1), `entropy_threshold` (the entropy from
    /// which on tokens are kept; else the quantile of this batch).
    ///
    /// Loss settings, here and of `rl::grpo`, with TRL's meanings: `loss_type` (`"dapo"`; `"grpo"`,
    /// `"dr_grpo"`, `"bnpo"`, `"cispo"`, `"sapo"`, `"luspo"`, `"vespo"`), `importance_sampling_level`
    /// (`"token"`; `"sequence"`), `epsilon` (0.2), `epsilon_high` (as `epsilon`; for `"cispo"` the
    /// largest ratio, 5), `delta` (an upper bound of the unclipped ratio), `beta` (0),
    /// `use_bias_correction_kl` (false), `top_entropy_quantile` (1: all tokens; 0.2 the highest
    /// fifth), `sapo_temperature_pos` (1), `sapo_temperature_neg` (1.05), `vespo_k_pos` (2),
    /// `vespo_lambda_pos` (3), `vespo_k_neg` (3), `vespo_lambda_neg` (2), `off_policy_mask_threshold`
    /// (sequences of negative advantage that are further off, in nats a token, are dropped),
    /// `entropy_coef` (0).
    ///
    /// ```rhai
    /// let batch = #{ logprobs: [[-1.0, -2.0]], old_logprobs: [[-1.5, -2.0]], mask: [[1.0, 1.0]] };
    /// batch.advantages = [2.0];
    /// batch.epsilon = 0.2;
    /// assert_close(rl::loss(batch).loss, -(1.2 * 2.0 + 2.0) / 2.0, 1e-5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn loss(ctx: NativeCallContext, inputs: Map) -> Answer<Map> {
        let (loss, metrics) = Settings::read(&ctx, "rl::loss", inputs, |s| {
            let mut array = |name: &'static str| -> Result<Option<Array>> {
                s.take(name).map(|value| from_value(&value)).transpose()
            };
            let missing = |name: &str| Error::setting(name, "nothing", "a tensor");
            let logprobs = array("logprobs")?.ok_or_else(|| missing("logprobs"))?;
            let advantages = array("advantages")?.ok_or_else(|| missing("advantages"))?;
            let mask = array("mask")?.ok_or_else(|| missing("mask"))?;
            let (old, reference) = (array("old_logprobs")?, array("ref_logprobs")?);
            let (sampler, ratio) = (array("sampling_logprobs")?, array("importance_ratio")?);
            let entropies = array("entropies")?;
            let mut inputs = LossInputs {
                old_logprobs: old.as_ref(),
                ref_logprobs: reference.as_ref(),
                sampling_logprobs: sampler.as_ref(),
                entropies: entropies.as_ref(),
                importance_ratio: ratio.as_ref(),
                ..LossInputs::new(&logprobs, &advantages, &mask)
            };
            s.optional("entropy_threshold", &mut inputs.entropy_threshold)?;
            s.optional("num_items_in_batch", &mut inputs.num_items_in_batch)?;
            let share = &mut inputs.gradient_accumulation_steps;
            s.single("gradient_accumulation_steps", share)?;
            let longest = s.integer("max_completion_length")?;
            inputs.max_completion_length = longest.map(|n| n as i32);
            let mut settings = LossSettings::default();
            loss_settings(s, &mut settings)?;
            rl::loss::loss(&inputs, &settings)
        })?;
        let tensor = |array: Array| Dynamic::from(Tensor::new(array));
        let metrics = metrics.into_iter();
        let metrics: Map = metrics.map(|(name, a)| (name.into(), tensor(a))).collect();
        let mut result = Map::new();
        result.insert("loss".into(), tensor(loss));
        result.insert("metrics".into(), metrics.into());
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
