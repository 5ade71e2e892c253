//! One transformer block.

use super::attention::Attention;
use crate::cache::{LayerCache, Mask};
use crate::error::Result;
use crate::mlx::Array;
use crate::nn::params::{Params, Visit, join};
use crate::nn::{RmsNorm, SwiGlu};

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
#[derive(Clone, Debug)]
pub struct Block {
    pub self_attn: Attention,
    pub mlp: SwiGlu,
    pub input_layernorm: RmsNorm,
    pub post_attention_layernorm: RmsNorm,
}

impl Block {
    /// # Shapes
    /// - x: `[B, L, E]`
    /// - returns: `[B, L, E]`
    pub fn forward(
        &self,
        x: &Array,
        mask: &Mask,
        cache: Option<&mut Box<dyn LayerCache>>,
    ) -> Result<Array> {
        let attended = self
            .self_attn
            .forward(&self.input_layernorm.forward(x)?, mask, cache)?;
        let h = x.add(attended)?;
        let fed = self
            .mlp
            .forward(&self.post_attention_layernorm.forward(&h)?)?;
        Ok(h.add(fed)?)
    }
}

impl Params for Block {
    fn walk(&mut self, prefix: &str, visit: &mut Visit) -> Result<()> {
        self.self_attn.walk(&join(prefix, "self_attn"), visit)?;
        self.mlp.walk(&join(prefix, "mlp"), visit)?;
        self.input_layernorm
            .walk(&join(prefix, "input_layernorm"), visit)?;
        self.post_attention_layernorm
            .walk(&join(prefix, "post_attention_layernorm"), visit)
    }
}
