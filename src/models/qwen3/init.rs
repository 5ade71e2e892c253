//! Random weights.

use super::attention::Attention;
use super::block::Block;
use super::{Config, Qwen3};
use crate::error::Result;
use crate::mlx::{self, Array, Dtype, random};
use crate::nn::{Embedding, Linear, Params, RmsNorm, SwiGlu};
use mlx_rs::ops;

impl Qwen3 {
    /// A model of random weights: normal with the deviation `initializer_range`, norms of one, as
    /// transformers makes them. The same seed gives the same weights.
    pub fn random(config: Config, seed: u64, dtype: Dtype) -> Result<Self> {
        let model = Self::plan(config, seed, dtype)?;
        mlx::eval(&model.arrays())?;
        Ok(model)
    }

    /// The same without computing a weight: a loader replaces them all before that.
    pub(super) fn plan(config: Config, seed: u64, dtype: Dtype) -> Result<Self> {
        let mut source = Source {
            key: seed,
            count: 0,
            range: config.initializer_range,
            dtype,
        };
        let (hidden, feed) = (config.hidden_size, config.intermediate_size);
        let q_size = config.num_attention_heads * config.head_dim;
        let kv_size = config.num_key_value_heads * config.head_dim;
        let eps = config.rms_norm_eps;
        let embed_tokens = Embedding {
            weight: source.normal(config.vocab_size, hidden)?,
        };
        let mut layers = Vec::new();
        for _ in 0..config.num_hidden_layers {
            let projections = [
                source.linear(q_size, hidden)?,
                source.linear(kv_size, hidden)?,
                source.linear(kv_size, hidden)?,
                source.linear(hidden, q_size)?,
            ];
            let norms = [
                source.norm(config.head_dim, eps)?,
                source.norm(config.head_dim, eps)?,
            ];
            layers.push(Block {
                self_attn: Attention::new(&config, projections, norms),
                mlp: SwiGlu {
                    gate_proj: source.linear(feed, hidden)?,
                    up_proj: source.linear(feed, hidden)?,
                    down_proj: source.linear(hidden, feed)?,
                },
                input_layernorm: source.norm(hidden, eps)?,
                post_attention_layernorm: source.norm(hidden, eps)?,
            });
        }
        let norm = source.norm(hidden, eps)?;
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            Some(source.linear(config.vocab_size, hidden)?)
        };
        Ok(Self {
            config,
            embed_tokens,
            layers,
            norm,
            lm_head,
        })
    }
}

/// Where weights come from: each matrix has a key of its own.
struct Source {
    key: u64,
    count: u64,
    range: f32,
    dtype: Dtype,
}

impl Source {
    fn normal(&mut self, out: i32, inputs: i32) -> Result<Array> {
        self.count += 1;
        let key = random::key(random::derive(self.key, self.count))?;
        let shape = [out, inputs];
        let weight = mlx_rs::random::normal::<f32>(&shape, None, self.range, &key)?;
        Ok(weight.as_dtype(self.dtype)?)
    }

    fn linear(&mut self, out: i32, inputs: i32) -> Result<Linear> {
        let weight = self.normal(out, inputs)?;
        Ok(Linear { weight })
    }

    fn norm(&self, size: i32, eps: f32) -> Result<RmsNorm> {
        let weight = ops::ones_dtype(&[size], self.dtype)?;
        Ok(RmsNorm { weight, eps })
    }
}
