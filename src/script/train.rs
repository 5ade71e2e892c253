//! What the settings and numbers of all trainers have in common.

use super::settings::Settings;
use crate::error::{Error, Result};
use crate::models::LoraSettings;
use crate::optim::Decay;
use crate::train::{Metrics, OptimSettings};
use rhai::{Dynamic, Map};

/// Reads the keys that every optimiser shares.
pub fn optim_settings(s: &mut Settings, into: &mut OptimSettings) -> Result<()> {
    s.float("learning_rate", &mut into.learning_rate)?;
    s.named("lr_scheduler", &mut into.lr_scheduler, Decay::named)?;
    s.count("warmup_steps", &mut into.warmup_steps)?;
    if let Some(name) = s.string("optimizer")? {
        into.optimizer = name;
    }
    s.float("weight_decay", &mut into.weight_decay)?;
    s.float("adam_beta1", &mut into.adam_beta1)?;
    s.float("adam_beta2", &mut into.adam_beta2)?;
    s.count("max_skipped_steps", &mut into.max_skipped_steps)?;
    s.single("max_grad_norm", &mut into.max_grad_norm)
}

/// The settings of adapters.
pub fn lora_settings(s: &mut Settings) -> Result<LoraSettings> {
    let mut lora = LoraSettings::default();
    let whole = |name: &str, number: i64| {
        i32::try_from(number).map_err(|_| Error::setting(name, number, "a small whole number"))
    };
    if let Some(rank) = s.integer("rank")? {
        lora.rank = whole("rank", rank)?;
    }
    s.single("scale", &mut lora.scale)?;
    s.single("dropout", &mut lora.dropout)?;
    if let Some(targets) = s.strings("targets")? {
        if targets.is_empty() {
            let expected = "at least one name of a layer; without `targets` all have adapters";
            return Err(Error::setting("targets", "[]", expected));
        }
        lora.targets = targets;
    }
    if let Some(layers) = s.integer("layers")? {
        lora.layers = whole("layers", layers)?;
    }
    s.count("seed", &mut lora.seed)?;
    Ok(lora)
}

/// The setting `lora`: a map of the settings of adapters.
pub fn adapters(s: &mut Settings) -> Result<Option<LoraSettings>> {
    let Some(map) = s.value::<Map>("lora", "a map such as #{ rank: 8 }")? else {
        return Ok(None);
    };
    let mut inner = Settings::new("lora", map);
    let lora = lora_settings(&mut inner)?;
    inner.finish()?;
    lora.check()?;
    Ok(Some(lora))
}

/// A step's numbers as a map.
pub fn metrics_map(metrics: &Metrics) -> Dynamic {
    let fields = metrics.values.iter();
    fields
        .map(|(name, value)| (name.as_str().into(), (*value).into()))
        .collect::<Map>()
        .into()
}
