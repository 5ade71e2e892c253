//! Weights from and to a directory in Hugging Face layout.

use super::{Config, Qwen3};
use crate::checkpoint::{self, ModelDir};
use crate::error::{Error, Result};
use crate::mlx::{self, Dtype, device};
use crate::nn::Params;
use std::path::Path;

impl Qwen3 {
    /// Loads a model. On the CPU weights become `float32`, which is ten times as fast there;
    /// elsewhere they keep the dtype of the file, unless `dtype` names one.
    ///
    /// # Errors
    /// A missing folder or file, a broken configuration, a weight that is missing or misshapen, a
    /// truncated file: each names what and where.
    pub fn load(dir: &Path, dtype: Option<Dtype>) -> Result<Self> {
        if !dir.is_dir() {
            return Err(Error::file(
                dir,
                "no such folder; a model is a folder with config.json and *.safetensors",
            ));
        }
        let config = Config::read(dir)?;
        let mut weights = checkpoint::read_weights(dir)?;
        let mut model = Self::plan(config, 0, Dtype::Float32)?;
        let on_cpu = device::current() == device::Kind::Cpu;
        model.walk("", &mut |name, weight| {
            let Some(found) = weights.remove(name) else {
                return Err(Error::MissingWeight {
                    name: name.to_string(),
                    path: dir.to_path_buf(),
                });
            };
            if found.shape() != weight.shape() {
                return Err(Error::WeightShape {
                    name: name.to_string(),
                    expected: weight.shape().to_vec(),
                    found: found.shape().to_vec(),
                });
            }
            let target = dtype.unwrap_or(if on_cpu {
                Dtype::Float32
            } else {
                found.dtype()
            });
            *weight = found.as_dtype(target)?;
            Ok(())
        })?;
        // A tied model may store its head all the same.
        if model.lm_head.is_none() {
            weights.remove("lm_head.weight");
        }
        if let Some(name) = weights.keys().min() {
            return Err(Error::file(
                dir,
                format!(
                    "{} weights have no place in this configuration, the first is `{name}`",
                    weights.len()
                ),
            ));
        }
        mlx::eval(&model.arrays())?;
        let count = model.num_parameters();
        tracing::info!(folder = %dir.display(), parameters = count, "model loaded");
        Ok(model)
    }

    /// Writes `config.json` and `model.safetensors`; transformers and mlx-lm load the folder.
    pub fn save(&self, dir: &ModelDir) -> Result<()> {
        let mut config = self.config.to_json();
        config["torch_dtype"] = crate::tensor::dtype::name(self.dtype()).into();
        dir.write_json("config.json", &config)?;
        dir.write_weights("model.safetensors", &self.named())
    }
}
