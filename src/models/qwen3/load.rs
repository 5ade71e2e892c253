//! Weights from a directory in Hugging Face layout, or from any other source of tensors.

use super::quantization::check;
use super::{Config, Quantization, Qwen3, names};
use crate::checkpoint::Weights;
use crate::error::{Error, Result};
use crate::mlx::quantized::Format;
use crate::mlx::{self, Array, Dtype, device};
use crate::nn::params::join;
use crate::nn::{Layer, Matrix, Packed, Params, Role};
use std::path::Path;

/// So many bytes are read together: enough to keep the disk and the cores busy, few enough that
/// the copies that a change of dtype needs do not add up.
const CHUNK: usize = 64 << 20;

impl Qwen3 {
    /// Loads a model. On the CPU weights become `float32`, which is ten times as fast there;
    /// elsewhere they keep the dtype of the file, unless `dtype` names one.
    ///
    /// # Errors
    /// A missing folder or file, a broken configuration, a weight that is missing or misshapen, a
    /// truncated file: each names what and where.
    pub fn load(dir: &Path, dtype: Option<Dtype>) -> Result<Self> {
        if !dir.is_dir() {
            let reason = match dir.exists() {
                true => "a file; give the folder that it lies in, with config.json beside it",
                false => "no such folder; a model is a folder with config.json and *.safetensors",
            };
            return Err(Error::file(dir, reason));
        }
        let config = Config::read(dir)?;
        let model = Self::assemble(config, Weights::read(dir)?, dtype)?;
        let count = model.num_parameters();
        tracing::info!(folder = %dir.display(), parameters = count, "model loaded");
        Ok(model)
    }

    /// A model of given tensors, which are read while they are put in their places: no more than
    /// a chunk of them is in memory twice.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen, of a type that is no weight's, or has no place.
    pub(super) fn assemble(
        config: Config,
        mut weights: Weights,
        dtype: Option<Dtype>,
    ) -> Result<Self> {
        names::normalise(&mut weights, &config)?;
        let on_cpu = device::current() == device::Kind::Cpu;
        let mut filler = Filler {
            quantization: config.quantization()?,
            dtype: dtype.or(on_cpu.then_some(Dtype::Float32)),
            weights,
            waiting: Vec::new(),
            running: Vec::new(),
            count: 0,
        };
        let mut model = Self::plan(config, 0, Dtype::Float32)?;
        model.layers("", &mut |path, layer| filler.fill(path, layer))?;
        filler.evaluate()?;
        mlx::eval(&filler.running)?;
        filler.weights.finish()?;
        model.note_quantization();
        Ok(model)
    }

    /// The same network with the weights of a checkpoint of it.
    ///
    /// # Errors
    /// A weight that is missing or misshapen.
    pub fn with_weights(&self, weights: Weights) -> Result<Self> {
        Self::assemble(self.config.clone(), weights, Some(self.dtype()))
    }

    /// The same network as a run left it in a checkpoint: with its adapters if it has any, since
    /// nothing else was trained then; else with its weights.
    pub fn resumed(&self, dir: &Path) -> Result<Self> {
        if !self.has_adapters() {
            return self.with_weights(Weights::read(dir)?);
        }
        let mut copy = self.clone();
        copy.load_adapter(dir)?;
        Ok(copy)
    }

    /// Makes the configuration say what is in few bits.
    pub(super) fn note_quantization(&mut self) {
        let found = Quantization::of(self);
        Quantization::write(found.as_ref(), &mut self.config.other);
    }
}

struct Filler {
    weights: Weights,
    quantization: Option<Quantization>,
    /// `None` keeps that of the file.
    dtype: Option<Dtype>,
    /// Put in their places, but not read yet.
    waiting: Vec<Array>,
    /// Being read.
    running: Vec<Array>,
    /// How many changed their dtype.
    count: usize,
}

impl Filler {
    /// Puts the arrays of a layer in their places. A matrix is in few bits where the checkpoint
    /// has scales for it.
    fn fill(&mut self, path: &str, mut layer: Layer) -> Result<()> {
        if self.weights.has(&join(path, "scales"))
            && let Some(matrix) = layer.matrix()
        {
            *matrix = Matrix::Packed(self.packed(path, &matrix.shape())?);
        }
        layer.arrays(path, &mut |name, role, place| {
            if role == Role::Weight {
                let found = self.weights.take_shaped(name, place.shape())?;
                *place = self.cast(name, found)?;
            }
            self.waiting.push(place.clone());
            Ok(())
        })?;
        match self.waiting.iter().map(Array::nbytes).sum::<usize>() >= CHUNK {
            true => self.evaluate(),
            false => Ok(()),
        }
    }

    /// A matrix of `shape` in few bits. Where the configuration does not say in which format (a
    /// GGUF file has none), it follows from the shapes.
    fn packed(&mut self, path: &str, shape: &[i32]) -> Result<Packed> {
        let weight = self.weights.take(&join(path, "weight"))?;
        let scales = self.weights.take(&join(path, "scales"))?;
        let biases_name = join(path, "biases");
        let (lead, inputs) = shape.split_at(shape.len() - 1);
        let inputs = i64::from(inputs[0]);
        let (words, groups) = (i64::from(weight.dim(-1)), i64::from(scales.dim(-1)));
        let format = match self.quantization.as_ref().and_then(|q| q.format_of(path)) {
            Some(format) => format.clone(),
            None => Format::new(
                "affine",
                Some((inputs / groups.max(1)) as i32),
                Some((words * 32 / inputs) as i32),
            ),
        };
        check(format.group_size.into(), format.bits.into())
            .map_err(|e| Error::file(self.weights.path(), format!("`{path}`: {e}")))?;
        // Only the affine format has biases, and scales that are ordinary numbers.
        let affine = format.mode == "affine";
        let biases = affine
            .then(|| self.weights.take(&biases_name))
            .transpose()?;
        if !affine && scales.dtype() != Dtype::Uint8 {
            return Err(self.wrong_type(&join(path, "scales"), &scales, "uint8, for this mode"));
        }
        // Every part must be what the format makes of the shape.
        let with = |last: i64| [lead, &[last as i32]].concat();
        let of_groups = with(inputs / i64::from(format.group_size));
        let expected = [
            (
                "weight",
                &weight,
                with(inputs * i64::from(format.bits) / 32),
            ),
            ("scales", &scales, of_groups.clone()),
            ("biases", biases.as_ref().unwrap_or(&scales), of_groups),
        ];
        for (part, found, expected) in expected {
            if found.shape() != expected {
                return Err(Error::WeightShape {
                    name: join(path, part),
                    path: self.weights.path().to_path_buf(),
                    expected,
                    found: found.shape().to_vec(),
                });
            }
        }
        if weight.dtype() != Dtype::Uint32 {
            return Err(self.wrong_type(&join(path, "weight"), &weight, "uint32"));
        }
        let mut scale = |scales| match affine {
            true => self.cast(&join(path, "scales"), scales),
            false => Ok(scales),
        };
        Ok(Packed {
            weight,
            scales: scale(scales)?,
            biases: biases.map(scale).transpose()?,
            format,
        })
    }

    fn cast(&mut self, name: &str, found: Array) -> Result<Array> {
        if !found.dtype().is_float() {
            return Err(self.wrong_type(name, &found, "float32, bfloat16 or float16"));
        }
        let dtype = self.dtype.unwrap_or(found.dtype());
        if dtype == found.dtype() {
            return Ok(found);
        }
        self.count += 1;
        Ok(device::in_lane(self.count, || found.as_dtype(dtype))?)
    }

    fn wrong_type(&self, name: &str, found: &Array, expected: &str) -> Error {
        let found = crate::tensor::dtype::name(found.dtype());
        let reason = format!("weight `{name}` is of {found}; expected {expected}");
        Error::file(self.weights.path(), reason)
    }

    /// Starts to read what waits, and waits for what was started before.
    fn evaluate(&mut self) -> Result<()> {
        mlx::async_eval(&self.waiting)?;
        let waiting = std::mem::take(&mut self.waiting);
        mlx::eval(&std::mem::replace(&mut self.running, waiting))
    }
}
