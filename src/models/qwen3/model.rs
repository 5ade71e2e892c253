//! The whole network.

use super::Config;
use super::block::Block;
use super::feed_forward::FeedForward;
use crate::cache::{Cache, LayerCache, Mask};
use crate::error::{Error, Result};
use crate::mlx::{Array, Dtype};
use crate::nn::params::{Layer, Params, VisitLayer, join};
use crate::nn::{Embedding, Linear, Matrix, Position, RmsNorm};
use crate::tensor::dims2;

/// A Qwen3 language model: embedding, blocks, norm, and a head that may share the embedding.
#[derive(Clone, Debug)]
pub struct Qwen3 {
    pub config: Config,
    pub embed_tokens: Embedding,
    pub layers: Vec<Block>,
    pub norm: RmsNorm,
    /// `None` where the head is tied to the embedding.
    pub lm_head: Option<Linear>,
}

impl Qwen3 {
    /// Logits of every position.
    ///
    /// With a cache the tokens continue what it holds; without one they are whole sequences, as
    /// in training. Padding on the right is harmless: no real token attends to what comes later.
    ///
    /// # Shapes
    /// - ids: integers `[B, L]`
    /// - returns: `[B, L, V]`
    pub fn forward(&self, ids: &Array, cache: Option<&mut Cache>) -> Result<Array> {
        self.head(&self.hidden(ids, cache)?)
    }

    /// The last hidden states, before the head.
    ///
    /// # Shapes
    /// - ids: integers `[B, L]`
    /// - returns: `[B, L, E]`
    pub fn hidden(&self, ids: &Array, cache: Option<&mut Cache>) -> Result<Array> {
        self.hidden_routed(ids, cache, None)
    }

    /// The hidden state of the last token of each row; the last layer computes no other.
    ///
    /// # Shapes
    /// - ids: integers `[B, L]`
    /// - returns: `[B, E]`
    pub fn last_hidden(&self, ids: &Array, cache: &mut Cache) -> Result<Array> {
        let hidden = self.forward_layers(ids, Some(cache), None, None, true)?;
        Ok(hidden.squeeze_axes(&[1])?)
    }

    /// The same; `routed` gets the logits of the choice of experts, `[B, L, experts]` for each
    /// layer that has experts.
    pub fn hidden_routed(
        &self,
        ids: &Array,
        cache: Option<&mut Cache>,
        routed: Option<&mut Vec<Array>>,
    ) -> Result<Array> {
        self.forward_layers(ids, cache, None, routed, false)
    }

    /// The last hidden states of whole sequences of which a mask says what each token sees, as
    /// where several texts stand in one row; positions are counted from the start of the row.
    ///
    /// # Shapes
    /// - ids: integers `[B, L]`; mask: one that broadcasts to `[B, heads, L, L]`
    /// - returns: `[B, L, E]`
    pub fn hidden_masked(
        &self,
        ids: &Array,
        mask: &Mask,
        routed: Option<&mut Vec<Array>>,
    ) -> Result<Array> {
        self.forward_layers(ids, None, Some(mask), routed, false)
    }

    fn forward_layers(
        &self,
        ids: &Array,
        mut cache: Option<&mut Cache>,
        mask: Option<&Mask>,
        mut routed: Option<&mut Vec<Array>>,
        last_only: bool,
    ) -> Result<Array> {
        let [b, l] = dims2(ids, "token ids")?;
        check_rows(cache.as_deref(), b)?;
        let mut h = self.embed_tokens.forward(ids)?;
        // The layers of a cache go on together: one mask and one position serve all of them.
        if let Some(cache) = cache.as_deref().filter(|c| c.len() != self.layers.len()) {
            let expected = format!("the model's {} layers", self.layers.len());
            return Err(Error::value(
                "cache",
                format!("{} layers", cache.len()),
                &expected,
            ));
        }
        let first = cache.as_deref().and_then(|cache| cache.first());
        let context = Context::of(first, mask, l)?;
        let Some(layer) = self.layers.first() else {
            return self.norm.forward(&h);
        };
        let rotation = layer.self_attn.rope.rotation(&context.position, l)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let past = cache.as_mut().map(|cache| &mut cache[i]);
            let routed = routed.as_deref_mut();
            let last_only = last_only && i + 1 == self.layers.len();
            h = layer.forward(&h, &context.mask, &rotation, past, routed, last_only)?;
        }
        self.norm.forward(&h)
    }

    /// Logits of hidden states.
    ///
    /// # Shapes
    /// - hidden: `[.., E]`
    /// - returns: `[.., V]`
    pub fn head(&self, hidden: &Array) -> Result<Array> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.embed_tokens.as_linear(hidden),
        }
    }

    /// The head as a linear map: the name of its matrix, the matrix `[V, E]`, and a bias.
    pub fn head_parts(&self) -> (&'static str, &Matrix, Option<&Array>) {
        match &self.lm_head {
            Some(head) => ("lm_head.weight", &head.weight, head.bias.as_ref()),
            None => ("model.embed_tokens.weight", &self.embed_tokens.weight, None),
        }
    }

    /// A copy to decode with: products of one input are one product, on a copy of their weights.
    pub fn joined(&self) -> Result<Self> {
        let mut copy = self.clone();
        for block in &mut copy.layers {
            block.self_attn.join()?;
            if let FeedForward::Dense(mlp) = &mut block.mlp {
                mlp.join()?;
            }
        }
        Ok(copy)
    }

    /// The element type of the weights.
    pub fn dtype(&self) -> Dtype {
        self.norm.weight.dtype()
    }

    /// An error if an id has no embedding.
    pub fn check_ids(&self, ids: &[i32]) -> Result<()> {
        let vocab_size = self.config.vocab_size;
        match ids.iter().find(|id| !(0..vocab_size).contains(*id)) {
            None => Ok(()),
            Some(id) => Err(Error::TokenId {
                id: i64::from(*id),
                vocab_size,
            }),
        }
    }
}

/// What all layers of one forward have in common.
#[derive(Clone, Debug)]
pub struct Context {
    pub mask: Mask,
    pub position: Position,
}

impl Context {
    /// That of `l` tokens behind what the first layer's cache holds. Without one they are whole
    /// sequences, and a mask can be given for them.
    pub fn of(cache: Option<&LayerCache>, mask: Option<&Mask>, l: i32) -> Result<Self> {
        let (own, position) = match cache {
            Some(first) => (first.make_mask(l, None)?, first.position()),
            None if l == 1 => (Mask::None, Position::Same(0)),
            None => (Mask::Causal, Position::Same(0)),
        };
        let mask = mask.cloned().unwrap_or(own);
        Ok(Self { mask, position })
    }
}

/// An error, before any layer is changed, for a cache of another number of rows.
fn check_rows(cache: Option<&Cache>, rows: i32) -> Result<()> {
    match cache.and_then(|cache| cache.first()?.rows()) {
        Some(held) if held != rows => Err(Error::value(
            "token ids",
            format!("{rows} rows"),
            &format!("{held}, as the cache has"),
        )),
        _ => Ok(()),
    }
}

impl Params for Qwen3 {
    fn layers(&mut self, prefix: &str, visit: &mut VisitLayer) -> Result<()> {
        let model = join(prefix, "model");
        let table = Layer::Embedding(&mut self.embed_tokens);
        visit(&join(&model, "embed_tokens"), table)?;
        for (i, block) in self.layers.iter_mut().enumerate() {
            block.layers(&join(&model, &format!("layers.{i}")), visit)?;
        }
        visit(&join(&model, "norm"), Layer::Norm(&mut self.norm))?;
        match &mut self.lm_head {
            Some(head) => visit(&join(prefix, "lm_head"), Layer::Linear(head)),
            None => Ok(()),
        }
    }
}
