//! Random weights.

use super::attention::Attention;
use super::block::Block;
use super::config::Family;
use super::feed_forward::{FeedForward, Sparse};
use super::{Config, Qwen3};
use crate::error::{Error, Result};
use crate::mlx::{self, Array, Dtype, memory, random};
use crate::nn::{
    Embedding, Linear, Params, RmsNorm, Rope, Router, SwiGlu, SwitchGlu, SwitchLinear,
};
use mlx_rs::ops;

impl Qwen3 {
    /// A model of random weights: normal with the deviation `initializer_range`, norms of one,
    /// biases of zero, as transformers makes them. The same seed gives the same weights.
    ///
    /// # Errors
    /// A model that does not fit in memory.
    pub fn random(config: Config, seed: u64, dtype: Dtype) -> Result<Self> {
        let model = Self::plan(config, seed, dtype)?;
        let bytes = model.arrays().iter().map(Array::nbytes).sum::<usize>();
        if bytes > memory::total() {
            let gb = |bytes: usize| format!("{:.1} GB", bytes as f64 / 1e9);
            return Err(Error::value(
                "model",
                format!("{} of weights", gb(bytes)),
                &format!(
                    "at most the {} of this machine's memory",
                    gb(memory::total())
                ),
            ));
        }
        for chunk in model.arrays().chunks(16) {
            mlx::eval(chunk)?;
        }
        Ok(model)
    }

    /// The same without computing a weight: a loader replaces them all before that.
    pub(super) fn plan(config: Config, seed: u64, dtype: Dtype) -> Result<Self> {
        let mut source = Source {
            key: seed,
            count: 0,
            range: config.initializer_range as f32,
            eps: config.rms_norm_eps as f32,
            dtype,
        };
        let (hidden, vocab) = (config.hidden_size, config.vocab_size);
        let rope = config.rope()?;
        let embed_tokens = Embedding::new(source.normal(&[vocab, hidden])?);
        let layers = (0..config.num_hidden_layers)
            .map(|i| source.block(&config, i, &rope))
            .collect::<Result<_>>()?;
        let norm = source.norm(hidden)?;
        let lm_head = match config.tie_word_embeddings {
            true => None,
            false => Some(source.linear(vocab, hidden, false)?),
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
    eps: f32,
    dtype: Dtype,
}

impl Source {
    fn block(&mut self, config: &Config, i: i32, rope: &Rope) -> Result<Block> {
        Ok(Block {
            self_attn: self.attention(config, rope)?,
            mlp: self.feed_forward(config, i)?,
            input_layernorm: self.norm(config.hidden_size)?,
            post_attention_layernorm: self.norm(config.hidden_size)?,
        })
    }

    fn attention(&mut self, config: &Config, rope: &Rope) -> Result<Attention> {
        let (hidden, dim) = (config.hidden_size, config.head_dim);
        let q_size = config.num_attention_heads * dim;
        let kv_size = config.num_key_value_heads * dim;
        let bias = config.attention_bias;
        let family = config.family();
        // In Qwen2 the projection back has no bias, whatever the others have.
        let o_bias = bias && family != Family::Qwen2;
        let head_norm = || match family {
            Family::Qwen3 | Family::Qwen3Moe => self.norm(dim).map(Some),
            Family::Qwen2 | Family::Llama => Ok(None),
        };
        let (q_norm, k_norm) = (head_norm()?, head_norm()?);
        Ok(Attention {
            q_proj: self.linear(q_size, hidden, bias)?,
            k_proj: self.linear(kv_size, hidden, bias)?,
            v_proj: self.linear(kv_size, hidden, bias)?,
            o_proj: self.linear(hidden, q_size, o_bias)?,
            joined: None,
            q_norm,
            k_norm,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: dim,
            rope: rope.clone(),
        })
    }

    fn feed_forward(&mut self, config: &Config, i: i32) -> Result<FeedForward> {
        let (hidden, feed, bias) = (
            config.hidden_size,
            config.intermediate_size,
            config.mlp_bias,
        );
        if !config.is_sparse(i) {
            return Ok(FeedForward::Dense(SwiGlu {
                gate_proj: self.linear(feed, hidden, bias)?,
                up_proj: self.linear(feed, hidden, bias)?,
                down_proj: self.linear(hidden, feed, bias)?,
                joined: None,
            }));
        }
        let (experts, feed) = (config.num_experts, config.moe_intermediate_size);
        Ok(FeedForward::Sparse(Sparse {
            router: Router {
                gate: self.linear(experts, hidden, false)?,
                top_k: config.num_experts_per_tok,
                normalise: config.norm_topk_prob.unwrap_or(false),
            },
            switch_mlp: SwitchGlu {
                gate_proj: SwitchLinear::new(self.normal(&[experts, feed, hidden])?),
                up_proj: SwitchLinear::new(self.normal(&[experts, feed, hidden])?),
                down_proj: SwitchLinear::new(self.normal(&[experts, hidden, feed])?),
            },
        }))
    }

    fn normal(&mut self, shape: &[i32]) -> Result<Array> {
        self.count += 1;
        let key = random::key(random::derive(self.key, self.count))?;
        let weight = mlx_rs::random::normal::<f32>(shape, None, self.range, &key)?;
        Ok(weight.as_dtype(self.dtype)?)
    }

    fn linear(&mut self, out: i32, inputs: i32, bias: bool) -> Result<Linear> {
        let bias = match bias {
            true => Some(ops::zeros_dtype(&[out], self.dtype)?),
            false => None,
        };
        Ok(Linear::new(self.normal(&[out, inputs])?, bias))
    }

    fn norm(&self, size: i32) -> Result<RmsNorm> {
        let weight = ops::ones_dtype(&[size], self.dtype)?;
        Ok(RmsNorm {
            weight,
            eps: self.eps,
        })
    }
}
