//! Matrices in few bits.

use super::quantization::check;
use super::{Quantization, Qwen3};
use crate::error::{Error, Result};
use crate::mlx;
use crate::mlx::quantized::Format;
use crate::nn::{Matrix, Params};
use std::collections::BTreeMap;

impl Qwen3 {
    /// Puts every linear map and the embedding into few bits, as mlx-lm does: those whose rows
    /// the groups do not divide stay whole, and the choice of experts gets 8 bits in groups of 64.
    ///
    /// # Errors
    /// A format that MLX does not know, or one whose groups divide no row at all; nothing is
    /// changed then.
    pub fn quantize(&mut self, format: &Format) -> Result<()> {
        check(format.group_size.into(), format.bits.into())?;
        let router = Format::new("affine", None, Some(8));
        let (mut copy, mut count) = (self.clone(), 0);
        copy.layers("", &mut |path, mut layer| {
            let Some(matrix) = layer.matrix() else {
                return Ok(());
            };
            let format = match path.ends_with("mlp.gate") {
                true => &router,
                false => format,
            };
            if matrix.shape().last().copied().unwrap_or(0) % format.group_size != 0 {
                return Ok(());
            }
            *matrix = matrix.quantized(format)?;
            count += 1;
            // One at a time: what a matrix needs on the way goes before the next.
            layer.arrays(path, &mut |_, _, array| mlx::eval([&*array]))
        })?;
        if count == 0 {
            return Err(Error::setting(
                "group_size",
                format.group_size,
                &format!(
                    "a divisor of the rows, which have {} numbers (hidden_size)",
                    self.config.hidden_size
                ),
            ));
        }
        copy.note_quantization();
        *self = copy;
        Ok(())
    }
}

impl Quantization {
    /// What of a model is in few bits: the format of most layers, and those that differ.
    pub(super) fn of(model: &Qwen3) -> Option<Self> {
        let mut formats: Vec<(String, Format)> = Vec::new();
        let visited = model.clone().layers("", &mut |path, mut layer| {
            if let Some(Matrix::Packed(packed)) = layer.matrix() {
                formats.push((path.to_string(), packed.format.clone()));
            }
            Ok(())
        });
        visited.expect("this visitor has no errors");
        let count = |format: &Format| formats.iter().filter(|(_, f)| f == format).count();
        let (_, most) = formats.iter().max_by_key(|(_, format)| count(format))?;
        let differ = formats.iter().filter(|(_, format)| format != most);
        let layers: BTreeMap<_, _> = differ
            .map(|(path, format)| (path.clone(), Some(format.clone())))
            .collect();
        Some(Self {
            format: most.clone(),
            layers,
        })
    }
}
