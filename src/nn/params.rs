//! One walk over every layer, and so over every weight, with its checkpoint name.
//!
//! Loading, saving, counting, quantising, adapters, differentiation, clipping and the optimiser's
//! state all go by this walk, so a weight that is in the model is in all of them. Arrays are
//! handles: a clone of a whole model costs its handles, and serves for reading.

use super::lora::Lora;
use super::{Embedding, Linear, Matrix, RmsNorm, SwitchLinear};
use crate::error::{Error, Result};
use crate::mlx::{Array, random};

/// What an array is to training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A weight of the network.
    Weight,
    /// A part of a weight in few bits, which has no gradient.
    Packed,
    /// A low-rank addition; where there are any, only they are trained.
    Adapter,
}

/// What a walk does with one array: its name as in the checkpoint, its role, and its place.
pub type Visit<'a> = dyn FnMut(&str, Role, &mut Array) -> Result<()> + 'a;

/// What a walk does with one layer: its path as in the checkpoint, and its place.
pub type VisitLayer<'a> = dyn FnMut(&str, Layer) -> Result<()> + 'a;

/// A layer that holds weights itself.
pub enum Layer<'a> {
    Linear(&'a mut Linear),
    Switch(&'a mut SwitchLinear),
    Embedding(&'a mut Embedding),
    Norm(&'a mut RmsNorm),
}

impl Layer<'_> {
    /// The matrix of the layer, if it has one: what can be quantised.
    pub fn matrix(&mut self) -> Option<&mut Matrix> {
        match self {
            Self::Linear(layer) => Some(&mut layer.weight),
            Self::Switch(layer) => Some(&mut layer.weight),
            Self::Embedding(layer) => Some(&mut layer.weight),
            Self::Norm(_) => None,
        }
    }

    /// The place of the layer's adapter, if it can have one.
    pub fn lora(&mut self) -> Option<&mut Option<Lora>> {
        match self {
            Self::Linear(layer) => Some(&mut layer.lora),
            Self::Switch(layer) => Some(&mut layer.lora),
            Self::Embedding(_) | Self::Norm(_) => None,
        }
    }

    /// Visits the arrays of the layer.
    pub fn arrays(mut self, path: &str, visit: &mut Visit) -> Result<()> {
        if let Self::Norm(norm) = &mut self {
            return visit(&join(path, "weight"), Role::Weight, &mut norm.weight);
        }
        if let Some(matrix) = self.matrix() {
            matrix.arrays(path, visit)?;
        }
        if let Self::Linear(Linear {
            bias: Some(bias), ..
        }) = &mut self
        {
            visit(&join(path, "bias"), Role::Weight, bias)?;
        }
        if let Some(Some(lora)) = self.lora() {
            visit(&join(path, "lora_a"), Role::Adapter, &mut lora.a)?;
            visit(&join(path, "lora_b"), Role::Adapter, &mut lora.b)?;
        }
        Ok(())
    }
}

/// Something with named weights.
pub trait Params: Clone {
    /// Visits every layer below `prefix`, always in the same order.
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()>;

    /// Visits every array, always in the same order.
    fn walk(&mut self, visit: &mut Visit) -> Result<()> {
        self.layers("", &mut |path, layer| layer.arrays(path, visit))
    }

    /// Names, roles and arrays, in the order of the walk.
    fn entries(&self) -> Vec<(String, Role, Array)> {
        let mut list = Vec::new();
        self.clone()
            .walk(&mut |name, role, array| {
                list.push((name.to_string(), role, array.clone()));
                Ok(())
            })
            .expect("this visitor has no errors");
        list
    }

    /// Names and arrays, in the order of the walk.
    fn named(&self) -> Vec<(String, Array)> {
        let entries = self.entries().into_iter();
        entries.map(|(name, _, array)| (name, array)).collect()
    }

    /// All arrays in the order of the walk.
    fn arrays(&self) -> Vec<Array> {
        let entries = self.entries().into_iter();
        entries.map(|(_, _, array)| array).collect()
    }

    /// What training changes: the adapters if there are any, else every weight.
    fn trained(&self) -> Vec<(String, Array)> {
        let entries = self.entries();
        let role = trained_role(&entries);
        let trained = entries.into_iter().filter(|(_, found, _)| *found == role);
        trained.map(|(name, _, array)| (name, array)).collect()
    }

    /// Whether training changes the array of a name.
    fn trains(&self, name: &str) -> bool {
        self.trained().iter().any(|(trained, _)| trained == name)
    }

    /// The arrays of [`trained`](Self::trained).
    fn trained_arrays(&self) -> Vec<Array> {
        let trained = self.trained().into_iter();
        trained.map(|(_, array)| array).collect()
    }

    /// The same thing with other arrays in the places of [`trained`](Self::trained).
    ///
    /// This is how a model is differentiated: traced arrays go in, the ordinary `forward` runs.
    fn with_trained(&self, arrays: &[Array]) -> Self {
        let mut copy = self.clone();
        copy.set_trained(arrays);
        copy
    }

    /// Puts other arrays in the places of [`trained`](Self::trained).
    fn set_trained(&mut self, arrays: &[Array]) {
        let mut next = arrays.iter();
        self.change_trained(&mut |place| {
            if let Some(array) = next.next() {
                *place = array.clone();
            }
            Ok(())
        })
        .expect("this visitor has no errors");
    }

    /// Visits the places of [`trained`](Self::trained), in their order.
    fn change_trained(&mut self, visit: &mut dyn FnMut(&mut Array) -> Result<()>) -> Result<()> {
        let role = trained_role(&self.entries());
        self.walk(&mut |_, found, place| match found == role {
            true => visit(place),
            false => Ok(()),
        })
    }

    /// An error if training would leave weights in few bits behind.
    fn check_trainable(&self) -> Result<()> {
        let entries = self.entries();
        let packed = entries.iter().any(|(_, role, _)| *role == Role::Packed);
        if packed && trained_role(&entries) != Role::Adapter {
            return Err(Error::Unsupported(
                "a quantised model has no gradients of its weights; add adapters \
                 (`model.add_lora(#{ rank: 8 })`) and train those"
                    .into(),
            ));
        }
        Ok(())
    }

    /// The same thing as it was before adapters were added: a reference to compare with.
    fn without_adapters(&self) -> Self {
        let mut copy = self.clone();
        copy.layers("", &mut |_, mut layer| {
            if let Some(lora) = layer.lora() {
                *lora = None;
            }
            Ok(())
        })
        .expect("this visitor has no errors");
        copy
    }

    /// The same thing with dropout in its adapters, drawn by a seed. Nothing else ever drops.
    fn with_dropout(&self, seed: u64) -> Result<Self> {
        let mut copy = self.clone();
        let mut count = 0;
        copy.layers("", &mut |_, mut layer| {
            if let Some(Some(lora)) = layer.lora() {
                count += 1;
                lora.key = Some(random::key(random::derive(seed, count))?);
            }
            Ok(())
        })?;
        Ok(copy)
    }

    /// How many numbers the weights stand for, in however few bits, adapters included.
    fn num_parameters(&self) -> usize {
        let mut total = 0;
        self.clone()
            .layers("", &mut |path, mut layer| {
                let packed = match layer.matrix() {
                    Some(Matrix::Packed(packed)) => packed.size(),
                    _ => 0,
                };
                total += packed;
                layer.arrays(path, &mut |_, role, array| {
                    if role != Role::Packed {
                        total += array.size();
                    }
                    Ok(())
                })
            })
            .expect("this visitor has no errors");
        total
    }
}

fn trained_role(entries: &[(String, Role, Array)]) -> Role {
    match entries.iter().any(|(_, role, _)| *role == Role::Adapter) {
        true => Role::Adapter,
        false => Role::Weight,
    }
}

/// `prefix.name`, or `name` alone at the top.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_string()
    } else {
        format!("{prefix}.{name}")
    }
}
