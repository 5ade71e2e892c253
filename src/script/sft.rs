//! `sft::` and the `SftTrainer` type.

use super::convert::from_json;
use super::data::{dataset_of, dataset_setting};
use super::error::{Answer, At};
use super::host::Host;
use super::model::Model;
use super::settings::Settings;
use super::train::{adapters, metrics_map, optim_settings};
use crate::data::Dataset;
use crate::sft::{self, SftSettings, Truncation};
use crate::train::Metrics;
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, Map, NativeCallContext};
use serde_json::json;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A trainer as a script's value: every copy is the same trainer.
#[derive(Clone)]
pub struct SftTrainer(Rc<RefCell<sft::SftTrainer>>);

impl SftTrainer {
    /// The metrics of every step so far; of none while it is at work.
    pub fn history(&self) -> Vec<Metrics> {
        let trainer = self.0.try_borrow();
        trainer.map(|t| t.history.clone()).unwrap_or_default()
    }
}

/// Registers the type and the module.
pub fn register(engine: &mut Engine, global: &mut Module) {
    engine.register_type_with_name::<SftTrainer>("SftTrainer");
    global.combine(exported_module!(members));
    engine.register_static_module("sft", exported_module!(functions).into());
    let show = |t: &mut SftTrainer| match t.0.try_borrow() {
        Ok(trainer) => {
            let loss = trainer.history.last().and_then(|m| m.get("loss"));
            let loss = loss.map(|l| format!(", loss {l:.3}")).unwrap_or_default();
            format!("SftTrainer after {} steps{loss}", trainer.steps())
        }
        Err(_) => "SftTrainer, training".into(),
    };
    engine.register_fn("to_string", show);
    engine.register_fn("to_debug", show);
}

#[export_module]
mod functions {
    /// A supervised trainer of a model with the default settings.
    #[rhai_fn(name = "trainer", return_raw)]
    pub fn trainer_plain(ctx: NativeCallContext, model: Model) -> Answer<SftTrainer> {
        trainer(ctx, model, Map::new())
    }

    /// A supervised trainer of a model. Settings, beside those of the optimiser (`learning_rate`,
    /// `lr_scheduler`, `warmup_steps`, `optimizer`, `weight_decay`, `adam_beta1`, `adam_beta2`,
    /// `max_grad_norm`):
    ///
    /// - what is learnt: `completion_only_loss` (true; of rows with a `prompt` the completion only),
    ///   `assistant_only_loss` (false; of rows of `messages` only what the assistant says);
    /// - how: `batch_size` (8), `gradient_accumulation_steps` (1), `max_steps`, `num_epochs` (1),
    ///   `group_by_length` (true; batches rows of similar length), `packing` (false; several rows in
    ///   one of `max_length`), `max_length` (1024), `truncation` (`"error"`; `"keep_start"` cuts longer
    ///   rows), `seed`;
    /// - `lora` (a map: adapters of these settings are trained, as by `add_lora`),
    ///   `router_aux_loss_coef` (0; the weight of the load balance of a mixture of experts);
    /// - memory: `gradient_checkpointing`, `logprob_chunk_size`;
    /// - `eval_dataset` with `eval_steps` (its loss is `eval_loss` in the metrics), `save_steps`,
    ///   `save_total_limit` (3; 0 keeps all checkpoints), `run_dir`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = sft::trainer(model, #{
    ///     batch_size: 2, learning_rate: 1e-3, lr_scheduler: "cosine", max_steps: 10,
    /// });
    /// assert_eq(trainer.metrics, []);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn trainer(ctx: NativeCallContext, model: Model, settings: Map) -> Answer<SftTrainer> {
        let settings = Settings::read(&ctx, "sft::trainer", settings, |s| {
            let mut t = SftSettings::default();
            s.count("batch_size", &mut t.batch_size)?;
            optim_settings(s, &mut t.optim)?;
            t.lora = adapters(s)?;
            s.single("router_aux_loss_coef", &mut t.router_aux_loss_coef)?;
            s.count(
                "gradient_accumulation_steps",
                &mut t.gradient_accumulation_steps,
            )?;
            s.count("max_steps", &mut t.max_steps)?;
            s.count("num_epochs", &mut t.num_epochs)?;
            s.count("max_length", &mut t.max_length)?;
            s.named("truncation", &mut t.truncation, Truncation::named)?;
            s.boolean("completion_only_loss", &mut t.completion_only_loss)?;
            s.boolean("assistant_only_loss", &mut t.assistant_only_loss)?;
            s.boolean("packing", &mut t.packing)?;
            s.boolean("group_by_length", &mut t.group_by_length)?;
            t.eval_dataset = dataset_setting(s, "eval_dataset")?;
            s.count("eval_steps", &mut t.eval_steps)?;
            s.count("save_steps", &mut t.save_steps)?;
            s.count("save_total_limit", &mut t.save_total_limit)?;
            s.boolean("gradient_checkpointing", &mut t.gradient_checkpointing)?;
            s.count("logprob_chunk_size", &mut t.logprob_chunk_size)?;
            s.count("seed", &mut t.seed)?;
            t.run_dir = s.string("run_dir")?.map(PathBuf::from);
            Ok(t)
        })?;
        let trainer = sft::SftTrainer::new(model.0, settings).at(&ctx)?;
        Ok(SftTrainer(Rc::new(RefCell::new(trainer))))
    }
}

fn train_on(ctx: &NativeCallContext, t: &SftTrainer, dataset: &Dataset) -> Answer<Dynamic> {
    let mut observer = (Host::of(ctx).observer)();
    let report = t.0.borrow_mut().train(dataset, &mut *observer).at(ctx)?;
    Ok(from_json(&json!({
        "steps": report.steps,
        "interrupted": report.interrupted,
        "first_loss": report.first_loss,
        "last_loss": report.last_loss,
        "losses": report.losses,
        "seconds": report.seconds,
        "run_dir": report.run_dir.display().to_string(),
        "checkpoint": report.checkpoint.display().to_string(),
    })))
}

#[export_module]
mod members {
    /// Trains on a dataset until its steps are used up:
    /// `#{ steps, interrupted, first_loss, last_loss, losses, seconds, run_dir, checkpoint }`. A row has a
    /// `prompt` with a `completion` or `answer`, as texts or as messages; or `messages`, with the `tools`
    /// and `chat_template_kwargs` of their template; or a `text`.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = sft::trainer(model, #{ max_steps: 1, run_dir: "target/examples/sft-train" });
    /// let report = trainer.train(data::rows([#{ prompt: "1+2=", completion: "3" }]));
    /// assert_eq(report.steps, 1);
    /// ```
    #[rhai_fn(global, name = "train", pure, return_raw)]
    pub fn train_sft(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        dataset: Dataset,
    ) -> Answer<Dynamic> {
        train_on(&ctx, t, &dataset)
    }

    /// Trains on a list of rows, as on a dataset of them.
    #[rhai_fn(global, name = "train", pure, return_raw)]
    pub fn train_sft_on_rows(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        rows: List,
    ) -> Answer<Dynamic> {
        train_on(&ctx, t, &dataset_of(rows).at(&ctx)?)
    }

    /// Mean loss of a learnt token over a dataset, in nats; the end token counts too.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = sft::trainer(model);
    /// let loss = trainer.evaluate(data::rows([#{ prompt: "1+2=", completion: "3" }]));
    /// let p = model.logprobs(model.tokenizer.encode("1+2="), model.tokenizer.encode("3") + [1]);
    /// assert_close(loss, -p.mean(), 1e-5);
    /// ```
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_sft(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        dataset: Dataset,
    ) -> Answer<FLOAT> {
        t.0.borrow().evaluate(&dataset).at(&ctx)
    }

    /// Mean loss over a list of rows, as over a dataset of them.
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_sft_rows(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        rows: List,
    ) -> Answer<FLOAT> {
        let dataset = dataset_of(rows).at(&ctx)?;
        evaluate_sft(ctx, t, dataset)
    }

    /// Writes a checkpoint to a folder: the model in Hugging Face layout, the optimiser and the
    /// position. It appears as a whole, or the earlier one stays.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// sft::trainer(model).save("target/examples/sft-checkpoint");
    /// let loaded = lm::load("target/examples/sft-checkpoint");
    /// assert_eq(loaded.num_parameters, model.num_parameters);
    /// ```
    #[rhai_fn(global, name = "save", pure, return_raw)]
    pub fn save_sft(ctx: NativeCallContext, t: &mut SftTrainer, path: &str) -> Answer<()> {
        t.0.borrow().save(Path::new(path)).at(&ctx)
    }

    /// Goes on from a checkpoint, or from the newest one in a run's folder, on a trainer made with
    /// the same settings: its weights, optimiser and position replace this trainer's, and what
    /// follows is what would have followed.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let data = data::rows([#{ prompt: "1+2=", completion: "3" }]);
    /// let settings = #{ max_steps: 1, run_dir: "target/examples/sft-resume" };
    /// sft::trainer(model, settings).train(data);
    /// let other = lm::qwen3(config, #{ seed: 2, tokenizer: model.tokenizer });
    /// let trainer = sft::trainer(other, settings);
    /// trainer.resume("target/examples/sft-resume");
    /// assert_eq(other.forward([3, 12]), model.forward([3, 12]));
    /// assert_eq(trainer.metrics.len(), 1);
    /// ```
    #[rhai_fn(global, name = "resume", pure, return_raw)]
    pub fn resume_sft(ctx: NativeCallContext, t: &mut SftTrainer, path: &str) -> Answer<()> {
        t.0.borrow_mut().resume(Path::new(path)).at(&ctx)
    }

    /// A list of maps of numbers, one for each step.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// let trainer = sft::trainer(model, #{ max_steps: 1, run_dir: "target/examples/sft-steps" });
    /// trainer.train(data::rows([#{ prompt: "1+2=", completion: "3" }]));
    /// assert_eq(trainer.metrics.map(|m| m.step), [1]);
    /// ```
    #[rhai_fn(global, get = "metrics", pure)]
    pub fn sft_metrics(t: &mut SftTrainer) -> List {
        t.0.borrow().history.iter().map(metrics_map).collect()
    }

    /// The model that is trained: the one given, not a copy.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// model.set_parameter("model.norm.weight", mx::zeros([16]));
    /// assert_eq(sft::trainer(model).model.parameter("model.norm.weight"), mx::zeros([16]));
    /// ```
    #[rhai_fn(global, get = "model", pure)]
    pub fn sft_model(t: &mut SftTrainer) -> Model {
        Model(t.0.borrow().model.clone())
    }

    /// The folder of the run, or `()` before the first step where none was named.
    ///
    /// ```rhai
    /// let config = #{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    /// let model = lm::qwen3(config, #{ seed: 1, tokenizer: lm::char_tokenizer("0123456789+=") });
    /// assert_eq(sft::trainer(model).run_dir, ());
    /// assert_eq(sft::trainer(model, #{ run_dir: "runs/first" }).run_dir, "runs/first");
    /// ```
    #[rhai_fn(global, get = "run_dir", pure)]
    pub fn sft_run_dir(t: &mut SftTrainer) -> Dynamic {
        let path = t.0.borrow().run_dir();
        path.map_or(Dynamic::UNIT, |path| path.display().to_string().into())
    }
}
