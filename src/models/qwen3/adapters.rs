//! Low-rank adapters on a model's layers, and their files in mlx-lm's format.

use super::Qwen3;
use crate::checkpoint::{ModelDir, Weights, read};
use crate::error::{Error, Result};
use crate::mlx::{self, Array, memory, random};
use crate::nn::params::join;
use crate::nn::{Layer, Lora, LoraShape, Matrix, Params, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

const WEIGHTS: &str = "adapters.safetensors";
const CONFIG: &str = "adapter_config.json";

/// No matrix of a model in use has a higher one.
const MOST_RANK: i32 = 16_384;

/// Which layers get adapters, and of what size. The defaults are mlx-lm's, but for the blocks: it
/// takes the last 16, here all have them.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraSettings {
    pub rank: i32,
    /// A factor; not divided by the rank, as `alpha` is elsewhere.
    pub scale: f32,
    pub dropout: f32,
    /// Names of layers within a block (`q_proj`, `self_attn.q_proj`); none is all of them.
    pub targets: Vec<String>,
    /// How many blocks, counted from the last; -1 is all.
    pub layers: i32,
    pub seed: u64,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self {
            rank: 8,
            scale: 20.0,
            dropout: 0.0,
            targets: Vec::new(),
            layers: -1,
            seed: 0,
        }
    }
}

impl LoraSettings {
    /// An error for the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        if !(1..=MOST_RANK).contains(&self.rank) {
            let expected = format!("from 1 to {MOST_RANK}");
            return Err(Error::setting("rank", self.rank, &expected));
        }
        if !self.scale.is_finite() {
            return Err(Error::setting("scale", self.scale, "a finite number"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let expected = "a number from 0 to below 1";
            return Err(Error::setting("dropout", self.dropout, expected));
        }
        if self.layers == 0 || self.layers < -1 {
            let expected = "a number of blocks, counted from the last, or -1 for all";
            return Err(Error::setting("layers", self.layers, expected));
        }
        Ok(())
    }

    fn wants(&self, inner: &str) -> bool {
        let last = inner.rsplit('.').next();
        let named = |target: &String| target == inner || Some(target.as_str()) == last;
        self.targets.is_empty() || self.targets.iter().any(named)
    }
}

/// What mlx-lm writes beside the arrays, as far as it reads it.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default = "lora")]
    fine_tune_type: String,
    num_layers: i32,
    lora_parameters: Parameters,
}

#[derive(Serialize, Deserialize)]
struct Parameters {
    rank: i32,
    scale: f32,
    #[serde(default)]
    dropout: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
}

fn lora() -> String {
    "lora".into()
}

/// The number of a block, and the path of a layer within it.
fn within_block(path: &str) -> Option<(i32, &str)> {
    let (number, inner) = path.strip_prefix("model.layers.")?.split_once('.')?;
    Some((number.parse().ok()?, inner))
}

impl Qwen3 {
    /// Whether there are adapters.
    pub fn has_adapters(&self) -> bool {
        let entries = self.entries();
        entries.iter().any(|(_, role, _)| *role == Role::Adapter)
    }

    /// Adds adapters, which change nothing until they are trained. From then on only they are.
    ///
    /// # Errors
    /// A setting out of its range, a target that no layer has, adapters that are there already.
    pub fn add_lora(&mut self, settings: &LoraSettings) -> Result<()> {
        settings.check()?;
        if self.has_adapters() {
            return Err(Error::Unsupported(
                "this model has adapters already; `merge_lora()` makes them part of its weights, \
                 `remove_lora()` takes them away"
                    .into(),
            ));
        }
        self.check_targets(&settings.targets)?;
        let blocks = self.config.num_hidden_layers;
        let first = match settings.layers {
            -1 => 0,
            layers => (blocks - layers).max(0),
        };
        let shape = LoraShape {
            rank: settings.rank,
            scale: settings.scale,
            dropout: settings.dropout,
        };
        let (mut copy, mut count) = (self.clone(), 0);
        copy.layers("", &mut |path, mut layer| {
            let Some((block, inner)) = within_block(path) else {
                return Ok(());
            };
            let sizes = layer.matrix().map(|matrix| matrix.shape());
            let (Some(sizes), Some(place)) = (sizes, layer.lora()) else {
                return Ok(());
            };
            if block >= first && settings.wants(inner) {
                count += 1;
                let key = random::key(random::derive(settings.seed, count))?;
                *place = Some(Lora::new(&sizes, shape, &key)?);
            }
            Ok(())
        })?;
        if count == 0 {
            let expected = format!("as many as reach a layer of {:?}", settings.targets);
            return Err(Error::setting("layers", settings.layers, &expected));
        }
        let arrays = copy.trained_arrays();
        if arrays.iter().map(Array::nbytes).sum::<usize>() > memory::total() {
            let expected = "adapters that fit in this machine's memory";
            return Err(Error::setting("rank", settings.rank, expected));
        }
        mlx::eval(&arrays)?;
        *self = copy;
        Ok(())
    }

    /// Makes the model ready to be trained: adds adapters if they are asked for and not there.
    ///
    /// # Errors
    /// As for [`add_lora`](Self::add_lora); weights in few bits without adapters.
    pub fn prepare(&mut self, lora: Option<&LoraSettings>) -> Result<()> {
        match lora {
            Some(settings) if !self.has_adapters() => self.add_lora(settings)?,
            Some(settings) => self.check_adapters(settings)?,
            None => {}
        }
        self.check_trainable()
    }

    /// An error if the adapters that are there are of other settings.
    fn check_adapters(&self, settings: &LoraSettings) -> Result<()> {
        let mut others = None;
        self.clone().layers("", &mut |_, mut layer| {
            if let Some(Some(lora)) = layer.lora()
                && (lora.rank(), lora.scale) != (settings.rank, settings.scale)
            {
                others = Some((lora.rank(), lora.scale));
            }
            Ok(())
        })?;
        let Some((rank, scale)) = others else {
            return Ok(());
        };
        let found = format!("rank {} and scale {}", settings.rank, settings.scale);
        let expected = format!(
            "rank {rank} and scale {scale}, which the model's adapters have; `merge_lora()` makes them part \
             of its weights, `remove_lora()` takes them away"
        );
        Err(Error::setting("lora", found, &expected))
    }

    fn check_targets(&self, targets: &[String]) -> Result<()> {
        let mut known = BTreeSet::new();
        self.clone().layers("", &mut |path, layer| {
            if let (Some((_, inner)), Layer::Linear(_) | Layer::Switch(_)) =
                (within_block(path), layer)
            {
                known.insert(inner.to_string());
            }
            Ok(())
        })?;
        let last = |inner: &String| inner.rsplit('.').next().unwrap_or(inner).to_string();
        let short: BTreeSet<String> = known.iter().map(last).collect();
        match targets
            .iter()
            .find(|target| !known.contains(*target) && !short.contains(*target))
        {
            None => Ok(()),
            Some(unknown) => {
                let names: Vec<String> = short.into_iter().collect();
                let expected = format!("names of layers: {}", names.join(", "));
                Err(Error::setting("targets", unknown, &expected))
            }
        }
    }

    /// The same as [`merged`](Self::merged), where there is something to merge.
    ///
    /// # Errors
    /// There are no adapters.
    pub fn merge_adapters(&self) -> Result<Self> {
        match self.has_adapters() {
            true => self.merged(),
            false => Err(no_adapters()),
        }
    }

    /// The model with its adapters made part of its weights. A weight in few bits is put into the
    /// same few bits again, which rounds what the adapter adds.
    pub fn merged(&self) -> Result<Self> {
        let mut copy = self.clone();
        copy.layers("", &mut |path, mut layer| {
            let Some(lora) = layer.lora().and_then(Option::take) else {
                return Ok(());
            };
            let Some(matrix) = layer.matrix() else {
                return Ok(());
            };
            let dtype = matrix.dtype();
            let whole = matrix.dense()?.as_dtype(mlx::Dtype::Float32)?;
            let sum = Matrix::Plain(whole.add(lora.delta()?)?.as_dtype(dtype)?);
            *matrix = match matrix {
                Matrix::Plain(_) => sum,
                Matrix::Packed(packed) => sum.quantized(&packed.format)?,
            };
            layer.arrays(path, &mut |_, _, array| mlx::eval([&*array]))
        })?;
        Ok(copy)
    }

    /// Writes the adapters, and the configuration that mlx-lm loads them by.
    ///
    /// # Errors
    /// There are none.
    pub fn save_adapter(&self, dir: &ModelDir) -> Result<()> {
        let mut keys = BTreeSet::new();
        let (mut first, mut found) = (i32::MAX, None);
        self.clone().layers("", &mut |path, mut layer| {
            let lora = layer.lora().and_then(Option::take);
            if let (Some((block, inner)), Some(lora)) = (within_block(path), lora) {
                keys.insert(inner.to_string());
                first = first.min(block);
                found = Some(lora);
            }
            Ok(())
        })?;
        let Some(lora) = found else {
            return Err(no_adapters());
        };
        let trained = self.trained();
        dir.write_weights(WEIGHTS, &trained)?;
        let rank = if lora.a.ndim() == 2 { 1 } else { -2 };
        dir.write_json(
            CONFIG,
            &File {
                fine_tune_type: "lora".into(),
                num_layers: self.config.num_hidden_layers - first,
                lora_parameters: Parameters {
                    rank: lora.a.dim(rank),
                    scale: lora.scale,
                    dropout: lora.dropout,
                    keys: Some(keys.into_iter().collect()),
                },
            },
        )
    }

    /// Puts the adapters of a folder in the places of those that there are, if any.
    ///
    /// # Errors
    /// A folder without adapters of mlx-lm's format, arrays that do not fit this model. Nothing
    /// is changed then.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<()> {
        let file = adapter_config(dir)?;
        let weights = dir.join(WEIGHTS);
        let mut arrays = Weights::new(read(&weights)?, &weights);
        let mut copy = self.without_adapters();
        let Parameters { scale, dropout, .. } = file.lora_parameters;
        let checked = LoraSettings {
            scale,
            dropout,
            ..LoraSettings::default()
        };
        checked
            .check()
            .map_err(|e| Error::file(dir.join(CONFIG), e))?;
        copy.layers("", &mut |path, mut layer| {
            if !arrays.has(&join(path, "lora_a")) {
                return Ok(());
            }
            let sizes = layer.matrix().map(|matrix| matrix.shape());
            let (Some(sizes), Some(place)) = (sizes, layer.lora()) else {
                return Ok(());
            };
            let a = arrays.take(&join(path, "lora_a"))?;
            let of_experts = sizes.len() == 3;
            let shape = LoraShape {
                rank: if of_experts { a.dim(-2) } else { a.dim(-1) },
                scale,
                dropout,
            };
            // A fresh one says what the shapes must be.
            let mut lora = Lora::new(&sizes, shape, &random::key(0)?)?;
            arrays.arrays.insert(join(path, "lora_a"), a);
            lora.a = arrays.take_shaped(&join(path, "lora_a"), lora.a.shape())?;
            lora.b = arrays.take_shaped(&join(path, "lora_b"), lora.b.shape())?;
            if !(lora.a.dtype().is_float() && lora.b.dtype().is_float()) {
                let reason = format!("the adapter of `{path}` is not of floats");
                return Err(Error::file(&weights, reason));
            }
            mlx::eval([&lora.a, &lora.b])?;
            *place = Some(lora);
            Ok(())
        })?;
        arrays.finish()?;
        if !copy.has_adapters() {
            return Err(Error::file(&weights, "it holds no adapters"));
        }
        *self = copy;
        Ok(())
    }
}

/// Where adapters are needed and there are none.
fn no_adapters() -> Error {
    Error::Unsupported(
        "this model has no adapters; `model.add_lora(#{ rank: 8 })` adds some".into(),
    )
}

fn adapter_config(dir: &Path) -> Result<File> {
    let path = dir.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let is_peft = dir.join("adapter_model.safetensors").exists();
    if is_peft && !dir.join(WEIGHTS).exists() {
        let reason = "adapters in the format of PEFT; mlx-lm's is expected (adapters.safetensors)";
        return Err(Error::file(dir, reason));
    }
    let file: File = serde_json::from_str(&text)
        .map_err(|e| Error::file(&path, format!("not a configuration of adapters: {e}")))?;
    if file.fine_tune_type != "lora" {
        let reason = format!("adapters of type {}; only lora loads", file.fine_tune_type);
        return Err(Error::file(&path, reason));
    }
    Ok(file)
}
