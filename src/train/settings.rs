//! Optimiser settings that every trainer has.

use crate::error::{Error, Result};
use crate::models::LoraSettings;
use crate::optim::{Decay, Optimizer, Rule, Schedule};
use serde_json::{Value, json};

/// Names and defaults as in TRL's configuration.
#[derive(Clone, Debug)]
pub struct OptimSettings {
    pub learning_rate: f64,
    pub lr_scheduler: Decay,
    pub warmup_steps: u64,
    pub optimizer: String,
    pub weight_decay: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    /// 0 is off.
    pub max_grad_norm: f32,
    /// After so many updates in a row without a finite loss and gradient the run stops.
    pub max_skipped_steps: u32,
}

impl OptimSettings {
    /// The defaults at a learning rate.
    pub fn at(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            lr_scheduler: Decay::Constant,
            warmup_steps: 0,
            optimizer: "adamw".into(),
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            max_grad_norm: 1.0,
            max_skipped_steps: 5,
        }
    }

    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        let from_zero = [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", f64::from(self.max_grad_norm)),
        ];
        for (name, value) in from_zero {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::setting(name, value, "0 or a positive number"));
            }
        }
        for (name, value) in [
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::setting(name, value, "a number from 0 to below 1"));
            }
        }
        if self.max_skipped_steps == 0 {
            return Err(Error::setting("max_skipped_steps", 0, "at least 1"));
        }
        self.rule().map(drop)
    }

    /// The settings on which the numbers of a run depend, by name. Where the rate decays they include
    /// the length of the run.
    pub fn config(&self, max_steps: u64, num_epochs: u64) -> Vec<(&'static str, Value)> {
        let mut list = vec![
            ("optimizer", json!(self.optimizer)),
            ("learning_rate", json!(self.learning_rate)),
            ("lr_scheduler", json!(self.lr_scheduler.name())),
            ("warmup_steps", json!(self.warmup_steps)),
            ("weight_decay", json!(self.weight_decay)),
            ("adam_beta1", json!(self.adam_beta1)),
            ("adam_beta2", json!(self.adam_beta2)),
            ("max_grad_norm", json!(self.max_grad_norm)),
        ];
        if self.lr_scheduler != Decay::Constant {
            list.push(("max_steps", json!(max_steps)));
            list.push(("num_epochs", json!(num_epochs)));
        }
        list
    }

    fn rule(&self) -> Result<Rule> {
        let betas = (self.adam_beta1, self.adam_beta2);
        Rule::named(&self.optimizer, betas, self.weight_decay)
    }

    /// A fresh optimiser.
    pub fn optimizer(&self) -> Result<Optimizer> {
        Ok(Optimizer::new(self.rule()?, false))
    }

    /// The schedule of a run of so many steps.
    pub fn schedule(&self, total_steps: u64) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_steps: self.warmup_steps,
            decay: self.lr_scheduler,
            total_steps,
        }
    }
}

/// The settings of adapters on which the numbers of a run depend.
pub fn lora_config(lora: Option<&LoraSettings>) -> Value {
    lora.map_or(Value::Null, |lora| {
        json!({
            "rank": lora.rank,
            "scale": lora.scale,
            "dropout": lora.dropout,
            "targets": lora.targets,
            "layers": lora.layers,
            "seed": lora.seed,
        })
    })
}
