//! `sft::` and the `SftTrainer` type.

use super::convert::from_json;
use super::error::{Answer, At};
use super::host::Host;
use super::model::Model;
use super::rl::{metrics_map, optim_settings};
use super::settings::Settings;
use crate::data::Dataset;
use crate::sft::{self, SftSettings};
use rhai::plugin::*;
use rhai::{Array as List, Dynamic, Engine, FLOAT, Map, NativeCallContext};
use serde_json::json;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// A trainer as a script's value: every copy is the same trainer.
#[derive(Clone)]
pub struct SftTrainer(Rc<RefCell<sft::SftTrainer>>);

/// Registers the type and the module.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<SftTrainer>("SftTrainer");
    engine.register_global_module(exported_module!(members).into());
    engine.register_static_module("sft", exported_module!(functions).into());
    let show = |t: &mut SftTrainer| {
        let trainer = t.0.borrow();
        let loss = trainer.history.last().and_then(|m| m.get("loss"));
        let loss = loss.map(|l| format!(", loss {l:.3}")).unwrap_or_default();
        format!("SftTrainer after {} steps{loss}", trainer.history.len())
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

    /// A supervised trainer of a model. Settings: `batch_size`, `learning_rate`, `lr_scheduler`,
    /// `warmup_steps`, `optimizer`, `weight_decay`, `adam_beta1`, `adam_beta2`, `max_grad_norm`,
    /// `gradient_accumulation_steps`, `max_steps`, `num_epochs`, `max_length`, `seed`, `run_dir`.
    #[rhai_fn(return_raw)]
    pub fn trainer(ctx: NativeCallContext, model: Model, settings: Map) -> Answer<SftTrainer> {
        let settings = Settings::read(&ctx, "sft::trainer", settings, |s| {
            let mut t = SftSettings::default();
            s.count("batch_size", &mut t.batch_size)?;
            optim_settings(s, &mut t.optim)?;
            s.count(
                "gradient_accumulation_steps",
                &mut t.gradient_accumulation_steps,
            )?;
            s.count("max_steps", &mut t.max_steps)?;
            s.count("num_epochs", &mut t.num_epochs)?;
            s.count("max_length", &mut t.max_length)?;
            s.count("seed", &mut t.seed)?;
            t.run_dir = s.string("run_dir")?.map(PathBuf::from);
            Ok(t)
        })?;
        let trainer = sft::SftTrainer::new(model.0, settings).at(&ctx)?;
        Ok(SftTrainer(Rc::new(RefCell::new(trainer))))
    }
}

#[export_module]
mod members {
    /// Trains on rows with a `prompt` and a `completion` (or `answer`); a report.
    #[rhai_fn(global, name = "train", pure, return_raw)]
    pub fn train_sft(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        dataset: Dataset,
    ) -> Answer<Dynamic> {
        let mut observer = (Host::of(&ctx).observer)();
        let report = t.0.borrow_mut().train(&dataset, &mut *observer).at(&ctx)?;
        Ok(from_json(&json!({
            "steps": report.steps,
            "interrupted": report.interrupted,
            "first_loss": report.first_loss,
            "last_loss": report.last_loss,
            "seconds": report.seconds,
            "run_dir": report.run_dir.display().to_string(),
            "checkpoint": report.checkpoint.display().to_string(),
        })))
    }

    /// Mean loss of a completion token over a dataset, in nats.
    #[rhai_fn(global, name = "evaluate", pure, return_raw)]
    pub fn evaluate_sft(
        ctx: NativeCallContext,
        t: &mut SftTrainer,
        dataset: Dataset,
    ) -> Answer<FLOAT> {
        t.0.borrow().evaluate(&dataset).at(&ctx)
    }

    /// A list of maps, one for each step.
    #[rhai_fn(global, get = "metrics", pure)]
    pub fn sft_metrics(t: &mut SftTrainer) -> List {
        t.0.borrow().history.iter().map(metrics_map).collect()
    }

    /// The model that is trained.
    #[rhai_fn(global, get = "model", pure)]
    pub fn sft_model(t: &mut SftTrainer) -> Model {
        Model(t.0.borrow().model.clone())
    }

    /// The folder of the run, or `()` before it has begun.
    #[rhai_fn(global, get = "run_dir", pure)]
    pub fn sft_run_dir(t: &mut SftTrainer) -> Dynamic {
        let path = t.0.borrow().run_dir();
        path.map_or(Dynamic::UNIT, |path| path.display().to_string().into())
    }
}
