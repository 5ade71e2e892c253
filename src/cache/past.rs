//! What new tokens attend to.

use super::store::Store;
use crate::error::{Error, Result};
use crate::mlx::host::{self, Seen};
use crate::mlx::quantized::{self, Format};
use crate::mlx::{Array, Dtype, device, slice};
use crate::tensor::{dims4, scalar};
use mlx_rs::fast::{ScaledDotProductAttentionMask, scaled_dot_product_attention};
use mlx_rs::ops;

/// Which positions a block of new tokens may attend to.
#[derive(Clone, Debug)]
pub enum Mask {
    /// All of them: one new token and no padding.
    None,
    /// Those before it, aligned at the end; MLX has a fast path for it.
    Causal,
    /// As the bool array says, true = may attend.
    Array(Array),
}

impl Mask {
    /// The mask of the last token of a block.
    pub fn of_last(&self) -> Result<Self> {
        let Self::Array(mask) = self else {
            return Ok(Self::None);
        };
        let queries = mask.ndim().saturating_sub(2);
        let mut start = vec![0; mask.ndim()];
        if let Some(first) = start.get_mut(queries) {
            *first = mask.dim(-2) - 1;
        }
        Ok(Self::Array(slice(mask, &start, mask.shape())?))
    }
}

/// Keys and values of the tokens before, those of the new ones behind them.
#[derive(Clone, Debug)]
pub enum Past {
    /// Keys and values, `[B, H, L, D]` each.
    Plain(Array, Array),
    /// The same in few bits: packed numbers, scales and biases of the keys, then of the values.
    Packed(Store, Format),
}

impl Past {
    /// Attention of queries (<https://arxiv.org/abs/1706.03762>), several of which may share a head
    /// of keys and values (<https://arxiv.org/abs/2305.13245>).
    ///
    /// # Shapes
    /// - q: `[B, heads, L, D]`
    /// - returns: `[B, heads, L, D]`
    pub fn attend(&self, q: &Array, mask: &Mask, scale: f32) -> Result<Array> {
        let (k, v) = match self {
            Self::Plain(k, v) => (k.clone(), v.clone()),
            Self::Packed(store, format) if has_packed_products() => {
                return attend_packed(q, store, format, mask, scale);
            }
            Self::Packed(..) => self.dense()?,
        };
        let seen = match mask {
            Mask::None => Seen::All,
            Mask::Causal => Seen::Causal,
            Mask::Array(mask) => Seen::Where(mask),
        };
        if let Some(y) = host::attend(q, &k, &v, seen, scale)? {
            return Ok(y);
        }
        Ok(match mask {
            Mask::None => scaled_dot_product_attention(q, &k, &v, scale, None, None),
            Mask::Causal => {
                let causal = ScaledDotProductAttentionMask::Causal;
                scaled_dot_product_attention(q, &k, &v, scale, causal, None)
            }
            Mask::Array(mask) => scaled_dot_product_attention(q, &k, &v, scale, mask, None),
        }?)
    }

    /// Keys and values as numbers, `[B, H, L, D]` each.
    pub fn dense(&self) -> Result<(Array, Array)> {
        match self {
            Self::Plain(k, v) => Ok((k.clone(), v.clone())),
            Self::Packed(store, format) => {
                let [keys, values] = packed(store.arrays())?;
                let dense = |p| quantized::dequantize(&p, format, None);
                Ok((dense(keys)?, dense(values)?))
            }
        }
    }
}

/// Whether products with packed keys of any length are there. MLX 0.32.2 refuses most lengths on
/// CUDA ("No implementation for problem shape"); keys and values are unpacked for each step there.
fn has_packed_products() -> bool {
    cfg!(target_os = "macos") || device::current() == device::Kind::Cpu
}

/// The two packed arrays in a list of their six parts.
fn packed(parts: &[Array]) -> Result<[quantized::Packed<'_>; 2]> {
    let [kw, ks, kb, vw, vs, vb] = parts else {
        return Err(Error::Mlx("a packed cache without its parts".into()));
    };
    let view = |w, scales, biases| quantized::Packed {
        w,
        scales,
        biases: Some(biases),
    };
    Ok([view(kw, ks, kb), view(vw, vs, vb)])
}

/// Attention by products with packed matrices.
fn attend_packed(
    q: &Array,
    store: &Store,
    format: &Format,
    mask: &Mask,
    scale: f32,
) -> Result<Array> {
    let [b, heads, l, d] = dims4(q, "queries")?;
    let kv_heads = store.arrays()[0].dim(1);
    // 1. Queries that share keys stand below one another: [B, kv, heads / kv * L, D].
    let together = heads / kv_heads * l;
    let q = q.multiply(scalar(f64::from(scale), q)?)?;
    let q = q.reshape(&[b, kv_heads, together, d])?;
    let [keys, values] = packed(store.arrays())?;
    let scores = quantized::matmul(&q, &keys, true, format)?;
    // 2. What may not be seen gets a score of next to nothing.
    let length = scores.dim(-1);
    let scores = scores.reshape(&[b, heads, l, length])?;
    let scores = match seen(mask, l, length)? {
        Some(seen) => ops::select(&seen, &scores, scalar(lowest(scores.dtype()), &scores)?)?,
        None => scores,
    };
    // 3. The mean of the values, weighted.
    let weights =
        ops::softmax_axis(&scores, -1, true)?.reshape(&[b, kv_heads, together, length])?;
    let y = quantized::matmul(&weights, &values, false, format)?;
    Ok(y.reshape(&[b, heads, l, -1])?)
}

/// The mask as an array that broadcasts to `[B, heads, L, length]`.
fn seen(mask: &Mask, l: i32, length: i32) -> Result<Option<Array>> {
    match mask {
        Mask::None => Ok(None),
        Mask::Array(mask) => Ok(Some(mask.clone())),
        Mask::Causal => {
            let options = crate::tensor::mask::MaskOptions {
                offset: length - l,
                ..Default::default()
            };
            crate::tensor::causal_mask(l, &options).map(Some)
        }
    }
}

/// The smallest finite number of a type.
fn lowest(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::Float16 => -65504.0,
        // The largest bfloat16 is a little below the largest float32.
        Dtype::Bfloat16 => -3.389e38,
        _ => f64::from(f32::MIN),
    }
}
