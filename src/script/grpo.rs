//! The `GrpoTrainer` type.

use super::convert::{brief, from_json};
use super::curriculum::Curriculum;
use super::data::{dataset_of, dataset_setting, rows};
use super::error::{Answer, At, raise};
use super::generate::{engine_settings, stop_strings, template_options};
use super::host::Host;
use super::model::Model;
use super::policy_loss::Closure;
use super::reward::rewards;
use super::rl::{advantage_settings, loss_settings};
use super::sampling::{penalty_settings, sampler_settings};
use super::settings::Settings;
use super::train::{adapters, metrics_map, optim_settings};
use crate::data::{Dataset, Source};
use crate::error::{Error, Result};
use crate::rl::{self, BuiltIn, EvalSettings, GrpoSettings, OnError, Report};
use crate::train::Metrics;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, FnPtr, INT, Map, NativeCallContext};
use serde_json::json;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A trainer as a script's value: every copy is the same trainer.
#[derive(Clone)]
pub struct GrpoTrainer(Rc<RefCell<rl::GrpoTrainer>>, Option<FnPtr>);

impl GrpoTrainer {
    /// A handle on a new trainer, with a loss of the script's own or the built-in one.
    pub fn new(trainer: rl::GrpoTrainer, loss: Option<FnPtr>) -> Self {
        Self(Rc::new(RefCell::new(trainer)), loss)
    }

    /// The metrics of every step so far; of none while it is at work.
    pub fn history(&self) -> Vec<Metrics> {
        let trainer = self.0.try_borrow();
        trainer.map(|t| t.history.clone()).unwrap_or_default()
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<GrpoTrainer>("GrpoTrainer");
    global.combine(exported_module!(members));
    let show = |t: &mut GrpoTrainer| match t.0.try_borrow() {
        Ok(trainer) => {
            let reward = trainer.history.last().and_then(|m| m.get("reward"));
            let reward = reward
                .map(|r| format!(", reward {r:.3}"))
                .unwrap_or_default();
            format!("GrpoTrainer after {} steps{reward}", trainer.steps())
        }
        Err(_) => "GrpoTrainer, training".into(),
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

/// The settings of the trainer, and a loss of the script's own.
pub fn grpo_settings(s: &mut Settings) -> Result<(GrpoSettings, Option<FnPtr>)> {
    let mut g = GrpoSettings::default();
    s.count("prompts_per_step", &mut g.prompts_per_step)?;
    s.count("num_generations", &mut g.num_generations)?;
    s.count("max_completion_length", &mut g.max_completion_length)?;
    sampler_settings(s, &mut g.sampler)?;
    penalty_settings(s, &mut g.penalties)?;
    engine_settings(s, &mut g.engine)?;
    g.stop = stop_strings(s)?;
    template_options(s, &mut g.template)?;
    not_of_training(s)?;
    g.stop_token_ids = s.ids("stop_token_ids")?;
    loss_settings(s, &mut g.loss)?;
    advantage_settings(s, &mut g.advantage)?;
    optim_settings(s, &mut g.optim)?;
    g.lora = adapters(s)?;
    s.single("router_aux_loss_coef", &mut g.router_aux_loss_coef)?;
    s.count("num_iterations", &mut g.num_iterations)?;
    s.count(
        "gradient_accumulation_steps",
        &mut g.gradient_accumulation_steps,
    )?;
    s.count("micro_batch_tokens", &mut g.micro_batch_tokens)?;
    s.boolean("gradient_checkpointing", &mut g.gradient_checkpointing)?;
    s.count("logprob_chunk_size", &mut g.logprob_chunk_size)?;
    s.boolean("shared_prefix", &mut g.shared_prefix)?;
    let masked = &mut g.mask_truncated_completions;
    s.boolean("mask_truncated_completions", masked)?;
    g.dynamic_sampling = dynamic_sampling(s)?;
    s.count("overlong_buffer", &mut g.overlong_buffer)?;
    s.count("ref_sync_steps", &mut g.ref_sync_steps)?;
    s.single("ref_model_mixup_alpha", &mut g.ref_model_mixup_alpha)?;
    s.count("max_steps", &mut g.max_steps)?;
    s.count("num_epochs", &mut g.num_epochs)?;
    s.count("eval_steps", &mut g.eval_steps)?;
    g.eval_dataset = dataset_setting(s, "eval_dataset")?;
    s.count("save_steps", &mut g.save_steps)?;
    s.count("save_total_limit", &mut g.save_total_limit)?;
    s.boolean("log_completions", &mut g.log_completions)?;
    s.named("on_error", &mut g.on_error, OnError::named)?;
    let printed = &mut g.num_completions_to_print;
    s.count("num_completions_to_print", printed)?;
    s.count("logging_steps", &mut g.logging_steps)?;
    s.boolean("tensorboard", &mut g.tensorboard)?;
    s.count("seed", &mut g.seed)?;
    g.run_dir = s.string("run_dir")?.map(PathBuf::from);
    let loss = s.value("loss", "a closure over the arrays of a batch")?;
    Ok((g, loss))
}

/// Settings of `.generate` that a step has under another name, or no use for.
fn not_of_training(s: &mut Settings) -> Result<()> {
    s.refuse("max_tokens", "nothing: here it is `max_completion_length`")?;
    s.refuse("num_samples", "nothing: here it is `num_generations`")?;
    s.refuse(
        "draft_model",
        "nothing: a step samples its completions together, without drafts",
    )?;
    s.refuse(
        "cache",
        "nothing: a step keeps all keys and values, as training does",
    )
}

/// How many rounds: `true` is as many as are usually enough.
fn dynamic_sampling(s: &mut Settings) -> Result<u64> {
    const USUAL: u64 = 10;
    let Some(value) = s.take("dynamic_sampling") else {
        return Ok(0);
    };
    let rounds = value.as_int().ok().and_then(|n| u64::try_from(n).ok());
    let chosen = value.as_bool().ok().map(|on| if on { USUAL } else { 0 });
    rounds.or(chosen).ok_or_else(|| {
        let expected = "true, false or the most rounds of a step";
        Error::setting("dynamic_sampling", brief(&value), expected)
    })
}

fn report_map(report: &Report) -> Dynamic {
    from_json(&json!({
        "steps": report.steps,
        "interrupted": report.interrupted,
        "stopped": report.stopped,
        "first_reward": report.first_reward,
        "last_reward": report.last_reward,
        "rewards": report.rewards,
        "seconds": report.seconds,
        "run_dir": report.run_dir.display().to_string(),
        "checkpoint": report.checkpoint.display().to_string(),
    }))
}

/// The trainer for a call that changes it; an error inside a reward that uses it again.
fn exclusive<'a>(
    ctx: &NativeCallContext,
    trainer: &'a GrpoTrainer,
) -> Answer<std::cell::RefMut<'a, rl::GrpoTrainer>> {
    trainer
        .0
        .try_borrow_mut()
        .map_err(|_| Error::Unsupported("this trainer is in the middle of a step".into()))
        .at(ctx)
}

/// The trainer for a look at it; an error inside a reward that its own step asks.
fn shared(trainer: &GrpoTrainer) -> Answer<std::cell::Ref<'_, rl::GrpoTrainer>> {
    let busy = || Error::Unsupported("this trainer is in the middle of a step".into());
    trainer
        .0
        .try_borrow()
        .map_err(|_| raise(busy(), rhai::Position::NONE))
}

fn train_on(
    ctx: &NativeCallContext,
    t: &GrpoTrainer,
    source: &mut dyn Source,
    reward: &Dynamic,
) -> Answer<Dynamic> {
    let mut rewards = rewards(ctx, reward, false)?;
    let mut observer = (Host::of(ctx).observer)();
    let mut trainer = exclusive(ctx, t)?;
    let report = match t.1.clone() {
        None => trainer.train_with(source, &mut rewards, &mut BuiltIn, &mut *observer),
        Some(f) => {
            let mut loss = Closure { ctx, f };
            trainer.train_with(source, &mut rewards, &mut loss, &mut *observer)
        }
    };
    Ok(report_map(&report.at(ctx)?))
}

#[export_module]
mod members {
    /// Trains on a dataset with a reward, until its steps are used up:
    /// `#{ steps, interrupted, stopped, first_reward, last_reward, rewards, seconds, run_dir, checkpoint }`.
    ///
    /// A reward is a closure over the list of outputs, the name of a function, one of `rl::rewards::`,
    /// the path of a script with `fn reward(outputs)`, or a list of those, each optionally as
    /// `#{ name, reward, weight }`. It answers a list with a number, `()` (not scored) or a map of parts
    /// for each output. A script is read again between steps when it, or what it imports, has changed;
    /// a version that fails is refused and the one before goes on. Its `fn hooks(step, metrics)`, if it
    /// has one, is called after each step and answers a map of what is to change, or nothing:
    /// `learning_rate`, settings of the draw and penalties (`temperature`, `top_p`, ..), and
    /// `stop: true`, which ends the run.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let settings = #{ prompts_per_step: 1, num_generations: 2, max_completion_length: 2 };
    /// settings.run_dir = "target/examples/train";
    /// let data = data::rows([#{ prompt: "1+2=", answer: "3" }]);
    /// let report = rl::grpo(model, settings).train(data, |outputs| outputs.map(|o| o.index));
    /// assert_eq(report.steps, 1);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn train(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        dataset: Dataset,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        train_on(&ctx, t, &mut dataset.clone(), &reward)
    }

    /// Trains on a list of rows, as on a dataset of them.
    #[rhai_fn(global, name = "train", pure, return_raw)]
    pub fn train_on_rows(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        rows: List,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        let mut dataset = dataset_of(rows).at(&ctx)?;
        train_on(&ctx, t, &mut dataset, &reward)
    }

    /// Trains on a curriculum, whose stage moves with the rewards; two metrics more say where it
    /// stands, `curriculum/stage` and `curriculum/success`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let settings = #{ prompts_per_step: 1, num_generations: 2, max_completion_length: 2 };
    /// settings.max_steps = 2;
    /// settings.run_dir = "target/examples/curriculum";
    /// let stages = [[#{ prompt: "1+2=" }], [#{ prompt: "11+22=" }]];
    /// let curriculum = data::curriculum(stages, #{ advance_at: 0.5, window: 1 });
    /// let trainer = rl::grpo(model, settings);
    /// trainer.train(curriculum, |outputs| outputs.map(|o| o.index));
    /// assert_eq(trainer.metrics.map(|m| m["curriculum/stage"]), [0, 1]);
    /// ```
    #[rhai_fn(global, name = "train", pure, return_raw)]
    pub fn train_in_stages(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        curriculum: Curriculum,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        train_on(&ctx, t, &mut curriculum.clone(), &reward)
    }

    /// One step on a list of rows or a dataset; a map of its metrics.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{
    ///     num_generations: 2, max_completion_length: 2, run_dir: "target/examples/step",
    /// });
    /// let m = trainer.step([#{ prompt: "1+2=" }], |outputs| outputs.map(|o| o.index));
    /// assert_eq(m.reward, 0.5);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn step(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        rows: Dynamic,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        let rows = super::rows(&rows).at(&ctx)?;
        let mut rewards = rewards(&ctx, &reward, true)?;
        let mut trainer = exclusive(&ctx, t)?;
        let metrics = match t.1.clone() {
            None => trainer.step(&rows, &mut rewards),
            Some(f) => {
                let mut loss = Closure { ctx: &ctx, f };
                trainer.step_with(&rows, &mut rewards, &mut loss)
            }
        };
        let notes = std::mem::take(&mut trainer.notes);
        if !notes.is_empty() {
            let mut observer = (Host::of(&ctx).observer)();
            notes.iter().for_each(|note| observer.note(note));
        }
        Ok(metrics_map(&metrics.at(&ctx)?))
    }

    /// Samples `num_generations` completions of each row as a step would, without learning: a list
    /// of `RewardOutput`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let outputs = trainer.rollout([#{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// assert_eq(outputs.map(|o| o.prompt), ["1+2=", "1+2=", "1+3=", "1+3="]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn rollout(ctx: NativeCallContext, t: &mut GrpoTrainer, rows: Dynamic) -> Answer<List> {
        let rows = super::rows(&rows).at(&ctx)?;
        let rollout = shared(t)?.rollout(&rows).at(&ctx)?;
        Ok(rollout.outputs.into_iter().map(Dynamic::from).collect())
    }

    /// Mean rewards over a dataset: greedy, one completion for each prompt.
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_plain(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        dataset: Dataset,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        evaluate(ctx, t, dataset, reward, Map::new())
    }

    /// Mean rewards over a list of rows: greedy, one completion for each prompt.
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_rows(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        rows: List,
        reward: Dynamic,
    ) -> Answer<Dynamic> {
        evaluate_rows_with(ctx, t, rows, reward, Map::new())
    }

    /// Mean rewards over a list of rows, with settings.
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_rows_with(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        rows: List,
        reward: Dynamic,
        settings: Map,
    ) -> Answer<Dynamic> {
        let dataset = dataset_of(rows).at(&ctx)?;
        evaluate(ctx, t, dataset, reward, settings)
    }

    /// Mean rewards over a dataset, without learning:
    /// `#{ reward, reward_std, mean_length, num_rows }`, the length in tokens, and
    /// `rewards/NAME/mean` for each reward; `pass@1`, the share of completions whose reward is at
    /// least `pass_threshold` (1). Settings: `num_generations` (1: greedy; with k of them also
    /// `mean@k`, and `pass@k`, the share of prompts with at least one success), `temperature` (0, or
    /// the trainer's for several), `max_completion_length`, `batch_size` (64).
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// let data = data::rows([#{ prompt: "1+2=" }, #{ prompt: "1+3=" }]);
    /// let e = trainer.evaluate(data, |outputs| outputs.map(|o| 1), #{ max_completion_length: 1 });
    /// assert_eq([e.reward, e.mean_length, e.num_rows], [1, 1, 2]);
    /// let odd = |outputs| outputs.map(|o| o.index % 2);
    /// let e = trainer.evaluate(data, odd, #{ num_generations: 4 });
    /// assert_eq([e["mean@4"], e["pass@1"], e["pass@4"]], [0.5, 0.5, 1.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn evaluate(
        ctx: NativeCallContext,
        t: &mut GrpoTrainer,
        dataset: Dataset,
        reward: Dynamic,
        settings: Map,
    ) -> Answer<Dynamic> {
        let settings = Settings::read(&ctx, "evaluate", settings, |s| {
            let mut e = EvalSettings::default();
            s.optional("temperature", &mut e.temperature)?;
            s.count("num_generations", &mut e.num_generations)?;
            s.float("pass_threshold", &mut e.pass_threshold)?;
            if let Some(n) = s.integer("max_completion_length")? {
                let wrong = |_| Error::setting("max_completion_length", n, "at least 1");
                e.max_completion_length = Some(usize::try_from(n).map_err(wrong)?);
            }
            s.count("batch_size", &mut e.batch_size)?;
            e.check()?;
            Ok(e)
        })?;
        let mut rewards = rewards(&ctx, &reward, true)?;
        let result = shared(t)?
            .evaluate(&dataset, &mut rewards, &settings)
            .at(&ctx)?;
        if !result.notes.is_empty() {
            let mut observer = (Host::of(&ctx).observer)();
            result.notes.iter().for_each(|note| observer.note(note));
        }
        let k = settings.num_generations;
        let mut map = Map::new();
        let mut set = |name: String, value: f64| map.insert(name.into(), value.into());
        set(format!("mean@{k}"), result.reward);
        set(format!("pass@{k}"), result.pass_at_k);
        for (name, value) in result.numbers() {
            set(name, value);
        }
        map.insert("num_rows".into(), (result.num_rows as INT).into());
        Ok(map.into())
    }

    /// A list of maps of numbers, one for each step, under TRL's names. `entropy` and `sampling/..` are means
    /// over the completions that are learnt from: those that are no better or worse than their group are
    /// left out of the update, unless `beta`, `entropy_coef` or another setting asks for all.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{
    ///     num_generations: 2, max_completion_length: 2, run_dir: "target/examples/metrics",
    /// });
    /// trainer.step([#{ prompt: "1+2=" }], |outputs| outputs.map(|o| o.index));
    /// assert_eq(trainer.metrics.map(|m| m.step), [1]);
    /// ```
    #[rhai_fn(global, get = "metrics", pure, return_raw)]
    pub fn metrics(t: &mut GrpoTrainer) -> Answer<List> {
        Ok(shared(t)?.history.iter().map(metrics_map).collect())
    }

    /// The model that is trained: the one given, not a copy.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// model.set_parameter("model.norm.weight", mx::zeros([16]));
    /// assert_eq(trainer.model.parameter("model.norm.weight"), mx::zeros([16]));
    /// ```
    #[rhai_fn(global, get = "model", pure, return_raw)]
    pub fn model(t: &mut GrpoTrainer) -> Answer<Model> {
        Ok(Model(shared(t)?.model.clone()))
    }

    /// The folder of the run, or `()` before the first step where none was named.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(rl::grpo(model).run_dir, ());
    /// assert_eq(rl::grpo(model, #{ run_dir: "runs/first" }).run_dir, "runs/first");
    /// ```
    #[rhai_fn(global, get = "run_dir", pure, return_raw)]
    pub fn run_dir(t: &mut GrpoTrainer) -> Answer<Dynamic> {
        let path = shared(t)?.run_dir();
        Ok(path.map_or(Dynamic::UNIT, |path| path.display().to_string().into()))
    }

    /// Writes a checkpoint to a folder: the model in Hugging Face layout, the optimiser and the
    /// position. It appears as a whole, or the earlier one stays.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = rl::grpo(model, #{ num_generations: 2, max_completion_length: 2 });
    /// trainer.save("target/examples/checkpoint");
    /// assert_eq(lm::load("target/examples/checkpoint").num_parameters, model.num_parameters);
    /// ```
    #[rhai_fn(global, name = "save", pure, return_raw)]
    pub fn save_trainer(ctx: NativeCallContext, t: &mut GrpoTrainer, path: &str) -> Answer<()> {
        shared(t)?.save(Path::new(path)).at(&ctx)
    }

    /// Goes on from a checkpoint, or from the newest one in a run's folder, on a trainer made with
    /// the same settings: its weights, optimiser and position replace this trainer's, and what
    /// follows is what would have followed.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// rl::grpo(model, #{ seed: 7 }).save("target/examples/resume");
    /// let other = lm::qwen3(config, #{ seed: 2, tokenizer: model.tokenizer });
    /// rl::grpo(other, #{ seed: 7 }).resume("target/examples/resume");
    /// assert_eq(other.forward([3, 12]), model.forward([3, 12]));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn resume(ctx: NativeCallContext, t: &mut GrpoTrainer, path: &str) -> Answer<()> {
        exclusive(&ctx, t)?.resume(Path::new(path)).at(&ctx)
    }

    /// The learning rate of the last step, or before it the one of the settings.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(rl::grpo(model, #{ learning_rate: 1e-4 }).learning_rate, 1e-4);
    /// ```
    #[rhai_fn(global, get = "learning_rate", pure, return_raw)]
    pub fn learning_rate(t: &mut GrpoTrainer) -> Answer<FLOAT> {
        let trainer = shared(t)?;
        let last = trainer.history.last().and_then(|m| m.get("learning_rate"));
        Ok(last.unwrap_or(trainer.settings.optim.learning_rate))
    }
}
