//! One transformer block.

use super::attention::{Attention, last};
use super::feed_forward::FeedForward;
use crate::cache::{LayerCache, Mask};
use crate::error::Result;
use crate::mlx::Array;
use crate::nn::params::{Layer, Params, VisitLayer, join};
use crate::nn::{RmsNorm, Rotation};

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
#[derive(Clone, Debug)]
pub struct Block {
    pub self_attn: Attention,
    pub mlp: FeedForward,
    pub input_layernorm: RmsNorm,
    pub post_attention_layernorm: RmsNorm,
}

impl Block {
    /// `routed` gets the logits of the choice of experts, if there is one.
    ///
    /// # Shapes
    /// - x: `[B, L, E]`
    /// - returns: `[B, L, E]`, or `[B, 1, E]` where only the last token is asked for
    pub fn forward(
        &self,
        x: &Array,
        mask: &Mask,
        rotation: &Rotation,
        cache: Option<&mut LayerCache>,
        routed: Option<&mut Vec<Array>>,
        last_only: bool,
    ) -> Result<Array> {
        let attended = self.self_attn.forward(
            &self.input_layernorm.forward(x)?,
            mask,
            rotation,
            cache,
            last_only,
        )?;
        let h = match last_only {
            true => last(x)?.add(attended)?,
            false => x.add(attended)?,
        };
        let fed = self
            .mlp
            .forward(&self.post_attention_layernorm.forward(&h)?, routed)?;
        Ok(h.add(fed)?)
    }
}

impl Params for Block {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        self.self_attn.layers(&join(prefix, "self_attn"), visit)?;
        self.mlp.layers(&join(prefix, "mlp"), visit)?;
        let norm = Layer::Norm(&mut self.input_layernorm);
        visit(&join(prefix, "input_layernorm"), norm)?;
        let norm = Layer::Norm(&mut self.post_attention_layernorm);
        visit(&join(prefix, "post_attention_layernorm"), norm)
    }
}
