//! The gradient of a loss of the targets' log-probabilities, in little memory.
//!
//! The loss is a small function of N numbers, so the chain rule is taken apart by hand: hidden
//! states forward, then the head in chunks ([`super::head`]), then the loss and its gradient by the
//! N log-probabilities, then the head's gradient in closed form, then the blocks backward from the
//! hidden states. No array of logits is ever part of a gradient trace.

use super::batch::{Batch, Inputs, Part};
use super::head::{Head, HeadSettings, TargetScores};
use super::logprobs::router_loss;
use crate::cache::Mask;
use crate::error::Result;
use crate::mlx::{self, Array, Dtype, autograd, device};
use crate::models::{Block, Context, Qwen3};
use crate::nn::{Params, Rotation};

/// How a gradient is computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackwardSettings {
    pub head: HeadSettings,
    /// Keeps only what stands between blocks, and computes the inside of each again when its
    /// gradient is due (<https://arxiv.org/abs/1604.06174>).
    pub gradient_checkpointing: bool,
    /// The weight of the load-balancing loss of a mixture of experts; 0 is off.
    pub router_aux_loss_coef: f32,
}

/// The gradient of a loss by what it was computed from, f32 `[N]` each.
#[derive(Clone, Debug)]
pub struct TargetGrads {
    pub logprobs: Array,
    pub entropies: Option<Array>,
}

/// Gradients by the trained arrays, in their order, and the load-balancing loss where it was asked
/// for.
#[derive(Debug)]
pub struct Gradients {
    pub arrays: Vec<Array>,
    pub aux_loss: Option<f32>,
}

/// The gradient, by every array that is trained, of a loss that is given by its own gradient by the
/// log-probabilities of the targets (and by the entropies, if `settings` ask for them).
///
/// # Errors
/// Those of `loss`; a model that cannot be trained.
pub fn gradients(
    model: &Qwen3,
    batch: &Batch,
    settings: &BackwardSettings,
    loss: impl FnOnce(&TargetScores) -> Result<TargetGrads>,
) -> Result<Gradients> {
    model.check_trainable()?;
    let names: Vec<String> = model.trained().into_iter().map(|(name, _)| name).collect();
    let mut grads: Vec<Option<Array>> = vec![None; names.len()];
    let coefficient = settings.router_aux_loss_coef;
    let balanced = coefficient > 0.0 && model.config.num_experts > 0;
    let mut aux_loss = None;
    let mut loss = Some(loss);
    // 1. From the hidden states and the choices of experts, as constants, to their gradients.
    let mut middle = |outputs: &[Array]| -> Result<Vec<Array>> {
        let head = Head {
            model,
            hidden: &outputs[0],
            targets: batch.targets(),
            settings: settings.head,
        };
        let scores = head.scores()?;
        let Some(loss) = loss.take() else {
            return Ok(Vec::new());
        };
        // As constants: a gradient is a part of the trace that it was found in, and everything that
        // is computed from it would be kept to the end of this one.
        let by = loss(&scores)?;
        let by_logprobs = mlx::constant(&by.logprobs)?;
        let by_entropies = by.entropies.as_ref().map(mlx::constant).transpose()?;
        let of_head = head.backward(&scores, &by_logprobs, by_entropies.as_ref())?;
        for (name, grad) in of_head.weights {
            add(&mut grads, &names, name, grad)?;
        }
        let mut cotangents = vec![of_head.hidden];
        if balanced {
            let even = |routed: &[Array]| -> Result<Array> {
                let even = router_loss(model, batch, routed)?;
                Ok(even.multiply(Array::from_f32(coefficient))?)
            };
            let (value, by_routed) =
                autograd::value_and_grad(|routed| Ok(vec![even(routed)?]), &outputs[1..])?;
            aux_loss = Some(crate::tensor::item(&value[0])? / coefficient);
            cotangents.extend(by_routed);
        }
        Ok(cotangents)
    };
    // 2. Through the blocks.
    let of_blocks = match settings.gradient_checkpointing {
        true => blockwise(model, batch, balanced, &names, &mut middle)?,
        false => at_once(model, batch, balanced, &mut middle)?,
    };
    for (name, grad) in names.iter().zip(of_blocks) {
        if let Some(grad) = grad {
            add(&mut grads, &names, name, grad)?;
        }
    }
    // 3. What had no part in the loss has no gradient.
    let trained = model.trained_arrays();
    let arrays = (grads.into_iter().zip(trained))
        .map(|(grad, array)| match grad {
            Some(grad) => Ok(grad),
            None => Ok(mlx_rs::ops::zeros_dtype(array.shape(), Dtype::Float32)?),
        })
        .collect::<Result<_>>()?;
    Ok(Gradients { arrays, aux_loss })
}

/// Log-probabilities, and entropies if asked for, without a gradient.
pub fn scores(model: &Qwen3, batch: &Batch, settings: HeadSettings) -> Result<TargetScores> {
    let hidden = batch.hidden(model, None)?;
    let head = Head {
        model,
        hidden: &hidden,
        targets: batch.targets(),
        settings,
    };
    head.scores()
}

/// Adds a gradient to the place of a name.
fn add(grads: &mut [Option<Array>], names: &[String], name: &str, grad: Array) -> Result<()> {
    if let Some(place) = names.iter().position(|known| known == name) {
        let sum = match grads[place].take() {
            Some(old) => old.add(grad)?,
            None => grad,
        };
        mlx::eval([&sum])?;
        grads[place] = Some(sum);
    }
    Ok(())
}

/// From the outputs of the blocks to the gradients by them.
type Middle<'a> = dyn FnMut(&[Array]) -> Result<Vec<Array>> + 'a;

/// One trace of all blocks; everything inside them is kept until its gradient is due.
fn at_once(
    model: &Qwen3,
    batch: &Batch,
    balanced: bool,
    middle: &mut Middle,
) -> Result<Vec<Option<Array>>> {
    let trained = model.trained_arrays();
    let (_, grads) = autograd::value_and_grad(
        |arrays| {
            let mut routed = Vec::new();
            let router = balanced.then_some(&mut routed);
            let mut outputs = vec![batch.hidden(&model.with_trained(arrays), router)?];
            outputs.append(&mut routed);
            mlx::eval(&outputs)?;
            let constants: Vec<Array> = outputs.iter().map(mlx::constant).collect::<Result<_>>()?;
            // The gradient of the sum of products with constants is the constants.
            let mut sum = Array::from_f32(0.0);
            for (output, cotangent) in outputs.iter().zip(middle(&constants)?) {
                let cotangent = mlx::constant(&cotangent)?.as_dtype(output.dtype())?;
                let product = output.multiply(cotangent)?.sum(false)?;
                sum = sum.add(product.as_dtype(Dtype::Float32)?)?;
            }
            Ok(vec![sum])
        },
        &trained,
    )?;
    mlx::eval(&grads)?;
    Ok(grads.into_iter().map(Some).collect())
}

/// A part of the model, and which of the trained arrays are its own.
struct Section<'a> {
    model: &'a Qwen3,
    trained: &'a [Array],
    own: Vec<usize>,
}

impl<'a> Section<'a> {
    fn below(model: &'a Qwen3, trained: &'a [Array], names: &[String], prefix: &str) -> Self {
        let own = names.iter().enumerate();
        let own = own.filter(|(_, name)| name.starts_with(prefix));
        Self {
            model,
            trained,
            own: own.map(|(i, _)| i).collect(),
        }
    }

    /// The products of `cotangents` with the Jacobian of `f`: by `inputs`, and by the section's
    /// arrays, which go to their places in `grads`.
    fn backward(
        &self,
        inputs: &[Array],
        cotangents: &[Array],
        grads: &mut [Option<Array>],
        mut f: impl FnMut(&Qwen3, &[Array]) -> Result<Vec<Array>>,
    ) -> Result<Vec<Array>> {
        let own = self.own.iter().map(|i| self.trained[*i].clone());
        let primals: Vec<Array> = inputs.iter().cloned().chain(own).collect();
        if primals.is_empty() {
            return Ok(Vec::new());
        }
        let run = |args: &[Array]| {
            let (inputs, own) = args.split_at(inputs.len());
            let mut arrays = self.trained.to_vec();
            for (i, array) in self.own.iter().zip(own) {
                arrays[*i] = array.clone();
            }
            f(&self.model.with_trained(&arrays), inputs)
        };
        let (_, mut by_inputs) = autograd::vjp(run, &primals, cotangents, None)?;
        mlx::eval(&by_inputs)?;
        for (i, grad) in self.own.iter().zip(by_inputs.drain(inputs.len()..)) {
            grads[*i] = Some(grad);
        }
        Ok(by_inputs)
    }
}

/// The mask and the rotation of each stream of a batch, the same for all blocks.
type Plan = Vec<(Mask, Rotation)>;

/// A block over the streams of all parts of a batch; a stream of a part attends to those before it.
fn run_block(
    block: &Block,
    batch: &Batch,
    streams: &[Array],
    plan: &mut Plan,
    mut routed: Option<&mut Vec<Array>>,
) -> Result<Vec<Array>> {
    let mut outputs = Vec::with_capacity(streams.len());
    for (lane, part) in batch.parts.iter().enumerate() {
        let mut cache = part.layer_cache().transpose()?;
        let given = match &part.inputs {
            Inputs::Rows { mask, .. } => mask.as_ref(),
            Inputs::Shared { .. } => None,
        };
        for _ in part.ids() {
            let (i, x) = (outputs.len(), &streams[outputs.len()]);
            if plan.len() == i {
                let context = Context::of(cache.as_ref(), given, x.dim(1))?;
                let rotation = block.self_attn.rope.rotation(&context.position, x.dim(1))?;
                plan.push((context.mask, rotation));
            }
            let (mask, rotation) = &plan[i];
            let routed = routed.as_deref_mut();
            let run = || block.forward(x, mask, rotation, cache.as_mut(), routed, false);
            outputs.push(match batch.parts.len() {
                1 => run()?,
                _ => device::in_lane(lane, run)?,
            });
        }
    }
    Ok(outputs)
}

/// Forward keeping the input of each block, then backward a block at a time.
fn blockwise(
    model: &Qwen3,
    batch: &Batch,
    balanced: bool,
    names: &[String],
    middle: &mut Middle,
) -> Result<Vec<Option<Array>>> {
    let trained = model.trained_arrays();
    let mut grads = vec![None; names.len()];
    let ids: Vec<&Array> = batch.parts.iter().flat_map(Part::ids).collect();
    let embed = |model: &Qwen3| -> Result<Vec<Array>> {
        let embedded = ids.iter().map(|ids| model.embed_tokens.forward(ids));
        embedded.collect()
    };
    let finish = |model: &Qwen3, streams: &[Array]| -> Result<Vec<Array>> {
        let mut next = streams.iter();
        let chosen = batch.in_lanes(|_, part| {
            let own = next.by_ref().take(part.ids().len());
            let normed: Vec<Array> = own.map(|x| model.norm.forward(x)).collect::<Result<_>>()?;
            part.chosen(&normed)
        })?;
        Ok(vec![chosen])
    };
    // 1. Forward.
    let mut plan = Plan::new();
    let mut kept = vec![embed(model)?];
    let mut routed_by_block = Vec::new();
    for block in &model.layers {
        let mut routed = Vec::new();
        let router = balanced.then_some(&mut routed);
        let streams = kept.last().map_or(&[][..], Vec::as_slice);
        let outputs = run_block(block, batch, streams, &mut plan, router)?;
        mlx::eval(outputs.iter().chain(&routed))?;
        kept.push(outputs);
        routed_by_block.push(routed);
    }
    let last = kept.pop().unwrap_or_default();
    let mut outputs = finish(model, &last)?;
    outputs.extend(routed_by_block.iter().flatten().cloned());
    mlx::eval(&outputs)?;
    // 2. The head and the loss.
    let mut cotangents = middle(&outputs)?;
    drop(outputs);
    let by_routed = cotangents.split_off(1);
    // 3. Backward.
    let section = |prefix: &str| Section::below(model, &trained, names, prefix);
    let mut by = section("model.norm.").backward(&last, &cotangents, &mut grads, finish)?;
    let mut by_routed = by_routed.as_slice();
    for i in (0..model.layers.len()).rev() {
        let streams = kept.pop().unwrap_or_default();
        let count = routed_by_block[i].len();
        let (before, own) = by_routed.split_at(by_routed.len() - count);
        by_routed = before;
        by.extend(own.iter().cloned());
        let section = section(&format!("model.layers.{i}."));
        by = section.backward(&streams, &by, &mut grads, |model, streams| {
            let mut routed = Vec::new();
            let router = balanced.then_some(&mut routed);
            let mut outputs = run_block(&model.layers[i], batch, streams, &mut plan, router)?;
            outputs.append(&mut routed);
            Ok(outputs)
        })?;
    }
    section("model.embed_tokens.").backward(&[], &by, &mut grads, |model, _| embed(model))?;
    Ok(grads)
}
