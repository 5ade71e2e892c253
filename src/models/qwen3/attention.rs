//! Grouped-query attention, with normalised queries and keys in Qwen3.

use crate::cache::{LayerCache, Mask, Past};
use crate::error::Result;
use crate::mlx::{Array, slice};
use crate::nn::params::{Layer, Params, VisitLayer, join};
use crate::nn::{Joined, Linear, RmsNorm, Rope, Rotation};
use crate::tensor::dims3;

/// Queries of `num_attention_heads`, keys and values of `num_key_value_heads`.
#[derive(Clone, Debug)]
pub struct Attention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
    /// Queries, keys and values as one product, where there is such a copy of their weights.
    pub joined: Option<Joined>,
    /// `None` in families that do not normalise.
    pub q_norm: Option<RmsNorm>,
    pub k_norm: Option<RmsNorm>,
    pub heads: i32,
    pub kv_heads: i32,
    pub head_dim: i32,
    pub rope: Rope,
}

impl Attention {
    /// Joins what can be joined; to decode with.
    pub fn join(&mut self) -> Result<()> {
        self.joined = Joined::of(&[&self.q_proj, &self.k_proj, &self.v_proj])?;
        Ok(())
    }

    /// The answer of each token, or of the last one only: what a prompt leads to depends on the
    /// last token of the last layer alone, but on the keys and values of all.
    ///
    /// # Shapes
    /// - x: `[B, L, E]`
    /// - returns: `[B, L, E]`, or `[B, 1, E]`
    pub fn forward(
        &self,
        x: &Array,
        mask: &Mask,
        rotation: &Rotation,
        cache: Option<&mut LayerCache>,
        last_only: bool,
    ) -> Result<Array> {
        let [b, l, _] = dims3(x, "attention input")?;
        // 1. Project, and split into heads: [B, L, H, D].
        let split = |y: Array, heads: i32| y.reshape(&[b, -1, heads, self.head_dim]);
        let joined = self.joined.as_ref().filter(|_| !last_only);
        let [q, k, v] = match joined
            .map(|joined| joined.forward(x))
            .transpose()?
            .as_deref()
        {
            Some([q, k, v]) => [q, k, v].map(Array::clone),
            _ => {
                let asking = if last_only { &last(x)? } else { x };
                let q = self.q_proj.forward(asking)?;
                [q, self.k_proj.forward(x)?, self.v_proj.forward(x)?]
            }
        };
        let q = split(q, self.heads)?;
        let k = split(k, self.kv_heads)?;
        let v = split(v, self.kv_heads)?;
        // 2. Normalise each head of queries and keys, bring the heads forward: [B, H, L, D], and
        // rotate by position.
        let forward = [0, 2, 1, 3];
        let q = match last_only {
            true => rotation.of_last(l)?.of_heads(&q, self.q_norm.as_ref())?,
            false => rotation.of_heads(&q, self.q_norm.as_ref())?,
        };
        let k = rotation.of_heads(&k, self.k_norm.as_ref())?;
        let v = v.transpose_axes(&forward)?;
        // 3. Put the past before the new keys and values.
        let past = match cache {
            Some(cache) => cache.update_and_fetch(&k, &v)?,
            None => Past::Plain(k, v),
        };
        // 4. Attend, join the heads, project.
        let scale = (self.head_dim as f32).powf(-0.5);
        let y = match last_only {
            true => past.attend(&q, &mask.of_last()?, scale)?,
            false => past.attend(&q, mask, scale)?,
        };
        let y = y
            .transpose_axes(&forward)?
            .reshape(&[b, -1, self.heads * self.head_dim])?;
        self.o_proj.forward(&y)
    }
}

/// The last token of each row.
///
/// # Shapes
/// - x: `[B, L, E]`
/// - returns: `[B, 1, E]`
pub(super) fn last(x: &Array) -> Result<Array> {
    let [b, l, e] = dims3(x, "hidden states")?;
    slice(x, &[0, l - 1, 0], &[b, l, e])
}

impl Params for Attention {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        // The visitor may change the weights.
        self.joined = None;
        visit(&join(prefix, "q_proj"), Layer::Linear(&mut self.q_proj))?;
        visit(&join(prefix, "k_proj"), Layer::Linear(&mut self.k_proj))?;
        visit(&join(prefix, "v_proj"), Layer::Linear(&mut self.v_proj))?;
        visit(&join(prefix, "o_proj"), Layer::Linear(&mut self.o_proj))?;
        for (name, norm) in [("q_norm", &mut self.q_norm), ("k_norm", &mut self.k_norm)] {
            if let Some(norm) = norm {
                visit(&join(prefix, name), Layer::Norm(norm))?;
            }
        }
        Ok(())
    }
}
