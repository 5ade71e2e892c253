//! `mx::fast`: fused functions of networks.

use crate::error::Result;
use crate::mlx::{Array, ops as raw};
use crate::script::bind::{Binder, Call};
use mlx_rs::fast::{self, ScaledDotProductAttentionMask as Mask};

/// The functions of the module.
pub fn bindings() -> Binder {
    let mut b = Binder::new();
    b.function(
        "rms_norm(x: Tensor, weight: Tensor = (), eps: number = 1e-5) -> Tensor",
        "`x / sqrt(mean(x^2) + eps) * weight` over the last axis.",
        "assert_close(mx::fast::rms_norm(tensor([3.0, 3.0]), tensor([1.0, 2.0]), 0.0), [1, 2], 1e-5);",
        rms_norm,
    );
    b.function(
        "layer_norm(x: Tensor, weight: Tensor = (), bias: Tensor = (), eps: number = 1e-5) -> Tensor",
        "`(x - mean) / sqrt(var + eps) * weight + bias` over the last axis.",
        "assert_close(mx::fast::layer_norm(tensor([1.0, 3.0])), [-1, 1], 1e-4);",
        layer_norm,
    );
    b.function(
        "rope(x: Tensor, dims: integer, traditional: bool = false, base: number = 10000.0, scale: number = 1.0, offset: integer or Tensor = 0, freqs: Tensor = ()) -> Tensor",
        "Rotary position embedding of the first `dims` features; positions run along the axis before the last.",
        "let x = mx::ones([1, 1, 2, 4]);
         assert_eq(mx::fast::rope(x, 4)[[0, 0, 0]], [1, 1, 1, 1]);",
        rope,
    );
    b.function(
        "scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, scale: number = (), mask: Tensor or string = (), sinks: Tensor = ()) -> Tensor",
        "`softmax(scale q k^T + mask) v`.

         Shapes: `q` `[B, H, L, D]`, `k` and `v` `[B, Hkv, S, D]` with `H` a multiple of `Hkv`. `scale`
         is `1 / sqrt(D)` by default; `mask` is `\"causal\"`, bool (true = attend) or added.",
        "let x = mx::ones([1, 1, 2, 4]);
         assert_close(mx::fast::scaled_dot_product_attention(x, x, x, #{ mask: \"causal\" }), x, 1e-6);",
        |c| attention(c, [3, 4]),
    );
    b.function(
        "cross_entropy(logits: Tensor, targets: Tensor) -> Tensor",
        "`-log softmax(logits)[target]` over the last axis: logits `[.., V]`, targets `[..]`.",
        "assert_close(mx::fast::cross_entropy(tensor([[0.0, 0.0]]), tensor([1])), [0.693147], 1e-5);",
        |c| {
            let logits = c.tensor(0)?;
            let vocab = logits.shape().last().copied().unwrap_or(0);
            let targets = c.positions(1)?;
            raw::fast_cross_entropy(&logits, targets.within(vocab, "the classes")?)
        },
    );
    b
}

/// `x, weight, eps` of a call, normalised.
pub fn rms_norm(c: &Call) -> Result<Array> {
    let weight = c.optional_tensor(1)?;
    let eps = c.float(2)? as f32;
    Ok(fast::rms_norm(c.tensor(0)?, weight.as_ref(), eps)?)
}

/// `x, weight, bias, eps` of a call, normalised.
pub fn layer_norm(c: &Call) -> Result<Array> {
    let (weight, bias) = (c.optional_tensor(1)?, c.optional_tensor(2)?);
    let (x, eps) = (c.tensor(0)?, c.float(3)? as f32);
    Ok(fast::layer_norm(x, weight.as_ref(), bias.as_ref(), eps)?)
}

/// `x, dims, traditional, base, scale, offset, freqs` of a call, rotated.
pub fn rope(c: &Call) -> Result<Array> {
    let (x, dims, traditional) = (c.tensor(0)?, c.int(1)?, c.flag(2)?);
    let freqs = c.optional_tensor(6)?;
    // MLX takes a base or frequencies, not both.
    let base = match freqs {
        Some(_) => None,
        None => Some(c.float(3)? as f32),
    };
    let (scale, freqs) = (c.float(4)? as f32, freqs.as_ref());
    Ok(match c.get(5).is_int() {
        true => fast::rope(x, dims, traditional, base, scale, c.int(5)?, freqs)?,
        false => fast::rope_dynamic(x, dims, traditional, base, scale, c.tensor(5)?, freqs)?,
    })
}

/// Attention, with the scale and the mask at given places.
pub fn attention(c: &Call, [scale_at, mask_at]: [usize; 2]) -> Result<Array> {
    let (q, k, v) = (c.tensor(0)?, c.tensor(1)?, c.tensor(2)?);
    let width = q.shape().last().copied().unwrap_or(1).max(1);
    let scale = c
        .optional_float(scale_at)?
        .map_or(1.0 / (width as f32).sqrt(), |s| s as f32);
    let array;
    let mask = match (c.has(mask_at), c.get(mask_at).is_string()) {
        (false, _) => None,
        (true, true) => {
            c.choice(mask_at, &["causal"])?;
            Some(Mask::Causal)
        }
        (true, false) => {
            array = c.tensor(mask_at)?;
            Some(Mask::Array(&array))
        }
    };
    let sinks = c.optional_tensor(5)?;
    Ok(fast::scaled_dot_product_attention(
        q,
        k,
        v,
        scale,
        mask,
        sinks.as_ref(),
    )?)
}
